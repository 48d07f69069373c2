"""Images are prepared in threads, a bounded number ahead and in order; large photographs are decoded small."""

import io
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from skimage.data import astronaut, grass

from mien.arrays import RGB
from mien.errors import ImageError, InputError
from mien.faces.crop import crop, face_region
from mien.faces.detector import Detector
from mien.inference.detection import MAX_FACES, MIN_DETECTION_SIDE
from mien.inference.preprocess import NO_FACE, Preprocessor
from mien.io.images.decoding import decode, load_image
from mien.io.images.isolation import DECODING_BUDGET
from mien.results import Box, Detection
from mien.runtime.threads import map_in_order


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(threads=1)


def photograph(side: int, face: int) -> RGB:
    """The astronaut's face, about `face` pixels wide, right and below the middle of a grey image."""
    image = np.full((side, side, 3), 128, np.uint8)
    head = astronaut()[20:240, 120:340]  # type: ignore[no-untyped-call]
    size = round(face * 220 / 90)
    small = np.asarray(Image.fromarray(head).resize((size, size), Image.Resampling.LANCZOS))
    at = round(side * 0.55)
    image[at : at + size, at : at + size] = small
    return image


def jpeg(image: RGB, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def threads_of_ours() -> int:
    return sum(thread.name.startswith("mien-image") for thread in threading.enumerate())


# In order


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_outcomes_come_in_the_order_of_the_items(threads: int) -> None:
    pauses = np.random.default_rng(0).uniform(0, 0.01, 40)

    def slowly(number: int) -> int:
        time.sleep(pauses[number])
        return number * number

    assert list(map_in_order(slowly, range(40), threads)) == [number * number for number in range(40)]
    assert list(map_in_order(slowly, [], threads)) == []


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_only_a_few_items_are_taken_ahead(threads: int) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    found = map_in_order(lambda item: item, endless(), threads)
    for number in range(1, 50):
        assert next(found) == number
        assert taken - number <= (0 if threads == 1 else 4 * threads)
    found.close()
    assert threads_of_ours() == 0


def test_a_closed_generator_leaves_no_threads() -> None:
    started = threading.Event()

    def wait(number: int) -> int:
        started.set()
        time.sleep(0.02)
        return number

    found = map_in_order(wait, range(1000), 3)
    assert next(found) == 0
    assert threads_of_ours() == 3
    found.close()
    assert threads_of_ours() == 0


def test_an_error_comes_out_and_ends_the_threads() -> None:
    def fails(number: int) -> int:
        if number == 7:
            raise InputError("seven")
        return number

    with pytest.raises(InputError, match="seven"):
        list(map_in_order(fails, range(100), 3))
    assert threads_of_ours() == 0

    def broken() -> Iterator[int]:
        yield from range(5)
        raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        list(map_in_order(fails, broken(), 2))
    assert threads_of_ours() == 0


# One image


def test_without_a_detector_the_whole_image_is_the_crop() -> None:
    image = photograph(300, 50)
    found = Preprocessor(48, 3)(("a", image))
    assert (found.status, found.width, found.height, found.detections) == ("ok", 300, 300, (None,))
    np.testing.assert_array_equal(found.crops[0], crop(image, 48, 3))


def test_a_face_is_cropped_as_training_crops_it(detector: Detector) -> None:
    image = photograph(500, 80)
    found = Preprocessor(48, 1, detector)(("a", image))
    (face,) = detector(image)
    assert found.detections == (face,)
    np.testing.assert_array_equal(found.crops[0], crop(image, 48, 1, face_region(face)))


def test_an_image_without_a_face_says_what_to_do(detector: Detector) -> None:
    found = Preprocessor(48, 1, detector)(("a", np.full((200, 300, 3), 90, np.uint8)))
    assert (found.status, found.reason, found.width, found.height) == ("no_face", NO_FACE, 300, 200)
    assert "without detection" in NO_FACE
    assert "--" not in NO_FACE and "=" not in NO_FACE  # it suits the command, Python and HTTP
    assert found.crops == found.detections == ()


def test_the_largest_faces_alone(detector: Detector) -> None:
    image = np.hstack([photograph(500, 50), photograph(500, 90)])
    both = Preprocessor(48, 1, detector)(("a", image)).detections
    assert [found.box.width > 70 for found in both if found] == [True, False]
    assert Preprocessor(48, 1, detector, max_faces=1)(("a", image)).detections == both[:1]


class Watched:
    """A face detector that remembers the sizes of what it was shown."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.shown, self.quick = detector, list[tuple[int, ...]](), list[tuple[int, ...]]()

    def __call__(self, rgb: npt.NDArray[np.uint8], /, *, tiles: bool = True) -> list[Detection]:
        self.shown.append(rgb.shape[:2])
        return self.detector(rgb, tiles=tiles)

    def find_largest(self, rgb: npt.NDArray[np.uint8], /, full: tuple[int, int] | None = None) -> Detection | None:
        self.quick.append(rgb.shape[:2])
        return self.detector.find_largest(rgb, full)


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Of every JPEG that is decoded, the width and height that it is decoded at."""
    found = list[tuple[int, int]]()
    real = JpegImageFile.load_end

    def load_end(self: JpegImageFile) -> None:
        found.append(self.size)
        real(self)

    monkeypatch.setattr(JpegImageFile, "load_end", load_end)
    return found


def far_away(width: int, height: int, face: int) -> bytes:
    """A JPEG of grass in which the astronaut's face is about `face` pixels wide."""
    ground = Image.fromarray(grass()).convert("RGB")  # type: ignore[no-untyped-call]
    image = np.array(ground.resize((width, height), Image.Resampling.BICUBIC))
    size = round(face * 512 / 90)
    small = Image.fromarray(astronaut()).resize((size, size), Image.Resampling.LANCZOS)  # type: ignore[no-untyped-call]
    image[height // 2 : height // 2 + size, width // 2 : width // 2 + size] = np.asarray(small)
    return jpeg(image)


@pytest.mark.parametrize("turn", [1, 6])
def test_a_large_photograph_is_decoded_small_and_answered_in_full_pixels(
    detector: Detector, decodings: list[tuple[int, int]], turn: int
) -> None:
    image = photograph(4 * MIN_DETECTION_SIDE, 700)
    exif = Image.Exif()
    exif[0x0112] = turn
    data = jpeg(image, exif=exif)
    watched = Watched(detector)
    found = Preprocessor(48, 1, watched)(("a", data))
    assert watched.shown == decodings == [(MIN_DETECTION_SIDE, MIN_DETECTION_SIDE)]
    full = decode(data, "a")
    assert (found.width, found.height) == (4 * MIN_DETECTION_SIDE, 4 * MIN_DETECTION_SIDE)
    one, other = found.detections[0], detector(full)[0]
    assert one is not None
    for name in ("x", "y", "width", "height"):
        assert getattr(one.box, name) == pytest.approx(getattr(other.box, name), abs=60)
    np.testing.assert_allclose(one.landmarks, other.landmarks, atol=40)


@pytest.mark.parametrize(("width", "height", "face"), [(4000, 3000, 23), (6000, 4000, 35)])
def test_a_face_lost_in_the_small_copy_is_found_as_in_an_array(
    detector: Detector, decodings: list[tuple[int, int]], width: int, height: int, face: int
) -> None:
    data = far_away(width, height, face)
    found = Preprocessor(48, 1, detector)(("a", data))
    assert decodings == [(width // 2, height // 2) if face == 23 else (width // 4, height // 4), (width, height)]
    expected = Preprocessor(48, 1, detector)(("a", decode(data, "a")))
    assert (found.status, len(found.crops)) == ("ok", 1)
    assert (found.width, found.height, found.detections) == (width, height, expected.detections)
    assert 0.7 * face < found.boxes[0].width < 1.3 * face
    np.testing.assert_array_equal(found.crops, expected.crops)


def test_a_large_photograph_without_a_face_is_searched_in_full(detector: Detector) -> None:
    watched = Watched(detector)
    found = Preprocessor(48, 1, watched)(("a", jpeg(np.full((2000, 3000, 3), 90, np.uint8))))
    assert (found.status, found.width, found.height) == ("no_face", 3000, 2000)
    assert watched.shown == [(1000, 1500), (2000, 3000)]


def test_a_small_face_in_a_large_photograph_is_cropped_from_the_full_image(detector: Detector) -> None:
    image = photograph(4 * MIN_DETECTION_SIDE, 110)
    data = jpeg(image)
    found = Preprocessor(48, 1, detector)(("a", data))
    (face,) = found.detections
    assert face is not None
    assert 80 < face.box.width < 150
    sharp = crop(decode(data, "a"), 48, 1, face_region(face))
    assert np.abs(found.crops[0].astype(int) - sharp).mean() < 2


def test_a_very_large_image_is_answered_in_its_own_pixels(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    large = Image.fromarray(photograph(1000, 180)).resize((6000, 6000), Image.Resampling.NEAREST)
    large.save(path, compress_level=1)
    found = Preprocessor(48, 1, detector)(("a", path))
    assert (found.width, found.height) == (6000, 6000)
    (face,), (small,) = found.detections, detector(photograph(1000, 180))
    assert face is not None
    assert (face.box.x, face.box.y, face.box.width) == pytest.approx(
        (small.box.x * 6, small.box.y * 6, small.box.width * 6), abs=60
    )


def test_a_png_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow decodes a PNG to look for an orientation behind its pixels: not while somebody else decodes."""
    buffer = io.BytesIO()
    Image.fromarray(photograph(300, 50)).save(buffer, "PNG")
    decoded = list[int]()
    real = PngImageFile.load_end

    def load_end(self: PngImageFile) -> None:
        decoded.append(1)
        real(self)

    monkeypatch.setattr(PngImageFile, "load_end", load_end)
    assert Preprocessor(48, 3)(("a", buffer.getvalue())).status == "ok"
    assert decoded == [1]


def test_all_that_decode_share_one_budget() -> None:
    """Readers of several models, and what is decoded to be shown, wait for each other."""
    data, done = jpeg(photograph(99, 9)), list[object]()
    jobs = [
        lambda: done.append(Preprocessor(48, 1)(("a", data)).status),
        lambda: done.append(Preprocessor(96, 3)(("a", data)).status),
        lambda: done.append(load_image(data).shape),
    ]
    threads = [threading.Thread(target=job) for job in jobs]
    with DECODING_BUDGET.reserve(sys.maxsize):
        for thread in threads:
            thread.start()
        threads[-1].join(0.5)
        assert done == []
    for thread in threads:
        thread.join()
    assert sorted(map(str, done)) == ["(99, 99, 3)", "ok", "ok"]


def test_an_image_to_be_shown_is_decoded_in_full(tmp_path: Path) -> None:
    data = jpeg(photograph(2 * MIN_DETECTION_SIDE, 300))
    (tmp_path / "a.jpg").write_bytes(data)
    for source in (data, tmp_path / "a.jpg", str(tmp_path / "a.jpg"), decode(data, "a")):
        np.testing.assert_array_equal(load_image(source), decode(data, "a"))
    with pytest.raises(ImageError, match=r"no\.jpg: no such file"):
        load_image(tmp_path / "no.jpg")


def test_detections_are_scaled_into_the_image() -> None:
    found = Detection(Box(10, 20, 90, 30), ((11.0, 22.0),) * 5, 0.7)
    expected = Detection(Box(40, 80, 359, 121), ((11 * 3.99, 22 * 4.02),) * 5, 0.7)
    assert found.rescaled((50, 100, 3), (201, 399)) == expected
    assert found.rescaled((50, 100, 3), (50, 100)) == found


def test_what_cannot_be_read(detector: Detector, tmp_path: Path) -> None:
    prepare = Preprocessor(48, 1, detector)
    for source, reason in (
        (b"", "empty"),
        (tmp_path / "no.jpg", "no such file"),
        (jpeg(photograph(99, 9))[:900], "trunc"),
    ):
        found = prepare(("a", source))
        assert found.status == "unreadable"
        assert reason in (found.reason or "")
        assert (found.width, found.crops) == (None, ())
    with pytest.raises(InputError, match="an image is a path"):
        prepare(("a", 5))  # type: ignore[arg-type]


# The largest face alone


def test_a_portrait_is_decoded_at_half_its_size_for_its_largest_face(
    detector: Detector, decodings: list[tuple[int, int]]
) -> None:
    data = jpeg(photograph(1024, 180))
    every = Preprocessor(48, 1, detector)(("a", data))
    assert decodings == [(1024, 1024)]
    decodings.clear()
    watched = Watched(detector)
    found = Preprocessor(48, 1, watched, max_faces=1)(("a", data))
    assert decodings == [(512, 512)]
    assert (watched.quick, watched.shown) == ([(512, 512)], [])
    assert (found.status, found.reason, found.width, found.height) == ("ok", None, 1024, 1024)
    assert same_box(found.boxes[0], every.boxes[0], 0.05)
    assert np.abs(found.crops[0].astype(int) - every.crops[0]).mean() < 8


@pytest.mark.parametrize(("size", "wanted"), [(64, [(512, 512)]), (96, [(512, 512), (1024, 1024)])])
def test_a_crop_that_needs_more_pixels_is_taken_from_more_of_them(
    detector: Detector, decodings: list[tuple[int, int]], size: int, wanted: list[tuple[int, int]]
) -> None:
    watched = Watched(detector)
    found = Preprocessor(size, 1, watched, max_faces=1)(("a", jpeg(photograph(1024, 180))))
    assert decodings == wanted
    assert watched.shown == [], "the face is known"
    exact = crop(photograph(1024, 180), size, 1, face_region(found.detections[0]))  # type: ignore[arg-type]
    assert np.abs(found.crops[0].astype(int) - exact).mean() < 4


def test_a_large_photograph_is_decoded_as_small_as_its_crop_allows(
    detector: Detector, decodings: list[tuple[int, int]]
) -> None:
    found = Preprocessor(96, 1, detector, max_faces=1)(("a", jpeg(photograph(3200, 560))))
    assert decodings == [(400, 400), (800, 800)]
    assert found.status == "ok"


def test_without_a_certain_face_an_image_is_searched_as_for_all(
    detector: Detector, decodings: list[tuple[int, int]]
) -> None:
    for image, sizes in (
        (photograph(2000, 60), [(500, 500), (1000, 1000), (2000, 2000)]),
        (np.rot90(photograph(1024, 180)), [(512, 512), (1024, 1024)]),
        (photograph(320, 50), [(320, 320)]),
    ):
        data = jpeg(np.ascontiguousarray(image))
        every = Preprocessor(48, 1, detector)(("a", data))
        decodings.clear()
        found = Preprocessor(48, 1, detector, max_faces=1)(("a", data))
        assert decodings == sizes
        assert found.detections == every.detections[:1]
        assert np.array_equal(found.crops[0], every.crops[0])


def test_for_all_faces_there_is_no_quick_look(detector: Detector) -> None:
    watched = Watched(detector)
    image = photograph(1024, 180)
    for source in (image, jpeg(image)):
        for most in (None, 2):
            assert Preprocessor(48, 1, watched, max_faces=most)(("a", source)).status == "ok"
    assert watched.quick == []
    assert watched.shown == 4 * [(1024, 1024)]


def test_a_chosen_face_is_looked_for_among_all(detector: Detector, decodings: list[tuple[int, int]]) -> None:
    watched = Watched(detector)
    image = photograph(1200, 200)
    image[40:260, 60:280] = np.asarray(Image.fromarray(astronaut()[20:240, 120:340]))  # type: ignore[no-untyped-call]
    data = jpeg(image)
    largest, other = Preprocessor(48, 1, watched)(("a", data)).boxes
    watched.shown.clear()
    found = Preprocessor(48, 1, watched, max_faces=1, chosen={"a": other})(("a", data))
    assert found.boxes == [other]
    assert watched.quick == []
    assert same_box(Preprocessor(48, 1, watched, max_faces=1)(("a", data)).boxes[0], largest, 0.05)


@pytest.mark.parametrize("shape", [(1024, 1024), (700, 900)])
def test_arrays_files_and_photographs_show_the_same_largest_face(detector: Detector, shape: tuple[int, int]) -> None:
    image = photograph(1024, 180)[-shape[0] :, -shape[1] :]
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    read = Preprocessor(48, 1, detector, max_faces=1)
    array, file, photo = (read(("a", source)) for source in (image, buffer.getvalue(), jpeg(image)))
    assert array.detections == file.detections
    assert np.array_equal(array.crops[0], file.crops[0])
    assert same_box(array.boxes[0], photo.boxes[0], 0.03)


def same_box(one: Box, other: Box, tolerance: float) -> bool:
    """Whether all edges agree, in sides of the box."""
    edges = (
        (one.x, other.x), (one.y, other.y), (one.x + one.width, other.x + other.width),
        (one.y + one.height, other.y + other.height),
    )  # fmt: skip
    return all(abs(a - b) <= tolerance * one.height for a, b in edges)


# Crowds


@pytest.mark.parametrize("door", ["array", "png", "jpeg"])
def test_of_a_crowd_the_largest_faces_are_read_and_the_row_says_so(door: str) -> None:
    image = np.full((1200, 2400, 3), 128, np.uint8)
    source: object = image
    if door == "png":
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG", compress_level=0)
        source = buffer.getvalue()
    elif door == "jpeg":
        source = jpeg(image)

    class Crowd:
        def __call__(self, rgb: RGB, /, *, tiles: bool = True) -> list[Detection]:
            side = rgb.shape[1] // 30
            return [Detection(Box(0, 0, side, side + 900 - number), ((1.0, 1.0),) * 5, 0.9) for number in range(900)]

        def find_largest(self, rgb: RGB, /, full: tuple[int, int] | None = None) -> None:
            """Never be certain."""

    crowd = Crowd()
    found = Preprocessor(8, 1, crowd)(("crowd", source))  # type: ignore[arg-type]
    assert len(found.crops) == len(found.detections) == MAX_FACES
    assert (found.status, found.reason) == ("ok", "only the largest 500 of 900 faces were read")
    assert found.boxes == sorted(found.boxes, key=lambda box: -box.height)
    largest = Preprocessor(8, 1, crowd, max_faces=1)(("crowd", source))  # type: ignore[arg-type]
    assert (len(largest.crops), largest.reason) == (1, None), "one face was asked for"
    assert largest.boxes == found.boxes[:1]
