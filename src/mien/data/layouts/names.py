"""Find files by what others call them: in another Unicode form, or by the end of the path alone."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import takewhile
from pathlib import PurePosixPath
from typing import TypeAlias

from mien.data.layouts.found import plain

#: What RAF-DB adds to the name of a cropped file (Li et al., 2017); its list names the file without it.
_ALIGNED = "_aligned"
#: The folders above a file, from the file up.
_Folders: TypeAlias = tuple[str, ...]


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
        self._ordered: dict[str, tuple[list[_Folders], list[str]]] = {}
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
        base = base_name(plain(name))
        found = self._by_base.get(base) or self._aligned.get(base, [])
        if len(found) < 2:
            return found
        if base not in self._ordered:
            ordered = sorted((_folders(PurePosixPath(plain(one))), one) for one in found)
            self._ordered[base] = ([folders for folders, _ in ordered], [one for _, one in ordered])
        every, names = self._ordered[base]
        # Those with most in common stand side by side, where this one would stand.
        own = _folders(PurePosixPath(plain(name)))
        place = bisect_left(every, own)
        most = max(_common(own, other) for other in every[max(place - 1, 0) : place + 1])
        start, end = (find(every, own[:most], key=lambda other: other[:most]) for find in (bisect_left, bisect_right))
        return names[start:end]


def simple_path(name: str) -> str:
    """Return a path as `PurePosixPath` writes it, which takes many times as long.

    Examples:
        >>> simple_path("./a//b/"), simple_path("a/b.png")
        ('a/b', 'a/b.png')
    """
    odd = "//" in name or "/." in name or name[:1] == "." or name[-1:] == "/" or not name
    return PurePosixPath(name).as_posix() if odd else name


def base_name(name: str) -> str:
    """Return the last part of a path, as `PurePosixPath.name` does.

    Examples:
        >>> base_name("happy/1.png"), base_name("happy/")
        ('1.png', 'happy')
    """
    base = name.rpartition("/")[2]
    return base if base not in ("", ".") else PurePosixPath(name).name


def _folders(path: PurePosixPath) -> _Folders:
    return path.parts[-2::-1]


def _common(one: _Folders, other: _Folders) -> int:
    """Return how many folders above two files have the same names, from the files up."""
    same = (first == second for first, second in zip(one, other, strict=False))
    return sum(1 for _ in takewhile(bool, same))
