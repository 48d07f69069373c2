"""A person goes through a dataset: what to look at next, what was decided, and how much is left."""

import hashlib
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from mien.data.audit import Audit
from mien.data.fixes.decisions import Fixes
from mien.data.fixes.estimate import Remaining
from mien.data.fixes.order import Labelling, Ranking
from mien.data.fixes.queue import Item
from mien.data.fixes.records import Decision, Fix
from mien.data.fixes.standing import Standing
from mien.data.fixes.store import FixesFile
from mien.data.fixes.views import BATCH, Batch, Progress, count_progress, first_batch, make_batch
from mien.errors import ImageError, InputError, MienError
from mien.results import Box
from mien.text import did_you_mean


class ChangedFileError(InputError):
    """A file is not what it was when the session began; it must be looked at again."""


class Choice(NamedTuple):
    """What a person chose for an image; the arguments of `FixSession.decide`."""

    name: str
    decision: Decision
    label: str | None = None
    face: Box | None = None


class FixSession:
    """A person's way through a dataset. Several threads may call it at the same time.

    Args:
        audit: of the dataset as it is, without any decision.
        file: the decisions.
        who: the name of the person.
        classes: the labels to choose from.
        unsorted: whether the images have no labels yet.
        source_flags: the options of the command that name the same data, for a training.
        seed: of what is drawn by chance.

    Attributes:
        data: the dataset; `store`: the file of decisions.
    """

    def __init__(
        self, audit: Audit, file: FixesFile, who: str, classes: Sequence[str], unsorted: bool,
        source_flags: Sequence[str] = (), seed: int = 0,
    ) -> None:  # fmt: skip
        self.audit, self.who, self.classes, self.unsorted = audit, who, tuple(classes), unsorted
        self.data, self.store, self.source_flags = audit.manifest.path, file.path, tuple(source_flags)
        self._lock, self._start = threading.RLock(), 0
        items = audit.ranked
        self._standing = Standing(file, {item.name: audit.facts[item.name].digest for item in items})
        self._ranking: Ranking | Labelling
        if unsorted:
            self._ranking = Labelling(items, audit.looks, classes)
        else:
            self._ranking = Ranking(items, self._standing.conflicts | self._standing.changed, seed)
            for decisions in self._standing.replayed():  # so the same images are drawn as when they were made
                self._ranking.decided(decisions)
        self._ranking.decided(self._standing.decisions)
        self._reorder()

    @property
    def fixes(self) -> Fixes:
        """All decisions so far."""
        return self._standing.fixes

    @property
    def order(self) -> tuple[str, ...]:
        """The names of all images in the order in which they are shown."""
        with self._lock:
            return tuple(self._ranking.order)

    def item(self, name: str) -> Item:
        """Return what is known of an image; InputError if there is no such image."""
        with self._lock:
            item = self._ranking.items.get(name)
            if item is None:
                raise InputError(f"{name}: is not among the images of {self.data}")
            if name in self._ranking.by_chance:
                item = replace(item, sampled=True)
            if name in self._standing.conflicts:
                said = "; ".join(f"{fix.who or 'somebody'}: {fix.sentence}" for fix in self.disagreement(name))
                return replace(item, kind="conflict", reason=f"people disagree: {said}", detail=item.reason)
            if name in self._standing.changed:
                told = f"the file has changed since; {item.reason}"
                return replace(item, kind="changed", reason=told, detail=item.reason)
            return item

    def items(self, start: int = 0, count: int = BATCH, decided: bool | None = None) -> list[Item]:
        """Return a part of the images in order.

        Args:
            start: how many to pass over.
            count: how many at most.
            decided: those with a decision (True), those without (False), or both.
        """
        with self._lock:
            found: list[Item] = []
            passed = 0
            for name in self._ranking.order[self._start if decided is False else 0 :]:
                if decided is not None and (name in self._standing.decisions) != decided:
                    continue
                passed += 1
                if passed > start:
                    found.append(self.item(name))
                if len(found) >= count:
                    break
            return found

    def next(self, after: str | None = None) -> Item | None:
        """Return the next image without a decision, after another one if that is named; None at the end."""
        with self._lock:
            begin = self._start if after is None else self._places.get(after, -1) + 1
            return next(self._open(begin), None)

    def decision(self, name: str) -> Fix | None:
        """Return the decision that counts for an image; None if there is none, or people disagree."""
        return self._standing.decisions.get(name)

    def disagreement(self, name: str) -> tuple[Fix, ...]:
        """Return who decided what about an image, if people disagree."""
        return self._standing.disagreement(name)

    def decide(self, name: str, decision: Decision, label: str | None = None, face: Box | None = None) -> Fix:
        """Decide about an image; the decision is on the disk when this returns.

        Args:
            name: of the image.
            decision: keep, relabel or leave-out.
            label: the new label.
            face: the face that counts, among several.

        Raises:
            InputError: the decision does not fit the image.
            ChangedFileError: the file is not what it was when the session began.
            ImageError: the file cannot be read any more.
            OutputError: the decision cannot be written.
        """
        with self._lock:
            return self._append([self._fix(Choice(name, decision, label, face))])[0]

    def decide_many(self, choices: Sequence[Choice]) -> tuple[list[Fix], list[tuple[str, MienError]]]:
        """Decide about several images in one step, which one undo takes back.

        Returns:
            The decisions, which are on the disk, and the names of the images about which none was made, with the
            reason: see `decide`.

        Raises:
            OutputError: the decisions cannot be written; none of them is kept.
        """
        with self._lock:
            fixes: list[Fix] = []
            failed: list[tuple[str, MienError]] = []
            for choice in choices:
                try:
                    fixes.append(self._fix(choice))
                except (ImageError, InputError) as error:
                    failed.append((choice.name, error))
            return self._append(fixes) if fixes else [], failed

    def undo(self) -> list[Fix]:
        """Take back the last step of this person: one decision, or all of a grid; also one of an earlier day.

        Returns:
            The decisions that were taken back, in their order.
        """
        with self._lock:
            self.refresh()
            last = self._standing.last_step(self.who)
            if last:
                self._append([Fix(fix.sha256, fix.path, "undo", who=self.who) for fix in reversed(last)])
            return last

    def batch(self, size: int = BATCH, skip: Collection[str] = (), like: Item | None = None) -> Batch | None:
        """Return images without a decision that are alike; None if there are too few for a grid.

        Some need a look of their own, such as near copies; so do those drawn by chance.

        Args:
            size: how many at most.
            skip: names that are not offered.
            like: begins the grid, before those that are like it; None: the first that are alike.
        """
        with self._lock:
            passed = {*skip, *self._standing.decisions, *self._standing.conflicts, *self._standing.changed}
            passed |= self._ranking.by_chance
            names = self._ranking.order[self._start :]
            items = first_batch((self._ranking.items[name] for name in names if name not in passed), size, like)
            return make_batch({item.name for item in items}, self._open(), like.name if like else None)

    def batch_of(self, names: Collection[str]) -> Batch | None:
        """Return those of the named images that have no decision, as a grid; None if there is none."""
        with self._lock:
            return make_batch(names, self._open())

    def _open(self, begin: int | None = None) -> Iterator[Item]:
        """Yield the images without a decision in order, from a place on."""
        order = self._ranking.order[self._start if begin is None else begin :]
        return (self.item(name) for name in order if name not in self._standing.decisions)

    def progress(self) -> Progress:
        """Return how far the person has come."""
        with self._lock:
            standing = self._standing
            return count_progress(self._ranking.items, standing.decisions, standing.conflicts, standing.changed)

    def remaining(self) -> Remaining:
        """Estimate how many of the images that nobody looked at are wrong."""
        with self._lock:
            found, chance = self._ranking.remaining(self._standing.decisions), self._ranking.by_chance
            coming = sum(name not in self._standing.decisions for name in chance)
            return replace(found, doubtful=self.progress().doubtful, coming=coming)

    def counts(self) -> dict[str, int]:
        """Return the number of images per class that training would use now, by decision or by present label."""
        with self._lock:
            found = Counter(
                self._standing.decisions[name].label if name in self._standing.decisions else item.label
                for name, item in self._ranking.items.items()
                if name in self._standing.decisions or item.left_out is None
            )
            return {label: found[label] for label in self.classes}

    def read(self, name: str) -> bytes:
        """Return the bytes of an image; ImageError if it cannot be read, InputError if there is no such image."""
        if name not in self._standing.digests:
            raise InputError(f"{name}: is not among the images of {self.data}")
        return self.audit.manifest.read(name)

    def refresh(self) -> bool:
        """Read what other processes have decided since; return whether there was anything."""
        with self._lock:
            if not self._standing.refresh():
                return False
            self._ranking.decided(self._standing.decisions)
            self._reorder()
            return True

    def rerank(self, probabilities: Mapping[str, Mapping[str, float]]) -> None:
        """Order the images by the answers of another model, such as that of the person's own training.

        Args:
            probabilities: of each class, by name of the image; out of fold, so that no image taught its own answer.
        """
        with self._lock:
            self._ranking.rerank(probabilities, self._standing.decisions)
            self._reorder()

    def _fix(self, choice: Choice) -> Fix:
        name, decision, label, face = choice
        item = self.item(name)
        if decision not in ("keep", "relabel", "leave-out"):
            raise InputError(f"{name}: '{decision}' is no decision; give keep, relabel or leave-out")
        if decision == "relabel" and label not in self.classes:
            raise InputError(
                f"{name}: '{label}' is not among the classes {', '.join(self.classes)}"
                f"{did_you_mean(label or '', self.classes)}"
            )
        if decision == "keep" and not item.label:
            raise InputError(f"{name}: has no label to keep; give it one")
        if decision == "leave-out" and face is not None:
            raise InputError(f"{name}: is left out, so no face of it counts")
        if hashlib.sha256(self.read(name)).hexdigest() != self._standing.digests[name]:
            raise ChangedFileError(f"{name}: has changed since mien fix began; begin again to look at it")
        if decision == "relabel" and label == item.label:
            decision = "keep"
        given = {"keep": item.label, "relabel": label or "", "leave-out": ""}[decision]
        settles = name in self._standing.conflicts
        return Fix(self._standing.digests[name], name, decision, given, item.label, face, who=self.who, settles=settles)

    def _append(self, fixes: Sequence[Fix]) -> list[Fix]:
        timed, names = self._standing.append(fixes)
        if self._ranking.decided(self._standing.decisions):
            self._reorder()
        else:
            self._start = min([self._start, *(self._places[name] for name in names)])
        self._advance()
        return timed

    def _reorder(self) -> None:
        self._places = {name: place for place, name in enumerate(self._ranking.order)}
        self._start = 0
        self._advance()

    def _advance(self) -> None:
        """Pass over the images at the beginning that are decided."""
        order = self._ranking.order
        while self._start < len(order) and order[self._start] in self._standing.decisions:
            self._start += 1
