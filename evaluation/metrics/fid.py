"""FID and its kin: the Frechet distance between a gallery and real images, in one extractor's feature space.

- `fid`: the 2,048 pooled features of the Inception network of the original FID, of images resized without aliasing
  (Heusel et al. (2017), arXiv:1706.08500; Parmar et al. (2022), arXiv:2104.11222).
- `fid_infinity`: the same, read off for an endless gallery (Chong & Forsyth (2020), arXiv:1911.07023).
- `clip_fid`: CLIP ViT-B/32 image features after the projection, not normalised, of images resized as CLIP's own
  processor does (Kynkaanniemi et al. (2023), arXiv:2203.06026, section 4; the definition is clean-fid's).
- `dinov2_fd`: DINOv2 ViT-L/14 features (Stein et al. (2023), arXiv:2306.04675).

Intervals come from influences (`frechet_influences`): how much one image more or less of a kind moves the distance.
They are about the gallery's images and prompts at this number of images; the reference is taken as given, and that a
distance falls as images are added (`fid_infinity`) is no part of them. Pure.
"""

import weakref
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped
from scipy import linalg

from evaluation.metrics.base import (
    ComparesWith,
    FeaturesError,
    GalleryFeatures,
    Statistic,
    Weights,
    check_features_in_blocks,
)
from evaluation.metrics.fd_infinity import FdInfinity, fd_infinity, intercept_weights
from evaluation.metrics.frechet import DistanceToReference, FrechetReference
from evaluation.metrics.moments import Moments, moments_of
from evaluation.metrics.published import CLIP_VIT_B_32, DINOV2_VIT_L, INCEPTION_FID

_CHUNK = 2048


def frechet_influences(
    features: Shaped[np.ndarray, "..."], reference: FrechetReference, *, of_few: bool = False
) -> Float64[np.ndarray, " images"] | None:
    """What each image adds to the distance to `reference`, to first order; they sum to 0.

        psi_i = 2 (mean - mean_r).c_i + c_i.(I - T) c_i - (the mean of that),    c_i = x_i - mean

    T is the linear map that turns the gallery's covariance S into the reference's S_r = R^T R with least movement:
    T = R^T (R S R^T)^(-1/2) R, the derivative of the overlap term (Bhatia, Jain & Lim (2019), arXiv:1712.01504).
    With no more images than features S has no inverse, and None is the answer; or, where `of_few` asks for it, T taken
    in the directions in which the images vary at all, which is the derivative by the images' weights. Intervals from
    it cover as they should (tests/evaluation/metrics/test_fid_metrics.py), while a bootstrap, whose resamples repeat
    images and so vary in fewer directions still, gives ones twice as wide. Raises as `frechet_distance` does.
    """
    features = check_features_in_blocks(features, "the images", at_least=2)
    n, d = features.shape
    if n <= d and not of_few:
        return None
    moments = moments_of(features, exact=n <= d)
    gap = 2 * (moments.mean - reference.mean)
    overlap = _overlap_of_few if n <= d else _overlap_of_many
    found = -overlap(features, moments, reference.factor)
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        centred = features[rows] - moments.mean
        found[rows] += centred @ gap + np.square(centred).sum(axis=1)
    found -= found.mean()
    return found


def _overlap_of_many(
    features: Float[np.ndarray, "n d"], moments: Moments, factor: Float64[np.ndarray, "rank d"]
) -> Float64[np.ndarray, " n"]:
    """c_i.T c_i as the squared length of c_i R^T (R S R^T)^(-1/4), which costs one product of the features."""
    eigenvalues, vectors = linalg.eigh(factor @ moments.covariance @ factor.T)
    # Where a feature never varies, no image differs in it either.
    kept = eigenvalues > eigenvalues[-1] * len(moments.mean) * np.finfo(np.float64).eps
    kind = np.float32 if features.dtype.itemsize <= 4 else np.float64
    half_map = (factor.T @ (vectors[:, kept] * eigenvalues[kept] ** -0.25)).astype(kind)
    found = np.empty(len(features))
    for start in range(0, len(features), _CHUNK):
        rows = slice(start, start + _CHUNK)
        moved = (features[rows] - moments.mean).astype(kind) @ half_map
        found[rows] = np.square(moved).sum(axis=1, dtype=np.float64)
    return found


def _overlap_of_few(
    features: Float[np.ndarray, "n d"], moments: Moments, factor: Float64[np.ndarray, "rank d"]
) -> Float64[np.ndarray, " n"]:
    """The same from the images' own n x n products: with C R^T = U s V^T it is the sum over k of U_ik^2 s_k."""
    projected = (features - moments.mean) @ factor.T
    squares, left = linalg.eigh(projected @ projected.T)
    found: Float64[np.ndarray, " n"] = np.square(left) @ np.sqrt(np.clip(squares, 0, None)) * np.sqrt(len(features) - 1)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FrechetMetric:
    """A Frechet distance to reference images in one extractor's feature space; satisfies Metric."""

    name: str
    weights: Weights
    extractor: str
    better: Literal["higher", "lower"] = "lower"
    text_prefix: str | None = None
    compares_with: ComparesWith | None = "real"
    scored: bool = False
    at_least: float | None = 0.0

    @property
    def definition(self) -> dict[str, object]:
        """What the distance is made of, as JSON values."""
        return {"distance": "frechet", "ddof": 1, "sums": "float64", "normalised": False}

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The distance of any choice of rows to the reference."""
        images, reference = _both(self.name, features)
        return _RowsToReference(images, reference)

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """None: a distance between sets is no mean over images."""
        return None

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """As `frechet_influences`, of few images too."""
        images, reference = _both(self.name, features)
        return frechet_influences(images, reference, of_few=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrechetInfinityMetric:
    """FD-infinity to reference images in one extractor's feature space; satisfies Metric.

    It can come out below 0, so that nothing bounds its interval.
    """

    name: str
    weights: Weights
    extractor: str
    points: int = 15
    seed: int = 0
    better: Literal["higher", "lower"] = "lower"
    text_prefix: str | None = None
    compares_with: ComparesWith | None = "real"
    scored: bool = False
    at_least: float | None = None

    @property
    def definition(self) -> dict[str, object]:
        """What the distance is made of, as JSON values."""
        return {
            "distance": "frechet at infinity",
            "ddof": 1,
            "sums": "float64",
            "normalised": False,
            "points": self.points,
            "smallest": "5000, or half of the images where they are fewer than 10000",
            "seed": self.seed,
        }

    def reading(self, features: GalleryFeatures) -> FdInfinity:
        """The line of all rows, with the points it was read from."""
        images, reference = _both(self.name, features)
        return fd_infinity(images, reference, points=self.points, seed=self.seed)

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The reading of any choice of rows."""
        images, reference = _both(self.name, features)

        def read(rows: Int[np.ndarray, " rows"]) -> float:
            chosen = images if _is_everything(rows, len(images)) else images[rows]
            return fd_infinity(chosen, reference, points=self.points, seed=self.seed).value

        return read

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """None: a distance between sets is no mean over images."""
        return None

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """The distance's own, each weighed by the subsets that the image is in and by what these count for the line."""
        images, reference = _both(self.name, features)
        own = frechet_influences(images, reference)
        if own is None:
            return None
        reading = self.reading(features)
        counts = len(images) * (intercept_weights(reading.sizes) / reading.sizes) @ reading.rows
        own *= counts
        own -= own.mean()
        return own


CLIP_FID = FrechetMetric(name="clip_fid", weights=CLIP_VIT_B_32, extractor="clip")
FID = FrechetMetric(name="fid", weights=INCEPTION_FID, extractor="inception")
FID_INFINITY = FrechetInfinityMetric(name="fid_infinity", weights=INCEPTION_FID, extractor="inception")
DINOV2_FD = FrechetMetric(name="dinov2_fd", weights=DINOV2_VIT_L, extractor="dinov2")


class _RowsToReference:
    """The distance of any choice of rows; what only a bootstrap needs is made when it begins."""

    def __init__(self, images: Shaped[np.ndarray, "..."], reference: FrechetReference) -> None:
        self._images, self._reference = images, reference
        self._of_rows: DistanceToReference | None = None

    def __call__(self, rows: Int[np.ndarray, " rows"]) -> float:
        if _is_everything(rows, len(self._images)):
            return self._reference.distance(self._images)
        if self._of_rows is None:
            self._of_rows = DistanceToReference(self._images, self._reference)
        return self._of_rows(rows)


def _is_everything(rows: Int[np.ndarray, " rows"], count: int) -> bool:
    return len(rows) == count and bool((rows == np.arange(count)).all())


def _both(name: str, features: GalleryFeatures) -> tuple[Shaped[np.ndarray, "..."], FrechetReference]:
    if features.images is None:
        raise FeaturesError(f"{name} compares images, and no features of them were given.")
    if features.reference is None:
        raise FeaturesError(f"{name} compares with reference images, and no features of them were given.")
    return features.images, _factored(features.reference)


# One reference serves all galleries and scales of a run, and factoring it takes as long as measuring a gallery.
_factored_last: list[tuple[weakref.ref[np.ndarray], FrechetReference]] = []


def _factored(reference: np.ndarray) -> FrechetReference:
    for table, factored in _factored_last:
        if table() is reference:
            return factored
    made = FrechetReference(reference)
    _factored_last[:] = [(weakref.ref(reference), made)]
    return made
