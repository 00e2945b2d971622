"""FD-infinity: the Frechet distance that an endless gallery would have.

With n images the distance comes out too high, by a part that falls as 1 / n and differs between models, so that even
their order can depend on n. Distances of random subsets of evenly spaced sizes are therefore drawn over 1 / size, and
the straight line through them is read off at 0. Pure; `seed` decides the subsets.
Source: Chong & Forsyth (2020), "Effectively unbiased FID and Inception Score and where to find them",
arXiv:1911.07023 (15 sizes, from 5,000 to all images).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from evaluation.metrics.base import TooFewFeaturesError, check_features_in_blocks
from evaluation.metrics.frechet import FrechetReference, gaussian_of
from evaluation.metrics.moments import StreamingMoments

PAPER_SMALLEST = 5000
_CHUNK = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class FdInfinity:
    """The intercept `value` with its `standard_error`, the `slope` over 1 / size, and the points they were read from.

    The standard error is that of least squares, from the points' scatter about the line: it says how certain the
    reading is, given these images. How certain the images themselves make it, an interval over prompts says.
    `rows[k]` says which images were in subset k.
    """

    value: float
    standard_error: float
    slope: float
    sizes: Int[np.ndarray, " points"]
    distances: Float64[np.ndarray, " points"]
    rows: Bool[np.ndarray, "points images"]


def fd_infinity(
    features: Shaped[np.ndarray, "..."],
    reference: Shaped[np.ndarray, "..."] | FrechetReference,
    *,
    points: int = 15,
    smallest: int | None = None,
    seed: int = 0,
    exact: bool = False,
) -> FdInfinity:
    """FD-infinity of `features`, one row per image, to the whole of `reference`, which has more images than features.

    `smallest` is the smallest subset: the paper's 5,000 where there are twice as many images, and otherwise half of
    them. A covariance of no more images than features follows no line, so that it must be larger than their number.
    The value can be a little below 0, as a difference of readings. Raises TooFewFeaturesError, and as
    `frechet_distance` does.
    """
    features = check_features_in_blocks(features, "the images", at_least=2)
    sizes = subset_sizes(*features.shape, points=points, smallest=smallest)
    if not isinstance(reference, FrechetReference):
        reference = check_features_in_blocks(reference, "the reference", at_least=2)
        if len(reference) <= reference.shape[1]:
            raise TooFewFeaturesError(
                f"FD-infinity to a reference of {len(reference)} images with {reference.shape[1]} features is out of "
                "reach: only the gallery's size is extrapolated, and a covariance of no more images than features is "
                f"far from what it estimates; name {reference.shape[1] + 1} reference images or more."
            )
        reference = FrechetReference(reference, exact=exact)
    rng = np.random.default_rng(seed)
    chosen = np.zeros((len(sizes), len(features)), dtype=bool)
    distances = np.empty(len(sizes))
    for index, size in enumerate(sizes):
        rows = np.sort(rng.choice(len(features), size=size, replace=False))
        chosen[index, rows] = True
        distances[index] = _distance_of_rows(features, rows, reference, exact)
    return _read_off(sizes, distances, chosen)


def subset_sizes(
    images: int, width: int, *, points: int = 15, smallest: int | None = None
) -> Int[np.ndarray, " points"]:
    """The evenly spaced sizes of the subsets, up to all images. Raises TooFewFeaturesError."""
    first = min(PAPER_SMALLEST, images // 2) if smallest is None else smallest
    if points < 3 or not width < first <= images - points:
        raise TooFewFeaturesError(
            f"FD-infinity of {images} images with {width} features, read off {points} subsets of {first} images and "
            f"more, is out of reach: it takes 3 subsets or more, all of more images than features; "
            f"with {2 * (width + 1)} images or more no size has to be named."
        )
    return np.linspace(first, images, points).round().astype(np.int64)


def intercept_weights(sizes: Int[np.ndarray, " points"]) -> Float64[np.ndarray, " points"]:
    """How much each subset's distance counts for the intercept of the line; they sum to 1."""
    weights: Float64[np.ndarray, " points"] = np.linalg.pinv(_design(sizes))[0]
    return weights


def _read_off(
    sizes: Int[np.ndarray, " points"],
    distances: Float64[np.ndarray, " points"],
    rows: Bool[np.ndarray, "points images"],
) -> FdInfinity:
    design = _design(sizes)
    intercept, slope = np.linalg.pinv(design) @ distances
    left = distances - design @ (intercept, slope)
    variance = float(left @ left) / (len(sizes) - 2)
    return FdInfinity(
        value=float(intercept),
        standard_error=float(np.sqrt(variance * np.square(intercept_weights(sizes)).sum())),
        slope=float(slope),
        sizes=sizes,
        distances=distances,
        rows=rows,
    )


def _design(sizes: Int[np.ndarray, " points"]) -> Float64[np.ndarray, "points 2"]:
    return np.stack([np.ones(len(sizes)), 1 / sizes], axis=1)


def _distance_of_rows(
    features: Float[np.ndarray, "n d"], rows: Int[np.ndarray, " rows"], reference: FrechetReference, exact: bool
) -> float:
    """Gathered in chunks: a subset is never copied as a whole."""
    stream = StreamingMoments(features.shape[1], exact=exact)
    for start in range(0, len(rows), _CHUNK):
        stream.add(features[rows[start : start + _CHUNK]])
    return reference.distance(gaussian_of(stream.moments()))
