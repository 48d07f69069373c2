"""What a source of labelled data was found to hold, before classes are renamed and selected."""

import unicodedata
from dataclasses import dataclass, field

from mien.io.sources import FileSource


@dataclass(frozen=True, slots=True)  # there may be a million
class FoundSample:
    """A file as the source labels it; `label` is None if there are only `votes`, one per name in `vote_names`."""

    name: str
    label: str | None
    split: str | None = None
    group: str | None = None
    votes: tuple[float, ...] | None = None


@dataclass(frozen=True)
class BadEntry:
    """A row of a table or a member of an archive that gave no sample, and why."""

    name: str
    reason: str


@dataclass
class FoundData:
    """The contents of a source, before classes are renamed and selected.

    Attributes:
        source: where the files are read from.
        samples: every labelled file.
        vote_names: the classes of the vote columns of a table.
        bad_entries: rows and archive members that gave no sample.
        pixels: the encoded images that a table contains itself, by name.
        empty: classes without images.
        parts: folders named like parts, with images but no class folders in them.
        nested: files in a folder inside a class folder that is named like a class or a part itself.
        notes: what was guessed about the layout, and what changes it.
    """

    source: FileSource
    samples: list[FoundSample] = field(default_factory=list)
    vote_names: tuple[str, ...] = ()
    bad_entries: list[BadEntry] = field(default_factory=list)
    pixels: dict[str, bytes] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    nested: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """The class names that the source uses."""
        return {sample.label for sample in self.samples if sample.label} | set(self.vote_names)


def plain(name: str) -> str:
    """Return a name in the form that keyboards write, NFC, without spaces around it; macOS stores names in another.

    Examples:
        >>> plain("mu\u0308de") == "m\u00fcde"
        True
    """
    return (name if name.isascii() else unicodedata.normalize("NFC", name)).strip() or name
