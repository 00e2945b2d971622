"""The Frechet distance: how far two sets of images lie apart, each set's features taken as one Gaussian.

    |mean_x - mean_y|^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^(1/2))

In: two tables of features, a row per image, used as given (never normalised), or their moments. Out: one number, never
negative, in the features' unit squared. Covariances are unbiased (ddof = 1).

With S_x = A^T A and S_y = B^T B the last trace is the sum of the singular values of A B^T, whatever roots A and B are
taken (`_Root`). Where both are Cholesky factors these are the roots of the eigenvalues of B S_x B^T, which is
symmetric: nothing complex can come out, unlike with a general matrix root. Where a covariance is singular or nearly so
(fewer images than features, a dead or repeated feature), such eigenvalues are rounding noise whose square roots add
up, 1e-8 for an error of 1e-16; singular values of the features' own triangles have no such loss.

Large tables of float32 are multiplied in float32 and added up in float64, which moves the distance by less than 1e-6 of
itself (1e-8 is usual); `exact` keeps to float64, as do float64 features, small tables and ill-conditioned ones. Pure.
Sources: Dowson & Landau (1982), doi:10.1016/0047-259X(82)90077-X; Heusel et al. (2017), arXiv:1706.08500.
"""

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped
from scipy import linalg
from scipy.linalg import lapack

from evaluation.metrics.base import (
    ConstantFeaturesError,
    MismatchedFeaturesError,
    TooFewFeaturesError,
    check_features_in_blocks,
)
from evaluation.metrics.moments import Moments, moments_of

# Below this many multiplications the slowest and most exact way takes a tenth of a second.
_SMALL_WORK = 2**30
# How little of a feature's variance the features before it may leave unexplained, before the covariance's rounding
# errors (1e-16, and 1e-8 to 1e-6 after float32 products) would show in the distance.
_LEAST_PIVOT = {"float64": 1e-10, "float32": 3e-4}
# How much of the distance an eigenvalue route may lose by rounding, as estimated, before singular values take over.
_TOLERANCE = {"float64": 1e-10, "float32": 1e-8}
# From this width on eigenvalues are worth being tried: below, singular values take a tenth of a second.
_WIDE = 512
_BLOCK_BYTES = 2**25


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian:
    """The mean and the unbiased covariance of a set of features."""

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]


def gaussian(features: Shaped[np.ndarray, "..."], *, exact: bool = True) -> Gaussian:
    """The Gaussian of at least two rows of features. Raises as `frechet_distance` does."""
    return gaussian_of(moments_of(features, exact=exact))


def gaussian_of(moments: Moments, what: str = "the images") -> Gaussian:
    """The Gaussian with these moments. Raises TooFewFeaturesError and ConstantFeaturesError."""
    if moments.count < 2:
        raise TooFewFeaturesError(f"The features of {what} have {moments.count} rows, and 2 are needed: add images.")
    if moments.scatter.trace() <= 0:
        _refuse_constant(moments.count, what)
    return Gaussian(mean=moments.mean, covariance=moments.covariance)


def frechet_distance(x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."], *, exact: bool = False) -> float:
    """The Frechet distance between the features `x` (n rows) and `y` (m rows); the order does not matter.

    Either may be a np.memmap: rows are read in blocks, and a table of any length takes a few d x d tables of memory.
    `exact` takes every product in float64.
    Raises NotFiniteFeaturesError, TooFewFeaturesError (fewer than two rows), ConstantFeaturesError and
    MismatchedFeaturesError (another number of columns).
    """
    return _distance(_root_of_features(x, "the first set", exact), _root_of_features(y, "the second set", exact))


def distance_between(a: Gaussian, b: Gaussian) -> float:
    """The Frechet distance between two Gaussians."""
    return _distance(_root_of_gaussian(a), _root_of_gaussian(b))


class FrechetReference:
    """The Frechet distance to one reference, factored once: for several galleries, scales or numbers of images."""

    def __init__(
        self, reference: Gaussian | Shaped[np.ndarray, "..."], *, exact: bool = False, what: str = "the reference"
    ) -> None:
        """`reference` is a table of features or their Gaussian; `what` names it in an error.

        Raises as `frechet_distance` does.
        """
        self._exact = exact
        self._root = (
            _root_of_gaussian(reference)
            if isinstance(reference, Gaussian)
            else _root_of_features(reference, what, exact)
        )

    @property
    def mean(self) -> Float64[np.ndarray, " d"]:
        """The reference's mean."""
        return self._root.mean

    @property
    def factor(self) -> Float64[np.ndarray, "rank d"]:
        """A root R of the reference's covariance R^T R."""
        return self._root.factor

    def distance(self, other: Gaussian | Shaped[np.ndarray, "..."], *, what: str = "the gallery") -> float:
        """The distance to a table of features or to a Gaussian, which `what` names in an error.

        Raises as `frechet_distance` does.
        """
        root = _root_of_gaussian(other) if isinstance(other, Gaussian) else _root_of_features(other, what, self._exact)
        return _distance(root, self._root)


class DistanceToReference:
    """The Frechet distance to `reference` of any choice of rows of `features`, for the bootstrap; all in float64.

    All that no choice of rows changes is worked out once: with the reference's covariance R^T R, the overlap term is
    the nuclear norm of (chosen rows, centred) R^T / sqrt(rows - 1), so that only `features @ R^T` has to be made, once.
    Raises as `frechet_distance` does.
    """

    def __init__(
        self,
        features: Shaped[np.ndarray, "..."],
        reference: Shaped[np.ndarray, "..."] | FrechetReference,
    ) -> None:
        """Work out what stays."""
        self._features = _checked(features, "the gallery")
        if not any((self._features[rows] != self._features[0]).any() for rows in _blocks(self._features)):
            _refuse_constant(len(features), "the gallery")
        if not isinstance(reference, FrechetReference):
            root = _root_of_features(reference, "the reference", True)
        else:
            root = reference._root
        _same_width(len(root.mean), self._features.shape[1])
        self._mean, self._trace = root.mean, root.trace
        width = self._features.shape[1]
        self._small = len(features) <= width or len(root.factor) < width
        projected = np.empty((len(features), len(root.factor)))
        for rows in _blocks(self._features):
            projected[rows] = (self._features[rows] - self._mean) @ root.factor.T
        # Columns beyond the number of rows add nothing to singular values: a thin triangle stands for them all.
        if projected.shape[1] > projected.shape[0]:
            projected = linalg.qr(projected.T, mode="r", overwrite_a=True)[0][: len(projected)].T
        self._projected = projected

    def __call__(self, rows: Int[np.ndarray, " rows"]) -> float:
        """The distance of the features at `rows` (at least two; a row may come more than once)."""
        chosen = self._features[rows].astype(np.float64)
        mean = chosen.mean(axis=0)
        trace = float(np.square(chosen - mean).sum() / (len(rows) - 1))
        projected = self._projected[rows]
        projected -= projected.mean(axis=0)
        if self._small:
            overlap = _nuclear_norm(projected) / np.sqrt(len(rows) - 1)
        else:
            overlap = _sum_of_roots(linalg.eigvalsh(projected.T @ projected / (len(rows) - 1)))
        return _compose(mean - self._mean, trace, self._trace, overlap)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Root:
    """A Gaussian with a root of its covariance S = factor^T factor.

    `covariance` is there where the factor is its upper triangle of Cholesky, and well-conditioned; `tolerance` is then
    the part of a distance that may be lost.
    """

    mean: Float64[np.ndarray, " d"]
    trace: float
    factor: Float64[np.ndarray, "rank d"]
    covariance: Float64[np.ndarray, "d d"] | None = None
    tolerance: float = 0.0


def _root_of_features(features: Shaped[np.ndarray, "..."], what: str, exact: bool) -> _Root:
    """The quickest root that is exact enough."""
    features = _checked(features, what)
    n, d = features.shape
    if n <= d or n * d * d <= _SMALL_WORK:
        return _root_by_triangles(features, what)
    in_float32 = features.dtype.itemsize <= 4 and not exact
    for kind in ("float32", "float64") if in_float32 else ("float64",):
        of_these = gaussian_of(moments_of(features, exact=kind == "float64", what=what), what)
        root = _root_by_cholesky(of_these, kind)
        if root is not None:
            return root
    return _root_by_triangles(features, what)


def _root_of_gaussian(one: Gaussian) -> _Root:
    """A root where only the covariance is known: singular ones lose the directions in which nothing varies."""
    root = _root_by_cholesky(one, "float64")
    if root is not None:
        return root
    eigenvalues, vectors = linalg.eigh(one.covariance)
    kept = eigenvalues > max(eigenvalues[-1], 0.0) * len(eigenvalues) * np.finfo(np.float64).eps
    factor = (vectors[:, kept] * np.sqrt(eigenvalues[kept])).T
    return _Root(mean=one.mean, trace=float(one.covariance.trace()), factor=factor)


def _root_by_cholesky(one: Gaussian, kind: str) -> _Root | None:
    """The triangle of Cholesky, or None where a covariance from products in `kind` is too near to a singular one."""
    variances = np.diag(one.covariance)
    try:
        factor = linalg.cholesky(one.covariance, check_finite=False)
    except linalg.LinAlgError:
        return None
    if not (np.square(np.diag(factor)) > _LEAST_PIVOT[kind] * variances).all():
        return None
    return _Root(
        mean=one.mean,
        trace=float(variances.sum()),
        factor=factor,
        covariance=one.covariance,
        tolerance=_TOLERANCE[kind],
    )


def _root_by_triangles(features: Float[np.ndarray, "n d"], what: str) -> _Root:
    """The triangle R of the centred features (QR), found block by block: no product of features is ever taken."""
    n, d = features.shape
    shift = features.mean(axis=0, dtype=np.float64)
    # The first mean is rounded, by more than its last digit where an offset is large; the second corrects it.
    rest = sum(((features[rows] - shift).sum(axis=0) for rows in _blocks(features)), np.zeros(d)) / n
    mean = shift + rest
    factor = np.empty((0, d))
    for rows in _blocks(features):
        factor = np.concatenate([factor, (features[rows] - shift) - rest])
        if len(factor) > d:
            factor = linalg.qr(factor, mode="r", overwrite_a=True, check_finite=False)[0][:d]
    factor /= np.sqrt(n - 1)
    trace = float(np.square(factor).sum())
    if trace <= 0:
        _refuse_constant(n, what)
    return _Root(mean=mean, trace=trace, factor=factor)


def _distance(a: _Root, b: _Root) -> float:
    _same_width(len(a.mean), len(b.mean))
    if a.covariance is not None and b.covariance is not None and len(a.mean) > _WIDE:
        eigenvalues = product_eigenvalues(a.covariance, b.factor)
        distance = _compose(a.mean - b.mean, a.trace, b.trace, _sum_of_roots(eigenvalues))
        if _lost_in_roots(eigenvalues) <= max(a.tolerance, b.tolerance) * distance:
            return distance
    return _compose(a.mean - b.mean, a.trace, b.trace, _nuclear_norm(a.factor @ b.factor.T))


def _lost_in_roots(eigenvalues: Float64[np.ndarray, " d"]) -> float:
    """How far the sum of their roots is off, about, if each is off by a last digit of the largest, to either side."""
    last_digit = np.finfo(np.float64).eps * eigenvalues[-1]
    return float(last_digit * np.sqrt((1 / np.maximum(eigenvalues, last_digit)).sum()))


def product_eigenvalues(
    covariance: Float64[np.ndarray, "d d"], factor: Float64[np.ndarray, "d d"]
) -> Float64[np.ndarray, " d"]:
    """The eigenvalues of R S R^T, S the covariance and R an upper triangle.

    LAPACK's sygst takes a quarter of the work of two matrix products, as both sides are symmetric or triangular.
    """
    product, info = lapack.dsygst(covariance, factor, itype=2, lower=0)
    assert info == 0, f"dsygst refused its argument {-info}"
    found: Float64[np.ndarray, " d"] = linalg.eigvalsh(product, lower=False, overwrite_a=True, check_finite=False)
    return found


def _compose(shift: Float64[np.ndarray, " d"], trace_x: float, trace_y: float, overlap: float) -> float:
    # Two equal sets can come out at -1e-15; a distance is never negative.
    return max(0.0, float(shift @ shift) + trace_x + trace_y - 2 * overlap)


def _sum_of_roots(eigenvalues: Float64[np.ndarray, " d"]) -> float:
    return float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())


def _nuclear_norm(matrix: Float64[np.ndarray, "rows columns"]) -> float:
    return float(linalg.svdvals(matrix).sum()) if matrix.size else 0.0


def _blocks(features: Float[np.ndarray, "n d"]) -> list[slice]:
    """Slices of rows that take `_BLOCK_BYTES` in float64, and no fewer rows than features, so that a QR is worth it."""
    n, d = features.shape
    each = max(d, _BLOCK_BYTES // (8 * max(1, d)), 1)
    return [slice(start, start + each) for start in range(0, n, each)]


def _checked(features: Shaped[np.ndarray, "..."], what: str) -> Float[np.ndarray, "n d"]:
    return check_features_in_blocks(features, what, at_least=2)


def _same_width(first: int, second: int) -> None:
    if first != second:
        raise MismatchedFeaturesError(
            f"The first set has {first} features per image and the second {second}: "
            "both must come from the same extractor."
        )


def _refuse_constant(count: int, what: str) -> NoReturn:
    raise ConstantFeaturesError(
        f"All {count} images of {what} have the same features, so that they have no spread: "
        "look whether they are all one picture."
    )
