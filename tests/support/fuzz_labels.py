"""Tables that people write beside their images, as a fuzz campaign mutates them: answers and decisions."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

from fuzzing import mutated, mutated_json

from mien.data.dataset import read_manifest
from mien.data.fixes.applied import AppliedFixes
from mien.data.fixes.decisions import Fixes
from mien.data.fixes.records import DECISIONS, FILE_NAME, Fix
from mien.data.fixes.store import FixesFile, read_fixes
from mien.data.synthetic.faces import write_dataset
from mien.evaluation.answer_rows import read_answers
from mien.evaluation.answers import score_answers
from mien.results import Box

#: Longest sentence, in characters, whatever a file has in its cells.
_SENTENCE = 2000
#: Cells that a spreadsheet or a person might leave behind.
_CELLS = (
    "",
    '"',
    "=1+1",
    "\x1b[31m",
    "a" * 3000,
    "0" * 64,
    "1 2 3",
    "9999-99-99",
    "undo",
    "yes",
    "\udce9",
    "a\nb",
    "nan",
)


def answers(folder: Path) -> Callable[[int], str]:
    """A CSV, rows of `mien predict`, or one JSON array."""
    write_dataset(folder / "data", 4, seed=1, size=24)
    manifest = read_manifest(folder / "data")
    names = [sample.name for sample in manifest.samples]
    scores = [{"p_happy": number / 10, "p_sad": 1 - number / 10} for number in range(len(names))]
    rows = [{"source": name, "status": "ok", "reason": None, "faces": [
        {"answer": "happy", "probability": row["p_happy"],
         "probabilities": {"happy": row["p_happy"], "sad": row["p_sad"]}}
    ]} for name, row in zip(names, scores, strict=True)]  # fmt: skip
    table = "\n".join(["file,label,p_happy,p_sad", *(f"{name},sad,{row['p_happy']},{row['p_sad']}"
                                                     for name, row in zip(names, scores, strict=True))])  # fmt: skip
    lines = [json.dumps(row).encode() for row in rows]
    array = json.dumps([{"image": name, "prediction": "Happy"} for name in names]).encode()

    def case(seed: int) -> str:
        path = folder / "case.txt"
        if seed % 3 == 0:
            path.write_bytes(mutated([table.encode(), table.replace(",", ";").encode()], seed))
        elif seed % 3 == 1:
            place = seed // 3 % len(lines)
            path.write_bytes(b"\n".join([*lines[:place], mutated_json(lines[place], seed), *lines[place + 1 :]]))
        else:
            path.write_bytes(mutated_json(array, seed))
        predictions, found = score_answers(read_answers(path), manifest)
        said = json.dumps(found.to_dict(), allow_nan=False)
        assert all(len(note) < _SENTENCE for note in found.notes), found.notes
        assert len(predictions.names) <= len(names)
        return "scored, some rows are bad" if '"reason"' in said else "scored"

    return case


def decisions(folder: Path) -> Callable[[int], str]:
    """The decisions of `mien fix`: read with the data, and added to."""
    data = folder / "data"
    write_dataset(data, 4, seed=1, size=24)
    names = [path.relative_to(data).as_posix() for path in sorted(data.rglob("*.*")) if path.name != FILE_NAME]
    digests = {name: hashlib.sha256((data / name).read_bytes()).hexdigest() for name in names}
    rows = [
        Fix(digests[name], name, DECISIONS[number % 4], "happy", "sad", Box(1, 2, 3, 4) if number % 3 else None,
            f"2026-11-29T21:41:54.{number:03}Z", ("", "Ada")[number % 2])
        for number, name in enumerate(names)
    ]  # fmt: skip
    path, added = data / FILE_NAME, Fix("f" * 64, "new.png", "keep", "sad", "sad")
    path.unlink(missing_ok=True)
    FixesFile(path).append(rows)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)

    def case(seed: int) -> str:
        rng = random.Random(seed)
        if seed % 2:
            place = rng.randrange(1, len(lines))
            cells = lines[place].decode().rstrip("\n").split(",")
            cells[rng.randrange(len(cells))] = rng.choice(_CELLS)
            row = (",".join(cells) + "\n").encode("utf-8", "surrogateescape")
            path.write_bytes(b"".join([*lines[:place], row, *lines[place + 1 :]]))
        else:
            path.write_bytes(mutated([whole, whole.replace(b",", b";"), b"\xef\xbb\xbf" + whole], seed))
        found = read_fixes(path)
        fixes = Fixes(path, found.fixes, found.bad_rows, found.cut_short)
        json.dumps([fixes.to_rows(), [fix.to_dict() for row in fixes.conflicts for fix in row]])
        manifest = read_manifest(data)
        used = manifest.fixes
        assert used is None or (isinstance(used, AppliedFixes) and len(used.sentence) < _SENTENCE), used
        FixesFile(path).append([added])
        again = read_fixes(path).fixes
        assert again[-1].path == added.path, "the new row was lost"
        # A file that is written anew may give back rows that a damaged first line hid.
        assert [fix for fix in again if fix in found.fixes] == list(found.fixes), "rows were lost"
        return f"{'all' if len(found.fixes) == len(rows) else 'some'} rows read"

    return case
