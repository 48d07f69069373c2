"""The one crop that training and reading share: RGB and a box in, a square model input out."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.result import Box


def crop(rgb: npt.NDArray[np.uint8], size: int, channels: int, box: Box | None = None) -> npt.NDArray[np.uint8]:
    """Cut `box` out of a picture and resize it to a square.

    `rgb` is uint8 (H, W, 3), RGB, [0, 255]; `box` is in its pixels and must lie inside it; None is the
    whole picture, whose aspect ratio is not kept (what `image_dataset_from_directory` does by
    default). `channels` is 3 (RGB) or 1 (grey, ITU-R 601-2 luma). Bilinear with antialiasing.

    Returns uint8 (size, size, channels), [0, 255].
    """
    if box is not None:
        rgb = rgb[box.y : box.y + box.height, box.x : box.x + box.width]
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if channels == 1:
        image = image.convert("L")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)
