"""The Frechet distance: how far two sets of images lie apart, each set's features taken as one Gaussian.

    |mean_x - mean_y|^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^(1/2))

In: two tables of features, a row per image, used as given (never normalised). Out: one number, never negative, in the
features' unit squared. Covariances are unbiased (ddof = 1) and all is float64. Pure.
Sources: Dowson & Landau (1982), doi:10.1016/0047-259X(82)90077-X; Heusel et al. (2017), arXiv:1706.08500.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped
from scipy import linalg

from evaluation.metrics.base import ConstantFeaturesError, MismatchedFeaturesError, check_features


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian:
    """The mean and the unbiased covariance of a set of features."""

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]


def gaussian(features: Float64[np.ndarray, "n d"]) -> Gaussian:
    """The Gaussian of at least two rows of features."""
    return Gaussian(mean=features.mean(axis=0), covariance=np.atleast_2d(np.cov(features, rowvar=False)))


def frechet_distance(x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."]) -> float:
    """The Frechet distance between the features `x` (n rows) and `y` (m rows); the order does not matter.

    Raises NotFiniteFeaturesError, TooFewFeaturesError (fewer than two rows), ConstantFeaturesError and
    MismatchedFeaturesError (another number of columns).
    """
    x, y = _checked(x, y)
    if _is_small(x, y):
        return _small_distance(x, y)
    return distance_between(gaussian(x), gaussian(y))


def distance_between(a: Gaussian, b: Gaussian) -> float:
    """The Frechet distance between two Gaussians.

    tr((S_a S_b)^(1/2)) is the sum of the roots of the eigenvalues of R^T S_b R with S_a = R R^T, which is symmetric:
    nothing complex can come out, unlike with a general matrix root.
    """
    try:
        root = linalg.cholesky(a.covariance, lower=True)
    except linalg.LinAlgError:
        root = _root_of_singular(a.covariance)
    eigenvalues = linalg.eigvalsh(root.T @ b.covariance @ root) if root.size else np.zeros(1)
    overlap = float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())
    return _compose(a.mean - b.mean, float(np.trace(a.covariance)), float(np.trace(b.covariance)), overlap)


class DistanceToReference:
    """The Frechet distance to `reference` of any choice of rows of `features`, for the bootstrap.

    All that no choice of rows changes is worked out once: with the reference's covariance R R^T, the overlap term is
    the nuclear norm of (chosen rows, centred) R / sqrt(rows - 1), so that only `features @ R` has to be kept.
    Raises as `frechet_distance` does.
    """

    def __init__(self, features: Shaped[np.ndarray, "..."], reference: Shaped[np.ndarray, "..."]) -> None:
        """Work out what stays."""
        x, y = _checked(features, reference)
        self._features = x
        self._mean = y.mean(axis=0)
        centred = y - self._mean
        self._trace = float(np.square(centred).sum() / (len(y) - 1))
        self._small = _is_small(x, y)
        if self._small:
            projected = (x - self._mean) @ centred.T / np.sqrt(len(y) - 1)
            # Columns beyond the number of rows add nothing to singular values: a thin triangle stands for them all.
            if projected.shape[1] > projected.shape[0]:
                projected = linalg.qr(projected.T, mode="r", overwrite_a=True)[0][: len(x)].T
            self._projected = projected
        else:
            covariance = gaussian(y).covariance
            try:
                root = linalg.cholesky(covariance, lower=True)
            except linalg.LinAlgError:
                root = _root_of_singular(covariance)
            self._projected = x @ root

    def __call__(self, rows: Int[np.ndarray, " rows"]) -> float:
        """The distance of the features at `rows` (at least two; a row may come more than once)."""
        chosen = self._features[rows]
        mean = chosen.mean(axis=0)
        trace = float(np.square(chosen - mean).sum() / (len(rows) - 1))
        projected = self._projected[rows]
        projected = projected - projected.mean(axis=0)
        if self._small:
            overlap = _nuclear_norm(projected) / np.sqrt(len(rows) - 1)
        else:
            eigenvalues = linalg.eigvalsh(projected.T @ projected / (len(rows) - 1))
            overlap = float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())
        return _compose(mean - self._mean, trace, self._trace, overlap)


def _small_distance(x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]) -> float:
    """The distance where a covariance is singular for want of rows.

    The overlap is then read off the centred features themselves: eigenvalues of a singular product are rounding noise
    whose square roots add up, and the distance would read low.
    """
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    centred_x, centred_y = (x - mean_x) / np.sqrt(len(x) - 1), (y - mean_y) / np.sqrt(len(y) - 1)
    overlap = _nuclear_norm(centred_x @ centred_y.T)
    return _compose(mean_x - mean_y, float(np.square(centred_x).sum()), float(np.square(centred_y).sum()), overlap)


def _compose(shift: Float64[np.ndarray, " d"], trace_x: float, trace_y: float, overlap: float) -> float:
    # Two equal sets can come out at -1e-15; a distance is never negative.
    return max(0.0, float(shift @ shift) + trace_x + trace_y - 2 * overlap)


def _is_small(x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]) -> bool:
    """Whether one of the covariances is singular: n centred rows span at most n - 1 dimensions."""
    return bool(min(len(x), len(y)) <= x.shape[1])


def _nuclear_norm(matrix: Float64[np.ndarray, "rows columns"]) -> float:
    return float(linalg.svdvals(matrix).sum())


def _root_of_singular(covariance: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "d rank"]:
    """R with R R^T = `covariance`, without the directions in which nothing varies (a dead or repeated feature)."""
    eigenvalues, vectors = linalg.eigh(covariance)
    kept = eigenvalues > eigenvalues[-1] * len(covariance) * np.finfo(np.float64).eps
    root: Float64[np.ndarray, "d rank"] = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    return root


def _checked(
    x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]:
    x = check_features(x, "the first set", at_least=2)
    y = check_features(y, "the second set", at_least=2)
    if x.shape[1] != y.shape[1]:
        raise MismatchedFeaturesError(
            f"The first set has {x.shape[1]} features per image and the second {y.shape[1]}: "
            "both must come from the same extractor."
        )
    for features, which in ((x, "first"), (y, "second")):
        if (features == features[0]).all():
            raise ConstantFeaturesError(
                f"All {len(features)} images of the {which} set have the same features, so that they have no spread: "
                "look whether they are all one picture."
            )
    return x, y
