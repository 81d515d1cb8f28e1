"""Names for the arrays that annotations speak of."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Ids", "Mask"]

#: real numbers in double precision
Array = NDArray[np.float64]
#: numbers of points, cells or facets
Ids = NDArray[np.int64]
#: one truth value each
Mask = NDArray[np.bool_]
