"""CMMD: the maximum mean discrepancy between CLIP features, with a Gaussian kernel.

1,000 times the squared discrepancy with the kernel exp(-|x - y|^2 / (2 * 10^2)) as a V-statistic, all in float64: in
float32 the number is off by 7e-4, because the kernel of CLIP features of length 1 is nearly constant. `cmmd` uses
features as given; the metric scales each row to length 1 first, as the definition has it. The kernel knows differences
alone, so that features are taken as seen from a point amid the reference: a common offset costs no digits. Pure.
Source: Jayasumana et al. (2024), "Rethinking FID", arXiv:2401.09603, section 4.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from evaluation.metrics.base import ComparesWith, FeaturesError, GalleryFeatures, Statistic, Weights
from evaluation.metrics.blocks import BLOCK_ROWS, check_pair, nothing_to_tell, products
from evaluation.metrics.directions import unit_rows
from evaluation.metrics.nearest import centre
from evaluation.metrics.pair_sums import PairSums, pair_sums
from evaluation.metrics.published import CLIP_VIT_L_14_336

SIGMA = 10.0
SCALE = 1000.0


def cmmd(
    x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."], *, on_tile: Callable[[], None] = nothing_to_tell
) -> float:
    """CMMD of the features `y` against the reference `x`, as given; never negative. Raises as `check_pair` does."""
    return SCALE * cmmd_sums(x, y, on_tile=on_tile).biased()


def cmmd_sums(
    x: Shaped[np.ndarray, "..."],
    y: Shaped[np.ndarray, "..."],
    *,
    block: int = BLOCK_ROWS,
    on_tile: Callable[[], None] = nothing_to_tell,
) -> PairSums:
    """The sums of the kernel, less its constant 1, which cancels, over all pairs. Raises as `check_pair` does."""
    check_pair(x, y)
    origin = centre(x)
    found = pair_sums(x, y, lambda a, b: _kernel(a - origin, b - origin), np.float64, block=block, on_tile=on_tile)
    # A row lies at no distance from itself, which rounding would hide where features are far larger than sigma.
    return replace(found, x_self=np.zeros(len(x)), y_self=np.zeros(len(y)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CmmdMetric:
    """CMMD to reference images; satisfies Metric."""

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
        """The kernel and the estimator, as JSON values."""
        return {
            "kernel": "exp(-|x - y|^2 / (2 sigma^2))",
            "sigma": SIGMA,
            "scale": SCALE,
            "estimator": "V-statistic",
            "precision": "float64",
            "normalised": True,
        }

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """CMMD of any choice of rows: the kernel is worked out once, and each choice weighs its sums."""
        images, reference = self._both(features)
        check_pair(reference, images, names=("the reference", "the gallery"))
        to_reference = cmmd_sums(reference, images)
        images = images - centre(reference)
        own = (to_reference.x.sum() + to_reference.x_self.sum()) / len(reference) ** 2
        cross = to_reference.y_to_x / len(reference)

        def distance(rows: Int[np.ndarray, " rows"]) -> float:
            weights = np.bincount(rows, minlength=len(images)) / len(rows)
            chosen = np.flatnonzero(weights)
            within = _weighted_sum(images[chosen], weights[chosen])
            return SCALE * max(0.0, float(own + within - 2 * weights @ cross))

        return distance

    def per_image(self, features: GalleryFeatures) -> None:
        """CMMD is no mean over images."""

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """The first-order effect of each image on the V-statistic, the reference being given."""
        images, reference = self._both(features)
        return SCALE * cmmd_sums(reference, images).biased_influences()

    def _both(
        self, features: GalleryFeatures
    ) -> tuple[Float64[np.ndarray, "images features"], Float64[np.ndarray, "references features"]]:
        if features.images is None or features.reference is None:
            raise FeaturesError(f"{self.name} compares features of images with those of reference images: give both.")
        return unit_rows(features.images, "image"), unit_rows(features.reference, "reference image")


CMMD = CmmdMetric(name="cmmd", weights=CLIP_VIT_L_14_336, extractor="clip")


def _kernel(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """exp(-|a - b|^2 / (2 sigma^2)) - 1 of each row of a with each of b."""
    squared = products(a, b)
    squared *= -2
    squared += np.square(a).sum(axis=1)[:, None]
    squared += np.square(b).sum(axis=1)[None, :]
    np.clip(squared, 0, None, out=squared)
    squared *= -1 / (2 * SIGMA**2)
    found: Float[np.ndarray, "n m"] = np.expm1(squared, out=squared)
    return found


def _weighted_sum(x: Float64[np.ndarray, "n d"], weights: Float64[np.ndarray, " n"]) -> float:
    """The kernel's sum over all pairs, each with the weights of both its rows."""
    total = 0.0
    for start in range(0, len(x), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        for other in range(0, len(x), BLOCK_ROWS):
            columns = slice(other, other + BLOCK_ROWS)
            total += float(weights[rows] @ _kernel(x[rows], x[columns]) @ weights[columns])
    return total
