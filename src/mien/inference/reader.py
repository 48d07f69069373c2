"""Run inference: preprocess, classify, calibrate, decide. This module alone knows the order."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any, ClassVar

import numpy as np

from mien.arrays import RGB, Float32, Float64, UInt8
from mien.errors import ConfigError, ImageError
from mien.faces.crop import exact_crop, face_region
from mien.faces.tracker import Tracker
from mien.inference.alike import alike_batches, require_several
from mien.inference.bundle import Bundle, load_bundle
from mien.inference.bundle_config import BundleConfig
from mien.inference.calibration import probabilities
from mien.inference.classifier import BATCH_SIZE, in_batches
from mien.inference.decision import AnswerRule
from mien.inference.placement import Placement, place
from mien.inference.postprocess import Postprocessor
from mien.inference.preprocess import PreparedImage, Preprocessor
from mien.inference.reader_options import Faces, describe, detects, max_faces
from mien.inference.thresholds import Threshold
from mien.io.images.decoding import Isolation, load_image
from mien.io.images.source import ImageSource, open_source
from mien.io.video.frames import TimedFrame, with_times
from mien.results import Box, Detection, Face, FrameResult, ImageResult
from mien.runtime.memory import keep_freed_memory
from mien.runtime.providers import Device
from mien.runtime.threads import map_in_order, thread_count


class Reader:
    """Answers from images with one bundle; build it once and use it for many images.

    `answers` are all that this model may answer: its labels, or some of them and `neither`. `rule` says when.

    Args:
        bundle: the model.
        threads: how many threads a call may use, at most 256; None is one per available core. Several images are
            decoded and searched for faces side by side.
        threshold: the probability from which a label is the answer, such as `{"sad": 0.6}`, in place of the bundle's
            own rule for that label; for two labels, a number is that of the second. None is the bundle's own rule.
        faces: classify all faces of an image, largest first, or the largest alone.
        detect: detect faces and classify each, or classify the whole image; None is as the bundle was trained
            (its `framing`).
        device: where the model runs: "cpu", "cuda", "openvino", "coreml", "directml", or "auto": on the CPU, unless a
            quick trial shows that another one that the installed onnxruntime offers is clearly faster. Faces are
            found there too if that is faster. `device_note` says what was chosen.
        mirror: average the logits of each crop and its mirror image, in twice the time; None is as the bundle says.

    Raises:
        ConfigError: an option that does not fit: fewer threads than 1 or more than 256, another word for `faces`, a
            threshold that is outside (0, 1) or not one of this model's (`AnswerRule.with_threshold`), or a device that
            is not offered or cannot be used.
        BundleError: the graph does not fit the config.

    Examples:
        >>> reader = Reader(load_bundle("mien"), faces="largest")
        >>> reader.predict("photo.jpg").answer
        'happy'
    """

    #: `mien.explain`. The package sets it when it is imported, since explanation stands on a higher floor.
    explain_with: ClassVar[Callable[..., Any]]

    def __init__(
        self, bundle: Bundle, threads: int | None = None, threshold: Threshold | None = None, *, faces: Faces = "all",
        detect: bool | None = None, device: Device = "auto", mirror: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(bundle, Bundle):
            raise ConfigError(
                f"a reader takes what `load_bundle` returns, not {type(bundle).__name__}; use mien.load()"
            )
        keep_freed_memory()
        config = bundle.config
        count = thread_count(threads)
        rule = config.rule if threshold is None else config.rule.with_threshold(threshold)
        placement = place(bundle, device, threads, detects(config, detect)).with_mirror(mirror)
        self._assemble(config, rule, placement, threads=count, max_faces=max_faces(faces), detect=detect)

    def _assemble(
        self, config: BundleConfig, rule: AnswerRule, placement: Placement, *, threads: int, max_faces: int | None,
        detect: bool | None, isolated: Isolation = "unbounded",
    ) -> None:  # fmt: skip
        self.config, self.rule, self._placement = config, rule, placement
        self._classifier, self.detector = placement.classifier, placement.detector
        self._threads, self._max_faces, self._asked, self.isolated = threads, max_faces, detect, isolated
        self.detect = detects(config, detect)
        self._postprocess = Postprocessor(config, rule, self.detect, self.overlooks_faces)
        self._preprocess = Preprocessor(
            config.input_size, config.input_channels, self.detector if self.detect else None, max_faces, config.resize,
            config.fit, isolated=isolated,
        )  # fmt: skip

    def variant(
        self, *, faces: Faces | None = None, detect: bool | None = None, threads: int | None = None,
        threshold: Threshold | None = None, isolated: Isolation | None = None, mirror: bool | None = None,
    ) -> "Reader":  # fmt: skip
        """Return a reader that shares this one's networks and differs in the options given; None keeps one.

        `threads` is how many images are preprocessed side by side. `isolated`: which single images are decoded in a
        process of their own, as in `open_image`. Raises ConfigError as the constructor does.
        """
        other = Reader.__new__(Reader)
        other._assemble(
            self.config,
            self.rule if threshold is None else self.rule.with_threshold(threshold),
            self._placement.with_mirror(mirror),
            threads=self._threads if threads is None else thread_count(threads),
            max_faces=self._max_faces if faces is None else max_faces(faces),
            detect=self._asked if detect is None else detect,
            isolated=self.isolated if isolated is None else isolated,
        )
        return other

    @property
    def device(self) -> Device:
        """Where the model runs; `reader.detector.device` is where faces are found."""
        return self._classifier.device

    @property
    def mirror(self) -> bool:
        """Whether the logits of each crop and its mirror image are averaged; `config.mirror` is the bundle's own."""
        return self._classifier.mirror

    @property
    def device_note(self) -> str | None:
        """A sentence that says where the networks run and why; None if only the CPU was asked for or is offered."""
        return self._placement.note

    @property
    def overlooks_faces(self) -> bool:
        """Whether photographs are read whole, though nobody asked for that and the model may be one of faces."""
        return self._asked is None and not self.detect and self.config.content != "other"

    def __repr__(self) -> str:
        """Say the model, its labels, what it reads and when it gives which answer, in one line."""
        return describe(self.config, self.rule, self.detect, self._max_faces, self.device, self.mirror)

    @property
    def answers(self) -> tuple[str, ...]:
        """Every possible answer of this model: its labels, or some of them and `neither`."""
        return self.rule.answers

    @property
    def threshold(self) -> float:
        """The probability from which the second of two labels is the answer."""
        return self.rule.threshold

    def predict(self, source: ImageSource) -> ImageResult:
        """Classify one image: a path, an image file's bytes, an open file, a PIL image or a uint8 RGB array (H, W, 3).

        A file that cannot be decoded gives a result with status `unreadable`, an image without a face one with
        status `no_face`. Raises InputError for an object that is not an image at all.
        """
        return self.classify(self.preprocess(source))

    def preprocess(self, source: ImageSource, name: str | None = None) -> PreparedImage:
        """Decode one image, detect its faces and crop them, as `predict` does before the network sees them.

        `name` is what the result calls it, in place of the name of its file. Raises InputError for an object that is
        not an image at all.
        """
        found, plain = open_source(source)
        return self._preprocess((name or found, plain))

    def classify(self, prepared: PreparedImage) -> ImageResult:
        """Classify the crops of one image: `classify(preprocess(source))` is `predict(source)`."""
        return next(self._results([prepared]))

    def predict_many(self, sources: Iterable[ImageSource], batch_size: int = BATCH_SIZE) -> Iterator[ImageResult]:
        """Classify images, in order; one bad file never stops the others.

        They are taken from `sources` a little ahead, and about `batch_size` crops are classified at a time. Memory does
        not grow with their number. An array (N, H, W, 3) is N images. Raises InputError for one image alone.
        """
        require_several(sources)
        return self._predict_alike(sources, max(batch_size, 1))

    def _predict_alike(self, sources: Iterable[ImageSource], batch_size: int) -> Iterator[ImageResult]:
        """Classify arrays of one size without an object for each step, and all images after them one by one."""
        for found in alike_batches(sources, self._preprocess.takes, batch_size):
            if isinstance(found, np.ndarray):
                yield from self._postprocess.arrays(found, self.probabilities(self._preprocess.stack(found)))
            else:
                yield from self.predict_named(map(open_source, found), batch_size)

    def predict_named(
        self, sources: Iterable[tuple[str, ImageSource | ImageError]], batch_size: int = BATCH_SIZE
    ) -> Iterator[ImageResult]:
        """Classify images as `predict_many` does, each under the name given with it.

        An ImageError in place of an image (its bytes could not be had) becomes an `unreadable` row.
        """
        return (result for _, result in self.predict_prepared(sources, batch_size))

    def predict_prepared(
        self, sources: Iterable[tuple[str, ImageSource | ImageError]], batch_size: int = BATCH_SIZE,
        chosen: Mapping[str, Box] | None = None,
    ) -> Iterator[tuple[PreparedImage, ImageResult]]:  # fmt: skip
        """Classify images as `predict_named` does; yield each result beside the crops that the network saw.

        `chosen` are faces that come before larger ones, by name of the image file, in pixels of the upright image.
        """
        items, preprocess = iter(sources), self._preprocess.with_chosen(chosen or {})
        first = list(islice(items, 2))
        # A decoder's process takes longer to start than a single photo to read.
        prepare = preprocess.for_many() if len(first) > 1 else preprocess
        with closing(map_in_order(prepare, chain(first, items), self._threads)) as prepared:
            for batch, _ in in_batches(prepared, lambda image: len(image.inputs), batch_size):
                yield from zip(batch, self._results(batch), strict=True)

    def classify_faces(self, rgb: RGB, detections: Sequence[Detection]) -> tuple[Face, ...]:
        """Classify faces that you detected in an image, uint8 (H, W, 3), RGB, [0, 255], in its pixels."""
        image = load_image(rgb)
        size, channels, method = self.config.input_size, self.config.input_channels, self.config.resize
        inputs = [exact_crop(image, size, channels, face_region(found), method) for found in detections]
        return self._postprocess.faces([found.box for found in detections], detections, self._classify_crops(inputs))

    def watch(
        self, frames: Iterable[RGB | tuple[float, RGB] | TimedFrame], fps: float | None = None, *,
        source: str = "<frames>", cuts: bool = True, tracker: Tracker | None = None,
    ) -> Iterator[FrameResult]:  # fmt: skip
        """Classify frames one by one as they come, track the people in them and smooth their probabilities.

        Nothing is taken ahead, and memory does not grow with the number of frames. Answers are the model's own
        rule on smoothed probabilities; `mien.faces.tracker.Tracker` tracks and smooths. A hard cut begins a new
        `scene`, in which everybody is somebody new.

        Args:
            frames: uint8 (H, W, 3), RGB, [0, 255], or pairs of a time in seconds and a frame, or what
                `mien.io.video.decoding.open_video(path).frames(fps)` yields.
            fps: a frame without a time comes 1 / `fps` seconds after the one before; None means that it shows
                the moment it comes in, as from a webcam.
            source: the name of every result.
            cuts: look for hard cuts among frames that do not say; False for a webcam, which has none.
            tracker: continue with this one; None begins a new one.

        Raises:
            InputError: a frame is not an image, or its time is before the last one.
        """
        track = Tracker() if tracker is None else tracker
        for frame in with_times(frames, fps, cuts):
            if frame.cut:
                track.cut()
            image = self._preprocess((source, frame.rgb))
            people, rows = track(frame.time, image.boxes, image.crops, self._classify_crops(image.inputs))
            yield self._postprocess.frame(image, rows, people, frame, track.scene)

    def explain(self, image: ImageSource, **options: Any) -> Any:
        """Explain one image with this reader; return the `Explanation` of `mien.explain(image, model=reader)`.

        `options` are the others of `mien.explain`, such as `label` and `method`.

        Examples:
            >>> load().explain("photo.jpg", method="occlusion").faces[0].label
            'happy'
        """
        return type(self).explain_with(image, model=self, **options)

    def probabilities(self, crops: UInt8 | Float32, batch_size: int = BATCH_SIZE) -> Float64:
        """Return calibrated probabilities, float64 (N, K), of crops uint8 (N, S, S, C), [0, 255]."""
        return probabilities(self.logits(crops, batch_size), self.config.temperature)

    def logits(self, crops: UInt8 | Float32, batch_size: int = BATCH_SIZE) -> Float32:
        """Return the network's logits, float32 (N, K), of crops uint8 (N, S, S, C), [0, 255]."""
        return self._classifier.logits(crops, batch_size)

    def maps(self, crops: UInt8, batch_size: int = BATCH_SIZE) -> Float32:
        """Return class activation maps, float32 (N, h, w, K), of crops uint8 (N, S, S, C); their means are the logits.

        Raises ConfigError for a model whose graph has none (`config.maps`).
        """
        return self._classifier.maps(crops, batch_size)

    def _results(self, images: Sequence[PreparedImage]) -> Iterator[ImageResult]:
        """Classify the crops of some images together."""
        return self._postprocess.images(images, self._classify_crops([one for image in images for one in image.inputs]))

    def _classify_crops(self, crops: Sequence[UInt8 | Float32]) -> Float64:
        none = np.empty((0, len(self.config.labels)))
        return self.probabilities(np.stack(crops, dtype=np.float32)) if crops else none


def load(
    model: str | os.PathLike[str] | None = None, *, threads: int | None = None,
    threshold: Threshold | None = None, faces: Faces = "all", detect: bool | None = None, device: Device = "auto",
    mirror: bool | None = None,
) -> Reader:  # fmt: skip
    """Open a model for inference: the shipped one, or a bundle, a run folder or a shipped model by its name.

    The options are those of Reader. Raises BundleError if there is no such model or it is damaged, ConfigError if an
    option does not fit it.

    Examples:
        >>> load().answers
        ('happy', 'sad', 'neither')
    """
    return Reader(load_bundle(model), threads, threshold, faces=faces, detect=detect, device=device, mirror=mirror)
