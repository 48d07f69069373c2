"""Measure what `pip install` puts on the disk: the core, and what each extra adds, in the locked versions.

Each is installed into an empty folder of its own, without compiled files. Needs a package index. `page` is left out:
its wheel is built by `make release`.

    python benchmarks/install_size.py [EXTRA ...]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from measured import ROOT, Row, record

EXTRAS = ("serve", "report", "video", "parquet", "cluster", "train", "tune", "tune-db", "tensorboard")


def installed(extra: str | None) -> float:
    """Return the megabytes (10⁶ bytes) of all files after the installation."""
    what = f"{ROOT}[{extra}]" if extra else str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        call += ["--target", folder, "-c", str(ROOT / "requirements" / "lock.txt"), what]
        subprocess.run(call, check=True)
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extras", nargs="*", default=EXTRAS, metavar="EXTRA", help=f"of {', '.join(EXTRAS)}  [all]")
    core = installed(None)
    rows: list[Row] = [("core", "MB", core)]
    print(f"core: {core:.0f} MB", flush=True)
    for extra in parser.parse_args().extras:
        more = installed(extra) - core
        rows.append((extra, "MB", more))
        print(f"{extra}: {more:+.0f} MB", flush=True)
    record("install_size", rows)


if __name__ == "__main__":
    main()
