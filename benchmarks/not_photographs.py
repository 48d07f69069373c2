"""Count how many files of each folder `mien check --detect yes` flags, and as what.

    python benchmarks/not_photographs.py --images FOLDER…

Give folders of photos of people (few files should be flagged) and of drawings, emoji, clip art or statues (most should
be). Every folder is checked by itself, without judging labels.
"""

import argparse
from collections import Counter
from pathlib import Path

from mien.data.audit import audit
from mien.data.dataset import Manifest, Sample
from mien.data.face_audit import audit_faces
from mien.inference.reader import load
from mien.io.sniffing import is_image_name
from mien.io.sources import FolderSource

KINDS = ("no-face", "not-a-photograph", "several-faces", "face-cut-off", "face-too-small")


def manifest_of(folder: Path) -> Manifest:
    source = FolderSource(folder)
    names = [name for name in source.names if is_image_name(name)]
    return Manifest(folder, ("image",), tuple(Sample(name, "image") for name in names), source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="FOLDER")
    reader = load(faces="largest")
    print(f"{'folder':<20} {'files':>6} {'flagged':>8}  " + "  ".join(KINDS))
    for folder in parser.parse_args().images:
        known = audit(manifest_of(folder))
        count = len(known.usable.samples)
        issues = {issue.kind: set(issue.files) for issue in audit_faces(known, reader).issues}
        flagged = set().union(*(issues.get(kind, set()) for kind in KINDS))
        kinds = Counter({kind: len(issues.get(kind, ())) for kind in KINDS})
        shares = "  ".join(f"{kinds[kind]:>{len(kind)}}" for kind in KINDS)
        print(f"{folder.name:<20} {count:>6} {len(flagged) / max(count, 1):>8.1%}  {shares}", flush=True)


if __name__ == "__main__":
    main()
