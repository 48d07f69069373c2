"""The gallery of a report shows the images that it says it shows."""

import io

import numpy as np
import pytest
from PIL import Image

from mien.evaluation.scoring import Predictions
from mien.report.document import Gallery
from mien.report.sections.gallery import MAX_SIDE, SHOWN, choose_images, gallery_section

CLASSES = ("angry", "happy", "sad")


def made_up(n: int = 300, size: int = 16, channels: int = 3) -> Predictions:
    """Answers that are right more often than not; each crop has one grey level of its own."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, n)
    shares = rng.dirichlet(np.ones(3), n) + np.eye(3)[truth] * 0.4
    shares /= shares.sum(axis=1, keepdims=True)
    levels = (np.arange(n) % 256).astype(np.uint8)
    crops = np.broadcast_to(levels[:, None, None, None], (n, size, size, channels)).copy()
    names = tuple(f"{number}.png" for number in range(n))
    return Predictions(CLASSES, names, truth, shares.argmax(axis=1), shares, crops=crops)


def test_the_gallery_shows_what_it_says() -> None:
    scored = made_up()
    found = choose_images(scored)
    errors = found["errors"]
    assert not scored.is_right[errors].any()
    surest = np.sort(scored.confidence[~scored.is_right])[::-1]
    np.testing.assert_array_equal(scored.confidence[errors], surest[: SHOWN["errors"]])
    two = np.sort(scored.probabilities, axis=1)[:, -2:]
    margin = two[:, 1] - two[:, 0]
    others = np.setdiff1d(np.arange(300), errors)
    np.testing.assert_array_equal(margin[found["uncertain"]], np.sort(margin[others])[: SHOWN["uncertain"]])
    assert scored.is_right[found["right"]].all()
    everything = np.concatenate(list(found.values()))
    assert len(set(everything.tolist())) == len(everything)
    assert choose_images(scored, 1)["right"].tolist() != found["right"].tolist()
    assert choose_images(scored)["right"].tolist() == found["right"].tolist()


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (48, 3), (256, 3)])
def test_every_image_is_the_one_that_its_caption_names(size: int, channels: int) -> None:
    scored = made_up(100, size, channels)
    section = gallery_section(scored)
    assert section is not None
    galleries = [part for part in section.parts if isinstance(part, Gallery)]
    assert [len(one.images) for one in galleries] == list(SHOWN.values())
    for shown in (one for gallery in galleries for one in gallery.images):
        said, name = shown.caption.split("\n")
        index = int(name.removesuffix(".png"))
        truth, answer = CLASSES[scored.truth[index]], CLASSES[scored.answers[index]]
        assert said == f"{answer} {scored.confidence[index]:.3f}, " + (
            "as labelled" if truth == answer else f"labelled {truth}"
        )
        with Image.open(io.BytesIO(shown.png)) as image:
            assert image.width == image.height <= MAX_SIDE
            assert set(np.asarray(image.convert("L")).ravel().tolist()) == {index}


def test_the_heatmap_of_the_answer_stands_to_the_right() -> None:
    scored = made_up(60)
    asked = []

    def heats(crops: np.ndarray, answers: np.ndarray) -> np.ndarray:
        asked.append((crops[:, 0, 0, 0].tolist(), answers.tolist()))
        heat = np.zeros(crops.shape[:3], np.float32)
        heat[:, :, 8:] = 1
        return heat

    section = gallery_section(scored, heats)
    assert section is not None
    for levels, answers in asked:
        assert [scored.answers[level] for level in levels] == answers
    first = next(part for part in section.parts if isinstance(part, Gallery)).images[0]
    with Image.open(io.BytesIO(first.png)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    side = len(pixels)
    assert pixels.shape == (side, 2 * side, 3)
    assert np.ptp(pixels[:, :side]) == 0
    left, right = pixels[:, side : side + side // 4], pixels[:, -side // 4 :]
    assert right[..., 1].mean() > left[..., 1].mean() + 40  # yellow is brighter in green than violet


def test_no_crops_no_gallery() -> None:
    base = made_up(30)
    assert gallery_section(Predictions(base.classes, base.names, base.truth, base.answers, base.probabilities)) is None
