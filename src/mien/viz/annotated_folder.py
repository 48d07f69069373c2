"""A folder of annotated images: each image again, with its faces and answers drawn in."""

from pathlib import Path

from PIL import Image

from mien.errors import ConfigError, ImageError
from mien.io.atomic import new_file
from mien.io.image import load_image
from mien.io.inputs import InputItem
from mien.io.targets import UniqueStems, refuse_file_name
from mien.results import ImageResult
from mien.viz.annotate import annotate

#: The longest side that a JPEG can have, in pixels.
_JPEG_SIDE = 65_500


class AnnotatedFolder:
    """Write annotated images into `folder`; `failed` counts those that were gone when they were to be drawn.

    Each image keeps its name; a second one of that name becomes `name-2`, and so on. Call `open` first, then
    `skip` or `draw` once for each item, in order.

    Raises:
        ConfigError: `folder` is a file, or is named like one.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder}: is a file; give a folder for the drawings")
        refuse_file_name(folder, "images are drawn into a folder; give the name of one")
        self.folder = folder
        self.failed = 0
        self._stems = UniqueStems()

    def open(self, resumed: bool = False) -> None:
        """Begin; raise ConfigError if the folder has something in it, unless an interrupted job is `resumed`."""
        if not resumed and self.folder.is_dir() and any(self.folder.iterdir()):
            raise ConfigError(f"{self.folder}: is not empty; give a new folder, or remove what is in it")

    def skip(self, item: InputItem) -> str:
        """Return the name of an item's drawing, without its ending; no other item gets it."""
        return self._stems(item.name)

    def draw(self, item: InputItem, result: ImageResult) -> None:
        """Write the drawing of an image, whole or not at all; an unreadable image has none."""
        name = self.skip(item)
        if result.status == "unreadable":
            return
        try:
            image = item.image()
            if isinstance(image, ImageError):
                raise image
            drawn: Image.Image = annotate(load_image(image), result)
        except ImageError:
            self.failed += 1
            return
        kind, ending = ("PNG", ".png") if max(drawn.size) > _JPEG_SIDE else ("JPEG", ".jpg")
        with new_file(self.folder / (name + ending)) as part:
            drawn.save(part, kind, quality=90)
