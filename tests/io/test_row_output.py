"""The output of rows: its format, and what it refuses."""

from pathlib import Path

import pytest

from mien.errors import ConfigError, OutputError
from mien.io.row_output import RowOutput


@pytest.mark.parametrize(
    ("target", "kind", "found"), [("a.CSV", None, "csv"), ("a.jsonl", None, "jsonl"), ("a.txt", "json", "json")]
)
def test_the_format_is_given_or_that_of_the_name(tmp_path: Path, target: str, kind: str | None, found: str) -> None:
    assert RowOutput(str(tmp_path / target), kind).kind == found


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        ("rows", None, "rows: the format of the rows is unclear; give one of json, jsonl, csv, parquet"),
        ("-", None, "the format of the rows is unclear"),
        ("-", "parquet", "-: Parquet cannot be written to a stream; give a file"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(target: str, kind: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RowOutput(target, kind)


def test_no_input_is_written_over(tmp_path: Path) -> None:
    output = RowOutput(str(tmp_path / "rows.csv"))
    output.refuse_input("elsewhere.csv")
    with pytest.raises(ConfigError, match=r"rows\.csv: is one of the inputs; give another file"):
        output.refuse_input(str(tmp_path / "x" / ".." / "rows.csv"))
    RowOutput("-", "csv").refuse_input("-")


def test_a_file_that_exists_is_refused_unless_its_job_is_begun(tmp_path: Path) -> None:
    output = RowOutput(str(tmp_path / "rows.csv"))
    output.refuse_existing()
    output.path.touch()
    assert not output.is_begun()
    with pytest.raises(OutputError, match="already exists"):
        output.refuse_existing()
    (tmp_path / "rows.csv.part").touch()
    assert output.is_begun()
    RowOutput("-", "csv").refuse_existing()
    assert not RowOutput("-", "csv").is_begun()
