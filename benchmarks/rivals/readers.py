"""List who is compared: which environment and adapter, and how each is fed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: The shipped model that all others are compared with.
OWN = "mien"

_FACEX = {"anger": "angry", "sadness": "sad", "surprised": "surprise"}
_FACE_API = {"fearful": "fear", "disgusted": "disgust", "surprised": "surprise"}


@dataclass(frozen=True)
class Reader:
    """A library, or one way to use it.

    Attributes:
        key: its name in files and options.
        title: its name in tables.
        environment: its file or folder in `pins/`, or `mien`.
        adapter: the file in `adapters/`.
        fed: how it gets an image, as a sentence for the page.
        options: what the adapter is opened with.
        crops: whether it reads crops.
        photos: whether it reads photographs.
        batches: whether it reads several crops in one call.
        rename: its class names that differ from mien's.
    """

    key: str
    title: str
    environment: str
    adapter: str
    fed: str
    options: Mapping[str, Any] = field(default_factory=dict)
    crops: bool = True
    photos: bool = True
    batches: bool = True
    rename: Mapping[str, str] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether it is a model of mien."""
        return self.environment == OWN


READERS = (
    Reader(
        OWN, "mien", OWN, "mien_models.py",
        "`mien.load().predict(file)` takes a photograph; `detect=False` a crop, `predict_many` a batch of crops.",
        {"model": "mien"},
    ),
    Reader("mien-int8", "mien-int8", OWN, "mien_models.py", "As mien.", {"model": "mien-int8"}),
    Reader("mien-light", "mien-light", OWN, "mien_models.py", "As mien.", {"model": "mien-light"}),
    Reader(
        "fer", "fer", "fer", "fer.py",
        "`FER().detect_emotions(image)` takes a photograph: Haar cascade and quantised network, both its defaults. "
        "`face_rectangles` names the face of a crop. By default 10 pixels are added on each side and filled with "
        "grey, so a crop of 48 pixels is framed too widely. That costs points.",
        batches=False,  # in one image its crops would take in pixels of their neighbours
    ),
    Reader(
        "fer-unpadded", "fer, unpadded", "fer", "fer.py",
        "As fer, with `offsets=(0, 0)`: nothing is added to a crop. All faces of one image are one call, so a batch of "
        "crops is one tall image.",
        {"padded": False}, photos=False,
    ),
    Reader(
        "fer-keras", "fer, Keras", "fer", "fer.py",
        "As fer, with `use_tflite=False`.", {"keras": True}, crops=False,
    ),
    Reader(
        "fer-keras-unpadded", "fer, Keras, unpadded", "fer", "fer.py",
        "Both of these. All faces of one image are one batch of this network.",
        {"keras": True, "padded": False}, photos=False,
    ),
    Reader(
        "facex", "facex", "facex", "facex.py",
        "`PoolManager(1).predict(image)` takes a photograph, `EmotionClassifier.detect_emotion(face)` a grey crop. It "
        "has no call for a batch.",
        batches=False, rename=_FACEX,
    ),
    Reader(
        "face-api", "face-api", "face-api", "face_api.cjs",
        "`detectAllFaces(image).withFaceLandmarks().withFaceExpressions()` takes a photograph, "
        "`nets.faceExpressionNet.predictExpressions` a crop or a batch.",
        rename=_FACE_API,
    ),
    Reader(
        "face-api-tiny", "face-api, tiny detector", "face-api", "face_api.cjs",
        "As face-api, with `TinyFaceDetectorOptions` and without landmarks.", {"tiny": True}, crops=False,
        rename=_FACE_API,
    ),
    Reader(
        "human", "human", "human", "human.cjs",
        "`human.detect(tensor)` takes everything: only its detector and its emotions are switched on. It has no entry "
        "for a crop, so its detector has to find the face again. That costs points. Its scores have two decimals.",
        batches=False,
    ),
    Reader(
        "human-mesh", "human, with mesh", "human", "human.cjs", "As human, with its face mesh, as by default.",
        {"mesh": True}, crops=False,
    ),
    Reader(
        "human-network", "human, network alone", "human", "human.cjs",
        "Its emotion network called by hand, with the steps of its own source. No documented entry does this.",
        {"alone": True}, photos=False,
    ),
)  # fmt: skip


def choose(names: Sequence[str] | None) -> tuple[Reader, ...]:
    """Return the readers with these keys, always with mien; all by default. ValueError names an unknown one."""
    if names is None:
        return READERS
    known = {reader.key: reader for reader in READERS}
    for name in names:
        if name not in known:
            raise ValueError(f"--readers {name}: is none of {', '.join(known)}")
    return tuple(reader for reader in READERS if reader.key in {OWN, *names})
