"""Memorisation: does a model paint, or does it hand out what it was trained on?

`auth_pct` is the percentage of authentic images: a generated image is authentic where its nearest training image has
another training image nearer to itself than the generated one. Copies make it fall. `copy_score` is the share of
generated images whose nearest training image is the same picture by SSCD: a cosine above 0.5. In both the reference is
the training images. Pure.
Sources: Alaa et al. (2022), arXiv:2102.08921 (authenticity); Stein et al. (2023), arXiv:2306.04675 (its percentage, on
DINOv2); Pizzi et al. (2022), arXiv:2202.10261 (SSCD); Somepalli et al. (2023), arXiv:2212.03860 (its threshold).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from evaluation.metrics.base import ComparesWith, FeaturesError, GalleryFeatures, Statistic, Weights
from evaluation.metrics.blocks import check_pair
from evaluation.metrics.nearest import nearest
from evaluation.metrics.published import DINOV2_VIT_L, SSCD

COPY_COSINE = 0.5
_NAMES = ("the training images", "the generated images")


def authentic(
    training: Shaped[np.ndarray, "..."], generated: Shaped[np.ndarray, "..."]
) -> Bool[np.ndarray, " generated"]:
    """Whether each generated image is authentic. Raises as `check_pair` does."""
    check_pair(training, generated, names=_NAMES)
    found = nearest(generated, training)
    closest, inverse = np.unique(found.rows[:, 0], return_inverse=True)
    # Two neighbours, as the nearest of a training row among all is itself; a copy within the training set is at 0.
    around = nearest(training[closest], training, k=2).values[:, 1]
    is_authentic: Bool[np.ndarray, " generated"] = around[inverse] < found.values[:, 0]
    return is_authentic


def auth_pct(training: Shaped[np.ndarray, "..."], generated: Shaped[np.ndarray, "..."]) -> float:
    """The percentage of generated images that are authentic. Raises as `check_pair` does."""
    return 100 * float(authentic(training, generated).mean())


def nearest_cosines(
    training: Shaped[np.ndarray, "..."], generated: Shaped[np.ndarray, "..."]
) -> Float64[np.ndarray, " generated"]:
    """The cosine between each generated image and the training image nearest to it. Raises as `check_pair` does."""
    check_pair(training, generated, names=_NAMES)
    found: Float64[np.ndarray, " generated"] = nearest(generated, training, by="cosine").values[:, 0]
    return found


def copy_score(training: Shaped[np.ndarray, "..."], generated: Shaped[np.ndarray, "..."]) -> float:
    """The share of generated images with a cosine above 0.5 to a training image. Raises as `check_pair` does."""
    return float((nearest_cosines(training, generated) > COPY_COSINE).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticityMetric:
    """The percentage of authentic images; satisfies Metric."""

    name: str = "auth_pct"
    weights: Weights = DINOV2_VIT_L
    extractor: str = "dinov2"
    better: Literal["higher", "lower"] = "higher"
    text_prefix: str | None = None
    compares_with: ComparesWith | None = "training"
    scored: bool = False
    at_least: float | None = 0.0

    @property
    def definition(self) -> dict[str, object]:
        """The rule, as JSON values."""
        return {
            "authentic": "nearer to a training image than that is to another: no; otherwise yes",
            "reference": "the training images",
            "distance": "euclidean",
            "normalised": False,
        }

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The percentage of any choice of rows."""
        return _mean_of(self.per_image(features))

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """100 for an authentic image, 0 for another."""
        each: Float64[np.ndarray, " images"] = 100.0 * authentic(*_both(self.name, features))
        return each

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """Each image's value less the mean."""
        each = self.per_image(features)
        influences: Float64[np.ndarray, " images"] = each - each.mean()
        return influences


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMetric:
    """The share of copies; satisfies Metric."""

    name: str = "copy_score"
    weights: Weights = SSCD
    extractor: str = "sscd"
    better: Literal["higher", "lower"] = "lower"
    text_prefix: str | None = None
    compares_with: ComparesWith | None = "training"
    scored: bool = False
    at_least: float | None = 0.0

    @property
    def definition(self) -> dict[str, object]:
        """The threshold, as JSON values."""
        return {
            "copy": f"cosine > {COPY_COSINE}",
            "reference": "the training images",
            "per_image": "the cosine to the nearest training image, not the share",
        }

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The share of any choice of rows."""
        return _mean_of((self.per_image(features) > COPY_COSINE).astype(np.float64))

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """The cosine to the nearest training image: it says more of an image than on which side of 0.5 it lies."""
        return nearest_cosines(*_both(self.name, features))

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """1 for a copy and 0 for another image, less the share."""
        copies = self.per_image(features) > COPY_COSINE
        influences: Float64[np.ndarray, " images"] = copies - copies.mean()
        return influences


AUTH_PCT = AuthenticityMetric()
COPY_SCORE = CopyMetric()


def _mean_of(each: Float64[np.ndarray, " images"]) -> Statistic:
    def mean(rows: Int[np.ndarray, " rows"]) -> float:
        return float(each[rows].mean())

    return mean


def _both(
    name: str, features: GalleryFeatures
) -> tuple[Float[np.ndarray, "references features"], Float[np.ndarray, "images features"]]:
    if features.images is None or features.reference is None:
        raise FeaturesError(f"{name} compares features of images with those of the training images: give both.")
    return features.reference, features.images
