"""The golden images and what the shipped models say of them (`tests/golden`)."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

PATH = Path(__file__).parents[1] / "golden" / "images.py"
SPEC = importlib.util.spec_from_file_location("golden_images", PATH)
assert SPEC is not None
assert SPEC.loader is not None
golden = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(golden)

ANSWERS = json.loads(golden.ANSWERS.read_text(encoding="utf-8"))
CROPS: dict[str, npt.NDArray[np.uint8]] = dict(golden.crops())
PHOTOGRAPHS: dict[str, npt.NDArray[np.uint8]] = dict(golden.photographs())
ASTRONAUT = PHOTOGRAPHS["photograph"]

#: Processors with and without fused or 8-bit instructions round differently, int8 graphs most of all.
TOLERANCE = {"mien": 0.005, "mien-int8": 0.08}
