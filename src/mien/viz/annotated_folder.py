"""Annotated copies of images and videos, with the faces and answers drawn in: in a folder, or one video."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from mien.arrays import RGB
from mien.errors import ConfigError, ImageError
from mien.io.atomic import LOCK, locked, new_file, readable_errors
from mien.io.images.decoding import load_image
from mien.io.images.pixels import MAX_READ_PIXELS
from mien.io.input_item import InputItem
from mien.io.targets import UniqueStems, refuse_file_name, require_output
from mien.io.video.writer import VideoWriter, require_video_name
from mien.results import FrameResult, ImageResult
from mien.viz.annotate import annotate

#: The longest side that a JPEG can have, in pixels.
_JPEG_SIDE = 65_500


class AnnotatedFolder:
    """Write annotated images and videos into a folder.

    Each keeps its name; a second one of that name becomes `name-2`, and so on. Inside `open`, call `skip`, `draw` or
    `video` once for each item, in order. A video is written as .mp4, its sampled frames only.

    Attributes:
        target: the folder.
        failed: number of images that were gone when they were to be drawn.

    Raises:
        ConfigError: `folder` is a file, or is named like one.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder}: is a file; give a folder for the drawings")
        refuse_file_name(folder, "images are drawn into a folder; give the name of one")
        self.target = folder
        self.failed = 0
        self._stems = UniqueStems()

    @contextmanager
    def open(self, resumed: bool = False) -> Iterator[None]:
        """Keep other processes off the folder while the block runs; a new one in which nothing was drawn is removed.

        Raises:
            ConfigError: it has something in it, unless an interrupted job is `resumed`.
            OutputError: another process draws into it, or it cannot be written.
        """
        is_new = not self.target.exists()
        with readable_errors(self.target):
            self.target.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.target / LOCK, self.target):
                if not resumed and any(not path.name.startswith(".") for path in self.target.iterdir()):
                    raise ConfigError(f"{self.target}: is not empty; give a new folder, or remove what is in it")
                yield
        finally:
            if is_new:
                with suppress(OSError):
                    self.target.rmdir()

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
            drawn: Image.Image = annotate(load_image(image, max_pixels=MAX_READ_PIXELS, isolated="costly"), result)
        except ImageError:
            self.failed += 1
            return
        kind, ending = ("PNG", ".png") if max(drawn.size) > _JPEG_SIDE else ("JPEG", ".jpg")
        with new_file(self.target / (name + ending)) as part:
            drawn.save(part, kind, quality=90)

    @contextmanager
    def video(self, item: InputItem, fps: float) -> Iterator[Callable[[RGB, FrameResult], None]]:
        """Give a function that draws the frames of a video; the drawing is written whole or not at all."""
        with _drawn(self.target / (self.skip(item) + ".mp4"), fps) as draw:
            yield draw


class AnnotatedVideo:
    """Write one annotated video to `target`, as the only drawing of a job.

    Raises:
        ConfigError: the name is not that of a video that can be written.
        OutputError: there is a file already, or none can be written there.
    """

    failed = 0

    def __init__(self, target: Path) -> None:
        require_video_name(target)
        self.target = target

    @contextmanager
    def open(self, resumed: bool = False) -> Iterator[None]:
        """Begin; raise OutputError if there is such a file, unless an interrupted job is `resumed`."""
        if not resumed:
            require_output(self.target, "")
        yield

    def skip(self, item: InputItem) -> None:
        """Pass over the video, which an earlier call has drawn."""

    def draw(self, item: InputItem, result: ImageResult) -> None:
        """Draw nothing: an image has no place in a video."""

    @contextmanager
    def video(self, item: InputItem, fps: float) -> Iterator[Callable[[RGB, FrameResult], None]]:
        """Give a function that draws the frames of the video, which is written whole or not at all."""
        with _drawn(self.target, fps) as draw:
            yield draw


@contextmanager
def _drawn(path: Path, fps: float) -> Iterator[Callable[[RGB, FrameResult], None]]:
    with VideoWriter(path, fps) as writer:
        yield lambda rgb, result: writer.write(result.time, annotate(rgb, result))
