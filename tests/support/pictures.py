"""Some sixty image files for doors that must agree: photographs, drawings, odd sizes, odd files."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import skimage.data
from golden_answers import ASTRONAUT, FORMS
from photographs import as_file
from PIL import Image
from sklearn.datasets import load_sample_image

from mien.data.synthetic.faces import draw_face

_FACE = Image.fromarray(ASTRONAUT[30:230, 120:320])
_PACKAGED = (
    "astronaut",
    "camera",
    "chelsea",
    "coffee",
    "rocket",
    "page",
    "coins",
    "hubble_deep_field",
    "logo",
    "horse",
)


def pictures() -> Iterator[tuple[str, bytes]]:
    """Yield names and files."""
    photograph = Image.fromarray(ASTRONAUT)
    yield from ((f"astronaut, {form}", make(photograph)) for form, make in FORMS.items())
    yield from _photographs()
    yield from _drawings()
    yield from _sizes(photograph)
    yield from _files(photograph)


def _photographs() -> Iterator[tuple[str, bytes]]:
    for name in _PACKAGED:
        yield name, as_file(Image.fromarray(_plain(getattr(skimage.data, name)())), "PNG")
    for name in ("china.jpg", "flower.jpg"):
        yield name, as_file(Image.fromarray(load_sample_image(name)), "JPEG", quality=92)


def _plain(image: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    return image.astype(np.uint8) * 255 if image.dtype == np.bool_ else image.astype(np.uint8)


def _drawings() -> Iterator[tuple[str, bytes]]:
    for seed, kind, side in ((1, "PNG", 96), (2, "JPEG", 64), (3, "WEBP", 200), (4, "PNG", 48)):
        for expression in ("happy", "sad", "neutral"):
            yield f"drawn {expression} {seed}", as_file(Image.fromarray(draw_face(expression, seed, side)), kind)


def _sizes(photograph: Image.Image) -> Iterator[tuple[str, bytes]]:
    for angle in (-50, -24, 15, 38, 130):
        yield f"rolled by {angle}", as_file(photograph.rotate(angle, Image.Resampling.BICUBIC), "PNG")
    for side in (40, 64, 96, 333):
        yield f"{side} pixels", as_file(photograph.resize((side, side)), "PNG")
    yield "a strip", as_file(photograph.crop((0, 0, 512, 260)).resize((2000, 300)), "PNG")
    large = photograph.resize((2300, 2300), Image.Resampling.BICUBIC)
    yield "a large JPEG", as_file(large, "JPEG", quality=90)
    yield "a large PNG", as_file(large, "PNG", compress_level=1)
    yield "several faces", as_file(_crowd((900, 420), 190, 130, 70), "PNG")
    yield "tiny faces in a large JPEG", as_file(_crowd((3000, 2000), 60, 45), "JPEG", quality=92)
    yield "tiny faces in a large PNG", as_file(_crowd((1900, 1300), 44, 60), "PNG", compress_level=1)
    yield "a face at the edge", as_file(photograph.crop((215, 60, 512, 400)), "PNG")
    filled = photograph.crop((165, 55, 285, 185)).resize((900, 975), Image.Resampling.BICUBIC)
    yield "a face that fills the frame", as_file(filled, "PNG", compress_level=1)
    yield "one pixel", as_file(Image.new("RGB", (1, 1), (9, 99, 199)), "PNG")
    yield "no face", as_file(Image.new("RGB", (300, 200), (90, 120, 30)), "PNG")


def _crowd(size: tuple[int, int], *sides: int) -> Image.Image:
    """Faces of some sizes on a plain ground, every second one mirrored."""
    image = Image.new("RGB", size, (96, 110, 120))
    left = 20
    for number, side in enumerate(sides):
        face = _FACE.resize((2 * side, 2 * side), Image.Resampling.LANCZOS)
        turned = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if number % 2 else face
        image.paste(turned, (left, (size[1] - 2 * side) // 2))
        left += 2 * side + 25
    return image


def _files(photograph: Image.Image) -> Iterator[tuple[str, bytes]]:
    fade = Image.linear_gradient("L").resize(photograph.size).rotate(90)
    clear = photograph.copy()
    clear.putalpha(fade)
    yield "PNG that fades out", as_file(clear, "PNG")
    yield "WebP that fades out", as_file(clear, "WEBP", lossless=True)
    palette = photograph.quantize(64)
    yield "palette PNG with transparency", as_file(palette, "PNG", transparency=3)
    yield "grey PNG with transparency", as_file(clear.convert("LA"), "PNG")
    for kind, orientation in (("JPEG", 2), ("JPEG", 5), ("JPEG", 7), ("PNG", 8), ("WEBP", 6), ("WEBP", 4)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"{kind} with EXIF {orientation}", as_file(_STORED[orientation](photograph), kind, exif=exif)
    yield "AVIF", as_file(photograph, "AVIF", quality=90)
    yield "BMP", as_file(photograph, "BMP")
    profile = _wide_profile()
    yield "PNG with a colour profile", as_file(photograph, "PNG", icc_profile=profile)
    yield "nothing", b""
    yield "a text", b"no image at all\n"
    yield "half a JPEG", as_file(photograph, "JPEG")[:9000]


def _wide_profile() -> bytes:
    """Return the colour profile of a space that is not sRGB: converted, the picture would change."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()


#: How a picture that is shown upright lies in a file of each EXIF orientation.
_STORED: dict[int, Callable[[Image.Image], Image.Image]] = {
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}
