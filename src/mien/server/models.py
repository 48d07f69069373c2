"""Hold the served models and do their work: predict and explain uploaded images, in a worker thread.

The HTTP side is in `app`. Frames of a webcam are in `stream`.
"""

import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from mien.arguments import to_query
from mien.arrays import RGB, UInt8
from mien.errors import BundleError, ConfigError, ImageError
from mien.explanation.explainer import Method, explain_image
from mien.inference.reader import Reader
from mien.inference.reader_options import Faces
from mien.inference.thresholds import parse_threshold
from mien.io.images.costs.bounds import cost_of
from mien.io.images.decoding import load_image
from mien.io.images.headers import read_header
from mien.io.images.pixels import MAX_READ_PIXELS, reduced
from mien.results import FaceHeat
from mien.runtime.sessions import Stopper
from mien.server.jobs import LATER, Later
from mien.server.problems import Problem
from mien.server.uploads import Upload
from mien.viz.overlay import heat_layer, overlay_faces

#: Longest side of an explained image, in pixels.
MAX_EXPLAINED_SIDE = 1280
#: Requests with more pixels or bytes than this, or whose images may take more seconds beside their pixels, are read by
#: the threads for slow work.
QUICK_PIXELS, QUICK_BYTES, QUICK_SECONDS = 2**20, 2**21, 0.03
#: Longest time in which a model must classify its first image, in seconds.
TRIAL_SECONDS = 30.0
#: So many readers with other options are kept.
_VARIANTS = 64
#: A larger image is first reduced by a whole number, to at least this many times its final size (Pillow's
#: `reducing_gap`).
_REDUCING_GAP = 2

View = Literal["overlay", "heat", "image"]
#: The rows of a request as JSON, or the reason for refusing it.
RowsOrProblem = bytes | Problem
BatchFunction = Callable[[list[list[Upload]]], list[RowsOrProblem]]
QuickFunction = Callable[[list[list[Upload]]], list[RowsOrProblem | Later]]


class Checked(NamedTuple):
    """An image's bytes, or what is wrong with it; and its pixels, None if reading it takes more than they say."""

    image: bytes | ImageError
    pixels: int | None


def may_be_quick(uploads: Sequence[Upload]) -> bool:
    """Return whether it takes little to read the headers of the images of a request: few bytes, few large texts."""
    few = sum(len(upload.data) for upload in uploads) <= QUICK_BYTES
    return few and sum(cost_of(upload.data).seconds for upload in uploads) <= QUICK_SECONDS


def is_quick(images: Sequence[Checked]) -> bool:
    """Return whether the images of a request are small, so that none of them keeps a thread for long."""
    sizes = [image.pixels for image in images]
    return None not in sizes and sum(size or 0 for size in sizes) <= QUICK_PIXELS


class Models:
    """The served readers, by name. The first is the default.

    Args:
        readers: one reader, which goes by its own name, or several by name.
        max_pixels: largest image, width times height.

    Raises:
        ConfigError: there is no reader.
        BundleError: a reader's network cannot answer.
    """

    def __init__(self, readers: Reader | Mapping[str, Reader], max_pixels: int) -> None:
        self._readers = {readers.config.name: readers} if isinstance(readers, Reader) else dict(readers)
        if not self._readers:
            raise ConfigError("no model to serve; give at least one reader")
        for reader in self._readers.values():
            try_model(reader)
        self.default = next(iter(self._readers))
        self._max_pixels = max_pixels
        # Bounded: clients choose the thresholds.
        self._variant = lru_cache(_VARIANTS)(self._make_variant)
        self.batch_functions = lru_cache(_VARIANTS)(self._make_batch_functions)

    def describe(self) -> dict[str, Any]:
        """Return the answer of `/v1/models`."""
        return {
            "default": self.default,
            "models": [
                {
                    "name": name,
                    "labels": list(reader.config.labels),
                    "answers": list(reader.answers),
                    "framing": reader.config.framing,
                    "content": reader.config.content,
                    "size": reader.config.input_size,
                    "channels": reader.config.input_channels,
                    "sha256": reader.config.sha256,
                    "device": reader.device,
                    "mirror": reader.mirror,
                    "explains": True,
                }
                for name, reader in self._readers.items()
            ],
        }

    def reader(
        self, name: str | None, detect: bool | None = None, faces: Faces | None = None, threshold: str | None = None
    ) -> Reader:
        """Return a reader by name.

        Args:
            name: name of a served model; None is the default model.
            detect: whether to detect faces; None keeps the reader's setting.
            faces: which faces to answer; None keeps the reader's setting.
            threshold: the probability from which a label is the answer, such as `sad=0.6`; None keeps the rule.

        Raises:
            Problem: `unknown_model` if no model has this name, `bad_parameter` for a threshold that it does not have.
        """
        name = name or self.default
        if name not in self._readers:
            raise Problem("unknown_model", f"model {name[:60]!r}: this server has {', '.join(self._readers)}")
        try:
            return self._variant(name, detect, faces, threshold)
        except ConfigError as error:
            raise Problem("bad_parameter", to_query(str(error))) from None

    def _make_variant(self, name: str, detect: bool | None, faces: Faces | None, threshold: str | None) -> Reader:
        wanted = None if threshold is None else parse_threshold(threshold)
        return self._readers[name].variant(detect=detect, faces=faces, threshold=wanted, threads=1, isolated="all")

    def _make_batch_functions(self, reader: Reader) -> tuple[QuickFunction, BatchFunction]:
        """Return functions that predict the images of several requests at once: those quickly read, and any.

        The same reader gives the same functions, so that `WorkerPool` can merge requests.
        """
        return partial(self._predict_quick, reader), partial(self._predict, reader)

    def _predict_quick(self, reader: Reader, requests: list[list[Upload]]) -> list[RowsOrProblem | Later]:
        checked = [self._check_request(uploads) if may_be_quick(uploads) else None for uploads in requests]
        now = [
            None if isinstance(each, list) and not is_quick([image for _, image in each]) else each for each in checked
        ]
        rows = iter(self._rows(reader, [each for each in now if each is not None]))
        return [LATER if each is None else next(rows) for each in now]

    def _predict(self, reader: Reader, requests: list[list[Upload]]) -> list[RowsOrProblem]:
        return self._rows(reader, [self._check_request(uploads) for uploads in requests])

    def _rows(self, reader: Reader, requests: Sequence[list[tuple[str, Checked]] | Problem]) -> list[RowsOrProblem]:
        images = [(name, one.image) for each in requests if not isinstance(each, Problem) for name, one in each]
        rows = iter([result.to_dict() for result in reader.predict_named(images)] if images else [])
        return [each if isinstance(each, Problem) else to_json([next(rows) for _ in each]) for each in requests]

    def _check_request(self, uploads: Sequence[Upload]) -> list[tuple[str, Checked]] | Problem:
        """Check the headers of all images of a request before decoding any of them."""
        try:
            return [(upload.name, self.check(upload)) for upload in uploads]
        except Problem as problem:
            return problem

    def check(self, upload: Upload) -> Checked:
        """Read the header of an image; raise Problem `too_many_pixels` if it is too large."""
        try:
            header = read_header(upload.data, upload.name)
        except ImageError as error:
            if error.code == "too-many-pixels":
                raise self._too_many_pixels(upload.name, error.reason) from None
            # The traceback of the error that was raised would keep the image's bytes until garbage collection.
            return Checked(error.renamed(upload.name), 0)
        pixels = header.width * header.height
        if pixels > self._max_pixels:
            raise self._too_many_pixels(upload.name, f"has {header.width}x{header.height} pixels")
        return Checked(upload.data, pixels if header.plain else None)

    def _too_many_pixels(self, name: str, what: str) -> Problem:
        return Problem("too_many_pixels", f"{name}: {what}, this server takes at most {self._max_pixels}; shrink it")

    def explain(self, reader: Reader, upload: Upload, label: str | None, method: Method | None, view: View) -> bytes:
        """Return a PNG that shows the evidence for a label in each face of an image.

        Args:
            reader: the model, and which faces it answers.
            upload: the image.
            label: one of the model's labels; None is the answer of each face.
            method: `cam` or `occlusion`; None is `cam` if the model allows it.
            view: `overlay` draws the heatmap on the image; `heat` is the heatmap alone, transparent outside faces;
                `image` is the image alone, upright, for those who cannot show its format.

        Raises:
            Problem: `unreadable_image`, `too_many_pixels`, or `bad_parameter` for a label or method that the model
                does not have.
        """
        data = self.check(upload).image
        if isinstance(data, ImageError):
            raise Problem("unreadable_image", str(data))
        try:
            if view == "image":
                return _png(shrink(load_image(data, max_pixels=MAX_READ_PIXELS, isolated=reader.isolated), ())[0])
            found = explain_image(reader, data, label, method)
        except ImageError as error:
            raise Problem("unreadable_image", f"{upload.name}: {error.reason}") from None
        except ConfigError as error:
            raise Problem("bad_parameter", to_query(str(error))) from None
        image, faces = shrink(found.image, found.faces_in_image())
        return _png(overlay_faces(image, faces) if view == "overlay" else heat_layer(image.shape, faces))


def try_model(reader: Reader) -> None:
    """Classify noise; raise BundleError if the network fails, which a file need not show, or does not end.

    Without this, the server would start, and then fail every request.
    """
    size, channels = reader.config.input_size, reader.config.input_channels
    noise = np.random.default_rng(0).integers(0, 256, (1, size, size, channels), np.uint8)
    stopper, errors = Stopper(), list[BundleError]()

    def run() -> None:
        try:
            with stopper:
                reader.logits(noise)
                if reader.config.maps:
                    reader.maps(noise)
        except BundleError as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="mien-serve-trial", daemon=True)
    thread.start()
    thread.join(TRIAL_SECONDS)
    if thread.is_alive():
        stopper.stop()
        thread.join()
        name, seconds = reader.config.name, TRIAL_SECONDS
        raise BundleError(f"{name}: the network takes more than {seconds:g} s for one image; export the model again")
    if errors:
        raise errors[0]


def shrink(image: RGB, faces: Sequence[FaceHeat]) -> tuple[RGB, list[FaceHeat]]:
    """Shrink an image, uint8 (H, W, 3), and its heatmaps to a longest side of at most `MAX_EXPLAINED_SIDE` pixels."""
    height, width = image.shape[:2]
    if max(height, width) <= MAX_EXPLAINED_SIDE:
        return image, list(faces)
    scale = MAX_EXPLAINED_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    factor = max(int(1 / scale / _REDUCING_GAP), 1)
    box = (0, 0, width / factor, height / factor)
    resized = Image.fromarray(reduced(image, factor)).resize(size, Image.Resampling.BILINEAR, box)
    ratio = np.array([size[0] / width, size[1] / height])
    moved = [FaceHeat(face.label, face.method, face.heat, face.crop, face.corners * ratio) for face in faces]
    return np.asarray(resized), moved


def _png(pixels: UInt8) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def to_json(value: object) -> bytes:
    """Return compact JSON in UTF-8. Lone surrogates, which a file name may hold, become question marks.

    Examples:
        >>> to_json({"answer": "happy"})
        b'{"answer":"happy"}'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
