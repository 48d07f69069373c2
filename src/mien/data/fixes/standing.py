"""Which decisions are in force for the images of a session, kept up to date while people decide."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from mien.data.fixes.decisions import Fixes
from mien.data.fixes.records import Fix
from mien.data.fixes.store import FixesFile, added_together


class Standing:
    """What was decided about each image.

    Args:
        file: the decisions.
        digests: the sha256 of each image, by name.

    Attributes:
        decisions: what counts, by name.
        conflicts: the names of the images about which people disagree.
        changed: the names of those that are not what they were when they were decided.
        fixes: all decisions.
    """

    def __init__(self, file: FixesFile, digests: Mapping[str, str]) -> None:
        self.digests = dict(digests)
        self.decisions: dict[str, Fix] = {}
        self.conflicts: set[str] = set()
        self.changed: set[str] = set()
        self._file = file
        self._names: dict[str, list[str]] = defaultdict(list)
        for name, digest in self.digests.items():
            self._names[digest].append(name)
        self.fixes = self._read()
        self._judge(self.digests)

    def disagreement(self, name: str) -> tuple[Fix, ...]:
        """Return who decided what about an image, if people disagree."""
        return self.fixes.disagreement(self.digests.get(name, ""), name)

    def append(self, fixes: Sequence[Fix]) -> tuple[list[Fix], list[str]]:
        """Add decisions to the file; return them with their time, and the names of the images that they concern."""
        before = self._file.found.fixes
        timed = self._file.append(fixes)
        rows = self._file.found.fixes
        names: Iterable[str] = self.digests
        if len(rows) == len(before) + len(timed) and rows[: len(before)] == before:
            self.fixes = self.fixes.extended(timed)
            names = [name for fix in timed for name in (*self._names.get(fix.sha256, ()), fix.path)]
        else:  # another process has written, too
            self.fixes = self._read()
        concerned = [name for name in dict.fromkeys(names) if name in self.digests]
        self._judge(concerned)
        return timed, concerned

    def refresh(self) -> bool:
        """Read what other processes have decided since; return whether there was anything."""
        if not self._file.refresh():
            return False
        self.fixes = self._read()
        self._judge(self.digests)
        return True

    def last_step(self, who: str) -> list[Fix]:
        """Return the decisions of a person's last step that were not undone, in order: one, or all of a grid."""
        stacks: dict[tuple[str, str], list[Fix]] = defaultdict(list)
        for fix in sorted((fix for fix in self.fixes.rows if fix.who == who), key=lambda fix: fix.when):
            stack = stacks[fix.sha256, fix.path]
            if fix.decision != "undo":
                stack.append(fix)
            elif stack:
                stack.pop()
        standing = sorted((fix for stack in stacks.values() for fix in stack), key=lambda fix: fix.when)
        step = standing[-1:]
        for fix in standing[-2::-1]:
            if not added_together(fix, step[0]):
                break
            step.insert(0, fix)
        return step

    def replayed(self) -> Iterator[dict[str, Fix]]:
        """Yield what counted after each step of several decisions, such as a grid, of those that still count."""
        rows = sorted(self.decisions.items(), key=lambda row: row[1].when)
        together = [added_together(rows[place][1], rows[place + 1][1]) for place in range(len(rows) - 1)]
        for place, (before, after) in enumerate(pairwise([*together, False]), 2):
            if before and not after:
                yield dict(rows[:place])

    def _read(self) -> Fixes:
        found = self._file.found
        return Fixes(self._file.path, found.fixes, found.bad_rows, found.cut_short)

    def _judge(self, names: Iterable[str]) -> None:
        """Find anew what counts for these images."""
        for name in names:
            digest = self.digests[name]
            fix = self.fixes.decision(digest, name)
            self.decisions.pop(name, None)
            if fix is not None:
                self.decisions[name] = fix
            earlier = self.fixes.contents(name) - {digest}
            for group, belongs in (
                (self.conflicts, fix is None and bool(self.fixes.disagreement(digest, name))),
                (self.changed, fix is None and any(self.fixes.decision(one, name) for one in earlier)),
            ):
                (group.add if belongs else group.discard)(name)
