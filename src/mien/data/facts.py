"""What was found about every file of a dataset, in tens of bytes a file: there may be a million."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from mien.data.inspection import FileFacts

_DIGEST = 32  # bytes of a sha256
_NONE = bytes(_DIGEST)


class FactTable(Mapping[str, FileFacts]):
    """`FileFacts` by file name, which are made when they are asked for.

    Examples:
        >>> table = FactTable()
        >>> table.append(FileFacts("happy/1.png", ("alpha",), size=700, width=48, height=48, format="PNG"))
        >>> table["happy/1.png"].width, "happy/2.png" in table
        (48, False)
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._digests = bytearray()
        self._sizes, self._widths, self._heights = array("Q"), array("Q"), array("Q")
        # There are few kinds of files: each combination of issues and format is kept once.
        self._looks: list[tuple[tuple[str, ...], str]] = []
        self._number_of: dict[tuple[tuple[str, ...], str], int] = {}
        self._look = array("I")
        self._reasons: dict[int, str] = {}

    def append(self, facts: FileFacts) -> None:
        """Append those of a file, whose name follows all others in order; its pixels are not kept."""
        if self._names and facts.name <= self._names[-1]:
            raise ValueError(f"{facts.name!r} does not follow {self._names[-1]!r}")
        if facts.reason is not None:
            self._reasons[len(self._names)] = facts.reason
        self._names.append(facts.name)
        self._digests += bytes.fromhex(facts.digest) if facts.digest else _NONE
        self._sizes.append(facts.size)
        self._widths.append(facts.width)
        self._heights.append(facts.height)
        look = facts.kinds, facts.format
        if look not in self._number_of:
            self._number_of[look] = len(self._looks)
            self._looks.append(look)
        self._look.append(self._number_of[look])

    def __getitem__(self, name: str) -> FileFacts:
        row = bisect_left(self._names, name)
        if row == len(self._names) or self._names[row] != name:
            raise KeyError(name)
        return self._facts(row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def unusual(self) -> Iterator[FileFacts]:
        """Yield those that have an issue, in order."""
        clean = {number for (kinds, _), number in self._number_of.items() if not kinds}
        return (self._facts(row) for row, look in enumerate(self._look) if look not in clean)

    def _facts(self, row: int) -> FileFacts:
        kinds, file_format = self._looks[self._look[row]]
        digest = bytes(self._digests[row * _DIGEST : (row + 1) * _DIGEST])
        return FileFacts(
            self._names[row], kinds, self._reasons.get(row), "" if digest == _NONE else digest.hex(),
            self._sizes[row], self._widths[row], self._heights[row], file_format,
        )  # fmt: skip
