"""The first look at a run holds what there is to see."""

import numpy as np
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.training.augmentation.preview import augmented_mosaic
from mien.training.config import TrainConfig


def test_a_class_without_a_image_is_left_out_of_what_the_network_sees() -> None:
    """With soft labels a class may be nowhere the largest share."""
    face = np.asarray(Image.fromarray(draw_face("happy", 1, 48)).convert("L"))[None, ..., None]
    config = TrainConfig.make({"network": "residual", "augment": "strong"})
    one = augmented_mosaic({"happy": face}, config)
    both = augmented_mosaic({"happy": face, "fear": face[:0]}, config)
    assert both.size == one.size
