"""Array types by element; shapes and ranges stand in docstrings."""

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
#: An upright image: uint8 (H, W, 3), values 0 to 255.
RGB = npt.NDArray[np.uint8]
