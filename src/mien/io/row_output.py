"""Where the rows of a job go, and in which format."""

from collections.abc import Iterable
from pathlib import Path

from mien.errors import ConfigError
from mien.io.atomic import refuse_existing
from mien.io.formats import ResultRow, csv_text, json_text, jsonl_text, require_parquet, write_parquet
from mien.io.journal import journal_of
from mien.io.targets import is_device, require_writable, same_file, write_pieces

FORMATS = ("json", "jsonl", "csv", "parquet")


class RowOutput:
    """Rows as `kind` (json, jsonl, csv or parquet), in a file or on a stream.

    Args:
        target: a file, a device or pipe, or `-` for standard output.
        kind: the format; None takes it from the end of the file's name.

    Raises:
        ConfigError: the format is unknown, or is Parquet for a stream.
        OutputError: the file cannot be written.
        MissingExtraError: Parquet without pyarrow.

    Examples:
        >>> RowOutput("rows.csv").kind
        'csv'
    """

    def __init__(self, target: str, kind: str | None = None) -> None:
        self.target, self.path = target, Path(target)
        self.kind = self.path.suffix.lower().removeprefix(".") if kind is None else kind
        if self.kind not in FORMATS:
            raise ConfigError(f"{target}: the format of the rows is unclear; give one of {', '.join(FORMATS)}")
        require_writable(target)
        if self.kind == "parquet":
            if self.streams:
                raise ConfigError(f"{target}: Parquet cannot be written to a stream; give a file")
            require_parquet()

    @property
    def streams(self) -> bool:
        """Whether rows are written to standard output, a pipe or a device, which keep nothing."""
        return self.target == "-" or is_device(self.path)

    def refuse_input(self, name: str) -> None:
        """Raise ConfigError if `name` is the file that will be written."""
        if self.target != "-" and same_file(name, self.target):
            raise ConfigError(f"{self.target}: is one of the inputs; give another file")

    def refuse_existing(self) -> None:
        """Raise OutputError if the file exists."""
        if not self.streams:
            refuse_existing(self.path)

    def is_begun(self) -> bool:
        """Return whether a job that was interrupted has kept its rows beside this file."""
        return not self.streams and journal_of(self.path).exists()

    def write(self, rows: Iterable[ResultRow], labels: tuple[str, ...], video: bool = False) -> None:
        """Write rows of images, and of frames if `video`, as they come; a file appears when it is complete."""
        if self.kind == "parquet":
            write_parquet(rows, self.path, labels, video)
        elif self.kind == "csv":
            write_pieces(csv_text(rows, labels, video), self.target)
        else:
            write_pieces(json_text(rows) if self.kind == "json" else jsonl_text(rows), self.target)
