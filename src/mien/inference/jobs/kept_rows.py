"""Find where an interrupted job goes on: which rows of its journal stay, and what is read next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any

from mien.errors import OutputError
from mien.faces.tracker import Tracker
from mien.inference.classifier import is_full_batch
from mien.inference.jobs.video_rows import VideoStart
from mien.io.formats import ResultRow, is_row
from mien.io.input_item import InputItem
from mien.io.journal import Journal


@dataclass(frozen=True)
class Beginning:
    """What a job reads: `items`, after `items_done` others. The first may be a video that is begun (`video`).

    `problems` are those of the videos before. `changed` names the first item if an earlier call had read it, and it has
    changed since.
    """

    items: Iterator[InputItem]
    items_done: int = 0
    video: VideoStart = field(default_factory=VideoStart)
    problems: list[tuple[str, str]] = field(default_factory=list)
    changed: str | None = None


def catch_up(
    journal: Journal, items: Iterator[InputItem], skip: Callable[[InputItem], None], labels: Sequence[str]
) -> Beginning:
    """Drop the rows of a journal that must be read again, and return where the job goes on.

    Images stay in whole batches, as `Reader.predict_named` forms them: an image that is read again is in the batch
    that it was in before, so that even its last digits are the same. A video stays up to its last note.
    An item whose file has changed is read again, with all that came after it.

    Args:
        journal: the journal.
        items: all images and videos of the job.
        skip: called with each item that is done.
        labels: of the probabilities in a row. The first row that is none, and those after it, are read again.

    Raises:
        OutputError: the rows are those of other items.
    """
    replay = _Replay(journal, items, skip)
    for row, end in journal.replay(notes=True):
        whole = _is_note(row) if "note" in row else is_row(row, labels)
        if not whole or not replay.add(row, end):
            break
    return replay.finish()


class _Replay:
    def __init__(self, journal: Journal, items: Iterator[InputItem], skip: Callable[[InputItem], None]) -> None:
        self._journal, self._items, self._skip = journal, items, skip
        self._rows = self._kept = 0  # whole rows, and those that stay
        self._end: int | None = None  # of the last one that stays, in bytes
        self._last: int | None = None  # of the last one, in bytes
        self._done = 0
        self._batch: list[InputItem] = []  # images of a batch that is not full
        self._crops = 0
        self._video: InputItem | None = None
        self._begin: int | None = None  # of the rows of that video, in bytes
        self._note: Mapping[str, Any] | None = None
        self._problems: list[tuple[str, str]] = []
        self._changed: InputItem | None = None

    def add(self, row: Mapping[str, Any], end: int) -> bool:
        """Take the next row or note; return whether it is of a file that is as it was."""
        if "note" in row:
            self._add_note(row, end)
        elif self._video is not None:
            if "time" not in row or row["source"] != self._video.name:
                raise self._other_list()
            self._rows += 1
        else:
            item = self._next(row)
            if list(item.stamp() or ()) != (row.get("stamp") or []):
                self._changed = item
                return False
            self._rows += 1
            if "time" in row:
                self._begin_video(item)
            else:
                self._add_image(item, row, end)
        self._last = end
        return True

    def finish(self) -> Beginning:
        following = self._changed or next(self._items, None)
        if self._batch and (following is None or following.is_video()):  # the last batch of a run of images
            self._keep_batch(self._last)
        self._journal.keep(self._kept, self._end)
        left = [self._video] if self._video else self._batch
        items = chain(left, [] if following is None else [following], self._items)
        start = VideoStart()
        if self._video and self._note:
            count = self._note["frames"]
            rows = partial(_frames_from, self._journal, self._begin, count)
            start = VideoStart(count, self._note["state"], rows)
        changed = self._changed.name if self._changed else None
        return Beginning(items, self._done, start, self._problems, changed)

    def _add_note(self, note: Mapping[str, Any], end: int) -> None:
        if self._video is None or note.get("source") != self._video.name:
            raise self._other_list()
        self._keep(end)
        self._note = note
        if note["note"] == "end":
            if note["problem"]:
                self._problems.append((self._video.name, note["problem"]))
            self._finish_item(self._video)
            self._video = None

    def _begin_video(self, item: InputItem) -> None:
        if self._batch:
            self._keep_batch(self._last, self._rows - 1)
        self._video, self._begin, self._note = item, self._last, None

    def _add_image(self, item: InputItem, row: ResultRow, end: int) -> None:
        if item.is_video():  # one that cannot be read
            if self._batch:
                self._keep_batch(self._last, self._rows - 1)
            self._finish_item(item)
            self._keep(end)
            return
        self._batch.append(item)
        self._crops += len(row.get("faces", ()))
        if is_full_batch(len(self._batch), self._crops):
            self._keep_batch(end)

    def _keep_batch(self, end: int | None, rows: int | None = None) -> None:
        for item in self._batch:
            self._finish_item(item)
        self._batch, self._crops = [], 0
        self._keep(end, rows)

    def _keep(self, end: int | None, rows: int | None = None) -> None:
        self._kept, self._end = self._rows if rows is None else rows, end

    def _finish_item(self, item: InputItem) -> None:
        self._skip(item)
        self._done += 1

    def _next(self, row: ResultRow) -> InputItem:
        item = next(self._items, None)
        if item is None or item.name != row.get("source"):
            raise self._other_list()
        return item

    def _other_list(self) -> OutputError:
        return OutputError(
            f"{self._journal.path}: was begun with another list of inputs; delete it to start over, "
            "or write to another file"
        )


def _is_note(note: Mapping[str, Any]) -> bool:
    """Whether an object is a note that `video_rows` made."""
    if note["note"] == "end":
        return isinstance(note.get("problem", 0), str | None)
    state, tracker = note.get("state"), Tracker()
    try:
        tracker.restore(state if isinstance(state, dict) else {})
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return note["note"] == "frames" and type(note.get("frames")) is int and tracker.state() == state


def _frames_from(journal: Journal, begin: int | None, count: int) -> Iterator[ResultRow]:
    return (row for row, _ in islice(journal.replay(begin), count))
