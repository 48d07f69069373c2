"""The page of `mien export --page` on the host that Python brings: it answers as Python does."""

import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from page_tab import Visit
from rows import PIXELS

import mien


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder by `python -m http.server`; yield its address."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            _, _, address = server.stdout.readline().partition("(")
            yield address.partition(")")[0]
        finally:
            server.terminate()


def check_answers(page: Visit, images: list[Path], model: str | Path, tolerance: float) -> None:
    """Compare the CSV that the page saves of these images with Python's rows."""
    with page.tab.expect_download() as waiting:
        page.tab.click("#csv")
    found = list(csv.DictReader(Path(waiting.value.path()).read_text("utf-8-sig").splitlines()))
    reader = mien.load(model, threads=1)
    results = {image.name: reader.predict(image) for image in images}
    wanted = [(name, result, face) for name, result in results.items() for face in result.faces]
    assert [(row["source"], row["answer"]) for row in found] == [(name, face.answer) for name, _, face in wanted]
    for row, (_, result, face) in zip(found, wanted, strict=True):
        assert (row["model"], row["status"]) == (result.model, result.status)
        box = [face.box.x, face.box.y, face.box.width, face.box.height]
        assert [float(row[name]) for name in ("x", "y", "width", "height")] == pytest.approx(box, abs=PIXELS)
        assert float(row["probability"]) == pytest.approx(face.probability, abs=tolerance)
        known = face.expressions or face.probabilities
        shown = {name: float(row[f"p_{name}"]) for name in known}
        assert shown == pytest.approx(dict(known), abs=tolerance)
