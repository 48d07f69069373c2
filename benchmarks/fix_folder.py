"""Measure `mien fix`: decisions until planted faults are seen, and the labels that an unsorted folder needs.

    python benchmarks/fix_folder.py --data $MIEN_DATA [--repeats 5] [--first 0] [--decisions-only] [--train] [--share 1]

`--data` is the folder that holds `small/` and `fer2013/`. A fifth of the files of `small/` is spoiled: labels are
flipped, and drawings, textures and copies under the other label are added. A careful user, who knows what was planted,
follows the queue.

- Decisions until 90 % of the planted faults were seen, against the same files in random order, for each kind.
- Labels that an unsorted folder needs until the last layer reaches 95 % of its accuracy with all labels, on the half of
  the files that is never labelled: in the order of `mien fix` against random order.
- With `--train`: the accuracy of `mien train` by 5-fold cross-validation, before and after the decisions, by the labels
  that the photographs should have, in each folder (an hour or more for each).
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from measured import data_option
from mien.data.dataset import read_manifest
from mien.data.fixes.opening import open_session
from mien.data.fixes.proposals import Proposer
from mien.data.fixes.session import FixSession
from mien.data.synthetic.faces import draw_face
from mien.evaluation.scoring import score
from mien.inference.reader import load
from mien.metrics.intervals import wilson_interval

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CLASSES = ("happy", "sad")
#: The fraction of the files that is spoiled, and of the spoiled that must be seen.
SPOILED, SEEN = 0.2, 0.9
#: Of its accuracy with all labels, the last layer must reach this fraction.
WANTED = 0.95


@dataclass(frozen=True)
class Planted:
    """A spoiled folder: the faults by name, with the kind of each, and the label that each image should have."""

    folder: Path
    kinds: dict[str, str]
    truth: dict[str, str]


def spoil(small: Path, folder: Path, seed: int, share: float) -> Planted:
    """Copy a part of `small/` and spoil a fifth: half of that flipped, the rest drawings, textures and copies."""
    rng = np.random.default_rng(seed)
    files = [path for label in CLASSES for path in sorted((small / label).iterdir())]
    files = [files[place] for place in sorted(rng.permutation(len(files))[: round(share * len(files))])]
    flipped = set(rng.permutation(len(files))[: round(SPOILED / 2 * len(files))].tolist())
    kinds: dict[str, str] = {}
    truth: dict[str, str] = {}
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
    for place, path in enumerate(files):
        right = path.parent.name
        given = CLASSES[1 - CLASSES.index(right)] if place in flipped else right
        name = f"{given}/{path.name}"
        shutil.copy(path, folder / name)
        truth[name] = right
        if place in flipped:
            kinds[name] = "flipped"
    each = max(1, round(SPOILED / 6 * len(files)))
    for number in range(each):
        label = CLASSES[number % 2]
        Image.fromarray(draw_face(label, seed * 1000 + number, 300)).save(folder / label / f"drawn-{number}.png")
        kinds[f"{label}/drawn-{number}.png"] = "drawing"
        Image.fromarray(_texture(rng)).save(folder / label / f"texture-{number}.jpg", quality=90)
        kinds[f"{label}/texture-{number}.jpg"] = "texture"
        original = files[int(rng.integers(len(files)))]
        other = CLASSES[1 - CLASSES.index(original.parent.name)]
        Image.open(original).convert("RGB").save(folder / other / f"copy-{number}.jpg", quality=60)
        kinds[f"{other}/copy-{number}.jpg"] = "copy"
        truth[f"{other}/copy-{number}.jpg"] = original.parent.name
    return Planted(folder, kinds, truth)


def _texture(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    coarse = Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((300, 300), Image.Resampling.BICUBIC))


def decisions_until_seen(order: Sequence[str], wanted: set[str]) -> int:
    """Return how many images are looked at until `SEEN` of the wanted ones were."""
    found, need = 0, int(np.ceil(SEEN * len(wanted)))
    for place, name in enumerate(order, 1):
        found += name in wanted
        if found >= need:
            return place
    return len(order)


def seen_until(session: FixSession, planted: Planted, kind: str | None, rng: np.random.Generator) -> tuple[int, float]:
    """Return the decisions in the order of the session, and the mean in random order."""
    order = list(session.order)
    wanted = {name for name, found in planted.kinds.items() if kind in (None, found)} & set(order)
    chance = [decisions_until_seen([order[place] for place in rng.permutation(len(order))], wanted) for _ in range(50)]
    return decisions_until_seen(order, wanted), float(np.mean(chance))


def decide_carefully(session: FixSession, planted: Planted, count: int) -> None:
    """Decide about the first images as someone would who sees what was planted."""
    for item in session.items(0, count, decided=False):
        right = planted.truth.get(item.name)
        copied = planted.kinds.get(item.name) in ("copy", "drawing", "texture")
        if copied or right is None:
            session.decide(item.name, "leave-out")
        else:
            session.decide(item.name, "keep" if right == item.label else "relabel", right)


def labels_needed(
    features: Floats, known: Floats | None, labels: Ints, by_choice: bool, seed: int
) -> tuple[int, float, int]:
    """Return the labels until `WANTED` of the accuracy with all labels, that accuracy, and how many labels there are.

    Half of the images are never labelled: they are what the accuracy is measured on.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    pool, test = order[: len(order) // 2], order[len(order) // 2 :]
    classes = int(labels.max()) + 1
    proposer = Proposer(features, known, classes)
    proposer.fit({int(one): int(labels[one]) for one in pool})
    goal = float((proposer.probabilities[test].argmax(axis=1) == labels[test]).mean())
    proposer = Proposer(features, known, classes)
    among = np.zeros(len(labels), bool)
    among[pool] = True
    labelled: list[int] = []
    while len(labelled) < len(pool):
        chosen = proposer.next(labelled, 5, among) if by_choice else pool[len(labelled) : len(labelled) + 5].tolist()
        labelled += chosen
        proposer.fit({one: int(labels[one]) for one in labelled})
        if float((proposer.probabilities[test].argmax(axis=1) == labels[test]).mean()) >= WANTED * goal:
            break
    return len(labelled), goal, len(pool)


def unsorted_rows(data: Path, repeats: int) -> Iterator[str]:
    """Return a row of the table for each way of labelling: classes that the model knows, and others."""
    reader = load(faces="largest")
    scored = score(reader, read_manifest(data / "small", CLASSES, fixes=False))
    if scored.crops is None:
        return
    features = reader.probabilities(scored.crops)
    truth, known = np.asarray(scored.truth), np.asarray(scored.probabilities)
    for title, start in (("happy and sad, proposed by the model", known), ("two names it does not know", None)):
        for by_choice in (True, False):
            found = [labels_needed(features, start, truth, by_choice, seed) for seed in range(repeats)]
            needed = [one[0] for one in found]
            goal = np.mean([one[1] for one in found])
            way = "mien fix" if by_choice else "random"
            yield (
                f"| {title} | {way} | {np.mean(needed):.0f} ({min(needed)} to {max(needed)}) of {found[0][2]} | "
                f"{100 * goal:.1f} % |"
            )


def right_answers(planted: Planted, out: Path, fixes: bool) -> dict[str, bool]:
    """Return whether a fold's model gives each photograph that is no copy the label that it should have."""
    import mien

    found = mien.train(planted.folder, out=out, folds=5, fixes=fixes, progress=False).predictions
    answers = {name: found.classes[answer] for name, answer in zip(found.names, found.answers, strict=True)}
    asked = [name for name in answers if name in planted.truth and planted.kinds.get(name) != "copy"]
    return {name: answers[name] == planted.truth[name] for name in asked}


def compare(before: dict[str, bool], after: dict[str, bool]) -> str:
    """Return both accuracies with their intervals on the images that both trainings answer, and the paired test."""
    names = sorted(before.keys() & after.keys())
    said = []
    for found in (before, after):
        right = sum(found[name] for name in names)
        low, high = wilson_interval(right, len(names))
        said.append(f"{100 * right / len(names):.1f} % [{100 * low:.1f}, {100 * high:.1f}]")
    worse = sum(before[name] > after[name] for name in names)
    better = sum(after[name] > before[name] for name in names)
    return f"accuracy on {len(names)} photographs: {said[0]} before, {said[1]} after ({better} better, {worse} worse)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data_option(parser, "small/")
    parser.add_argument("--repeats", type=int, default=5, help="spoiled folders, and halves of the files  [5]")
    parser.add_argument("--first", type=int, default=0, help="seed of the first spoiled folder  [0]")
    parser.add_argument("--decisions-only", action="store_true", help="measure no unsorted folder")
    parser.add_argument("--share", type=float, default=1.0, help="the fraction of the files to use  [1]")
    parser.add_argument("--train", action="store_true", help="also train before and after the decisions")
    options = parser.parse_args()
    if not options.decisions_only:
        print("| unsorted folder | order | labels until 95 % of the accuracy of all | that accuracy |")
        print("|---|---|---|---|")
        for row in unsorted_rows(options.data, 4 * options.repeats):
            print(row, flush=True)
    print("\n| planted | decisions until 90 % were seen | in random order | times fewer |\n|---|---|---|---|")
    rows: dict[str, list[tuple[int, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(options.first, options.first + options.repeats):
            planted = spoil(options.data / "small", Path(scratch) / str(seed), seed, options.share)
            session = open_session(planted.folder, classes=CLASSES)
            for kind in (None, *dict.fromkeys(planted.kinds.values())):
                found = seen_until(session, planted, kind, np.random.default_rng(seed))
                rows.setdefault(kind or "all", []).append(found)
            if options.train:
                before = right_answers(planted, Path(scratch) / f"{seed}-before", fixes=False)
                decide_carefully(session, planted, decisions_until_seen(session.order, set(planted.kinds)))
                after = right_answers(planted, Path(scratch) / f"{seed}-after", fixes=True)
                print(compare(before, after), flush=True)
    for name, every in rows.items():
        ours, chance = np.mean([one[0] for one in every]), np.mean([one[1] for one in every])
        print(f"| {name} | {ours:.0f} | {chance:.0f} | {chance / ours:.1f} |")


if __name__ == "__main__":
    main()
