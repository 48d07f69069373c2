"""The models that are served, by name, and what is done with pictures in a worker thread."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from PIL import Image

from mien.errors import ConfigError, ImageError
from mien.explanation.explainer import Method, explain
from mien.inference.reader import Faces, Reader
from mien.io.image import RGB, ImageSource, open_header
from mien.results import FaceHeat
from mien.server.problems import Problem
from mien.server.uploads import Upload
from mien.viz.overlay import heat_layer, overlay_faces

#: Kinds of pictures that are read from clients; some of what else Pillow opens is rarely used and hardly tested.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
#: The longer side of an explained picture is at most so many pixels.
EXPLAINED_SIDE = 1280
#: One that is larger is first shrunk by a whole number, to this many times its last size or more (as Pillow's
#: `reducing_gap`); so many rows of that are made at a time.
_GAP, _STRIP = 2, 64

View = Literal["overlay", "heat"]
#: Rows of a request as JSON, or why it is refused.
Answered = bytes | Problem


class Models:
    """Readers by name; the first is the default. Raises ConfigError where there is none."""

    def __init__(self, readers: Reader | Mapping[str, Reader], pixels: int) -> None:
        self._readers = {readers.config.name: readers} if isinstance(readers, Reader) else dict(readers)
        if not self._readers:
            raise ConfigError("no model to serve; give at least one reader")
        self.default = next(iter(self._readers))
        self._pixels = pixels
        self._variants: dict[tuple[str, bool | None, Faces | None], Reader] = {}
        self._reading: dict[int, Callable[[list[list[Upload]]], list[Answered]]] = {}

    def describe(self) -> dict[str, Any]:
        """Return what `/v1/models` answers."""
        return {
            "default": self.default,
            "models": [
                {
                    "name": name,
                    "labels": list(reader.config.labels),
                    "answers": list(reader.answers),
                    "framing": reader.config.framing,
                    "size": reader.config.input_size,
                    "channels": reader.config.input_channels,
                    "sha256": reader.config.sha256,
                    "explains": True,
                }
                for name, reader in self._readers.items()
            ],
        }

    def reader(self, name: str | None, detect: bool | None = None, faces: Faces | None = None) -> Reader:
        """Return the reader of a name, as it was given but for `detect` and `faces`; Problem where there is none."""
        name = name or self.default
        if name not in self._readers:
            raise Problem("unknown_model", f"model {name[:60]!r}: this server has {', '.join(self._readers)}")
        key = (name, detect, faces)
        if key not in self._variants:
            self._variants[key] = self._readers[name].variant(detect=detect, faces=faces, threads=1)
        return self._variants[key]

    def reading(self, reader: Reader) -> Callable[[list[list[Upload]]], list[Answered]]:
        """Return what reads the pictures of several requests; the same function for the same reader."""
        return self._reading.setdefault(id(reader), partial(self._read, reader))

    def _read(self, reader: Reader, requests: list[list[Upload]]) -> list[Answered]:
        checked = [self._check(uploads) for uploads in requests]
        named = [one for found in checked if not isinstance(found, Problem) for one in found]
        rows = iter([result.to_dict() for result in reader.predict_named(named)])
        return [found if isinstance(found, Problem) else to_json([next(rows) for _ in found]) for found in checked]

    def _check(self, uploads: Sequence[Upload]) -> list[tuple[str, ImageSource | ImageError]] | Problem:
        """Look at the headers of all pictures of a request before any of them is decoded."""
        try:
            return [(upload.name, self.checked(upload)) for upload in uploads]
        except Problem as problem:
            return problem

    def checked(self, upload: Upload) -> bytes | ImageError:
        """Return a picture's bytes, or what is wrong with it; Problem where it has too many pixels."""
        try:
            image = open_header(upload.data, upload.name)
        except ImageError as error:
            if error.code == "too-many-pixels":
                raise self._too_many(upload.name, error.reason) from None
            # The one that was raised would keep the picture's bytes, by its traceback, until garbage is collected.
            return error.renamed(upload.name)
        if image.width * image.height > self._pixels:
            raise self._too_many(upload.name, f"has {image.width}x{image.height} pixels")
        if image.format not in FORMATS:
            return ImageError(upload.name, f"is a {image.format}; the server reads {', '.join(FORMATS)}", "unsupported")
        return upload.data

    def _too_many(self, name: str, what: str) -> Problem:
        return Problem("too_many_pixels", f"{name}: {what}, at most {self._pixels} are read here; shrink it")

    def explained(self, reader: Reader, upload: Upload, label: str | None, method: Method | None, view: View) -> bytes:
        """Return a PNG of a picture with what speaks for a label, or of that alone, transparent outside faces.

        Raises Problem for a picture that cannot be read, a label or a method that the model does not have.
        """
        data = self.checked(upload)
        if isinstance(data, ImageError):
            raise Problem("unreadable_image", str(data))
        try:
            found = explain(reader, data, label, method)
        except ImageError as error:
            raise Problem("unreadable_image", f"{upload.name}: {error.reason}") from None
        except ConfigError as error:
            raise Problem("bad_parameter", str(error)) from None
        picture, faces = shrunk(found.picture, found.faces)
        pixels = overlay_faces(picture, faces) if view == "overlay" else heat_layer(picture.shape, faces)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
        return stream.getvalue()


def shrunk(picture: RGB, faces: Sequence[FaceHeat]) -> tuple[RGB, list[FaceHeat]]:
    """Return a picture and its heatmaps with a longer side of at most `EXPLAINED_SIDE` pixels."""
    height, width = picture.shape[:2]
    if max(height, width) <= EXPLAINED_SIDE:
        return picture, list(faces)
    scale = EXPLAINED_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    factor = max(int(1 / scale / _GAP), 1)
    box = (0, 0, width / factor, height / factor)
    image = Image.fromarray(_reduced(picture, factor)).resize(size, Image.Resampling.BILINEAR, box)
    ratio = np.array([size[0] / width, size[1] / height])
    moved = [FaceHeat(face.label, face.method, face.heat, face.crop, face.corners * ratio) for face in faces]
    return np.asarray(image), moved


def _reduced(picture: RGB, factor: int) -> RGB:
    """Shrink by a whole number, as `Image.reduce`, in strips: of all at once Pillow would hold a larger copy."""
    strips = range(0, len(picture), factor * _STRIP)
    return np.concatenate(
        [np.asarray(Image.fromarray(picture[top : top + factor * _STRIP]).reduce(factor)) for top in strips]
    )


def to_json(value: object) -> bytes:
    """Return JSON in UTF-8; half a character, which a name may hold, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
