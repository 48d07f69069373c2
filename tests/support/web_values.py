"""What Python's modules compute, for the unit tests of `web/`: those of the same names must give the same."""

import base64
import math
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.errors import MienError
from mien.explanation.saliency import class_activation, heatmaps
from mien.faces.crop import Region, crop, face_region
from mien.faces.detector import to_detections
from mien.faces.resize import Fit, ResizeMethod, resize
from mien.faces.tiling import (
    View,
    close_window,
    render,
    render_quick,
    render_window,
    tile_views,
    turned_views,
    whole_view,
)
from mien.faces.tracker import Tracker
from mien.faces.yunet import STRIDES, decode_outputs, non_max_suppression
from mien.inference.bundle_config import parse_config
from mien.inference.calibration import probabilities
from mien.io.images.pixels import TRANSPOSES
from mien.labels import EXPRESSIONS
from mien.results import Box, Detection
from mien.viz.overlay import colours

Case = dict[str, Any]
RNG = np.random.default_rng


def all_values() -> dict[str, list[Any]]:
    """Return the cases of every test of `web/test/python.test.ts`, JSON-serialisable."""
    makers = (
        _numbers, _resize, _reduce, _gap, _grey, _orientation, _crop, _region, _rescaled, _yunet, _views, _render,
        _quick, _window, _decision, _config, _tracker, _heat, _colours,
    )  # fmt: skip
    return {make.__name__.removeprefix("_"): list(make()) for make in makers}


def _base64(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _noise(rng: np.random.Generator, height: int, width: int, channels: int) -> npt.NDArray[np.uint8]:
    """Return a smooth image with noise and hard edges, uint8 (H, W, C)."""
    rough = rng.integers(0, 256, (max(height // 9, 1), max(width // 9, 1), channels)).astype(np.uint8)
    layers = [np.asarray(Image.fromarray(rough[..., c]).resize((width, height))) for c in range(channels)]
    image = np.stack(layers, axis=-1).astype(np.int64) + rng.integers(-40, 40, (height, width, channels))
    image[: height // 3, : width // 4] = 255
    found: npt.NDArray[np.uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return found


def _image(pixels: npt.NDArray[np.uint8]) -> Case:
    height, width, channels = pixels.shape
    return {"width": width, "height": height, "channels": channels, "data": _base64(pixels)}


def _numbers() -> Iterator[Case]:
    rng = RNG(1)
    values = [0.5, 1.5, 2.5, -0.5, -1.5, 0.125, 0.375, 0.625, 0.005, 0.045, 2.675, 1e-5, 123456.7, 1e6, 4.25, 100.0]
    values += rng.uniform(0, 1, 200).tolist() + rng.normal(0, 1000, 100).tolist() + [n / 8 for n in range(50)]
    for value in values:
        yield {
            "value": value, "rounded": round(value), "fixed": f"{value:.2f}", "general": f"{value:g}",
            "one": round(value, 1),
        }  # fmt: skip


def _resize() -> Iterator[Case]:
    rng = RNG(2)
    for method in get_args(ResizeMethod):
        for fit in get_args(Fit):
            for height, width, size in ((61, 47, 24), (9, 14, 32), (40, 40, 40), (33, 80, 33), (90, 30, 24)):
                channels = int(rng.choice([1, 3]))
                image = _noise(rng, height, width, channels)
                found = resize(image, size, method, fit)
                yield {
                    "image": _image(image), "size": size, "method": method, "fit": fit,
                    "float": found.dtype == np.float32, "wanted": _base64(found),
                }  # fmt: skip


def _reduce() -> Iterator[Case]:
    rng = RNG(3)
    for factor in (1, 2, 3, 4, 5, 7, 8):
        image = _noise(rng, 53, 46, 3)
        found = np.asarray(Image.fromarray(image).reduce(factor))
        yield {"image": _image(image), "factor": factor, "wanted": _base64(found)}


def _gap() -> Iterator[Case]:
    rng = RNG(4)
    for height, width, rows, columns in ((300, 400, 48, 64), (131, 77, 20, 30), (30, 20, 64, 64), (500, 90, 40, 39)):
        image = _noise(rng, height, width, 3)
        found = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR, reducing_gap=2.0)
        yield {"image": _image(image), "width": columns, "height": rows, "wanted": _base64(np.asarray(found))}


def _grey() -> Iterator[Case]:
    image = RNG(5).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    yield {"image": _image(image), "wanted": _base64(np.asarray(Image.fromarray(image).convert("L")))}


def _orientation() -> Iterator[Case]:
    image = _noise(RNG(6), 7, 5, 3)
    for orientation in range(1, 9):
        turn = TRANSPOSES.get(orientation)
        found = image if turn is None else np.asarray(Image.fromarray(image).transpose(turn))
        yield {
            "image": _image(image), "orientation": orientation, "width": found.shape[1], "wanted": _base64(found)
        }  # fmt: skip


def _crop() -> Iterator[Case]:
    rng = RNG(7)
    regions: list[Region | Box | None] = [None, Box(3, 5, 40, 22)]
    for angle in (0.0, 90.0, -90.0, 180.0, 33.7, -141.2):
        regions += [Region(60, 50, 44, angle), Region(4.5, 96.5, 51.3, angle), Region(55.25, 48.5, 400, angle)]
    for region in regions:
        for size, channels in ((24, 1), (16, 3)):
            image = _noise(rng, 100, 120, 3)
            shape = {"size": size, "channels": channels, "resize": "pil-bilinear", "fit": "squash"}
            wanted = _base64(crop(image, size, channels, region))
            yield {
                "image": _image(image), "shape": shape, "region": None if region is None else vars(region),
                "wanted": wanted,
            }  # fmt: skip


def _face(face: Detection) -> Case:
    return {"box": face.box.to_dict(), "landmarks": [list(point) for point in face.landmarks], "score": face.score}


def _random_faces(rng: np.random.Generator, count: int) -> Iterator[Detection]:
    for _ in range(count):
        x, y, width, height = rng.integers([0, 0, 1, 1], [300, 200, 200, 200]).tolist()
        points = rng.uniform(0, 400, (5, 2)).tolist()
        yield Detection(Box(x, y, width, height), tuple((x, y) for x, y in points), float(rng.uniform(0.6, 1)))


def _region() -> Iterator[Case]:
    for face in _random_faces(RNG(8), 60):
        yield {"face": _face(face), "region": vars(face_region(face))}


def _rescaled() -> Iterator[Case]:
    for face in _random_faces(RNG(9), 20):
        for before, after in (((600, 500), (1200, 999)), ((500, 600), (250, 301)), ((10, 10), (10, 10))):
            found = face.rescaled(before[::-1], after[::-1])
            yield {"face": _face(face), "from": before, "to": after, "wanted": _face(found)}


def _yunet() -> Iterator[Case]:
    rng = RNG(10)
    for width, height, threshold in ((384, 384, 0.65), (640, 416, 0.5), (384, 640, 0.75)):
        outputs: dict[str, npt.NDArray[np.float32]] = {}
        for stride in STRIDES:
            cells = (width // stride) * (height // stride)
            outputs[f"cls_{stride}"] = rng.uniform(-0.1, 1.1, (1, cells, 1)).astype(np.float32) ** 4
            outputs[f"obj_{stride}"] = rng.uniform(-0.1, 1.1, (1, cells, 1)).astype(np.float32)
            outputs[f"bbox_{stride}"] = rng.normal(0, 1, (1, cells, 4)).astype(np.float32)
            outputs[f"kps_{stride}"] = rng.normal(0, 2, (1, cells, 10)).astype(np.float32)
        values = [outputs[f"{part}_{stride}"] for part in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
        size = (width - 20, height - 7)
        found = to_detections(non_max_suppression(decode_outputs(values, threshold, width)), size)
        yield {
            "outputs": {name: _base64(value) for name, value in outputs.items()}, "threshold": threshold,
            "width": width, "size": size, "wanted": [_face(face) for face in found],
        }  # fmt: skip


def _views() -> Iterator[Case]:
    rng = RNG(11)
    sizes = [(1, 1), (30, 900), (320, 320), (640, 480), (1000, 999), (4000, 3000), (20000, 60), (6000, 6000)]
    sizes += [(int(width), int(height)) for width, height in rng.integers(1, 3000, (25, 2))]
    for size in sizes:
        left, top, width, height = (rng.uniform(0, 1, 4) * [*size, *size]).tolist()
        for around in (None, [left, top, left + width, top + height]):
            whole = [vars(whole_view(size, turns)) for turns in range(4)]
            turned = [vars(view) for view in turned_views(size, around)]
            tiles = [vars(view) for view in tile_views(size)]
            window = None if around is None else close_window(whole_view(size), around)
            yield {
                "size": size, "around": around, "whole": whole, "turned": turned, "tiles": tiles,
                "window": window,
            }  # fmt: skip


def _render() -> Iterator[Case]:
    rng = RNG(12)
    for height, width, views in (
        (90, 160, [whole_view((160, 90))]),
        (90, 160, turned_views((160, 90), [20, 10, 60, 70])),
        (500, 260, [whole_view((260, 500), 3)]),
        (900, 700, [View(100, 50, 600, 600, 120, 120)]),
        (3, 20_000, [whole_view((20_000, 3))]),
    ):
        image = _noise(rng, height, width, 3)
        found = render(image, views)
        yield {
            "image": _image(image), "views": [vars(view) for view in views], "width": found.shape[3],
            "height": found.shape[2], "wanted": _base64(found[0].astype(np.uint8)),
        }  # fmt: skip


def _quick() -> Iterator[Case]:
    rng = RNG(15)
    for width, height in ((200, 130), (500, 301), (90, 701), (1000, 77), (33, 1100), (1, 2900)):
        image = _noise(rng, height, width, 3)
        found, view = render_quick(image)
        yield {"image": _image(image), "view": vars(view), "wanted": _base64(found[0].astype(np.uint8))}


def _window() -> Iterator[Case]:
    rng = RNG(14)
    for size, box in (
        ((900, 500), [200.0, 150.0, 320.0, 240.0]),
        ((700, 300), [10.0, -20.0, 90.0, 80.0]),
        ((480, 600), [400.0, 500.0, 480.0, 590.0]),
        ((2700, 120), [600.0, 10.0, 700.0, 110.0]),
        ((20_000, 4), [9000.0, 0.0, 9300.0, 4.0]),
        ((4, 20_000), [0.0, 9000.0, 4.0, 9300.0]),
    ):
        image, view = _noise(rng, size[1], size[0], 3), whole_view(size)
        window = close_window(view, box)
        found, part = render_window(image, view, window)
        yield {
            "image": _image(image), "view": vars(view), "window": window, "part": vars(part),
            "wanted": _base64(found[0].astype(np.uint8)),
        }  # fmt: skip


def _bundle(labels: tuple[str, ...], /, **changes: Any) -> Case:
    shape = {"size": 48, "channels": 1, "framing": "face", **changes.pop("input", {})}
    return {
        "format": "mien-bundle", "version": 1, "name": "x", "labels": list(labels), "input": shape, "temperature": 1.0,
        "threshold": 0.5, "maps": False, "sha256": "0" * 64, "about": {}, **changes,
    }  # fmt: skip


def _decision() -> Iterator[Case]:
    rng = RNG(13)
    shipped = {"answer_from": {"happy": 0.6, "sad": 0.25}, "answer_over": {"sad": {"neutral": 4.25, "fear": 0.3}}}
    rules: list[tuple[Case, Any]] = [
        (_bundle(EXPRESSIONS, **shipped, temperature=0.636), None),
        (_bundle(EXPRESSIONS, **shipped), {"sad": 0.5}),
        (_bundle(EXPRESSIONS, answer_from={"sad": 0.3, "happy": 0.3, "fear": 0.2}), None),
        (_bundle(("happy", "sad"), threshold=0.7), None),
        (_bundle(("happy", "sad")), 0.35),
        (_bundle(("happy", "sad")), {"happy": 0.35}),
        (_bundle(("cat", "dog", "bird", "__proto__")), None),
    ]
    for config, threshold in rules:
        parsed = parse_config(config)
        rule = parsed.rule if threshold is None else parsed.rule.with_threshold(threshold)
        for spread in (0.3, 1.0, 2.5):
            logits = rng.normal(0, spread, (40, len(parsed.labels))).astype(np.float32)
            logits[0] = 0
            rows = probabilities(logits, parsed.temperature)
            for row, values, answer in zip(rows.tolist(), logits.tolist(), rule.decide(rows), strict=True):
                yield {
                    "config": config, "threshold": threshold, "logits": values, "probabilities": row,
                    "answer": {
                        "label": answer.label, "probability": answer.probability,
                        "probabilities": dict(answer.probabilities), "why": answer.why,
                    },
                }  # fmt: skip


def _config() -> Iterator[Case]:
    seven = {"answer_from": {"happy": 0.6, "sad": 0.25}}
    two = ("happy", "sad")
    wrong: list[Case] = [
        {"labels": ["a"]}, {"labels": ["a", "a"]}, {"labels": ["a", 1]}, {"labels": "ab"}, {"labels": ["a", " "]},
        {"labels": ["a", "b" * 256]}, {"input": []}, {"input": {"size": 4}}, {"input": {"size": 2000}},
        {"input": {"channels": 2}}, {"input": {"framing": "hand"}}, {"input": {"resize": "best"}},
        {"input": {"fit": "stretch"}}, {"input": {"content": "films"}}, {"input": {"size": 48.5}},
        {"temperature": 0}, {"temperature": "1"}, {"temperature": 1000}, {"threshold": 0}, {"threshold": True},
        {"maps": 1}, {"sha256": "A" * 64}, {"sha256": "0" * 63}, {"about": []}, {"name": 5}, {"name": None},
        {"answer_from": {"happy": 0.5, "sad": 0.5}}, {"answer_from": {}}, {"answer_from": {"angry": 0.5}},
        {"answer_from": {"sad": 1}}, {"answer_from": {"sad": 0.5}, "threshold": 0.4},
        {"answer_over": {"sad": {"happy": 2}}}, {"mirror": 1}, {"mirror": None},
    ]  # fmt: skip
    over = ({"sad": {"sad": 2}}, {"sad": {"cat": 2}}, {"happy": {"sad": 0}}, {"fear": {"sad": 2}}, {"sad": 2})
    cases = [_bundle(EXPRESSIONS, **seven), _bundle(two, temperature=1), _bundle(two, input={"content": "photos"})]
    cases += [_bundle(EXPRESSIONS, **seven, answer_over={"sad": {"neutral": 4}}), _bundle(two, mirror=True)]
    for change in wrong:
        plain = not isinstance(change.get("input", {}), dict)
        cases.append({**_bundle(two), **change} if plain else _bundle(two, **change))
    cases += [_bundle(EXPRESSIONS, **seven, answer_over=one) for one in over]
    cases += [_bundle(("neither", "sad", "happy"), answer_from={"sad": 0.5})]
    for name in _bundle(two):
        cases.append({key: value for key, value in _bundle(two).items() if key != name})
    cases += [_bundle(two, version=2), _bundle(two, format="zip"), {}]
    for config in cases:
        foreign = config.get("format") != "mien-bundle" or config.get("version") != 1
        yield {"config": config, "ok": not foreign and _is_accepted(config), "foreign": foreign}


def _is_accepted(config: Case) -> bool:
    try:
        parse_config(config)
    except (KeyError, ValueError, MienError):
        return False
    return True


def _tracker() -> Iterator[list[Case]]:
    """Two people who move, one of them out of sight for a while, and a cut; frames come fast, or very slowly."""
    rng = RNG(14)
    for pauses in [(0.03, 0.1)] * 6 + [(2.2, 5.0)] * 3 + [(0.5, 40.0)] * 3:
        tracker, faces = Tracker(), [_noise(rng, 24, 24, 3) for _ in range(2)]
        places, speed = rng.uniform(50, 300, (2, 2)), rng.normal(0, 6 / pauses[1], (2, 2))
        steps: list[Case] = []
        time = 0.0
        for number in range(40):
            time += float(rng.uniform(*pauses))
            cut = number == 30
            if cut:
                tracker.cut()
            seen = [n for n in range(2) if not (n == 1 and (10 <= number < 18 or number % 7 == 5))]
            if rng.uniform() < 0.5:
                seen.reverse()
            corners = [(places[n] + speed[n] * time).astype(int).tolist() for n in seen]
            boxes = [Box(left, top, 60 + n, 70) for n, (left, top) in zip(seen, corners, strict=True)]
            crops = [np.clip(faces[n] + rng.normal(0, 9, faces[n].shape), 0, 255).astype(np.uint8) for n in seen]
            rows = rng.dirichlet([1, 1, 1], len(seen))
            people, smoothed = tracker(time, boxes, crops, rows)
            steps.append({
                "time": time, "cut": cut, "boxes": [box.to_dict() for box in boxes],
                "crops": [_image(one) for one in crops], "rows": rows.tolist(), "people": people,
                "smoothed": smoothed.tolist(),
            })  # fmt: skip
        assert len({person for step in steps for person in step["people"]}) > 2
        yield steps


def _heat() -> Iterator[Case]:
    rng = RNG(15)
    for rows, columns, labels, size in ((6, 6, 7, 48), (16, 16, 2, 16), (20, 12, 3, 16), (1, 1, 2, 8)):
        for sign in (1.0, -1.0):
            maps = (rng.normal(0, 1, (1, rows, columns, labels)) + sign).astype(np.float32)
            label = int(rng.integers(labels))
            found = heatmaps(class_activation(maps, np.array([label])), size)
            yield {
                "maps": _base64(maps), "shape": [rows, columns, labels], "label": label, "size": size,
                "wanted": _base64(found[0]),
            }  # fmt: skip
    flat = np.full((1, 3, 3, 3), -1, np.float32)
    yield {
        "maps": _base64(flat), "shape": [3, 3, 3], "label": 0, "size": 8,
        "wanted": _base64(heatmaps(class_activation(flat, np.array([0])), 8)[0]),
    }  # fmt: skip


def _colours() -> Iterator[Case]:
    for value in [-1.0, 2.0, *np.linspace(0, 1, 33).tolist()]:
        assert math.isfinite(value)
        yield {"value": value, "colour": colours(np.array([value]))[0].tolist()}
