"""Errors carry their kind and their parts as fields, so that no program has to read the sentence."""

import io
from pathlib import Path

import pytest
from PIL import Image

from mien.errors import ImageError, OutputError
from mien.io.atomic import new_file
from mien.io.images.decoding import load_image
from mien.io.images.source import ImageSource


def image_bytes(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 60), "grey").save(buffer, kind)
    return buffer.getvalue()


def test_an_image_error_says_its_kind(tmp_path: Path) -> None:
    huge = image_bytes("BMP")
    huge = huge[:18] + (60_000).to_bytes(4, "little") * 2 + huge[26:]
    codes: dict[str, ImageSource] = {
        "missing": tmp_path / "none.jpg", "not-a-file": tmp_path, "empty": b"", "not-an-image": b"text",
        "damaged": image_bytes("PNG")[:-40], "too-many-pixels": huge,
    }  # fmt: skip
    for code, source in codes.items():
        with pytest.raises(ImageError) as caught:
            load_image(source)
        assert caught.value.code == code


def test_a_renamed_error_is_the_same_but_for_its_name() -> None:
    error = ImageError("one.jpg", "no such file", "missing").renamed("two.jpg")
    assert (str(error), error.source, error.code) == ("two.jpg: no such file", "two.jpg", "missing")


def test_an_output_error_knows_what_was_kept(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, new_file(tmp_path / "rows.csv"):
        raise OSError(28, "No space left on device")
    assert caught.value.problem == f"{tmp_path / 'rows.csv'}: cannot be written (No space left on device)"
    assert str(caught.value) == f"{caught.value.problem}; nothing was kept"
    assert str(OutputError("plain")) == OutputError("plain").problem == "plain"
