"""The list of images to decide, as all tabs of the page see it: what comes next, and what was decided meanwhile.

The session (`mien.data.fixes`) ranks the images and stores the decisions. What is of the page alone is here: images put
off, files that have gone, the grids that an undo brings back.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mien.data.fixes.queue import Item
from mien.data.fixes.session import ChangedFileError, Choice, FixSession
from mien.data.fixes.views import are_alike
from mien.errors import ImageError, MienError
from mien.server.fix.pictures import Picture, Pictures, PictureSize
from mien.server.fix.requests import OneDecision
from mien.server.fix.words import headed, marks_in_words, reason_of, title_of, undone_in_words, why_alone, why_shown
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


@dataclass(frozen=True)
class Grid:
    """The images of a grid that is shown again, and those that were marked."""

    names: frozenset[str]
    odd: tuple[str, ...]


class Desk:
    """What the page shows and does; several threads may call it."""

    def __init__(self, session: FixSession) -> None:
        self.session, self.pictures = session, Pictures(session.read)
        self._lock = threading.RLock()
        self._labels = {sample.name: sample.label for sample in session.audit.manifest.samples}
        self._names = frozenset(session.order)
        self._later: OrderedDict[str, None] = OrderedDict()
        self._first: list[str] = []  # before all others: those marked in a grid, and those whose decision was undone
        self._gone: set[str] = set()
        self._odd: set[str] = set()
        self._steps: list[str | None] = []  # what undo takes back: the name of one that was put off, None for decisions
        self._marked: dict[str, tuple[str, ...]] = {}  # in each grid, by the time of its first decision
        self._again: Grid | None = None
        self._is_hopeless = False  # whether too few images are left for an estimate
        self._applied: OrderedDict[str, None] = OrderedDict()

    def state(
        self, refused: Sequence[dict[str, str]] = (), undone: str | None = None, is_grid: bool = False
    ) -> dict[str, Any]:
        """Return what the page shows, as a JSON-serialisable dict.

        Args:
            refused: decisions that were not stored.
            undone: what was undone, in words.
            is_grid: whether that was a grid, which is shown again.
        """
        with self._lock:
            self.session.refresh()
            progress, remaining = self.session.progress(), self.session.remaining()
            self._is_hopeless = remaining.is_hopeless
            return {
                "data": self.session.data.name,
                "csv": str(self.session.store),
                "classes": list(self.session.classes),
                "progress": {
                    "decided": progress.decided,
                    "left": max(progress.total - progress.decided - len(self._gone), 0),
                    "doubtful": progress.doubtful,
                },
                "estimate": f"{capitalise(remaining.sentence)}.",
                "enough": remaining.enough,
                "queue": [self._describe(item) for item in islice(self._open(), AHEAD)],
                "undo": progress.decided > 0 or bool(self._later),
                "undone": None if undone is None else {"text": undone, "grid": is_grid},
                "refused": list(refused),
            }

    def decide(self, number: str, decisions: Sequence[OneDecision], odd: Sequence[str] | None = None) -> dict[str, Any]:
        """Store decisions durably, except those on images that were decided meanwhile, have gone or changed.

        Args:
            number: of the request; one that was applied before is not applied again.
            decisions: what to store.
            odd: names of the images that were marked in a grid: they come next, and are in no further grid. None if the
                decisions are of no grid.
        """
        with self._lock:
            if self._is_repeated(number):
                return self.state()
            self.session.refresh()
            refused = {one.name: reason for one in decisions if (reason := self._why_refused(one))}
            choices = [
                Choice(one.name, one.decision, one.label, one.face) for one in decisions if one.name not in refused
            ]
            try:
                stored, failed = self.session.decide_many(choices)
            except MienError as error:  # the file of decisions cannot be written
                stored, failed = [], [(choice.name, error) for choice in choices]
            for name, problem in failed:
                refused[name] = reason_of(problem, name)
                if isinstance(problem, (ImageError, ChangedFileError)):
                    self._gone.add(name)
            if stored:
                self._steps.append(None)
            if stored and odd is not None:
                self._marked[stored[0].when] = tuple(odd)
                self._odd.update(odd)
                self._put_first(odd)
            self._again = None if stored else self._again
            return self.state([{"name": name, "detail": reason} for name, reason in refused.items()])

    def undo(self, number: str) -> dict[str, Any]:
        """Take the last step back: one decision, those of a grid, which is shown again with its marks, or a put-off."""
        with self._lock:
            if self._is_repeated(number):
                return self.state()
            if (name := self._last_put_off()) is not None:
                self._put_first([name])
                return self.state(undone=f"Undone: {name} is back; it was put off")
            undone = self.session.undo()
            if not undone:
                return self.state(undone="Nothing to undo: these decisions are of other people")
            self._again = None
            names = [fix.path for fix in undone]
            odd = self._marked.pop(undone[0].when, None)
            is_grid = odd is not None or not self._are_copies(names)
            text = f"Undone: {undone_in_words(undone)}"
            if is_grid:
                self._again = Grid(frozenset([*names, *(odd or ())]), odd or ())
                self._odd.difference_update(odd or ())
                self._first = [name for name in self._first if name not in self._again.names]
                text += ". The grid is back" + marks_in_words(odd)
            else:
                self._put_first(names)
            return self.state(undone=text, is_grid=is_grid)

    def _last_put_off(self) -> str | None:
        """Forget the last step of this page; return the name if it put an image off, which still waits."""
        while self._steps and (name := self._steps.pop()) is not None:
            if name in self._later and name not in self._gone and self.session.decision(name) is None:
                return name
        return None

    def _are_copies(self, names: Sequence[str]) -> bool:
        """Return whether these are one image, or copies that stand side by side."""
        # One that is no longer in the dataset may have been decided.
        return len(names) == 1 or (names[0] in self._names and set(names) <= set(self.session.item(names[0]).group))

    def _put_first(self, names: Sequence[str]) -> None:
        others = (name for name in self._first if name not in names and self.session.decision(name) is None)
        self._first = [*(name for name in names if name in self._names), *others]
        for name in names:
            self._later.pop(name, None)

    def put_off(self, number: str, name: str) -> dict[str, Any]:
        """Put an image at the end of the list."""
        with self._lock:
            if not self._is_repeated(number):
                self._later.pop(name, None)
                self._later[name] = None
                self._steps.append(name)
                self._first = [other for other in self._first if other != name]
            return self.state()

    def alike(self, onward: bool = False) -> dict[str, Any]:
        """Return a grid: the first undecided image, and others that are shown for the same reason, up to `GRID`.

        A grid that was undone comes again as it was. If there is none, `alone` says why. `onward`, after a grid, passes
        over images picked at random, which come one by one; if the estimate waits for them, there is no grid.
        """
        with self._lock:
            self.session.refresh()
            again = self._again or Grid(frozenset(), ())
            batch = self.session.batch_of(again.names - self._gone)
            first = next(self._open(), None)
            waits = onward and first is not None and first.sampled and self.session.remaining().wants_draws
            if onward and not waits:
                first = next((item for item in self._open() if not item.sampled), None)
            if batch is None and first is not None and not waits:
                batch = self.session.batch(GRID, self._odd | self._gone, first)
            if batch is None:
                empty = {"title": "", "items": [], "odd": [], "others": 0, "doubtful": False}
                others = first is not None and any(are_alike(item, first) for item in self._open())
                return {**empty, "alone": why_alone(first, others)}
            return {
                "title": headed(title_of(batch.items[0]), batch.sentence),
                "items": [self._describe(item) for item in batch.items],
                "odd": [item.name for item in batch.items if item.name in again.odd],
                "others": batch.others,
                "doubtful": batch.items[0].doubtful,
                "alone": "",
            }

    def undecided_marks(self) -> int:
        """Return how many images that were marked in a grid have no decision yet."""
        with self._lock:
            return sum(1 for _ in self._undecided(self._odd))

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
            self._again = None

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
        """Yield the undecided images in order: those that come before all others, and last those that were put off."""
        yield from self._undecided(self._first)
        passed = {*self._first, *self._later, *self._gone}
        start = 0
        while items := self.session.items(start, _PAGE, decided=False):
            yield from (item for item in items if item.name not in passed)
            start += len(items)
        yield from self._undecided(self._later)

    def _undecided(self, names: Collection[str]) -> Iterator[Item]:
        for name in names:
            if name not in self._gone and self.session.decision(name) is None:
                yield self.session.item(name)

    def _describe(self, item: Item) -> dict[str, Any]:
        group = [name for name in item.group if name != item.name and name not in self._gone]
        group.sort(key=lambda name: self.session.decision(name) is not None)
        beside = group[:BESIDE]
        return {
            **self._name(item),
            "kind": item.kind,
            "title": title_of(item),
            "why": why_shown(item, len(beside) + 1, len(group) + 1, self._is_hopeless),
            "suggested": item.suggestion,
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
            "answer": item.probabilities[0][0] if item.probabilities else None,
            "probabilities": dict(item.probabilities),
            "faces": [box.to_dict() for box in item.faces],
            "decided": decided.sentence if decided is not None else None,
        }
