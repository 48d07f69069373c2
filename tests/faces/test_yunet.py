"""Reading YuNet's raw outputs, and which of several boxes are one face."""

import itertools

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.faces.yunet import (
    INPUT_MULTIPLE,
    IOU_THRESHOLD,
    STRIDES,
    WEIGHTS,
    Candidates,
    YuNet,
    concatenate,
    decode_outputs,
    iou,
    load_weights,
    non_max_suppression,
)

Floats = npt.NDArray[np.float32]


def test_the_file_declares_free_sizes() -> None:
    graph = onnx.load_from_string(load_weights(WEIGHTS)).graph
    (image,) = graph.input
    declared = {value.name: value.type.tensor_type.shape.dim for value in (image, *graph.output)}
    for name, dims in declared.items():
        depth = 3 if name == "input" else {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}[name.split("_")[0]]
        free = 2 if name == "input" else 1
        assert [bool(dim.dim_param) for dim in dims].count(True) == free, name
        assert [dim.dim_value for dim in dims if not dim.dim_param] == [1, depth], name
    assert len(graph.value_info) == 0


def test_an_input_of_any_whole_steps() -> None:
    network = YuNet(threads=1)
    for height, width in itertools.product((INPUT_MULTIPLE, 320, 640), (INPUT_MULTIPLE, 352, 640)):
        assert len(network(np.full((1, 3, height, width), 128, np.float32), 0.6)) == 0


def silence(height: int = 640, width: int = 640) -> list[Floats]:
    """The network's outputs where it sees nothing, in their order: cls, obj, bbox, kps, each for three strides."""
    squares = [(height // stride) * (width // stride) for stride in STRIDES]
    return [np.zeros((1, count, depth), np.float32) for depth in (1, 1, 4, 10) for count in squares]


@pytest.mark.parametrize(("level", "stride"), list(enumerate(STRIDES)))
@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 7), (9, 15)])
@pytest.mark.parametrize(("height", "width"), [(640, 640), (320, 512)])
def test_a_face_is_where_its_square_says(
    level: int, stride: int, row: int, column: int, height: int, width: int
) -> None:
    outputs = silence(height, width)
    square = row * (width // stride) + column
    outputs[level][0, square], outputs[3 + level][0, square] = 0.81, 1.0
    outputs[6 + level][0, square] = (0.5, 0.25, np.log(3), np.log(2))
    outputs[9 + level][0, square] = np.arange(10) / 10
    found = decode_outputs(outputs, 0.5, width)
    assert found.scores == pytest.approx([0.9])
    x, y = (column + 0.5) * stride, (row + 0.25) * stride
    corners = [x - 1.5 * stride, y - stride, x + 1.5 * stride, y + stride]
    assert found.boxes[0] == pytest.approx(corners, abs=1e-3)
    points = [((column + number / 10) * stride, (row + (number + 1) / 10) * stride) for number in range(0, 10, 2)]
    assert found.landmarks[0] == pytest.approx(np.array(points), abs=1e-3)


def test_candidates_come_best_first_and_the_weak_are_left_out() -> None:
    outputs = silence()
    for square, score in ((10, 0.7), (500, 0.95), (900, 0.3), (6000, 0.8)):
        outputs[0][0, square] = outputs[3][0, square] = score
    assert decode_outputs(outputs, 0.5, 640).scores == pytest.approx([0.95, 0.8, 0.7])
    assert len(decode_outputs(outputs, 0.96, 640)) == 0
    assert len(decode_outputs(silence(), 0.01, 640)) == 0


@st.composite
def boxes(draw: st.DrawFn) -> Floats:
    """Some boxes in a small image, so that many overlap."""
    corner, side = st.integers(0, 60), st.integers(1, 40)
    rows = draw(st.lists(st.tuples(corner, corner, side, side), max_size=12))
    return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)


def candidates(corners: Floats) -> Candidates:
    count = len(corners)
    scores = np.random.default_rng(count).permutation(np.linspace(0.5, 0.9, count)).astype(np.float32)
    return Candidates(corners, np.zeros((count, 5, 2), np.float32), scores)


@given(corners=boxes())
def test_of_boxes_that_overlap_the_best_stays(corners: Floats) -> None:
    given_ = candidates(corners)
    kept = non_max_suppression(given_)
    assert list(kept.scores) == sorted(kept.scores, reverse=True)
    for index, box in enumerate(kept.boxes):
        assert (iou(box, np.delete(kept.boxes, index, axis=0)) <= IOU_THRESHOLD).all()
    for box, score in zip(given_.boxes, given_.scores, strict=True):
        same = iou(box, kept.boxes) > IOU_THRESHOLD
        assert (kept.scores[same] >= score).any()


@given(first=boxes(), second=boxes())
def test_overlap_is_the_shared_part(first: Floats, second: Floats) -> None:
    for box in first:
        pixels = np.zeros((2, 110, 110), bool)
        shares = iou(box, second)
        for other, share in zip(second, shares, strict=True):
            pixels[:] = False
            for layer, (left, top, right, bottom) in zip(pixels, (box.astype(int), other.astype(int)), strict=True):
                layer[top:bottom, left:right] = True
            assert share == pytest.approx((pixels[0] & pixels[1]).sum() / (pixels[0] | pixels[1]).sum(), abs=1e-5)


def test_joining() -> None:
    one, two = (candidates(np.array([box], np.float32)) for box in ((0, 0, 5, 5), (9, 9, 20, 20)))
    assert concatenate([one, two]).boxes.tolist() == [[0, 0, 5, 5], [9, 9, 20, 20]]
    assert len(concatenate([])) == 0
    assert len(non_max_suppression(concatenate([]))) == 0
