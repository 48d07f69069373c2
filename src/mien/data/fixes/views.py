"""What a person sees beside the image: how far the work has come, and images that are alike, for a grid."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from mien.data.fixes.decisions import counts_in_words
from mien.data.fixes.queue import ORDER, Item
from mien.data.fixes.records import Fix
from mien.text import pluralize

#: Images in a grid of batch mode, the fewest that are worth one, and the fewest if they are doubtful or asked for.
BATCH, FEWEST, PAIR = 50, 6, 2
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
        doubtful: those without a decision that have a data issue, or about which people disagree, or that changed.
    """

    total: int
    decided: int
    kept: int
    relabelled: int
    left_out: int
    conflicts: int
    changed: int
    doubtful: int

    @property
    def sentence(self) -> str:
        """How many are decided, and how."""
        parts = counts_in_words(self.kept, self.relabelled, self.left_out)
        return f"{self.decided} of {self.total} images are decided" + (f" ({parts})" if parts else "")


@dataclass(frozen=True)
class Batch:
    """Images that are alike: shown for the same reason, which may be that the model doubts the same label.

    Attributes:
        items: the images.
        others: how many other doubtful images have no decision.
    """

    items: tuple[Item, ...]
    others: int = 0

    @property
    def kind(self) -> str:
        """Why a look at them pays."""
        return self.items[0].kind

    @property
    def sentence(self) -> str:
        """What they have in common."""
        labels = sorted({item.label or "nothing yet" for item in self.items})
        suggestions = {item.suggestion for item in self.items}
        only = next(iter(suggestions)) if len(suggestions) == 1 else None
        look = "looks" if len(self.items) == 1 else "look"
        looks = f" that {look} {only}" if only and not _is_seen(self.kind) else ""
        return f"{pluralize(len(self.items), 'image')} labelled {' or '.join(labels)}{looks}"


def count_progress(
    items: Mapping[str, Item], decisions: Mapping[str, Fix], conflicts: Collection[str], changed: Collection[str]
) -> Progress:
    """Count images by what was decided; see `Progress`."""
    kinds = Counter(
        "left out" if fix.decision == "leave-out" else "kept" if fix.label == items[name].label else "relabelled"
        for name, fix in decisions.items()
    )
    doubtful = sum(
        name not in decisions and (item.kind in ORDER or name in conflicts or name in changed)
        for name, item in items.items()
    )
    return Progress(
        len(items), len(decisions), kinds["kept"], kinds["relabelled"], kinds["left out"], len(conflicts), len(changed),
        doubtful,
    )  # fmt: skip


def first_batch(items: Iterable[Item], size: int, like: Item | None = None) -> tuple[Item, ...]:
    """Return images of a list that are alike; nothing if there are too few for a grid.

    Images with near copies or several faces need a look of their own.

    Args:
        items: in the order in which they are shown.
        size: how many at most.
        like: comes first, then those that are like it; None: the first that are alike.
    """
    if like is not None:
        others = (item for item in items if item.name != like.name and _likeness(item) == _likeness(like))
        found = () if is_alone(like) else (like, *islice(others, size - 1))
        return found if len(found) >= PAIR else ()
    alike: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in items:
        if key := _likeness(item):
            alike[key].append(item)
    groups = alike.values()
    return tuple(next((one for one in groups if len(one) >= (PAIR if one[0].doubtful else FEWEST)), [])[:size])


def make_batch(names: Collection[str], items: Iterable[Item], first: str | None = None) -> Batch | None:
    """Return the named images as a grid; None if there is none.

    Args:
        names: of the images.
        items: all images without a decision, in the order in which they are shown.
        first: the name of the image that begins the grid, whatever that order is.
    """
    inside: list[Item] = []
    others = 0
    for item in items:
        if item.name in names:
            inside.append(item)
        else:
            others += item.doubtful
    inside.sort(key=lambda item: item.name != first)
    return Batch(tuple(inside), others) if inside else None


def is_alone(item: Item) -> bool:
    """Return whether an image needs a look of its own, and is in no grid."""
    return bool(item.group) or item.kind in _ALONE or any(kind in _ALONE for kind, _ in item.notes)


def are_alike(item: Item, other: Item) -> bool:
    """Return whether two images are shown for the same reason, so that a grid may hold both."""
    return item.name != other.name and bool(key := _likeness(item)) and key == _likeness(other)


def _likeness(item: Item) -> tuple[str, ...]:
    """Return what images that are alike have in common; nothing if it needs a look of its own."""
    if is_alone(item):
        return ()
    if _is_seen(item.kind):
        return (item.kind,)  # noise is noise under any label
    return item.kind, item.label, item.suggestion or ""


def _is_seen(kind: str) -> bool:
    """Return whether a kind is about what an image shows, not about its label."""
    return kind in ORDER and kind != "label-issue"
