"""Count the images in the folders of a source."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from mien.data.layouts.parts import find_parts
from mien.io.sniffing import is_image_name
from mien.io.sources import FileSource


class Tree:
    """How many images each folder of a source holds: `direct` in itself, `total` with its folders.

    `tables` are the names of the CSVs.
    """

    def __init__(self, source: FileSource) -> None:
        self.source = source
        self.direct: dict[PurePosixPath, int] = defaultdict(int)
        self.total: dict[PurePosixPath, int] = defaultdict(int)
        self._below: dict[PurePosixPath, set[PurePosixPath]] = defaultdict(set)
        self.tables: set[str] = set()
        # Paths are made for folders only: a source may have a million files.
        files, images, tables = set(), Counter[str](), set()
        for name in source.names:
            folder = name.rpartition("/")[0]
            files.add(folder)
            if is_image_name(name):
                images[folder] += 1
            elif name.lower().endswith(".csv"):
                self.tables.add(name)
                tables.add(folder)
        filled = _with_parents(files)
        self._with_empty = {one.parent for one in map(PurePosixPath, source.folders) if one not in filled}
        self._tables = set(map(PurePosixPath, tables))
        self._above_tables: dict[PurePosixPath, set[PurePosixPath]] = defaultdict(set)
        for place in _with_parents(tables):
            if place.name:
                self._above_tables[place.parent].add(place)
        for folder, count in images.items():
            place = PurePosixPath(folder)
            self.direct[place] += count
            for above in (place, *place.parents):
                self.total[above] += count
                if above.name:
                    self._below[above.parent].add(above)

    def folders_with_images(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the folders in a folder that hold images at any depth."""
        return sorted(self._below[folder])

    def folders_with_tables(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the folders in a folder that hold a CSV at any depth."""
        return sorted(self._above_tables[folder])

    def classes(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the folders in a folder that hold images themselves, or are its parts."""
        below = self.folders_with_images(folder)
        parts = find_parts([one.name for one in below])
        return [one for one in below if self.direct[one] or one.name in parts]

    def holds_data(self, folder: PurePosixPath) -> bool:
        """Whether a folder holds several classes or parts, perhaps inside folders that only wrap them."""
        below = self.folders_with_images(folder)
        while len(below) == 1 and not self.direct[folder]:
            folder = below[0]
            below = self.folders_with_images(folder)
        return len(self.classes(folder)) > 1

    def has_empty_folder(self, folder: PurePosixPath) -> bool:
        """Whether a folder holds a folder without any file, which may be a class without images."""
        return folder in self._with_empty

    def has_table(self, folder: PurePosixPath) -> bool:
        """Whether a CSV lies in a folder."""
        return folder in self._tables


def _with_parents(folders: Iterable[str]) -> set[PurePosixPath]:
    """Return folders and all that they lie in."""
    return {above for name in folders for folder in [PurePosixPath(name)] for above in (folder, *folder.parents)}
