"""Read what anybody answered to images: a CSV, JSON lines, or rows in Python. `answers` finds the images."""

import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mien.data.layouts.tables import ALIASES, BadRow, numbered_csv_rows, plain_heading
from mien.errors import ConfigError, DataError
from mien.io.archives import MAX_LARGE_BYTES
from mien.io.bounded import parse_json, read_bytes
from mien.io.cells import columns_of
from mien.labels import MAX_LETTERS
from mien.results import ImageResult
from mien.text import did_you_mean, join_words, shorten

#: Rows that cannot be used, beyond which a file holds no answers.
_MAX_BAD = 100_000
#: Bytes and values of a JSON array, which is parsed as a whole: a value takes 60 bytes or more. Lines have no limit.
_MAX_ARRAY, _MAX_VALUES = 32 * 2**20, 3_000_000
#: What `columns` may name.
FILE, LABEL = "file", "label"
#: Names of the columns, as `mien.data.layouts.tables` knows those of labels. A table may have labels beside answers.
_NAMES = {
    FILE: ("file", "source", *ALIASES["file"]),
    LABEL: ("answer", "prediction", "predicted", "pred", "predictedlabel", "predictedclass", "predictedemotion",
            "dominantemotion", "output", *ALIASES["label"]),
}  # fmt: skip
#: Columns that only rows of `mien predict` have all of.
_OWN = frozenset({"source", "status", "answer", "probability"})

#: What `answers=` takes: a file, an answer for each file name, or rows.
Answers = str | Path | Mapping[str, Any] | Iterable[Any]


class RawRow(NamedTuple):  # made a million times
    """What one row says, as it was written.

    Attributes:
        number: of its line in a file, or of its entry, from 1.
        file: the image, as the row names it.
        label: the answer; None if there are only probabilities.
        scores: text or numbers by the name of their column.
        status: `ok`, `no_face` or `unreadable`.
        reason: why the image could not be read.
    """

    number: int
    file: str
    label: str | None
    scores: Mapping[str, Any]
    status: str = "ok"
    reason: str = ""


@dataclass(frozen=True)
class AnswerRows:
    """The rows of answers, before any image or class is looked up.

    Attributes:
        source: what they are called: the file, or `answers`.
        unit: what a row's number counts, `line` or `entry`.
        rows: the usable ones.
        bad: those without a file or of another form, and why.
        own: whether they are rows of `mien predict`.
        guessed: which columns were chosen by other names than mien's own, as a sentence; may be empty.
    """

    source: str
    unit: str
    rows: tuple[RawRow, ...]
    bad: tuple[BadRow, ...]
    own: bool = False
    guessed: str = ""


def read_answers(answers: Answers, columns: Mapping[str, str] | None = None) -> AnswerRows:
    """Read the rows of answers.

    Args:
        answers: a CSV or a file of JSON lines: a file, an answer, a probability per class; or a mapping from file names
            to answers, or to mappings from classes to probabilities; or a sequence of such rows, of pairs of file and
            answer, or of `ImageResult`.
        columns: the names of the columns `file` and `label`, where others than the guessed ones are meant.

    Raises:
        DataError: a file cannot be read, or has no column of files.
        ConfigError: `columns` names others than these two, or one that is not there.
    """
    named = dict(columns or {})
    if odd := [name for name in named if name not in (FILE, LABEL)]:
        raise ConfigError(f"`columns={ {odd[0]: named[odd[0]]} }`: name the columns of file and label")
    if isinstance(answers, str | Path):
        data = _bytes(Path(answers))
        start = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        if start == b"{":
            return _assemble(str(answers), "line", _json_lines(data), named)
        if start == b"[":
            return _assemble(str(answers), "entry", _json_array(data, str(answers)), named)
        return _assemble(str(answers), "line", _csv(data, str(answers)), named)
    if isinstance(answers, Mapping):
        return _assemble("answers", "entry", enumerate(map(_pair, answers.items()), 1), named)
    if not isinstance(answers, Iterable) or isinstance(answers, bytes):
        raise ConfigError(f"`answers=`: give a file, a mapping or rows, not {type(answers).__name__}")
    return _assemble("answers", "entry", enumerate(map(_entry, answers), 1), named)


def class_names(given: AnswerRows) -> set[str]:
    """Return every name that may be a class of the answers: of an answer, or of a column of probabilities."""
    scores = columns_of(row.scores for row in given.rows)
    return {row.label for row in given.rows if row.label}.union(scores, (name.removeprefix("p_") for name in scores))


#: A row by its columns, or why it is none.
_Found = Mapping[str, Any] | str


def _bytes(path: Path) -> bytes:
    try:
        data = read_bytes(path, MAX_LARGE_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not data.strip():
        raise DataError(f"{path}: is empty; give a CSV or JSON lines: file, label or a probability per class")
    return data


def _csv(data: bytes, name: str) -> Iterator[tuple[int, _Found]]:
    rows = numbered_csv_rows(data, name)
    header = [cell.strip() for cell in next(rows, (1, []))[1]]
    twice = next((one for one, count in Counter(header).items() if one and count > 1), None)
    if twice:
        raise DataError(f"{name}: has two columns '{shorten(twice)}'; name each once")
    return (
        (
            line,
            dict(zip(header, cells, strict=True)) if len(cells) == len(header)
            else f"has {len(cells)} cells, the header has {len(header)}",
        )
        for line, cells in rows if any(map(str.strip, cells))
    )  # fmt: skip


def _json_lines(data: bytes) -> Iterator[tuple[int, _Found]]:
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.strip():
            continue
        try:
            found = parse_json(line.removeprefix(b"\xef\xbb\xbf"))
        except ValueError as error:
            yield number, f"is not JSON ({error})"
            continue
        yield number, _entry(found)


def _json_array(data: bytes, name: str) -> Iterator[tuple[int, _Found]]:
    if len(data) > _MAX_ARRAY:
        raise DataError(f"{name}: is one array of more than {_MAX_ARRAY >> 20} MiB; write one object per line")
    if sum(map(data.count, (b"[", b"{", b","))) > _MAX_VALUES:
        raise DataError(f"{name}: is one array of more than {_MAX_VALUES:,} values; write one object per line")
    try:
        found = parse_json(data)
    except ValueError as error:
        raise DataError(f"{name}: is not JSON ({error}); write one object per line") from None
    return ((number, _entry(one)) for number, one in enumerate(found, 1))


def _pair(pair: tuple[Any, Any]) -> _Found:
    file, answer = pair
    if isinstance(answer, ImageResult):
        return {**_flat(answer.to_dict()), "source": file}
    if isinstance(answer, Mapping):
        return {FILE: file, **_flat(answer)}
    return {FILE: file, LABEL: answer}


def _entry(value: Any) -> _Found:
    if isinstance(value, ImageResult):
        return _flat(value.to_dict())
    if isinstance(value, Mapping):
        return _flat(value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return _pair((value[0], value[1]))
    return f"is no row but {_shown(value)}"


def _flat(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row with the entries of objects in it, such as `probabilities`; of faces, those of the first."""
    faces = row.get("faces")
    if isinstance(faces, list) and isinstance(row.get("status"), str):  # a row of mien, its largest face first
        first = faces[0] if faces and isinstance(faces[0], Mapping) else {}
        scores = {**_object(first.get("expressions")), **_object(first.get("probabilities"))}
        own = {name: value for name, value in row.items() if name != "faces"}  # a million rows would keep them
        own |= {"answer": first.get("answer"), "probability": first.get("probability")}
        return own | {f"p_{name}": value for name, value in scores.items()}
    found: dict[str, Any] = {}
    for name, value in row.items():
        found.update(_object(value) if isinstance(value, Mapping) else {str(name): value})
    return found


def _object(value: Any) -> dict[str, Any]:
    return {str(name): one for name, one in value.items()} if isinstance(value, Mapping) else {}


def _assemble(
    source: str, unit: str, given: Iterable[tuple[int, _Found]], named: Mapping[str, str]
) -> AnswerRows:  # fmt: skip
    """Choose the columns of file and label, and take the rows apart."""
    found: list[tuple[int, _Found]] = []
    unusable = 0
    for number, row in given:
        unusable += isinstance(row, str) or not row
        if unusable > _MAX_BAD:
            last = f"{unit} {number}: {row or 'is empty'}"
            raise DataError(f"{source}: more than {_MAX_BAD:,} of its rows cannot be used; the last is {last}")
        found.append((number, row))
    header = columns_of(row for _, row in found if not isinstance(row, str))
    if not header and found:
        number, first = found[0]
        why = f"{unit} {number}: {first or 'is empty'}"
        raise DataError(f"{source}: none of its rows can be used; the first is {why}")
    places = _choose(source, header, named)
    own, taken = set(header) >= _OWN, frozenset(places.values())
    rows: list[RawRow] = []
    bad: list[BadRow] = []
    for number, row in found:
        try:
            if isinstance(row, str):
                raise ValueError(row)
            if own and str(row.get("face") or 1) != "1":
                continue  # a CSV has a line for each face, the largest first
            rows.append(_row(number, row, places, taken))
        except ValueError as error:
            bad.append(BadRow(number, str(error)))
    chosen = {key: place for key, place in places.items() if key not in named and place.lower() != key and not own}
    guessed = ""
    if chosen:
        said = join_words([f"'{place}' as the {key}" for key, place in chosen.items()])
        guessed = f"reads column {said}; `columns={chosen!r}` names others"
    return AnswerRows(source, unit, tuple(rows), tuple(bad), own, guessed)


def _choose(source: str, header: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Return the column of files, and that of answers if there is one."""
    by_plain = {plain_heading(name): name for name in reversed(header)}
    found = {}
    for key, aliases in _NAMES.items():
        if key in named:
            if named[key] not in header:
                raise ConfigError(
                    f"`columns={ {key: named[key]} }`: {source} has no such column"
                    f"{did_you_mean(named[key], header)} (it has {_listed(header)})"
                )
            found[key] = named[key]
            continue
        name = next((by_plain[alias] for alias in aliases if alias in by_plain), None)
        if name is not None and name not in found.values():
            found[key] = name
    if not header:
        raise DataError(f"{source}: has no rows; give a file and an answer, or a probability per class, in each")
    if FILE not in found:
        raise DataError(
            f"{source}: has no column of files (it has {_listed(header)}); `columns={ {'file': 'NAME'} }` names it"
        )
    return found


def _listed(header: Sequence[str]) -> str:
    return ", ".join(map(shorten, header[:8])) + (", …" if len(header) > 8 else "")


def _row(number: int, row: Mapping[str, Any], places: Mapping[str, str], taken: Collection[str]) -> RawRow:
    file, label = row.get(places[FILE]), row.get(places.get(LABEL, ""))
    if not isinstance(file, str | Path) or not str(file).strip():
        raise ValueError("has no file" if file in (None, "") or isinstance(file, str) else "its file is no text")
    if not (label is None or isinstance(label, str) or type(label) is int):
        raise ValueError(f"its answer is {_shown(label)}")
    status = row.get("status")
    scores = {name: value for name, value in row.items() if name not in taken}
    text = None if label is None else str(label).strip()[: MAX_LETTERS + 1]
    status = status if status in ("no_face", "unreadable") else "ok"
    return RawRow(number, str(file), text or None, scores, status, str(row.get("reason") or ""))


def _shown(value: Any) -> str:
    """Return a value as an error shows it."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}…"
