"""The rule of docs/onnx.md, in JavaScript, answers as the library does."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from snippets import snippets

from mien.inference.decision import AnswerRule
from mien.labels import EXPRESSIONS

RULES = [
    AnswerRule(EXPRESSIONS, answer_from={"happy": 0.6, "sad": 0.25}, answer_over={"sad": {"neutral": 4.25}}),
    AnswerRule(EXPRESSIONS, answer_from={"sad": 0.3, "happy": 0.3}),
    AnswerRule(("happy", "sad"), threshold=0.7),
    AnswerRule(("a", "b", "c")),
]


@pytest.mark.parametrize("rule", RULES, ids=[rule.describe() for rule in RULES])
def test_the_answers_are_those_of_the_library(rule: AnswerRule) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (code,) = [block.code for block in snippets(Path("docs/onnx.md"), "js") if block.reason is None]
    rows = np.random.default_rng(0).dirichlet(np.full(len(rule.labels), 0.4), 300)
    found = {name: value for name, value in rule.to_dict().items() if value is not None}
    config = {"labels": list(rule.labels), **found}
    shares = [dict(zip(rule.labels, row, strict=True)) for row in rows.tolist()]
    program = f"{code}console.log(JSON.stringify({json.dumps(shares)}.map((p) => answer({json.dumps(config)}, p))))"
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [one.label for one in rule.decide(rows)]
    assert len(set(json.loads(done.stdout))) >= min(len(rule.answers), 3)
