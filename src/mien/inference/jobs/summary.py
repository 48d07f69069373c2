"""Count what a job has read."""

from collections import Counter
from dataclasses import dataclass, field

from mien.inference.caution import is_photograph
from mien.io.formats import ResultRow


@dataclass
class BatchSummary:
    """What a job has read.

    Attributes:
        counts: images by status; a video that cannot be read at all is one of status `unreadable`.
        videos: videos of which some was read.
        frames: frames of them by status.
        faces: faces in all of them.
        photographs: images that are too large to be crops of a face.
        problems: a video that could not be read to its end, and why, in order.
        changed: an image or video that an earlier call had read, and that has changed since; it and what followed it
            were read again. None if none has.
        damaged: the first line of the rows of an earlier call that is not as it was written, such as `OUT.part: line
            4`; it and what followed it were read again. None if all are.
    """

    counts: Counter[str] = field(default_factory=Counter)
    videos: int = 0
    frames: Counter[str] = field(default_factory=Counter)
    faces: int = 0
    photographs: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    changed: str | None = None
    damaged: str | None = None
    _last: ResultRow = field(default_factory=dict, repr=False, compare=False)

    def count(self, row: ResultRow, input_size: int) -> None:
        """Count the next row; `input_size` is that of the model."""
        last, self._last = self._last, row
        self.faces += len(row["faces"])
        if "time" not in row:
            self.counts[row["status"]] += 1
            self.photographs += is_photograph(row["width"] or 0, row["height"] or 0, input_size)
            return
        self.videos += "time" not in last or last["source"] != row["source"] or last["frame"] >= row["frame"]
        self.frames[row["status"]] += 1

    def read_again(self) -> list[str]:
        """Return a sentence for each reason why rows of an earlier call were made again."""
        reasons = ((self.changed, "has changed since it was read"), (self.damaged, "is damaged"))
        return [f"{name} {reason}; it and what came after it were read again" for name, reason in reasons if name]
