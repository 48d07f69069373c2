"""Write measured metrics into the model card, and copy the card into the shipped bundles.

    python benchmarks/shipped_model.py --data $MIEN_DATA --json metrics.json \\
        --model mien --model mien-int8 --model mien-light
    python recipes/write_card.py metrics.json

Only the tables between the two marks of `MODEL_CARD.md` are replaced. Without a file of metrics the card is copied as
it is, including changes made by hand.
"""

import json
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.inference.decision import AnswerRule
from mien.labels import EXPRESSIONS

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "src" / "mien" / "models"
BEGIN, END = "<!-- metrics: written by recipes/write_card.py -->", "<!-- end of metrics -->"
RULE, END_OF_RULE = "<!-- rule: written by recipes/write_card.py -->", "<!-- end of rule -->"
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
#: The sections that the card shows, by the beginning of their names.
SECTIONS = (
    "Accuracy",
    "Answers by arg-max",
    "Answers by the bundle's rule",
    "Answers to expect on other faces",
    "Expected calibration error",
    "Robustness: change",
    "Crying",
    "Found and right",
    "Seven classes",
)


def tables(models: list[dict[str, Any]]) -> str:
    """Return Markdown tables: one per section, a column per model, intervals in brackets."""
    names = [model["model"] for model in models]
    by_name = [{(row["section"], row["name"]): row for row in model["rows"]} for model in models]
    found = []
    for section, group in groupby(models[0]["rows"], key=lambda row: row["section"]):
        if not section.startswith(SECTIONS):
            continue
        lines = [f"| {section} | n | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
        for row in group:
            cells = " | ".join(cell(rows[section, row["name"]]) for rows in by_name)
            lines.append(f"| {row['name']} | {row['n']} | {cells} |")
        found.append("\n".join(lines))
    return "\n\n".join(found)


def replaced(text: str, begin: str, end: str, by: str) -> str:
    """Return the text with what stands between two marks replaced."""
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{by}\n\n{end}{rest.split(end)[1]}"


def rule(model: dict[str, Any]) -> str:
    """Return a line that says temperature, rule, and what to expect of it on other faces."""
    said = AnswerRule(EXPRESSIONS, answer_from=model["answer_from"], answer_over=model["answer_over"]).describe()
    rates = [row for row in model["rows"] if row["section"].startswith("Answers to expect") and row["wanted"]]
    expected = ", ".join(f"{row['name']} {cell(row)}" for row in rates)
    return f"- `{model['model']}`: temperature {model['temperature']:.2f}; {said}. Expected: {expected}."


def cell(row: dict[str, Any]) -> str:
    """Return a value with its interval: changes as signed percentage points, everything else as a fraction."""
    form, unit = ("{:+.1f}", 100) if row["section"].startswith("Robustness: change") else ("{:.3f}", 1)
    value, low, high = (form.format(unit * row[name]) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def main() -> None:
    """Write the card, and its copies in the bundles."""
    card = ROOT / "MODEL_CARD.md"
    text = card.read_text(encoding="utf-8")
    if len(sys.argv) > 1:
        models = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["models"]
        text = replaced(text, BEGIN, END, tables(models))
        text = replaced(text, RULE, END_OF_RULE, "\n".join(map(rule, models)))
        card.write_text(text, encoding="utf-8")
    for folder in sorted(path.parent for path in MODELS.glob("*/config.json")):
        # Images and link targets of the repository are not in a wheel.
        lines = [LINK.sub(r"\1", line) for line in text.splitlines() if not line.startswith("![")]
        lines[0] = f"# {folder.name}"
        (folder / "CARD.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
