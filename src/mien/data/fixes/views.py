"""What a person sees beside the image: how far the work has come, and images that are alike, for a grid."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mien.data.fixes.queue import Item
from mien.data.fixes.records import Fix
from mien.text import pluralize

#: Images in a grid of batch mode, and the fewest that are worth one.
BATCH, FEWEST = 50, 6
#: Kinds that need a look of their own: others of these images are alike only by name.
_ALONE = frozenset({"several-faces", "conflict", "changed", "label-conflict", "near-duplicate"})


@dataclass(frozen=True)
class Progress:
    """How far a person has come: numbers of images.

    Attributes:
        total: all that can be looked at.
        decided: those with a decision that counts.
        kept: of these, those whose label is right.
        relabelled: of these, those with another label, or a first one.
        left_out: of these, those that are left out.
        conflicts: those about which people disagree.
        changed: those whose file has changed since it was decided.
    """

    total: int
    decided: int
    kept: int
    relabelled: int
    left_out: int
    conflicts: int
    changed: int


@dataclass(frozen=True)
class Batch:
    """Images that are alike: the same label and the same reason or likely answer."""

    kind: str
    label: str
    suggestion: str | None
    items: tuple[Item, ...]

    @property
    def sentence(self) -> str:
        """What they have in common."""
        looks = f", look {self.suggestion}" if self.suggestion else ""
        return f"{pluralize(len(self.items), 'image')} labelled {self.label or 'nothing yet'}{looks}"


def count_progress(items: Mapping[str, Item], decisions: Mapping[str, Fix], conflicts: int, changed: int) -> Progress:
    """Count images by what was decided; see `Progress`."""
    kinds = Counter(
        "left out" if fix.decision == "leave-out" else "kept" if fix.label == items[name].label else "relabelled"
        for name, fix in decisions.items()
    )
    return Progress(
        len(items), len(decisions), kinds["kept"], kinds["relabelled"], kinds["left out"], conflicts, changed
    )


def first_batch(items: Iterable[Item], size: int) -> Batch | None:
    """Return the first images of a list that are alike; None if there are too few for a grid.

    Images with near copies or several faces need a look of their own.
    """
    alike: dict[tuple[str, str, str | None], list[Item]] = defaultdict(list)
    for item in items:
        if not item.group and item.kind not in _ALONE:
            alike[item.kind, item.label, item.suggestion].append(item)
    found = next((tuple(group[:size]) for group in alike.values() if len(group) >= FEWEST), None)
    return None if found is None else Batch(found[0].kind, found[0].label, found[0].suggestion, found)
