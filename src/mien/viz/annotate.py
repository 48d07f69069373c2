"""Draw predictions into an image: a box around each face, with its answer and percentage."""

import math
from collections.abc import Sequence
from itertools import cycle
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.arrays import Bool, Int64, UInt8
from mien.results import Box, Face, ImageResult
from mien.text import one_line

# Okabe and Ito's palette and a grey: told apart with every common kind of colour blindness.
_FIXED = {
    "happy": "#E69F00",
    "sad": "#56B4E9",
    "neither": "#BBBBBB",
    "neutral": "#BBBBBB",
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "surprise": "#F0E442",
}
_PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2", "#BBBBBB")
_DARK, _LIGHT = "#161616", "#FFFFFF"

#: An image whose longest side is shorter, in pixels, is enlarged by a whole number, so that text fits.
MIN_SIDE = 320
#: The smallest height of text, in pixels, that is legible on a screen.
MIN_TEXT = 13
#: If an image has more boxes, the labels of crowded ones are left out; to look for room would take minutes.
MAX_SEARCHED = 60


def answer_colours(answers: Sequence[str]) -> dict[str, str]:
    """Return a colour `#RRGGBB` for each answer; the classes of the shipped models always have the same.

    Examples:
        >>> answer_colours(["happy", "dog"])
        {'happy': '#E69F00', 'dog': '#56B4E9'}
    """
    known = {answer: _FIXED[answer] for answer in answers if answer in _FIXED}
    free = [colour for colour in _PALETTE if colour not in known.values()]
    others = zip((answer for answer in answers if answer not in known), cycle(free or _PALETTE), strict=False)
    return known | dict(others)


def annotate(rgb: UInt8, result: ImageResult) -> Image.Image:
    """Draw a box and a label for each face of an image.

    A label has the answer and its percentage; in a video, the number of the person stands before them. Lines and text
    grow with the image. Labels lie inside the image and never overlap; a label without room is left out. An image
    smaller than `MIN_SIDE` is enlarged by a whole number.

    Args:
        rgb: the upright image, uint8 (H, W, 3), RGB, [0, 255]; also one that was shrunk after it was read.
        result: the result of a Reader for it.
    """
    factor = max(1, -(-MIN_SIDE // max(rgb.shape[:2])))
    height, width = rgb.shape[:2]
    scale = (width / (result.width or width), height / (result.height or height))
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if factor > 1:
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if not result.faces:
        return image
    boxes = [_enlarged(scaled(face.box, *scale), factor) for face in result.faces]
    texts = [face_label(face) for face in result.faces]
    colours = [answer_colours(list(face.probabilities)).get(face.answer, _PALETTE[-1]) for face in result.faces]
    pen = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 350))
    for box, colour in zip(boxes, colours, strict=True):
        _draw_box(pen, box, colour, line)
    _draw_labels(pen, image.size, boxes, texts, colours, line)
    return image


def face_label(face: Face) -> str:
    """Return the label of a face: `happy 98%`, or `2: happy 98%` for the second person of a video."""
    person = "" if face.person is None else f"{face.person}: "
    return one_line(f"{person}{face.answer} {face.probability:.0%}")


def place_labels(
    boxes: Sequence[Box], sizes: Sequence[tuple[int, int]], width: int, height: int
) -> list[tuple[int, int] | None]:
    """Return a place (left, top) for the label of each box, in pixels; None for a label without room.

    Labels lie inside the image and do not overlap. A label stands above its box, below, inside or beside it, and if
    possible not on another face. If all these places are taken, it stands at the nearest free one. Of more than
    `MAX_SEARCHED` boxes, it is left out.

    Args:
        boxes: N faces.
        sizes: (width, height) of their labels, in pixels.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Examples:
        >>> place_labels([Box(10, 40, 30, 30)], [(20, 10)], width=100, height=100)
        [(10, 30)]
    """
    faces = np.array([(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes], np.int64)
    taken = np.empty((0, 4), np.int64)
    places: list[tuple[int, int] | None] = []
    for number, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        others = np.delete(faces, number, axis=0)
        place = _best(_beside(box, size, width, height), size, taken, others)
        if place is None and len(boxes) <= MAX_SEARCHED:
            place = _best(_anywhere(box, size, width, height, taken), size, taken, np.empty((0, 4), np.int64))
        if place is not None:
            taken = np.vstack([taken, (*place, place[0] + size[0], place[1] + size[1])])
        places.append(place)
    return places


def _best(places: Int64, size: tuple[int, int], taken: Int64, others: Int64) -> tuple[int, int] | None:
    """Return the first free place that hides no other face; if there is none, the first free place."""
    free = places[~_overlaps(places, size, taken)]
    if not len(free):
        return None
    clear = free[~_overlaps(free, size, others)]
    left, top = (clear if len(clear) else free)[0].tolist()
    return left, top


def _overlaps(places: Int64, size: tuple[int, int], others: Int64) -> Bool:
    """Return for each place (N, 2) whether a label of `size` there overlaps one of the rectangles (M, 4)."""
    start, end = places[:, np.newaxis], places[:, np.newaxis] + np.array(size)
    found: Bool = ((start < others[:, 2:]) & (end > others[:, :2])).all(axis=2).any(axis=1)
    return found


def _beside(box: Box, size: tuple[int, int], width: int, height: int) -> Int64:
    """Return the places at a box (N, 2) that lie inside the image, the best first."""
    wide, high = size
    right, bottom = box.x + box.width, box.y + box.height
    lefts = (box.x, right - wide, box.x + (box.width - wide) // 2)
    places = [(left, top) for top in (box.y - high, bottom) for left in lefts]
    places += [(left, top) for top in (box.y, bottom - high) for left in lefts[:2]]
    places += [(left, top) for left in (right, box.x - wide) for top in (box.y, bottom - high)]
    # The same places, moved into the image.
    places += [(min(max(left, 0), width - wide), min(max(top, 0), height - high)) for left, top in places]
    return _inside(places, size, width, height)


def _anywhere(box: Box, size: tuple[int, int], width: int, height: int, taken: Int64) -> Int64:
    """Return places all over the image (N, 2), the nearest to the box first.

    They include all that touch a placed label, so one of them is free if any place is.
    """
    wide, high = size
    lefts = {*range(0, width - wide + 1, max(wide // 4, 1)), *taken[:, 2].tolist()}
    tops = {*range(0, height - high + 1, max(high // 2, 1)), *taken[:, 3].tolist()}
    middle = box.x + (box.width - wide) / 2, box.y + (box.height - high) / 2
    places = [(left, top) for left in lefts for top in tops]
    places.sort(key=lambda place: math.dist(place, middle))
    return _inside(places, size, width, height)


def _inside(places: Sequence[tuple[int, int]], size: tuple[int, int], width: int, height: int) -> Int64:
    found = np.array(places, np.int64).reshape(-1, 2)
    keep: Int64 = found[((found >= 0) & (found + np.array(size) <= (width, height))).all(axis=1)]
    return keep


def scaled(box: Box, across: float, down: float) -> Box:
    """Return a box in an image of so many times the width and height; its sides are at least 1 pixel.

    Examples:
        >>> scaled(Box(10, 10, 5, 5), 0.5, 0.1)
        Box(x=5, y=1, width=2, height=1)
    """
    if (across, down) == (1, 1):
        return box
    sides = max(round(box.width * across), 1), max(round(box.height * down), 1)
    return Box(round(box.x * across), round(box.y * down), *sides)


def _enlarged(box: Box, factor: int) -> Box:
    return Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor)


def _draw_box(pen: ImageDraw.ImageDraw, box: Box, colour: str, line: int) -> None:
    """Draw a box with a dark edge on both sides, so that it stands out from any image."""
    edge = max(1, line // 3)
    corners = (box.x, box.y, box.x + box.width - 1, box.y + box.height - 1)
    shorter = min(box.width, box.height)
    if shorter <= 2 * (line + 2 * edge):
        pen.rectangle(corners, outline=colour)
        return
    pen.rectangle(corners, outline=_DARK, width=line + 2 * edge)
    pen.rectangle((corners[0] + edge, corners[1] + edge, corners[2] - edge, corners[3] - edge), None, colour, line)


def _draw_labels(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], boxes: Sequence[Box], texts: Sequence[str],
    colours: Sequence[str], line: int,
) -> None:  # fmt: skip
    font = _font(size, boxes, texts)
    pad = max(2, round(font.size / 5))
    ascent, descent = font.getmetrics()
    sizes = [(math.ceil(font.getlength(text)) + 2 * pad, ascent + descent + pad) for text in texts]
    places = place_labels(boxes, sizes, *size)
    for box, place, room, colour in zip(boxes, places, sizes, colours, strict=True):
        if place and not _touches(box, place, room):
            ends = (place[0] + room[0] // 2, place[1] + room[1] // 2, box.x + box.width // 2, box.y)
            pen.line(ends, fill=_DARK, width=line + 1)
            pen.line(ends, fill=colour, width=max(1, line // 2))
    for text, place, (wide, high), colour in zip(texts, places, sizes, colours, strict=True):
        if place:
            left, top = place
            pen.rectangle((left, top, left + wide - 1, top + high - 1), colour, _DARK, max(1, line // 3))
            pen.text((left + pad, top + pad / 2), text, _DARK if _is_light(colour) else _LIGHT, font)


def _font(size: tuple[int, int], boxes: Sequence[Box], texts: Sequence[str]) -> ImageFont.FreeTypeFont:
    """Return a font in which a label is about as wide as a face, within limits set by the size of the image."""
    smallest = max(MIN_TEXT, max(size) / 90)
    largest = max(MIN_TEXT + 1, max(size) / 38)
    faces = sorted(box.width for box in boxes)
    per_point = max(map(len, texts)) * 0.55  # mean width of a letter, as a fraction of the font size
    wanted = 1.2 * faces[len(faces) // 2] / per_point
    # Given a size, Pillow returns the scalable one of its two default fonts.
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(round(min(max(wanted, smallest), largest))))


def _touches(box: Box, place: tuple[int, int], size: tuple[int, int]) -> bool:
    left, top = place
    beside = box.x <= left + size[0] and left <= box.x + box.width
    return beside and box.y <= top + size[1] and top <= box.y + box.height


def _is_light(colour: str) -> bool:
    red, green, blue = bytes.fromhex(colour[1:])
    return 0.299 * red + 0.587 * green + 0.114 * blue > 110
