"""Compare mien with other libraries on the same images, accuracy and speed, and write the page of the docs.

    make rivals DATA=$MIEN_DATA                                    # docs/rivals.md, from FER2013 and small/
    python benchmarks/compare_rivals.py --data my_faces            # build/rivals/rivals.md, from your own folder
    python benchmarks/compare_rivals.py --only speed               # measure speed again, with the rest as it was
    python benchmarks/compare_rivals.py --only page                # write the page from the last results

Each library runs in an environment of its own, made from pinned versions in build/rivals/environments (6 GB, once). The
page of the docs keeps its results in benchmarks/rivals/results.json.
"""

import argparse
import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measured import processor
from mien.errors import DataError
from mien.text import join_words
from mien.version import __version__
from rivals import accuracy, speed
from rivals.environments import make
from rivals.page import write_page
from rivals.readers import OWN, READERS, Reader, choose
from rivals.sets import astronaut, drawn_crops, image_sets
from shipped_model_data import ARCHIVE

ROOT = Path(__file__).parents[1]
WHERE = ROOT / "build" / "rivals"
PARTS = ("accuracy", "speed", "page")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="with fer2013/ and small/, or a labelled folder")
    parser.add_argument("--only", choices=PARTS, help="measure this part alone, then write the page  [all]")
    parser.add_argument("--readers", metavar="A,B", help=f"some of {', '.join(one.key for one in READERS)}  [all]")
    parser.add_argument("--map", action="append", default=[], metavar="OLD=NEW", help="rename a class of your folder")
    parser.add_argument("--what", choices=("crop", "photo"), help="what your images are  [by their size]")
    parser.add_argument("--reuse", action="store_true", help="score the answers in build/rivals/answers as they are")
    parser.add_argument("--cores", type=int, action="append", choices=(1, 2), help="speed on so many alone  [both]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn  [0.4]")
    parser.add_argument("--contended", action="store_true", help="say on the page that other work ran meanwhile")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keeps the results")
    parser.add_argument("--page", type=Path, metavar="FILE", help="the page to write")
    options = parser.parse_args()
    of_docs = options.data is None or (options.data / ARCHIVE).is_file()
    results_file = options.results or (ROOT / "benchmarks" / "rivals" if of_docs else WHERE) / "results.json"
    page = options.page or (ROOT / "docs" if of_docs else WHERE) / "rivals.md"
    if options.data is None and options.only in (None, "accuracy"):
        parser.error("--data: accuracy needs it; name a folder, or measure --only speed")
    if odd := next((text for text in options.map if text.count("=") != 1), None):
        parser.error(f"--map {odd}: give OLD=NEW")
    WHERE.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"about": {}, "environments": {}, "accuracy": {}, "speed": {}}
    if results_file.is_file():
        results = json.loads(results_file.read_text(encoding="utf-8"))
    try:
        if options.only != "page":
            measure(options, choose(options.readers and options.readers.split(",")), results)
    except (DataError, ValueError) as error:
        parser.error(str(error))
    if not results["environments"]:
        parser.error(f"{results_file}: has no results yet; run without --only page")
    results_file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_page(results, READERS, page)
    print(f"wrote {page}")


def measure(options: argparse.Namespace, readers: tuple[Reader, ...], results: dict[str, Any]) -> None:
    """Measure the chosen parts; the others stay as they are."""
    rename = dict(text.split("=") for text in options.map)
    sets = image_sets(options.data, WHERE, options.what, rename) if options.only != "speed" else ()
    environments = {name: make(name, WHERE / "environments") for name in dict.fromkeys(r.environment for r in readers)}
    results["environments"] = {
        name: {"megabytes": one.megabytes, "versions": one.versions} for name, one in environments.items()
    }
    about = results["about"]
    about["others"] = join_words([name for name in environments if name != OWN])
    about["made"] = datetime.now(UTC).date().isoformat()
    if sets:
        results["accuracy"] = {
            images.key: accuracy.measure(images, readers, environments, WHERE, rename, options.reuse) for images in sets
        }
        about["accuracy"] = {"date": about["made"], "mien": __version__}
    if options.only != "accuracy":
        results["speed"] |= speed.measure(
            readers, environments, astronaut(WHERE), drawn_crops(WHERE), WHERE / "adapters.log",
            options.rounds, options.cold_rounds, options.seconds, options.cores or (1, 2),
        )  # fmt: skip
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        about["speed"] = {
            "date": about["made"], "processor": processor(), "rounds": options.rounds,
            "cold_rounds": options.cold_rounds, "seconds": options.seconds, "contended": options.contended,
            "python": platform.python_version(), "node": node.removeprefix("v"),
        }  # fmt: skip


if __name__ == "__main__":
    main()
