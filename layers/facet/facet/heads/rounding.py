"""Weights as int8, with a scale for each row: a quarter of the bytes of float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
"""Of the whole numbers."""


def rounded(
    rows: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """int8 (n, width) and scales (n, 1). Their product differs by half a scale at most."""
    exact = rows.astype(np.float64)
    scales = np.abs(exact).max(axis=1, keepdims=True) / LARGEST
    scales[scales == 0] = 1
    return np.rint(exact / scales).astype(np.int8), scales
