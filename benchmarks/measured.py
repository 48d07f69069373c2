"""Record what a benchmark measured, and quote it in README, model card and pages.

A benchmark calls `record` once, at its end. With MIEN_RECORD=1, as under `make bench`, this writes
`benchmarks/results/NAME.json`: the figures with their units, date, processor, versions and commit. Without it nothing
is written, so that a short trial replaces no result.

    python benchmarks/measured.py            # write the recorded figures into the pages that quote them
    python benchmarks/measured.py --check    # say which quotes differ

A page quotes a figure between two comments, which readers do not see:

    It starts in <!-- measured: read_speed / cold start -->0.27 s<!-- end -->.

`<!-- measured: table speed -->` holds a whole table instead. `tests/docs/test_measured.py` fails if a quote differs
from its result, and if a page says a speed, time or size between no such comments.
"""

import json
import os
import platform
import re
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
#: Set by `make bench`: only then is a result replaced.
RECORD = "MIEN_RECORD"
#: Where figures are quoted. Logs and changelog say what was measured in their time; `make rivals` writes its page
#: as a whole.
PAGES = [
    ROOT / "README.md",
    ROOT / "MODEL_CARD.md",
    *sorted(
        path for path in (ROOT / "docs").rglob("*.md") if not path.name.startswith(("lab-log", "changelog", "rivals"))
    ),
]
QUOTE = re.compile(r"(<!-- measured: ([^>]+?) -->)(.*?)(<!-- end -->)", re.DOTALL)

#: Instruction sets that decide the speed of float and integer convolutions on x86.
_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8")
_LIBRARIES = ("numpy", "onnxruntime", "pillow", "keras", "tensorflow")

#: What was measured, its unit ("" for none), and the value: a number, those of several runs, or a text.
Row = tuple[str, str, float | Sequence[float] | str]


def processor() -> str:
    """Return the name of the processor and its relevant instruction sets."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    found = {key.strip(): value.strip() for key, value in lines.items()}
    flags = [flag for flag in _FLAGS if flag in found.get("flags", "").split()]
    name = found.get("model name") or platform.processor() or platform.machine()
    model = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    return f"{name}{model}; {', '.join(flags) or 'instruction sets unknown'}"


def record(benchmark: str, rows: Iterable[Row], note: str = "") -> None:
    """Keep the figures of a benchmark for the docs; does nothing unless MIEN_RECORD is set.

    Args:
        benchmark: the name of its file, without `.py`.
        rows: what was measured, the unit, and the value. Of several runs, minimum, median and maximum are kept.
        note: a sentence that readers get beside the figures.
    """
    if not os.environ.get(RECORD):
        return
    path = RESULTS / f"{benchmark}.json"
    found = {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_argument, sys.argv[1:])]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": _versions(),
        "commit": _commit(),
        **({"note": note} if note else {}),
        "figures": {what: _figure(unit, value) for what, unit, value in rows},
    }
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"recorded {path.relative_to(ROOT)}")


def _argument(text: str) -> str:
    """Return an argument without the place of the data on this machine."""
    data = os.environ.get("MIEN_DATA")
    return text.replace(data.rstrip("/"), "$MIEN_DATA") if data else text


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in _LIBRARIES:
        module = sys.modules.get({"pillow": "PIL"}.get(name, name))
        if module is not None:  # its wheel may have another name
            found[name] = module.__version__
    return found


def _commit() -> str:
    call = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(call, cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip()


def _figure(unit: str, value: float | Sequence[float] | str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"unit": unit, "value": value}
    if isinstance(value, (int, float)):
        return {"unit": unit, "value": _rounded(value)}
    return {
        "unit": unit, "value": _rounded(median(value)), "minimum": _rounded(min(value)),
        "maximum": _rounded(max(value)), "runs": len(value),
    }  # fmt: skip


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def data_option(parser: ArgumentParser, holds: str) -> None:
    """Add `--data`, the folder of data that is not in the repository; $MIEN_DATA is its default."""
    given = os.environ.get("MIEN_DATA")
    parser.add_argument(
        "--data", type=Path, default=given, required=given is None, metavar="FOLDER",
        help=f"holds {holds}  [$MIEN_DATA]",
    )  # fmt: skip


# --- quoting


def results() -> dict[str, dict[str, Any]]:
    """Return all recorded results, by the name of the benchmark."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def number(value: float | str) -> str:
    """Return a number for readers, with three significant digits and spaces between thousands; a text as it is."""
    if isinstance(value, str):
        return value
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}".replace(",", " ") if abs(rounded) >= 100 else f"{rounded:g}"


def quoted(key: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of a quote: a figure with its unit for `benchmark / figure`, a table for `table NAME`.

    Raises KeyError if no such figure was recorded.
    """
    if key.startswith("table "):
        return f"\n\n{TABLES[key.removeprefix('table ')](found)}\n\n"
    benchmark, _, name = key.partition(" / ")
    figure = found[benchmark]["figures"][name]
    return f"{number(figure['value'])} {figure['unit']}".strip()


def speed_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return size and speed of the shipped models, a column each, and how they were measured."""
    result = found["latency"]
    models = ("mien", "mien-int8", "mien-light")
    every = dict.fromkeys(what.partition(": ")[2] for what in result["figures"])
    names = [name for name in every if all(f"{model}: {name}" in result["figures"] for model in models)]
    lines = ["| one core | " + " | ".join(models) + " |", "|---" * (len(models) + 1) + "|"]
    for name in names:
        cells = (result["figures"][f"{model}: {name}"] for model in models)
        lines.append(f"| {name} | " + " | ".join(f"{number(one['value'])} {one['unit']}" for one in cells) + " |")
    return "\n".join([*lines, "", said(result)])


def said(result: Mapping[str, Any]) -> str:
    """Return a sentence that says how, when and on what a result was measured."""
    versions = [f"{name} {version}" for name, version in result["versions"].items()]
    cores = f"{result['cores']} core{'s' * (result['cores'] != 1)}"
    commit = [f"commit {result['commit']}"] if result.get("commit") else []
    where = "; ".join([f"{result['processor']}, {cores}", *([", ".join([*versions, *commit])] if versions else [])])
    return " ".join(
        [f"Measured by `{result['command']}` on {result['date']}: {where}.", *filter(None, [result.get("note")])]
    )


def results_page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return all results as Markdown: a heading and a table for each benchmark."""
    lines = []
    for name, result in found.items():
        image = ROOT / "docs" / "images" / f"{name.replace('_', '-')}.png"
        drawn = [f"![{name}, as a plot](images/{image.name})", ""] if image.exists() else []
        lines += ["", f"## {name}", "", _purpose(name), "", *drawn, "| | | minimum to maximum |", "|---|---|---|"]
        for what, figure in result["figures"].items():
            spread = " to ".join(number(figure[end]) for end in ("minimum", "maximum") if end in figure)
            runs = f" ({figure['runs']} runs)" if "runs" in figure else ""
            lines.append(f"| {what} | {number(figure['value'])} {figure['unit']} | {spread}{runs} |")
        lines += ["", said(result)]
    return "\n".join(lines)


def _purpose(benchmark: str) -> str:
    """Return the first paragraph of a benchmark's docstring."""
    text = (ROOT / "benchmarks" / f"{benchmark}.py").read_text(encoding="utf-8")
    return " ".join(text.split('"""')[1].split("\n\n")[0].split())


TABLES = {"speed": speed_table}


def updated(text: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a page with every quote as it was recorded last."""
    return QUOTE.sub(lambda match: match[1] + quoted(match[2], found) + match[4], text)


def main() -> None:
    """Write the recorded figures into the pages, or say which pages differ."""
    found, differing = results(), []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        if (new := updated(text, found)) != text:
            differing.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    for name in differing:
        print(f"{name}: {'differs from benchmarks/results' if '--check' in sys.argv else 'written'}")
    sys.exit(int(bool(differing) and "--check" in sys.argv))


if __name__ == "__main__":
    main()
