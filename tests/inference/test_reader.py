"""Every way to give an image leads to the same answer; a bad file is a row and never an end."""

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

import mien
from mien.arrays import RGB
from mien.errors import BundleError, ConfigError, ImageError, InputError
from mien.faces.crop import crop, face_region
from mien.io.images.source import ImageSource
from mien.labels import EXPRESSIONS

MakeBundle = Callable[..., Path]


def image(seed: int, width: int = 40, height: int = 30) -> RGB:
    """Smooth colours, different for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def png(array: RGB, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "RGB"])
def reader(request: pytest.FixtureRequest, make_bundle: MakeBundle) -> mien.Reader:
    return mien.load(make_bundle(channels=request.param), threads=1)


@pytest.fixture(scope="module")
def rgb_reader(make_bundle: MakeBundle) -> mien.Reader:
    return mien.load(make_bundle(), threads=1)


def shares(result: mien.ImageResult) -> list[float]:
    return list(result.face.probabilities.values())


# The same image, however it comes


@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize(
    "shape", [(16, 16), (16, 16, 1), (16, 16, 3), (16, 16, 4), (20, 30, 3), (21, 21), (30, 20), (600, 600)]
)
@pytest.mark.parametrize("labels", [("happy", "sad"), EXPRESSIONS])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_of_one_size_are_read_as_each_is_alone(
    make_bundle: MakeBundle, fit: Any, shape: tuple[int, ...], labels: tuple[str, ...], channels: int
) -> None:
    rule: dict[str, Any] = {"answer_from": {"happy": 0.3, "sad": 0.3}} if len(labels) > 2 else {}
    found = mien.load(make_bundle(labels, channels=channels, fit=fit, **rule), threads=1, detect=False)
    images = list(np.random.default_rng(0).integers(0, 256, (7, *shape), np.uint8))
    rows = [result.to_dict() for result in found.predict_many(images, batch_size=3)]
    for row, one in zip(rows, images, strict=True):
        alone = found.predict(one).to_dict()
        for face, other in zip(row["faces"], alone["faces"], strict=True):
            for key in ("probabilities", "expressions", "two_way"):  # a batch may round its last bits differently
                assert face.pop(key, {}) == pytest.approx(other.pop(key, {}), abs=1e-6)
            assert face.pop("probability") == pytest.approx(other.pop("probability"), abs=1e-6)
        assert row == alone


def test_another_image_ends_a_run_of_arrays_and_is_read_in_order(rgb_reader: mien.Reader, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(image(9)))
    sources: list[Any] = [image(0, 30), image(1, 30), path, image(2), b"", image(3, 20, 20), image(4)]
    results = list(rgb_reader.predict_many(iter(sources), batch_size=2))
    assert [result.status for result in results] == ["ok"] * 4 + ["unreadable"] + ["ok"] * 2
    names = ["<array>", "<array>", str(path), "<array>", "<bytes>", "<array>", "<array>"]
    assert [result.source for result in results] == names
    for result, source in zip(results, sources, strict=True):
        if result.status == "ok":
            assert shares(result) == pytest.approx(shares(rgb_reader.predict(source)), abs=1e-6)
    given: list[Any] = [image(0, 30), image(1, 30), np.zeros((2, 2)), image(2)]
    read = rgb_reader.predict_many(iter(given))
    assert [next(read).status, next(read).status] == ["ok", "ok"]
    with pytest.raises(InputError, match="an array of float64"):
        next(read)
    assert list(rgb_reader.predict_many([])) == []


def test_no_more_arrays_are_taken_ahead_than_a_batch(rgb_reader: mien.Reader) -> None:
    taken = []

    def sources() -> Iterator[RGB]:
        for number in range(10):
            taken.append(number)
            yield image(number, 30)

    results = rgb_reader.predict_many(sources(), batch_size=4)
    next(results)
    assert taken == [0, 1, 2, 3]


def test_path_bytes_and_array_agree(reader: mien.Reader, tmp_path: Path) -> None:
    array = image(1)
    path = tmp_path / "a.png"
    path.write_bytes(png(array))
    results = [reader.predict(source) for source in (path, str(path), path.read_bytes(), array)]
    assert {result.status for result in results} == {"ok"}
    assert [result.source for result in results] == [str(path), str(path), "<bytes>", "<array>"]
    first = results[0].face.to_dict()
    assert all(result.face.to_dict() == first for result in results)


def test_grey_images_in_any_form_agree(reader: mien.Reader) -> None:
    grey = np.asarray(Image.fromarray(image(2)).convert("L"))
    forms: list[ImageSource] = [grey, grey[..., None], np.repeat(grey[..., None], 3, axis=2), png(grey)]
    expected = shares(reader.predict(forms[0]))
    for form in forms[1:]:
        assert shares(reader.predict(form)) == expected


def test_an_image_turned_by_exif_equals_the_upright_one(reader: mien.Reader) -> None:
    upright = image(3)
    turned = np.ascontiguousarray(np.rot90(upright))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    result = reader.predict(png(turned, exif=exif))
    assert result.to_dict()["faces"] == reader.predict(upright).to_dict()["faces"]
    assert (result.width, result.height) == (40, 30)
    assert shares(reader.predict(turned)) != shares(reader.predict(upright))


def test_an_image_in_a_batch_answers_as_it_does_alone(reader: mien.Reader) -> None:
    images = [image(seed) for seed in range(70)]
    alone = [shares(reader.predict(one)) for one in images]
    for batch_size in (1, 7, 32, 100):
        together = [shares(result) for result in reader.predict_many(images, batch_size)]
        np.testing.assert_allclose(together, alone, atol=1e-6)
    assert len({tuple(row) for row in alone}) > 60


def test_threads_do_not_change_the_answer(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    one, two = (mien.load(folder, threads=threads).predict(image(5)) for threads in (1, 2))
    assert one == two


# Batches


def test_one_bad_file_is_a_row_and_the_order_is_kept(reader: mien.Reader, tmp_path: Path) -> None:
    good = [image(seed) for seed in range(3)]
    text = tmp_path / "text.jpg"
    text.write_text("not an image")
    sources: list[ImageSource] = [good[0], tmp_path / "absent.png", good[1], text, b"", tmp_path, good[2]]
    results = list(reader.predict_many(sources, batch_size=3))
    assert [result.status for result in results] == ["ok", "unreadable", "ok", *["unreadable"] * 3, "ok"]
    answered = [shares(result) for result in results if result.status == "ok"]
    np.testing.assert_allclose(answered, [shares(reader.predict(one)) for one in good], atol=1e-6)
    for result, reason in zip(
        (results[1], results[3], results[4], results[5]),
        ("no such file", "not an image", "empty", "is a folder"),
        strict=True,
    ):
        assert reason in (result.reason or "")
        assert (result.faces, result.width, result.height) == ((), None, None)
        assert result.source not in (result.reason or "")
    assert results[1].source == str(tmp_path / "absent.png")


def test_a_batch_without_one_good_file(reader: mien.Reader) -> None:
    assert [result.status for result in reader.predict_many([b"", b"x", b""])] == ["unreadable"] * 3
    assert list(reader.predict_many([])) == []


def test_endless_images_are_read_one_batch_at_a_time(rgb_reader: mien.Reader) -> None:
    taken = 0

    def endless() -> Iterator[RGB]:
        nonlocal taken
        while True:
            taken += 1
            yield image(0, 8, 8)

    found = list(islice(rgb_reader.predict_many(endless(), batch_size=4), 10))
    assert len(found) == 10
    assert taken == 12


def test_nothing_is_read_before_it_is_asked_for(rgb_reader: mien.Reader) -> None:
    def failing() -> Iterator[RGB]:
        raise AssertionError("was read")
        yield

    rgb_reader.predict_many(failing())


def test_names_and_images_that_could_not_be_had(rgb_reader: mien.Reader) -> None:
    pairs: list[tuple[str, Any]] = [("one", image(1)), ("two", ImageError("two", "is locked")), ("three", b"")]
    results = list(rgb_reader.predict_named(pairs))
    assert [(result.source, result.status) for result in results] == [
        ("one", "ok"),
        ("two", "unreadable"),
        ("three", "unreadable"),
    ]
    assert results[1].reason == "is locked"


@pytest.mark.parametrize(
    "source",
    [5, None, ["a.png"], object(), io.StringIO("text")],
    ids=["int", "None", "list", "object", "text"],
)
def test_what_is_no_image_at_all_raises(rgb_reader: mien.Reader, source: Any) -> None:
    with pytest.raises(InputError, match=r"an image is a path, bytes, an open file, .* not |is open as text"):
        rgb_reader.predict(source)


@pytest.mark.parametrize(
    "source",
    ["a.png", Path("a.png"), b"x", io.BytesIO(), Image.new("L", (8, 8)), np.zeros((8, 8, 3), np.uint8)],
    ids=["str", "Path", "bytes", "file", "Pillow", "array"],
)
def test_one_image_in_place_of_several_raises(rgb_reader: mien.Reader, source: Any) -> None:
    with pytest.raises(InputError, match="put a single one into a list"):
        next(rgb_reader.predict_many(source))


@pytest.mark.parametrize("shape", [(512, 640), (3, 64, 64), (512, 640, 2), (64, 64, 5), (7,), (2, 3, 8, 8, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_an_array_that_is_no_batch_is_not_read_row_by_row(
    rgb_reader: mien.Reader, shape: tuple[int, ...], dtype: Any
) -> None:
    with pytest.raises(InputError) as caught:
        rgb_reader.predict_many(np.zeros(shape, dtype))
    assert str(caught.value) == (
        f"predict_many takes several images, not an array of shape {shape}; put a single one into a list, or use "
        "predict; several in one array are (N, H, W, 3)"
    )


def test_an_array_of_several_images_is_a_batch(rgb_reader: mien.Reader) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), np.uint8)
    assert [row.faces for row in rgb_reader.predict_many(images)] == [rgb_reader.predict(one).faces for one in images]
    names = np.array(["a.png", "b.png"])
    assert [row.source for row in rgb_reader.predict_many(names)] == ["a.png", "b.png"]


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", 257, 1000])
def test_an_impossible_number_of_threads_is_refused(make_bundle: MakeBundle, threads: Any) -> None:
    with pytest.raises(ConfigError, match="threads"):
        mien.load(make_bundle(), threads=threads)


@pytest.mark.parametrize(
    "array",
    [np.zeros((8, 8, 3)), np.zeros((8, 8, 3), np.int64), np.zeros((8, 8, 2), np.uint8), np.zeros((0, 8, 3), np.uint8)],
    ids=["float", "int64", "two channels", "empty"],
)
def test_a_wrong_array_raises(rgb_reader: mien.Reader, array: Any) -> None:
    with pytest.raises(InputError, match="an array of"):
        rgb_reader.predict(array)


def test_names_that_are_no_utf8(rgb_reader: mien.Reader, tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")
    try:
        Path(name).write_bytes(png(image(1)))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert rgb_reader.predict(name).status == "ok"
    assert rgb_reader.predict(name).source == name


def test_the_given_image_is_never_changed(rgb_reader: mien.Reader) -> None:
    array = image(1)
    before = array.copy()
    array.setflags(write=False)
    assert rgb_reader.predict(array).status == "ok"
    np.testing.assert_array_equal(array, before)


# The threshold


def test_the_threshold_of_the_bundle_and_its_override(make_bundle: MakeBundle) -> None:
    folder = make_bundle(threshold=0.9)
    reader = mien.load(folder, threads=1)
    sources = [image(seed) for seed in range(40)]
    second = [result.face.probabilities["sad"] for result in reader.predict_many(sources)]
    assert [r.answer == "sad" for r in reader.predict_many(sources)] == [p >= 0.9 for p in second]
    override = mien.load(folder, threads=1, threshold=0.2)
    assert [r.answer == "sad" for r in override.predict_many(sources)] == [p >= 0.2 for p in second]
    odd = [r.face.why for r in override.predict_many(sources) if r.answer == "sad" and r.probability < 0.5]
    assert odd
    assert set(odd) == {"threshold 0.2 for sad"}


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_an_impossible_threshold_is_refused(make_bundle: MakeBundle, threshold: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        mien.load(make_bundle(), threshold=threshold)


def test_a_threshold_for_three_labels_is_refused(make_bundle: MakeBundle) -> None:
    with pytest.raises(ConfigError, match="two labels, this one has 3"):
        mien.load(make_bundle(("a", "b", "c")), threshold=0.4)


def test_a_number_alone_for_a_model_with_a_rule_is_refused(make_bundle: MakeBundle) -> None:
    with pytest.raises(ConfigError, match=r"name the answer, such as `threshold=\{'happy': 0\.5\}`"):
        mien.load(make_bundle(answer_from={"happy": 0.6}), threshold=0.4)


def test_the_temperature_is_applied(make_bundle: MakeBundle) -> None:
    plain, warm = (mien.load(make_bundle(temperature=t), threads=1).predict(image(1)) for t in (1.0, 4.0))
    odds = [np.log(r.face.probabilities["sad"] / r.face.probabilities["happy"]) for r in (plain, warm)]
    assert odds[0] == pytest.approx(4 * odds[1], rel=1e-5)
    assert plain.answer == warm.answer


# Rows


def test_the_row_of_a_happy_sad_model(rgb_reader: mien.Reader, tmp_path: Path) -> None:
    path = tmp_path / "party.png"
    path.write_bytes(png(image(1)))
    row = rgb_reader.predict(path).to_dict()
    assert list(row) == ["source", "status", "reason", "width", "height", "model", "detect", "faces"]
    assert {**row, "faces": None} == {
        "source": str(path),
        "status": "ok",
        "reason": None,
        "width": 40,
        "height": 30,
        "model": "linear",
        "detect": False,
        "faces": None,
    }
    (face,) = row["faces"]
    assert list(face) == ["box", "score", "landmarks", "answer", "probability", "why", "probabilities", "two_way"]
    assert face["box"] == {"x": 0, "y": 0, "width": 40, "height": 30}
    assert (face["score"], face["landmarks"]) == (None, None)
    assert face["why"] is None
    assert list(face["probabilities"]) == ["happy", "sad"]
    assert sum(face["probabilities"].values()) == pytest.approx(1)
    assert face["probability"] == face["probabilities"][face["answer"]]
    assert face["two_way"] == pytest.approx(face["probabilities"])
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_the_row_of_a_model_of_seven(make_bundle: MakeBundle) -> None:
    (face,) = mien.load(make_bundle(EXPRESSIONS), threads=1).predict(image(1)).to_dict()["faces"]
    assert face["expressions"] == face["probabilities"]
    assert list(face["expressions"]) == list(EXPRESSIONS)
    assert sum(face["two_way"].values()) == pytest.approx(1)


def test_the_row_of_a_model_that_answers_happy_sad_or_neither(three_way: Path) -> None:
    reader = mien.load(three_way, threads=1)
    assert reader.answers == ("happy", "sad", "neither")
    seen = set()
    for seed in range(80):
        (face,) = reader.predict(image(seed)).to_dict()["faces"]
        seven, shares, answer = face["expressions"], face["probabilities"], face["answer"]
        assert list(face)[3:] == ["answer", "probability", "why", "probabilities", "two_way", "expressions"]
        assert list(shares) == ["happy", "sad", "neither"]
        assert list(seven) == list(EXPRESSIONS)
        assert sum(shares.values()) == pytest.approx(1)
        assert (shares["happy"], shares["sad"]) == (seven["happy"], seven["sad"])
        assert face["probability"] == shares[answer]
        assert face["two_way"]["happy"] == pytest.approx(seven["happy"] / (seven["happy"] + seven["sad"]))
        assert (answer == "neither") == (seven["happy"] < 0.3 and seven["sad"] < 0.35)
        assert (face["why"] is None) == (answer == max(seven, key=lambda name: seven[name]))
        seen.add(answer)
    assert seen == {"happy", "sad", "neither"}


def test_the_rule_changes_the_answer_and_nothing_that_the_model_says(make_bundle: MakeBundle, three_way: Path) -> None:
    plain = mien.load(make_bundle(EXPRESSIONS, size=48, channels=1, temperature=0.4), threads=1)
    ruled = mien.load(three_way, threads=1)
    for seed in range(10):
        one, other = plain.predict(image(seed)).face, ruled.predict(image(seed)).face
        assert (one.expressions, one.two_way) == (other.expressions, other.two_way)


def test_the_row_of_a_persons_own_classes(make_bundle: MakeBundle) -> None:
    (face,) = mien.load(make_bundle(("cat", "dog")), threads=1).predict(image(1)).to_dict()["faces"]
    assert list(face) == ["box", "score", "landmarks", "answer", "probability", "why", "probabilities"]


def test_the_row_of_an_unreadable_file(rgb_reader: mien.Reader) -> None:
    assert rgb_reader.predict("absent.png").to_dict() == {
        "source": "absent.png",
        "status": "unreadable",
        "reason": "no such file",
        "width": None,
        "height": None,
        "model": "linear",
        "detect": False,
        "faces": [],
    }


def test_asking_an_unreadable_result_for_its_answer_raises(rgb_reader: mien.Reader) -> None:
    result = rgb_reader.predict("absent.png")
    with pytest.raises(ImageError, match=r"absent.png: no such file"):
        _ = result.answer
    assert str(result) == "absent.png: unreadable (no such file)"


# Faces


@pytest.fixture(scope="module")
def finding(make_bundle: MakeBundle) -> mien.Reader:
    """A reader of faces, and of several classes, so that answers tell faces apart."""
    return mien.load(make_bundle(EXPRESSIONS, framing="face"), threads=1)


@pytest.fixture(scope="module")
def astronaut() -> RGB:
    return np.asarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]


def two_faces(astronaut: RGB) -> RGB:
    """The astronaut, and herself at half the size and in a mirror beside her."""
    half = np.asarray(Image.fromarray(astronaut[:, ::-1]).resize((256, 256), Image.Resampling.LANCZOS))
    image = np.full((512, 768, 3), 128, np.uint8)
    image[:, :512], image[:256, 512:] = astronaut, half
    return image


def test_the_bundle_says_whether_faces_are_looked_for(make_bundle: MakeBundle, astronaut: RGB) -> None:
    for framing, asked, looks in [
        ("whole", None, False),
        ("whole", True, True),
        ("face", None, True),
        ("face", False, False),
    ]:
        reader = mien.load(make_bundle(framing=framing), threads=1, detect=asked)
        assert reader.detect is looks
        (found,) = reader.predict(astronaut).faces
        assert (found.score is not None, found.landmarks is not None) == (looks, looks)
        assert (found.box == mien.Box(0, 0, 512, 512)) is not looks


def test_a_face_is_read_from_its_crop(finding: mien.Reader, astronaut: RGB) -> None:
    result = finding.predict(astronaut)
    (detection,) = finding.detector(astronaut)
    (face,) = result.faces
    assert (result.status, result.reason, result.width, result.height) == ("ok", None, 512, 512)
    assert face.box == detection.box
    assert face.score == pytest.approx(detection.score, abs=1e-4)
    assert face.landmarks is not None
    np.testing.assert_allclose(face.landmarks, detection.landmarks, atol=0.051)
    expected = finding.probabilities(crop(astronaut, 16, 3, face_region(detection))[np.newaxis])[0]
    assert shares(result) == pytest.approx(list(expected))
    row = result.to_dict()
    assert row["faces"][0]["landmarks"] == [list(point) for point in face.landmarks]
    assert json.loads(json.dumps(row)) == row


def test_several_faces_come_largest_first(make_bundle: MakeBundle, finding: mien.Reader, astronaut: RGB) -> None:
    image = two_faces(astronaut)
    large, small = finding.predict(image).faces
    assert large.box.width > 1.5 * small.box.width
    assert (large.box.x < 512, small.box.x >= 512) == (True, True)
    alone = mien.load(make_bundle(EXPRESSIONS, framing="face"), threads=1, faces="largest")
    (face,) = alone.predict(image).faces
    assert face.answer == large.answer
    assert [face.box.x, face.box.y, face.box.width, face.box.height] == pytest.approx(
        [large.box.x, large.box.y, large.box.width, large.box.height], abs=0.05 * large.box.height
    )
    with pytest.raises(ConfigError, match="`faces='first'`: is none of largest and all"):
        mien.load(make_bundle(), faces="first")  # type: ignore[arg-type]


def test_given_faces_are_read_as_found_ones(finding: mien.Reader, astronaut: RGB) -> None:
    image = two_faces(astronaut)
    found = finding.detector(image)
    faces = finding.classify_faces(image, found)
    for one, other in zip(faces, finding.predict(image).faces, strict=True):
        assert (one.box, one.landmarks, one.score) == (other.box, other.landmarks, other.score)
        assert one.probabilities == pytest.approx(other.probabilities)
    assert finding.classify_faces(image, []) == ()


def test_an_image_without_a_face_is_a_row_that_says_so(finding: mien.Reader) -> None:
    result = finding.predict(np.full((200, 300, 3), 90, np.uint8))
    assert (result.status, result.faces, result.width, result.height) == ("no_face", (), 300, 200)
    assert "without detection" in (result.reason or "")
    with pytest.raises(ImageError, match="no face was found"):
        _ = result.answer


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_images_side_by_side_answer_as_they_do_alone(
    make_bundle: MakeBundle, finding: mien.Reader, astronaut: RGB, tmp_path: Path, threads: int
) -> None:
    reader = mien.load(make_bundle(EXPRESSIONS, framing="face"), threads=threads)
    path = tmp_path / "two.png"
    path.write_bytes(png(two_faces(astronaut)))
    kinds: list[ImageSource] = [astronaut, path, b"broken", image(1), astronaut[:, ::-1], tmp_path]
    expected = [finding.predict(one) for one in kinds]
    assert [one.status for one in expected] == ["ok", "ok", "unreadable", "no_face", "ok", "unreadable"]
    for batch_size in (1, 5, 32):
        found = list(reader.predict_many(kinds * 3, batch_size))
        assert [one.source for one in found] == [one.source for one in expected] * 3
        for one, other in zip(found, expected * 3, strict=True):
            assert (one.status, one.reason, one.width) == (other.status, other.reason, other.width)
            assert [face.box for face in one.faces] == [face.box for face in other.faces]
            for face, same in zip(one.faces, other.faces, strict=True):
                assert face.probabilities == pytest.approx(same.probabilities, abs=1e-6)


def test_inference_that_is_given_up_leaves_no_threads(make_bundle: MakeBundle, astronaut: RGB) -> None:
    reader = mien.load(make_bundle(framing="face"), threads=3)
    found = reader.predict_many([astronaut] * 100, batch_size=2)
    assert next(found).status == "ok"
    before = [thread for thread in threading.enumerate() if thread.name.startswith("mien-image")]
    assert before
    found.close()  # type: ignore[attr-defined]
    assert not any(thread.is_alive() for thread in before)


# Crops, as training gives them


def test_crops_of_the_right_size_answer_as_images_do(rgb_reader: mien.Reader) -> None:
    crops = np.stack([image(seed, 16, 16) for seed in range(5)])
    found = rgb_reader.probabilities(crops, batch_size=2)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [shares(rgb_reader.predict(crop)) for crop in crops], atol=1e-6)
    assert rgb_reader.logits(crops[:0]).shape == (0, 2)
    assert rgb_reader.probabilities(crops[:0]).shape == (0, 2)


def test_a_network_that_gives_no_numbers_is_refused(make_bundle: MakeBundle) -> None:
    good = make_bundle()
    graph = (good / "model.onnx").read_bytes().replace(np.float32(127.5).tobytes(), np.float32("nan").tobytes())
    reader = mien.load(make_bundle(graph=graph), threads=1)
    with pytest.raises(BundleError, match="linear: the network gives logits that are not numbers"):
        reader.predict(image(1))


# Which model


def test_without_a_name_the_shipped_model_is_read(shipped: Path) -> None:
    assert mien.load().answers == ("happy", "sad", "neither")
    assert mien.load().predict(image(1)) == mien.load("mien").predict(image(1))
    assert mien.load("mien-two").config.labels == ("happy", "sad")


def test_without_a_shipped_model_the_error_says_how_to_name_one(nothing_shipped: None) -> None:
    with pytest.raises(BundleError, match="`model=FOLDER`"):
        mien.load()


def test_a_variant_reads_otherwise_and_leaves_the_first_as_it_was(brightness_bundle: Path, two_people: Any) -> None:
    reader = mien.load(brightness_bundle, threads=1)
    image = two_people(0.0)
    both = reader.predict(image)
    assert len(both.faces) == 2
    assert reader.variant(faces="largest").predict(image).faces == both.faces[:1]
    assert reader.variant(detect=False).predict(image).face.score is None
    assert reader.variant(faces="largest").variant(faces="all").predict(image) == both
    assert reader.predict(image) == both
    with pytest.raises(mien.ConfigError, match="`faces='some'`"):
        reader.variant(faces="some")  # type: ignore[arg-type]


def test_mirror_is_the_bundles_own_unless_the_reader_is_told_otherwise(make_bundle: MakeBundle) -> None:
    plain, averaging = make_bundle(), make_bundle(mirror=True)
    (single, both) = (mien.load(folder, threads=1).predict(image(4)) for folder in (plain, averaging))
    assert shares(single) != shares(both)
    reader = mien.load(averaging, threads=1, mirror=False)
    assert (reader.mirror, reader.config.mirror, reader.predict(image(4))) == (False, True, single)
    told = mien.load(plain, threads=1, mirror=True)
    assert (told.mirror, told.config.mirror, told.predict(image(4))) == (True, False, both)
    assert "whole images with their mirror images" in repr(told)
    assert "mirror" not in repr(reader)
    assert told.variant(mirror=False).predict(image(4)) == single
    assert told.variant(threads=1).predict(image(4)) == told.predict(image(4)) == both
    assert told.predict(image(4)[:, ::-1]).face.probabilities == pytest.approx(both.face.probabilities, abs=1e-6)


def test_a_variant_shares_the_networks_and_changes_only_its_options(make_bundle: MakeBundle) -> None:
    reader = mien.load(make_bundle(framing="face"), threads=1, faces="largest")
    whole = reader.variant(detect=False)
    assert (reader.detect, whole.detect) == (True, False)
    assert (whole.detector, whole.rule, whole.config) == (reader.detector, reader.rule, reader.config)
    assert vars(whole).keys() == vars(reader).keys()
    grey = np.full((60, 60, 3), 90, np.uint8)
    assert (reader.predict(grey).status, whole.predict(grey).status) == ("no_face", "ok")
