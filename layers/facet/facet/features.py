"""Features that a backbone computes: how far two vectors are apart."""

import math

import numpy as np
from numpy.typing import NDArray


def distance(vector: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """The distance of two vectors as a part of the length of the second (Euclidean).

    From a vector of zeros it is 0 or infinite.
    """
    apart, length = (float(np.linalg.norm(each)) for each in (vector - reference, reference))
    return apart / length if length else (math.inf if apart else 0.0)
