"""Features as directions: rows scaled to length 1, for cosines and for kernels that are defined on such. Pure."""

import numpy as np
from jaxtyping import Float, Float64

from evaluation.metrics.base import FeaturesError, check_features


def unit_rows(features: Float[np.ndarray, "n d"], what: str) -> Float64[np.ndarray, "n d"]:
    """Each row divided by its length, in float64; `what` is the word for a row in an error.

    Raises FeaturesError for a row of zeros, which has no direction, and as `check_features` does.
    """
    rows = check_features(features, f"the {what}s", at_least=1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    empty = np.flatnonzero(lengths == 0)
    if empty.size:
        raise FeaturesError(
            f"The features of {what} {empty[0]} are all zero and have no direction: extract them again."
        )
    unit: Float64[np.ndarray, "n d"] = rows / lengths
    return unit
