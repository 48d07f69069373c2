"""`mien predict --draw DIR`: every picture again, with what was found in it."""

from collections import Counter
from pathlib import Path, PurePosixPath

from PIL import Image

from mien.errors import ConfigError, ImageError
from mien.io.atomic import new_file
from mien.io.image import IMAGE_SUFFIXES, load_image
from mien.io.inputs import VIDEO_SUFFIXES, InputItem
from mien.results import ImageResult

#: The longest side that a JPEG can have, in pixels.
_JPEG_SIDE = 65_500
_INTO_FOLDER = "pictures are drawn into a folder; give the name of one"
#: Characters of a name that are kept: a file system takes 255 bytes with what is added.
_NAME = 50


class Stems:
    """Gives each of many files a name for what is made of it, without its ending, and none twice."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def __call__(self, name: str) -> str:
        """Return the name for the next file; a second `face.jpg` is `face-2`."""
        stem = PurePosixPath(name.replace("\\", "/")).stem[:_NAME] or "picture"
        # Upper and lower case are one name on some systems.
        while True:
            self._used[stem.lower()] += 1
            number = self._used[stem.lower()]
            if number == 1:
                return stem
            if not self._used[f"{stem}-{number}".lower()]:
                self._used[f"{stem}-{number}".lower()] = 1
                return f"{stem}-{number}"


def refuse_picture_name(option: str, folder: Path, fix: str = _INTO_FOLDER) -> None:
    """Raise ConfigError where a folder is to be made whose name is that of a picture or a film."""
    if not folder.exists() and folder.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        raise ConfigError(f"{option} {folder}: {fix}")


class Drawer:
    """Writes annotated pictures into `folder`, which must be new or empty unless an interrupted job `resumed`.

    Each picture keeps its name; a second one of that name becomes `name-2`, and so on. Call `skip` or
    `draw` once for every entry, in order. `failed` counts the pictures that were gone when they were to be drawn.
    """

    def __init__(self, folder: Path, resumed: bool) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--draw {folder}: is a file; give a folder")
        refuse_picture_name("--draw", folder)
        if not resumed and folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"--draw {folder}: is not empty; give a new folder, or remove what is in it")
        self._folder = folder
        self._stems = Stems()
        self.failed = 0

    def skip(self, entry: InputItem) -> str:
        """Return the name of an entry's drawing, without its ending; no other entry gets it."""
        return self._stems(entry.name)

    def draw(self, entry: InputItem, result: ImageResult) -> None:
        """Write the drawing of a picture that could be read, whole or not at all."""
        from mien.viz.annotate import annotate

        name = self.skip(entry)
        if result.status == "unreadable":
            return
        try:
            picture = entry.picture()
            if isinstance(picture, ImageError):
                raise picture
            drawn: Image.Image = annotate(load_image(picture), result)
        except ImageError:
            self.failed += 1
            return
        kind, ending = ("PNG", ".png") if max(drawn.size) > _JPEG_SIDE else ("JPEG", ".jpg")
        with new_file(self._folder / (name + ending)) as part:
            drawn.save(part, kind, quality=90)
