"""A batch job from Python; how it survives interruptions is tested with the command, in tests/cli."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mien.errors import ConfigError, OutputError
from mien.inference.jobs.batch import BatchJob
from mien.inference.reader import Reader, load
from mien.io.inputs import Inputs
from mien.io.row_output import RowOutput


@pytest.fixture
def reader(make_bundle: Callable[..., Path]) -> Reader:
    return load(make_bundle())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two images, one as large as a photograph, and a file that is not an image."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (20, 20)).save(folder / "a.png")
    Image.new("RGB", (640, 480)).save(folder / "b.png")
    (folder / "c.png").write_text("not an image")
    return folder


def test_rows_are_those_of_the_reader_and_are_counted(reader: Reader, images: Path) -> None:
    seen: list[tuple[float, int | None]] = []
    job = BatchJob(reader, Inputs([str(images)]), on_progress=lambda done, total: seen.append((done, total)))
    rows = list(job.rows())
    assert rows == [reader.predict(images / name).to_dict() for name in ("a.png", "b.png", "c.png")]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert job.summary.counts == {"ok": 2, "unreadable": 1}
    assert job.summary.photographs == 1
    with pytest.raises(OutputError, match="this job has no output"):
        job.write()


def test_a_file_is_continued_by_the_same_job(reader: Reader, images: Path, tmp_path: Path) -> None:
    def job(stop_after: int | None = None) -> BatchJob:
        def report(done: float, total: int | None) -> None:
            if done == stop_after:
                raise KeyboardInterrupt

        return BatchJob(reader, Inputs([str(images)]), RowOutput(str(tmp_path / "rows.jsonl")), on_progress=report)

    with pytest.raises(KeyboardInterrupt, match=r"3 rows are kept in .*rows\.jsonl\.part; the same command continues"):
        job(stop_after=3).write()
    assert not (tmp_path / "rows.jsonl").exists()
    assert job().write().counts == {"ok": 2, "unreadable": 1}
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [Path(row["source"]).name for row in rows] == ["a.png", "b.png", "c.png"]
    assert not (tmp_path / "rows.jsonl.part").exists()
    with pytest.raises(OutputError, match="already exists"):
        job()


def test_no_input_is_written_over(reader: Reader, images: Path) -> None:
    with pytest.raises(ConfigError, match="is one of the inputs"):
        BatchJob(reader, Inputs([str(images)]), RowOutput(str(images / "a.png"), "csv"))
