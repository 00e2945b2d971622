"""Features met block by block, so that tables on disk that are larger than the memory can be compared row with row.

In: two tables of features, a row per image, in memory or memory-mapped. Out: their blocks, and the products of two
blocks. Float32 features stay float32 where the caller asks for no other type, float64 stays float64. Pure.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Shaped
from scipy.linalg import blas

from evaluation.metrics.base import (
    ConstantFeaturesError,
    MismatchedFeaturesError,
    check_features_in_blocks,
)

#: Rows of a block: two blocks of 2,048 float64 features and their products take 50 MB.
BLOCK_ROWS = 1024


def check_pair(
    x: Shaped[np.ndarray, "..."],
    y: Shaped[np.ndarray, "..."],
    *,
    names: tuple[str, str] = ("the first set", "the second set"),
    at_least: int = 2,
) -> None:
    """Refuse two tables that cannot be compared; `names` say in an error which one is meant.

    Raises FeaturesError (no table of floats), TooFewFeaturesError (fewer than `at_least` rows),
    NotFiniteFeaturesError, TooLargeFeaturesError, MismatchedFeaturesError (another width) and ConstantFeaturesError.
    """
    for features, name in zip((x, y), names, strict=True):
        check_features_in_blocks(features, name, at_least=at_least)
    if x.shape[1] != y.shape[1]:
        raise MismatchedFeaturesError(
            f"The features of {names[0]} have {x.shape[1]} columns and those of {names[1]} have {y.shape[1]}: "
            "both must come from the same extractor."
        )
    for features, name in zip((x, y), names, strict=True):
        if all((features[rows] == features[0]).all() for rows in spans(len(features))):
            raise ConstantFeaturesError(
                f"All {len(features)} images of {name} have the same features, so that they have no spread: "
                "look whether they are all one picture."
            )


def common_type(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> type[np.floating]:
    """float64 as soon as one table holds it, and float32 for what is narrower."""
    return np.float64 if np.result_type(x, y).itemsize > 4 else np.float32


def nothing_to_tell() -> None:
    """What is called after a pair of blocks where nobody waits for it."""


def spans(rows: int, block: int = BLOCK_ROWS) -> Iterator[slice]:
    """The blocks of a table of so many rows."""
    return (slice(start, min(start + block, rows)) for start in range(0, rows, block))


def read(features: Float[np.ndarray, "n d"], rows: slice, dtype: type[np.floating]) -> Float[np.ndarray, "rows d"]:
    """The block of `rows`, in memory, in `dtype`."""
    return np.ascontiguousarray(features[rows], dtype=dtype)


def products(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """a b^T of two blocks of one type.

    It is scipy's BLAS that multiplies: where numpy's wheel holds an older OpenBLAS, scipy's takes 0.6 of the time.
    """
    multiply = blas.dgemm if a.dtype == np.float64 else blas.sgemm
    found: Float[np.ndarray, "n m"] = multiply(1.0, b.T, a.T, trans_a=1).T
    return found


def own_products(a: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n n"]:
    """a a^T, of which only what lies on and below the diagonal is worked out; above it stand zeros."""
    multiply = blas.dsyrk if a.dtype == np.float64 else blas.ssyrk
    found: Float[np.ndarray, "n n"] = multiply(1.0, a.T, trans=1).T
    return found
