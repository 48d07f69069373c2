"""Words of the page of `mien fix` that depend on the data and the decisions."""

from collections import Counter
from collections.abc import Collection, Sequence

from mien.data.fixes.queue import LEANS, Item
from mien.data.fixes.records import Fix
from mien.data.fixes.views import is_alone
from mien.data.issues import ISSUE_KINDS
from mien.errors import ImageError
from mien.text import capitalise

#: What stands above an image that is not shown for a data issue.
TITLES = {
    "uncertain": "The model agrees, but is not sure",
    "certain": "The model agrees with the label",
    "unseen": "The model does not know these classes",
    "conflict": "Two people disagree",
    "changed": "The file has changed since it was decided",
    "unlabelled": "No label yet",
}


def title_of(item: Item) -> str:
    """Return what stands above an image."""
    if item.kind == "uncertain" and item.probabilities[0][1] < LEANS:
        return "The model is not sure"
    if item.kind == "uncertain" and item.suggestion:
        return "The model answers otherwise"
    return TITLES[item.kind] if item.kind in TITLES else capitalise(ISSUE_KINDS[item.kind].title)


def headed(title: str, text: str) -> str:
    """Return a title and what follows it; a question ends itself."""
    return f"{title} {text}" if title.endswith("?") else f"{title}: {text}"


def why_shown(item: Item, shown: int, group: int, is_hopeless: bool = False) -> str:
    """Say why an image is shown, below its title.

    Args:
        item: the image.
        shown: how many of its group are on the page.
        group: the size of its group of near copies.
        is_hopeless: whether there can be no estimate any more, for which images are picked at random.
    """
    if item.kind == "conflict":  # both decisions stand below
        return "Your decision settles it."
    more = f"; {shown} of {group} near copies, the others follow" if shown < group else ""
    return item.detail + more + ("; picked at random, for the estimate" if item.sampled and not is_hopeless else "")


def why_alone(item: Item | None, others: bool) -> str:
    """Say why there is no grid that begins with an image, though there may be `others` like it."""
    if item is not None and is_alone(item):
        return "This picture needs a look of its own: it is in no grid."
    if others:
        return "The others like this one are picked at random or were marked, and come one by one: there is no grid."
    return "No other picture is like this one: there is no grid."


def undone_in_words(undone: Sequence[Fix]) -> str:
    """Say what was undone."""
    if len(undone) == 1:
        return f"{undone[0].path} is undecided again; it was {undone[0].sentence}"
    counts = Counter(fix.sentence for fix in undone)
    if len(counts) == 1:
        return f"{len(undone)} pictures are undecided again; they were {undone[0].sentence}"
    said = ", ".join(f"{count} {sentence}" for sentence, count in counts.items())
    return f"{len(undone)} pictures are undecided again; they were: {said}"


def left_undone(is_training: bool, marks: int) -> list[str]:
    """Say at the end of `mien fix` what it did not finish."""
    said = ["the training was stopped; the next one begins anew"] if is_training else []
    if marks:
        which = "picture that was marked in a grid has" if marks == 1 else "pictures that were marked in a grid have"
        said.append(f"{marks} {which} no decision yet; next time only the usual order shows them")
    return said


def marks_in_words(odd: Collection[str] | None) -> str:
    """Say what of a grid is marked again; None if it was decided before this start of `mien fix`."""
    if odd is None:
        return "; marks are forgotten when mien fix is started again"
    return f", with {len(odd)} marked" if odd else ""


def reason_of(error: Exception, name: str) -> str:
    """Return what is wrong without the name, which stands before it on the page."""
    return error.reason if isinstance(error, ImageError) else str(error).removeprefix(f"{name}: ")
