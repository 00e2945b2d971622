"""Precision, recall, density and coverage: how true generated images are to real ones, and how many sorts they cover.

In: features of real and of generated images, in this order. A set's manifold is the union of balls round its images,
each as wide as the distance to the k-th nearest other image of the set; on its rim is outside (`<`, not `<=`).

- precision: the share of generated images within the real manifold; recall: of real ones within the generated one
- density: in how many of the real balls a generated image lies, over k, on average: an outlier's wide ball counts once
- coverage: the share of real balls that hold a generated image

Blocks are compared, so that no table of all distances is ever in memory. Where the quick form |x|^2 + |y|^2 - 2 x.y, in
float32 for float32 features, cannot tell a distance from a radius, the differences in float64 decide, so that copies
and ties are judged as they are and no number depends on float32 or on the size of a block. Pure.
Sources: Kynkaanniemi et al. (2019), arXiv:1904.06991, section 3; Naeem et al. (2020), arXiv:2002.09797, section 2.
"""

from collections.abc import Callable, Iterator
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
from evaluation.metrics.blocks import BLOCK_ROWS, check_pair, nothing_to_tell, spans
from evaluation.metrics.nearest import centre
from evaluation.metrics.pair_sums import pair_tiles
from evaluation.metrics.published import DINOV2_VIT_L
from evaluation.metrics.radii import radii
from evaluation.metrics.seen_blocks import Tile, see

K = 5


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


def prdc(
    real: Shaped[np.ndarray, "..."],
    generated: Shaped[np.ndarray, "..."],
    *,
    k: int = K,
    on_tile: Callable[[], None] = nothing_to_tell,
) -> Prdc:
    """The four numbers of the generated images against the real ones; `on_tile` is called `prdc_tiles` times.

    Raises FeaturesError where k is not at least 1, TooFewFeaturesError where a set has not more than k images, and as
    `check_pair` does.
    """
    return manifolds(real, generated, k=k, on_tile=on_tile).prdc()


def prdc_tiles(real: int, generated: int) -> int:
    """How many pairs of blocks are compared for so many images."""
    return pair_tiles(real, generated)


def manifolds(
    real: Shaped[np.ndarray, "..."],
    generated: Shaped[np.ndarray, "..."],
    *,
    k: int = K,
    block: int = BLOCK_ROWS,
    on_tile: Callable[[], None] = nothing_to_tell,
) -> Manifolds:
    """Where each image lies. Raises as `prdc` does."""
    check_prdc(real, generated, k)
    radii_of_real = radii(real, k, block=block, on_tile=on_tile)
    radii_of_generated = radii(generated, k, block=block, on_tile=on_tile)
    within_real = np.zeros(len(generated), dtype=np.int64)
    within_generated, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for tile in _tiles(real, generated, block, on_tile):
        in_real = tile.closer_than(radii_of_real[tile.a.span][:, None])
        in_generated = tile.closer_than(radii_of_generated[tile.b.span][None, :])
        within_real[tile.b.span] += in_real.sum(axis=0)
        covered[tile.a.span] |= in_real.any(axis=1)
        within_generated[tile.a.span] |= in_generated.any(axis=1)
    return Manifolds(within_real=within_real, within_generated=within_generated, covered=covered, k=k)


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
            counts[tile.b.span] += tile.closer_than(reach[tile.a.span][:, None]).sum(axis=0)
        return np.where(counts > 0, 1.0, 0.0) if self.name == "precision" else counts / self.k

    def _coverage(self, features: GalleryFeatures) -> Statistic:
        """The share of real balls that hold a chosen image."""
        real, generated = self._both(features)
        check_prdc(real, generated, self.k)
        reach, found = radii(real, self.k), []
        for tile in _tiles(real, generated, BLOCK_ROWS):
            ball, image = np.nonzero(tile.closer_than(reach[tile.a.span][:, None]))
            found.append(np.stack([ball + tile.a.span.start, image + tile.b.span.start]))
        return _share_reached(np.concatenate(found, axis=1), of=len(real), images=len(generated))

    def _recall(self, features: GalleryFeatures) -> Statistic:
        """The share of real images in a chosen image's ball; the balls are those of the whole gallery."""
        real, generated = self._both(features)
        check_prdc(real, generated, self.k)
        reach, found = radii(generated, self.k), []
        for tile in _tiles(real, generated, BLOCK_ROWS):
            image, ball = np.nonzero(tile.closer_than(reach[tile.b.span][None, :]))
            found.append(np.stack([image + tile.a.span.start, ball + tile.b.span.start]))
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


def _tiles(
    real: Float[np.ndarray, "n d"],
    generated: Float[np.ndarray, "m d"],
    block: int,
    on_tile: Callable[[], None] = nothing_to_tell,
) -> Iterator[Tile]:
    """Real rows against generated columns."""
    origin = centre(real)
    for rows in spans(len(real), block):
        a = see(real, rows, origin)
        for columns in spans(len(generated), block):
            yield Tile.of(a, see(generated, columns, origin))
            on_tile()
