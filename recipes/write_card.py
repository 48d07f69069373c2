"""Write measured metrics into the model card, and copy the card into the shipped bundles.

    python benchmarks/shipped_model.py --data $MIEN_DATA --model mien --model mien-int8 --json metrics.json
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

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "src" / "mien" / "models"
BEGIN, END = "<!-- metrics: written by recipes/write_card.py -->", "<!-- end of metrics -->"
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
#: The sections that the card shows, by the beginning of their names.
SECTIONS = (
    "Accuracy",
    "Answers by arg-max",
    "Answers by the bundle's rule",
    "Expected calibration error",
    "Robustness: change",
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
        before, rest = text.split(BEGIN)
        text = f"{before}{BEGIN}\n\n{tables(models)}\n\n{END}{rest.split(END)[1]}"
        card.write_text(text, encoding="utf-8")
    for folder in sorted(path.parent for path in MODELS.glob("*/config.json")):
        # Images and link targets of the repository are not in a wheel.
        lines = [LINK.sub(r"\1", line) for line in text.splitlines() if not line.startswith("![")]
        lines[0] = f"# {folder.name}"
        (folder / "CARD.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
