"""The list of images to decide, as all tabs of the page see it: what comes next, and what was decided meanwhile.

The session (`mien.data.fixes`) ranks the images and stores the decisions. What is of the page alone is here: images put
off, files that have gone, how much one undo takes back.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from mien.data.fixes.queue import Item
from mien.data.fixes.session import ChangedFileError, FixSession
from mien.data.issues import ISSUE_KINDS
from mien.errors import ImageError, InputError, MienError
from mien.server.fix.pictures import Picture, Pictures, PictureSize
from mien.server.fix.requests import OneDecision
from mien.server.problems import Problem
from mien.text import capitalise

#: How many images the page knows ahead, to fetch them before they are needed.
AHEAD = 8
#: Most images of a grid.
GRID = 50
#: Most near copies beside an image; those of a larger group follow.
BESIDE = 11
#: Requests that were applied are remembered, so that one which is sent again is not applied twice.
_REMEMBERED = 256
_PAGE = 64

#: What stands above an image that is not shown for a data issue.
TITLES = {
    "uncertain": "The model doubts the label",
    "certain": "The model agrees with the label",
    "unseen": "The model does not know these classes",
    "conflict": "Two people disagree",
    "changed": "The file has changed since it was decided",
    "unlabelled": "No label yet",
}


class Desk:
    """What the page shows and does; several threads may call it."""

    def __init__(self, session: FixSession) -> None:
        self.session, self.pictures = session, Pictures(session.read)
        self._lock = threading.RLock()
        self._labels = {sample.name: sample.label for sample in session.audit.manifest.samples}
        self._later: OrderedDict[str, None] = OrderedDict()
        self._gone: set[str] = set()
        self._odd: set[str] = set()
        self._steps: list[int] = []
        self._applied: OrderedDict[str, None] = OrderedDict()

    def state(self, refused: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """Return what the page shows, as a JSON-serialisable dict; `refused` are decisions that were not stored."""
        with self._lock:
            self.session.refresh()
            progress, remaining = self.session.progress(), self.session.remaining()
            return {
                "data": self.session.data.name,
                "csv": str(self.session.store),
                "classes": list(self.session.classes),
                "progress": {
                    "decided": progress.decided,
                    "left": max(progress.total - progress.decided - len(self._gone), 0),
                },
                "estimate": f"{capitalise(remaining.sentence)}.",
                "enough": remaining.enough,
                "queue": [self._describe(item) for item in islice(self._open(), AHEAD)],
                "undo": bool(self._steps) or progress.decided > 0,
                "refused": list(refused),
            }

    def decide(self, number: str, decisions: Sequence[OneDecision], odd: Collection[str] = ()) -> dict[str, Any]:
        """Store decisions durably, except those on images that were decided meanwhile, have gone or changed.

        Args:
            number: of the request; one that was applied before is not applied again.
            decisions: what to store.
            odd: names of images that are in no further grid.
        """
        with self._lock:
            if self._is_repeated(number):
                return self.state()
            self._odd.update(odd)
            self.session.refresh()
            refused: list[dict[str, str]] = []
            rows: list[OneDecision] = []
            for one in decisions:
                if reason := self._why_refused(one):
                    refused.append({"name": one.name, "detail": reason})
                else:
                    rows.append(one)
            stored = self._store(rows, refused)
            if stored:
                self._steps.append(stored)
            return self.state(refused)

    def _store(self, rows: Sequence[OneDecision], refused: list[dict[str, str]]) -> int:
        """Store decisions, all at once if that is possible; return how many, and add the others to `refused`."""
        if len(rows) > 1 and not any(row.face for row in rows):
            # One of the files may have gone or changed: then one by one.
            with suppress(ImageError, InputError):
                return len(self.session.decide_many([(row.name, row.decision, row.label) for row in rows]))
        stored = 0
        for row in rows:
            try:
                self.session.decide(row.name, row.decision, row.label, row.face)
                stored += 1
            except (ImageError, ChangedFileError) as error:
                self._gone.add(row.name)
                refused.append({"name": row.name, "detail": _reason(error, row.name)})
            except MienError as error:
                refused.append({"name": row.name, "detail": _reason(error, row.name)})
        return stored

    def undo(self, number: str) -> dict[str, Any]:
        """Take the last step back: one decision, or those of a grid."""
        with self._lock:
            if not self._is_repeated(number):
                self.session.undo(self._steps.pop() if self._steps else 1)
            return self.state()

    def put_off(self, number: str, name: str) -> dict[str, Any]:
        """Put an image at the end of the list."""
        with self._lock:
            if not self._is_repeated(number):
                self._later.pop(name, None)
                self._later[name] = None
            return self.state()

    def alike(self) -> dict[str, Any]:
        """Return up to `GRID` undecided images that are shown for the same reason, as the first is."""
        with self._lock:
            self.session.refresh()
            batch = self.session.batch(GRID, self._odd | self._gone)
            if batch is None:
                return {"title": "", "items": []}
            title = f"{_title(batch.kind)}: {batch.sentence}"
            return {"title": title, "items": [self._describe(item) for item in batch.items]}

    def picture(self, name: str, size: PictureSize) -> Picture:
        """Return an image for the page.

        Raises Problem `unreadable_image` if its file has gone or changed; it is then shown no more.
        """
        facts = self.session.audit.facts.get(name)
        if facts is None:
            raise Problem("not_found", f"{name[:80]}: is not in this dataset")
        faces = self.session.item(name).faces
        try:
            return self.pictures.get(name, facts.digest, size, faces[0] if faces else None)
        except ImageError as error:
            with self._lock:
                self._gone.add(name)
            detail = f"{name}: {error.reason}. It is skipped; start mien fix again to see it"
            raise Problem("unreadable_image", detail) from None

    def rerank(self, probabilities: dict[str, dict[str, float]]) -> None:
        """Order the undecided images anew by a model's out-of-fold probabilities, by name and class."""
        with self._lock:
            self.session.rerank(probabilities)
            self._later.clear()

    def _is_repeated(self, number: str) -> bool:
        """Return whether a request with this number was applied before, and remember it."""
        if number in self._applied:
            return True
        self._applied[number] = None
        while len(self._applied) > _REMEMBERED:
            self._applied.popitem(last=False)
        return False

    def _why_refused(self, one: OneDecision) -> str | None:
        facts = self.session.audit.facts.get(one.name)
        if facts is None:
            return "is not in this dataset"
        if facts.digest != one.sha256:
            return "is another file than the one on the page"
        known = self.session.decision(one.name)
        if known is not None:
            return f"was decided meanwhile ({known.sentence}), so nothing was stored"
        return None

    def _open(self) -> Iterator[Item]:
        """Yield the undecided images in order; those that were put off come last."""
        start = 0
        while items := self.session.items(start, _PAGE, decided=False):
            yield from (item for item in items if item.name not in self._later and item.name not in self._gone)
            start += len(items)
        for name in self._later:
            if name not in self._gone and self.session.decision(name) is None:
                yield self.session.item(name)

    def _describe(self, item: Item) -> dict[str, Any]:
        group = [name for name in item.group if name != item.name and name not in self._gone]
        group.sort(key=lambda name: self.session.decision(name) is not None)
        beside = group[:BESIDE]
        answer = item.probabilities[0][0] if item.probabilities else None
        return {
            **self._name(item),
            "kind": item.kind,
            "title": _title(item.kind),
            "why": _why(item, shown=len(beside) + 1, group=len(group) + 1),
            "suggested": item.suggestion,
            "answer": answer,
            "probabilities": dict(item.probabilities),
            "faces": [box.to_dict() for box in item.faces],
            "same": [{"name": name, "label": self._labels.get(name, "")} for name in item.copies],
            "copies": [self._name(self.session.item(name)) for name in beside],
            "people": [
                {"by": fix.who, "when": fix.when[:16].replace("T", " "), "sentence": fix.sentence}
                for fix in self.session.disagreement(item.name)
            ],
        }

    def _name(self, item: Item) -> dict[str, Any]:
        decided = self.session.decision(item.name)
        return {
            "name": item.name,
            "sha256": self.session.audit.facts[item.name].digest,
            "label": item.label,
            "decided": decided.sentence if decided is not None else None,
        }


def _title(kind: str) -> str:
    return TITLES[kind] if kind in TITLES else capitalise(ISSUE_KINDS[kind].title)


def _why(item: Item, shown: int, group: int) -> str:
    if item.kind == "conflict":  # both decisions stand below
        return "Your decision settles it."
    more = f"; {shown} of {group} near copies, the others follow" if shown < group else ""
    # What stands above as the title is not said again.
    reason = item.reason if item.kind in TITLES else item.reason.removeprefix(f"{ISSUE_KINDS[item.kind].title}; ")
    return reason + more + ("; picked at random, for the estimate" if item.sampled else "")


def _reason(error: Exception, name: str) -> str:
    """Return what is wrong without the name, which stands before it on the page."""
    return error.reason if isinstance(error, ImageError) else str(error).removeprefix(f"{name}: ")
