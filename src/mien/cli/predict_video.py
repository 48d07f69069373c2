"""What `mien predict` tells of videos: a table of who was seen with which answers, and plots over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.cli.output.terminal import console, say
from mien.errors import ConfigError
from mien.io.formats import ResultRow
from mien.io.targets import PNG, UniqueStems, refuse_file_name, require_output
from mien.text import one_line, pluralize
from mien.viz.timeline import Presence, Timeline

#: People of a video in the printed table, and lanes in its plot.
SHOWN = 20
#: Lines of the printed table, and cuts whose times are printed.
_LINES, _CUTS = 200, 10


@dataclass(frozen=True)
class _Line:
    """A line of the table: the cells for one person of a video."""

    video: str
    scene: str
    cells: tuple[str, ...]


class VideoSummary:
    """Collects the rows of a job, and tells of its videos at the end; rows of images are passed over.

    Args:
        fps: frames read per second.
        answers: all that the model may answer.
        timeline: where the plots go: a PNG for a single video, or a folder.
    """

    def __init__(self, fps: float, answers: Sequence[str], timeline: Path | None = None) -> None:
        self._fps, self._answers, self._path = fps, answers, timeline
        self._stems = UniqueStems()
        self._current: tuple[str, Timeline] | None = None
        self._frame = 0
        self._lines: list[_Line] = []
        self._more = 0
        self._cut_lines: list[str] = []
        self._videos = 0
        self._images = False

    def add(self, row: ResultRow) -> None:
        """Add a row, in order."""
        if "time" not in row:
            self.close()
            self._images = True
            return
        if self._current is None or row["source"] != self._current[0] or row["frame"] <= self._frame:
            self.close()
            self._current = (row["source"], Timeline(1 / self._fps))
        self._frame = row["frame"]
        self._current[1].add(row)

    def close(self) -> None:
        """End a video: keep its lines of the table, and draw its plot."""
        if self._current is None:
            return
        (name, seen), self._current = self._current, None
        self._videos += 1
        if self._path:
            single = self._path.suffix.lower() == ".png"
            _plot(
                self._path if single else self._path / f"{self._stems(name)}.png", seen, self._answers, one_line(name)
            )
        people = seen.people()
        for presence in sorted(people[:SHOWN], key=lambda presence: presence.person):
            if len(self._lines) < _LINES:
                self._lines.append(_Line(name, str(presence.scene), _cells(presence)))
            else:
                self._more += 1
        self._more += max(len(people) - SHOWN, 0)
        if seen.cuts:
            times = ", ".join(clock_time(cut) for cut in seen.cuts[:_CUTS])
            rest = f" and {seen.scenes - 1 - _CUTS} more" if seen.scenes - 1 > _CUTS else ""
            self._cut_lines.append(f"{one_line(name)}: {pluralize(seen.scenes - 1, 'cut')}, at {times}{rest}")

    def print(self, to_stderr: bool) -> None:
        """Print when each person was seen, and the share of frames with each answer."""
        from rich.table import Table
        from rich.text import Text

        self.close()
        screen = console(to_stderr)
        if self._lines:
            several, cut = self._videos > 1 or self._images, bool(self._cut_lines)
            table = Table()
            names = (*["video"] * several, *["scene"] * cut, "person", "seen", "frames", "answers", "changes")
            for name in names:
                right = name in {"scene", "person", "frames", "changes"}
                table.add_column(name, justify="right" if right else "left", overflow="fold")
            for line in self._lines:
                head = [one_line(line.video)] * several + [line.scene] * cut
                table.add_row(*map(Text, (*head, *line.cells)))
            screen.print(table)
        if self._more:
            screen.print(f"and {self._more} more people, or seen in fewer frames", soft_wrap=True)
        for text in self._cut_lines[:_LINES]:
            screen.print(Text(text), soft_wrap=True)


def check_timeline(timeline: Path, inputs: Sequence[str]) -> None:
    """Raise ConfigError or OutputError, before long work starts, if plots cannot be written there."""
    from mien.viz.charts import require_matplotlib

    require_matplotlib()
    if timeline.suffix.lower() == ".png":
        require_output(timeline, PNG, *inputs)
        return
    if timeline.exists() and not timeline.is_dir():
        raise ConfigError(f"--timeline {timeline}: is a file; give a name that ends in .png, or a folder")
    if timeline.is_dir() and any(timeline.iterdir()):
        raise ConfigError(f"--timeline {timeline}: is not empty; give a new folder, or a name that ends in .png")
    if timeline.suffix and not timeline.is_dir():
        raise ConfigError(f"--timeline {timeline}: is written as PNG; give a name that ends in .png, or a folder")
    refuse_file_name(timeline, "plots are PNGs, or in a folder; give the name of one")


def print_problems(problems: Sequence[tuple[str, str]]) -> None:
    """Say which videos could not be read to their ends."""
    for name, problem in problems:
        say(f"mien: {name}: {problem}; what could be decoded was read", err=True)


def clock_time(seconds: float) -> str:
    """Return minutes and seconds: `1:02.4`."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"


def _cells(presence: Presence) -> tuple[str, ...]:
    span = f"{clock_time(presence.first)} to {clock_time(presence.last)}"
    return str(presence.person), span, str(presence.frames.total()), _shares(presence), str(presence.changes)


def _shares(presence: Presence) -> str:
    total = presence.frames.total()
    return "  ".join(f"{one_line(answer)} {count / total:.0%}" for answer, count in presence.frames.most_common())


def _plot(path: Path, seen: Timeline, answers: Sequence[str], title: str) -> None:
    from mien.viz.bars import timeline_chart

    people = sorted(seen.people()[:SHOWN], key=lambda presence: presence.person)
    lanes = {f"person {presence.person}": seen.stretches(presence) for presence in people}
    said = "answers of each person over time"
    timeline_chart(lanes, answers, title, seen.cuts, name="timeline", caption=said, alt=said).save(path)
