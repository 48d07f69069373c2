"""Find files by what others call them: in another Unicode form, or by the end of the path alone."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from mien.data.layouts.found import plain

#: What RAF-DB adds to the name of a cropped file (Li et al., 2017); its list names the file without it.
_ALIGNED = "_aligned"


class NameIndex:
    """The names of many files, to be found again.

    Args:
        names: all of them; each can be found in another Unicode form.
        images: those of them that can be found by the end of their path, or without their ending.
    """

    def __init__(self, names: Iterable[str], images: Iterable[str]) -> None:
        self._by_form = {plain(name): name for name in names}
        self._by_base: dict[str, list[str]] = defaultdict(list)
        self._aligned: dict[str, list[str]] = defaultdict(list)
        for name in images:
            path = PurePosixPath(plain(name))
            self._by_base[path.name].append(name)
            self._by_base[path.stem].append(name)
            if path.stem.endswith(_ALIGNED):
                self._aligned[path.stem.removesuffix(_ALIGNED) + path.suffix].append(name)

    def same(self, name: str) -> str | None:
        """Return the file of this name in any Unicode form; None if there is none.

        Examples:
            >>> NameIndex(["mu\u0308de/1.jpg"], []).same("m\u00fcde/1.jpg") == "mu\u0308de/1.jpg"
            True
        """
        return self._by_form.get(plain(name))

    def alike(self, name: str) -> list[str]:
        """Return the images of this base name; if some have more of the path in common, those with the most.

        Examples:
            >>> names = ["test/happy/1.jpg", "test/sad/1.jpg"]
            >>> NameIndex(names, names).alike("elsewhere/sad/1.jpg")
            ['test/sad/1.jpg']
        """
        path = PurePosixPath(plain(name))
        found = self._by_base.get(path.name) or self._aligned.get(path.name, [])
        if len(found) < 2:
            return found
        common = [_common_folders(path, PurePosixPath(plain(one))) for one in found]
        return [one for one, count in zip(found, common, strict=True) if count == max(common)]


def _common_folders(one: PurePosixPath, other: PurePosixPath) -> int:
    """Return how many folders above two files have the same names, from the files up."""
    pairs = zip(reversed(one.parts[:-1]), reversed(other.parts[:-1]), strict=False)
    count = 0
    for first, second in pairs:
        if first != second:
            break
        count += 1
    return count
