"""Precision, recall, density and coverage: how true generated images are to real ones, and how many sorts they cover.

In: features of real and of generated images, in this order. A set's manifold is the union of balls round its images,
each as wide as the distance to the k-th nearest other image of the set; on its rim is outside (`<`, not `<=`).

- precision: the share of generated images within the real manifold; recall: of real ones within the generated one
- density: in how many of the real balls a generated image lies, over k, on average: an outlier's wide ball counts once
- coverage: the share of real balls that hold a generated image

Blocks are compared, so that no table of all distances is ever in memory. Distances are float64. Where the quick form
|x|^2 + |y|^2 - 2 x.y cannot tell a distance from a radius, the differences decide, so that copies and ties are judged
as they are and no number depends on the size of a block. Pure.
Sources: Kynkaanniemi et al. (2019), arXiv:1904.06991, section 3; Naeem et al. (2020), arXiv:2002.09797, section 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from evaluation.metrics.base import (
    ComparesWith,
    FeaturesError,
    GalleryFeatures,
    Statistic,
    TooFewFeaturesError,
    Weights,
)
from evaluation.metrics.blocks import BLOCK_ROWS, check_pair, read, spans
from evaluation.metrics.nearest import ROUNDING, centre, exact_distances, nearest, squared_distances
from evaluation.metrics.published import DINOV2_VIT_L

K = 5

# Pairs whose differences are in memory at once.
_PAIRS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Prdc:
    """The four shares; density has no upper bound, the others lie in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifolds:
    """For each image, where it lies: the four numbers are means of these."""

    within_real: Int[np.ndarray, " generated"]
    """In how many real balls each generated image lies."""
    within_generated: Bool[np.ndarray, " real"]
    """Whether each real image lies in a generated ball."""
    covered: Bool[np.ndarray, " real"]
    """Whether each real ball holds a generated image."""
    k: int

    def prdc(self) -> Prdc:
        """The four numbers."""
        return Prdc(
            precision=float((self.within_real > 0).mean()),
            recall=float(self.within_generated.mean()),
            density=float(self.within_real.mean() / self.k),
            coverage=float(self.covered.mean()),
        )


def prdc(real: Shaped[np.ndarray, "..."], generated: Shaped[np.ndarray, "..."], *, k: int = K) -> Prdc:
    """The four numbers of the generated images against the real ones.

    Raises FeaturesError where k is not at least 1, TooFewFeaturesError where a set has not more than k images, and as
    `check_pair` does.
    """
    return manifolds(real, generated, k=k).prdc()


def manifolds(
    real: Shaped[np.ndarray, "..."], generated: Shaped[np.ndarray, "..."], *, k: int = K, block: int = BLOCK_ROWS
) -> Manifolds:
    """Where each image lies. Raises as `prdc` does."""
    check_prdc(real, generated, k)
    radii_of_real = radii(real, k, block=block)
    radii_of_generated = radii(generated, k, block=block)
    within_real = np.zeros(len(generated), dtype=np.int64)
    within_generated, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for tile in _tiles(real, generated, block):
        in_real = tile.closer_than(radii_of_real[tile.rows][:, None])
        in_generated = tile.closer_than(radii_of_generated[tile.columns][None, :])
        within_real[tile.columns] += in_real.sum(axis=0)
        covered[tile.rows] |= in_real.any(axis=1)
        within_generated[tile.rows] |= in_generated.any(axis=1)
    return Manifolds(within_real=within_real, within_generated=within_generated, covered=covered, k=k)


def radii(x: Float[np.ndarray, "n d"], k: int, *, block: int = BLOCK_ROWS) -> Float64[np.ndarray, " n"]:
    """The squared distance of each row to the k-th nearest other row."""
    found: Float64[np.ndarray, " n"] = nearest(x, x, k=k, leave_out_self=True, block=block).values[:, -1]
    return found


def check_prdc(real: Shaped[np.ndarray, "..."], generated: Shaped[np.ndarray, "..."], k: int) -> None:
    """Refuse what `prdc` cannot judge."""
    if k < 1:
        raise FeaturesError(f"k is {k}: a ball reaches to the k-th nearest image, so that k is 1 or more.")
    check_pair(real, generated, names=("the real images", "the generated images"))
    for features, name in ((real, "real"), (generated, "generated")):
        if len(features) <= k:
            raise TooFewFeaturesError(
                f"There are {len(features)} {name} images, and k = {k} needs more than {k}: "
                "add images or choose a smaller k."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PrdcMetric:
    """One of the four; satisfies Metric.

    Precision and density are means over generated images. Recall and coverage are unions over them: a choice of rows
    that holds an image twice counts it once, and recall's balls stay those of the whole gallery, as a copy would
    shrink its own ball to nothing and a thinned gallery would widen all of them.
    """

    name: Literal["precision", "recall", "density", "coverage"]
    weights: Weights = DINOV2_VIT_L
    extractor: str = "dinov2"
    k: int = K
    better: Literal["higher", "lower"] = "higher"
    text_prefix: str | None = None
    compares_with: ComparesWith | None = "real"
    scored: bool = False
    at_least: float | None = 0.0

    @property
    def definition(self) -> dict[str, object]:
        """The balls, as JSON values."""
        return {"k": self.k, "distance": "euclidean", "rim": "outside", "precision": "float64", "normalised": False}

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The number of any choice of rows."""
        if self.name == "recall":
            return self._recall(features)
        if self.name == "coverage":
            return self._coverage(features)
        each = self._each(features)

        def share(rows: Int[np.ndarray, " rows"]) -> float:
            return float(each[rows].mean())

        return share

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """For precision 1 within the real manifold and 0 outside; for density the number of balls over k."""
        return self._each(features) if self.name in {"precision", "density"} else None

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """Each image's own value less the mean; None for recall and coverage, which are unions over images."""
        each = self.per_image(features)
        return None if each is None else each - each.mean()

    def _each(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        real, generated = self._both(features)
        check_prdc(real, generated, self.k)
        counts = np.zeros(len(generated), dtype=np.int64)
        reach = radii(real, self.k)
        for tile in _tiles(real, generated, BLOCK_ROWS):
            counts[tile.columns] += tile.closer_than(reach[tile.rows][:, None]).sum(axis=0)
        return np.where(counts > 0, 1.0, 0.0) if self.name == "precision" else counts / self.k

    def _coverage(self, features: GalleryFeatures) -> Statistic:
        """The share of real balls that hold a chosen image."""
        real, generated = self._both(features)
        check_prdc(real, generated, self.k)
        reach, found = radii(real, self.k), []
        for tile in _tiles(real, generated, BLOCK_ROWS):
            ball, image = np.nonzero(tile.closer_than(reach[tile.rows][:, None]))
            found.append(np.stack([ball + tile.rows.start, image + tile.columns.start]))
        return _share_reached(np.concatenate(found, axis=1), of=len(real), images=len(generated))

    def _recall(self, features: GalleryFeatures) -> Statistic:
        """The share of real images in a chosen image's ball; the balls are those of the whole gallery."""
        real, generated = self._both(features)
        check_prdc(real, generated, self.k)
        reach, found = radii(generated, self.k), []
        for tile in _tiles(real, generated, BLOCK_ROWS):
            image, ball = np.nonzero(tile.closer_than(reach[tile.columns][None, :]))
            found.append(np.stack([image + tile.rows.start, ball + tile.columns.start]))
        return _share_reached(np.concatenate(found, axis=1), of=len(real), images=len(generated))

    def _both(
        self, features: GalleryFeatures
    ) -> tuple[Float[np.ndarray, "references features"], Float[np.ndarray, "images features"]]:
        if features.images is None or features.reference is None:
            raise FeaturesError(f"{self.name} compares features of images with those of reference images: give both.")
        return features.reference, features.images


def _share_reached(pairs: Int[np.ndarray, "two pairs"], *, of: int, images: int) -> Statistic:
    """How many of the `of` real ones a choice of images reaches; `pairs` say which image reaches which."""
    reached, by = pairs

    def share(rows: Int[np.ndarray, " rows"]) -> float:
        chosen = np.zeros(images, dtype=np.bool_)
        chosen[rows] = True
        hit = np.zeros(of, dtype=np.bool_)
        hit[reached[chosen[by]]] = True
        return float(hit.mean())

    return share


PRECISION = PrdcMetric(name="precision")
RECALL = PrdcMetric(name="recall")
DENSITY = PrdcMetric(name="density")
COVERAGE = PrdcMetric(name="coverage")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tile:
    """The squared distances between a block of real and a block of generated images, and how sure they are."""

    rows: slice
    columns: slice
    a: Float64[np.ndarray, "n d"]
    b: Float64[np.ndarray, "m d"]
    squared: Float64[np.ndarray, "n m"]
    doubt: Float64[np.ndarray, "n m"]

    def closer_than(self, squared_radii: Float64[np.ndarray, "..."]) -> Bool[np.ndarray, "n m"]:
        """Which pairs are closer than these squared radii; where rounding could decide, the differences do."""
        gap = self.squared - squared_radii
        closer: Bool[np.ndarray, "n m"] = gap < 0
        doubtful, other = np.nonzero(np.abs(gap) <= self.doubt)
        limits = np.broadcast_to(squared_radii, closer.shape)
        for start in range(0, len(doubtful), _PAIRS):
            i, j = doubtful[start : start + _PAIRS], other[start : start + _PAIRS]
            closer[i, j] = exact_distances(self.a[i], self.b[j]) < limits[i, j]
        return closer


def _tiles(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], block: int) -> Iterator[_Tile]:
    origin = centre(real)
    for rows in spans(len(real), block):
        a = read(real, rows, np.float64)
        from_a = a - origin
        size_a = np.square(from_a).sum(axis=1)
        for columns in spans(len(generated), block):
            b = read(generated, columns, np.float64)
            from_b = b - origin
            doubt = ROUNDING * (size_a[:, None] + np.square(from_b).sum(axis=1)[None, :])
            yield _Tile(rows=rows, columns=columns, a=a, b=b, squared=squared_distances(from_a, from_b), doubt=doubt)
