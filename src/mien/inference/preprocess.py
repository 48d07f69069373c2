"""Preprocess images for the network: decode, detect faces, crop. Inference and the face audit share it."""

import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from mien.arrays import RGB, Float32, UInt8
from mien.errors import ImageError
from mien.faces.crop import Region, exact_crop, exact_crops, face_region
from mien.faces.resize import Fit, ResizeMethod, rounded
from mien.inference.detection import FaceDetector, detect_faces, open_and_detect
from mien.io.images.decoding import Isolation, load_image, open_image
from mien.io.images.pixels import MAX_READ_PIXELS, array_to_rgb
from mien.io.images.source import EncodedImage, ImageSource
from mien.results import Box, Detection, Status

#: Arrays of one size are prepared together if their sides have at most so many pixels: crops, not photographs.
_MAX_STACKED_SIDE = 512

#: The reason of an image without a face. It names no option: it stands in rows from the command, Python and HTTP.
NO_FACE = "no face was found; if the image is a cropped face, use it whole, without detection"


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image ready to be classified: its crops, uint8 (S, S, C) each, and the detection that each crop shows.

    `width` and `height` are pixels of the upright image, None if it could not be decoded, and `detections` are in
    these. None in place of a detection says that the crop is the whole image. `inputs` are what the network takes: the
    crops, or float32 of the same shape if the model was trained on values that were not rounded.
    """

    name: str
    status: Status
    reason: str | None = None
    width: int | None = None
    height: int | None = None
    detections: tuple[Detection | None, ...] = ()
    inputs: tuple[UInt8 | Float32, ...] = ()

    @property
    def crops(self) -> tuple[UInt8, ...]:
        """The crops as images."""
        return tuple(rounded(values) for values in self.inputs)

    @property
    def boxes(self) -> list[Box]:
        """The source of each crop in pixels of the upright image: a face's box, or the whole image."""
        whole = Box(0, 0, self.width or 1, self.height or 1)
        return [found.box if found else whole for found in self.detections]


class Preprocessor:
    """Turns images into square crops; several threads may call it at the same time.

    Args:
        size: pixels on a side of a crop.
        channels: 1 (grey) or 3 (RGB).
        detector: detects the faces to crop; None crops the whole image.
        max_faces: crop at most so many faces, the largest; None crops `MAX_FACES`, and a note says if there are more.
        method: how to resize.
        fit: what becomes of a whole image that is not square.
        isolated: as in `open_image`.
        chosen: by name of an image file, the face that comes first, in pixels of the upright image.

    Examples:
        >>> import numpy as np
        >>> prepared = Preprocessor(48, 1)(("grey", np.zeros((60, 80), np.uint8)))
        >>> prepared.status, prepared.crops[0].shape
        ('ok', (48, 48, 1))
    """

    def __init__(
        self, size: int, channels: int, detector: FaceDetector | None = None, max_faces: int | None = None,
        method: ResizeMethod = "pil-bilinear", fit: Fit = "squash", *, isolated: Isolation = "unbounded",
        chosen: Mapping[str, Box] | None = None,
    ) -> None:  # fmt: skip
        self._chosen = chosen or {}
        self._size, self._channels, self._method, self._fit = size, channels, method, fit
        self._detector, self._max_faces, self._isolated = detector, max_faces, isolated

    def __call__(self, item: tuple[str, ImageSource | ImageError]) -> PreparedImage:
        """Prepare one named image; a file that cannot be decoded has the status `unreadable`.

        Raises InputError for an object that is not an image at all.
        """
        name, source = item
        try:
            if isinstance(source, ImageError):
                raise source
            if isinstance(source, bytes | str | os.PathLike):
                return self._prepare_file(name, source)
            rgb = load_image(source)
            if self._detector is None:
                return self._prepare(name, rgb, [None], rgb.shape[1], rgb.shape[0])
            found, more = detect_faces(self._detector, rgb, self._max_faces)
            return self._prepare(name, rgb, found, rgb.shape[1], rgb.shape[0], more)
        except ImageError as error:
            return PreparedImage(name, "unreadable", error.reason)

    def takes(self, image: object) -> bool:
        """Return whether `stack` takes images like this one: small square arrays, used whole."""
        if self._detector is not None or type(image) is not np.ndarray or image.dtype != np.uint8:
            return False
        height, width, *channels = image.shape if image.ndim in (2, 3) else (0, 0)
        return height == width and 0 < height <= _MAX_STACKED_SIDE and channels in ([], [1], [3], [4])

    def stack(self, images: UInt8) -> UInt8 | Float32:
        """Prepare square arrays of one size together, (N, H, H) or (N, H, H, C), as a call prepares each.

        Returns the inputs of the network, (N, S, S, channels).
        """
        count, height, width, *channels = images.shape
        if channels in ([], [1]) and self._channels == 1:
            rgb = images.reshape(count, height, width, 1)
        else:
            below = array_to_rgb(images.reshape(count * height, width, *channels))
            rgb = below.reshape(count, height, width, 3)
        return exact_crops(rgb, self._size, self._channels, self._method)

    def for_many(self) -> "Preprocessor":
        """Return a preprocessor that decodes costly images in another process, if not all."""
        other = copy(self)
        other._isolated = "costly" if self._isolated == "unbounded" else self._isolated
        return other

    def with_chosen(self, chosen: Mapping[str, Box]) -> "Preprocessor":
        """Return a preprocessor that puts these faces first, by name of the image file."""
        other = copy(self)
        other._chosen = chosen
        return other

    def _prepare_file(self, name: str, source: EncodedImage) -> PreparedImage:
        isolated = self._isolated
        if self._detector is None:
            with open_image(source, name, max_pixels=MAX_READ_PIXELS, isolated=isolated) as whole:
                return self._prepare(name, whole.rgb, [None], whole.width, whole.height, whole.note)
        chosen = self._chosen.get(name)
        with open_and_detect(
            source, name, self._detector, self._size, self._max_faces, isolated=isolated, chosen=chosen
        ) as image:
            return self._prepare(name, image.rgb, image.faces, image.width, image.height, image.note)

    def _prepare(
        self, name: str, rgb: RGB, found: Sequence[Detection | None], width: int, height: int, note: str | None = None
    ) -> PreparedImage:
        """Crop faces, given in pixels of `rgb`, of an image of `width` by `height`; `note` as in `DecodedImage`."""
        if not found:
            return PreparedImage(name, "no_face", NO_FACE, width, height)
        return PreparedImage(
            name,
            "ok",
            note,
            width=width,
            height=height,
            detections=tuple(face.rescaled(rgb.shape, (height, width)) if face else None for face in found),
            inputs=tuple(self._crop(rgb, face_region(face) if face else None) for face in found),
        )

    def _crop(self, rgb: RGB, region: Region | None) -> UInt8 | Float32:
        return exact_crop(rgb, self._size, self._channels, region, self._method, self._fit)
