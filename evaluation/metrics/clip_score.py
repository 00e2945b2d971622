"""CLIP-Score: how well each image goes with its prompt, as the cosine of their CLIP features.

Two conventions are about and differ in scale, model and wording, so each has its own name:
`clip_score` is 100 times the mean cosine, not below 0 (the definition of torchmetrics; CLIP ViT-B/16 as in the
CommonCanvas paper); `clip_score_hessel` is the mean of 2.5 max(cosine, 0), with "A photo depicts " put before each
prompt (Hessel et al. (2021), arXiv:2104.08718, sections 3 and 4; CLIP ViT-B/32). Pure.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int, Shaped

from evaluation.metrics.base import (
    ComparesWith,
    FeaturesError,
    GalleryFeatures,
    MismatchedFeaturesError,
    Statistic,
    Weights,
)
from evaluation.metrics.directions import unit_rows
from evaluation.metrics.published import CLIP_VIT_B_16, CLIP_VIT_B_32


def cosines(images: Shaped[np.ndarray, "..."], texts: Shaped[np.ndarray, "..."]) -> Float64[np.ndarray, " images"]:
    """The cosine between each image's features and its text's, row by row, in float64.

    Raises NotFiniteFeaturesError, TooFewFeaturesError (no row), MismatchedFeaturesError and, for a row of zeros, which
    has no direction, FeaturesError.
    """
    if images.shape != texts.shape:
        raise MismatchedFeaturesError(
            f"The images' features are of shape {images.shape} and the texts' of shape {texts.shape}: "
            "every image needs the features of its own text, from the same model."
        )
    found: Float64[np.ndarray, " images"] = (unit_rows(images, "image") * unit_rows(texts, "text")).sum(axis=1)
    return found


def clip_score(images: Shaped[np.ndarray, "..."], texts: Shaped[np.ndarray, "..."]) -> float:
    """100 times the mean cosine, and 0 where that is negative. Raises as `cosines` does."""
    return max(0.0, 100 * float(cosines(images, texts).mean()))


def clip_score_hessel(images: Shaped[np.ndarray, "..."], texts: Shaped[np.ndarray, "..."]) -> float:
    """The mean of 2.5 max(cosine, 0); the texts begin with "A photo depicts ". Raises as `cosines` does."""
    return float((2.5 * np.clip(cosines(images, texts), 0, None)).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScore:
    """One of the two conventions; satisfies Metric."""

    name: str
    weights: Weights
    text_prefix: str
    scale: float
    clamp: Literal["mean", "each"]
    better: Literal["higher", "lower"] = "higher"
    extractor: str = "clip"
    compares_with: ComparesWith | None = None
    scored: bool = False
    at_least: float | None = 0.0

    @property
    def definition(self) -> dict[str, object]:
        """The convention, as JSON values."""
        return {"scale": self.scale, "clamp_at_zero": self.clamp, "text_prefix": self.text_prefix}

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The score of any choice of rows."""
        each = self.per_image(features)

        def score(rows: Int[np.ndarray, " rows"]) -> float:
            return max(0.0, float(each[rows].mean()))

        return score

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """Each image's scaled cosine; where the convention clamps the mean, one image's can be negative."""
        if features.images is None or features.texts is None:
            raise FeaturesError(
                f"{self.name} compares images with their prompts, and no features of prompts were given."
            )
        each: Float64[np.ndarray, " images"] = self.scale * cosines(features.images, features.texts)
        return np.clip(each, 0, None) if self.clamp == "each" else each

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """Each image's value less the mean; 0 for all where the mean is clamped, as no image then moves the score."""
        each = self.per_image(features)
        return np.zeros_like(each) if each.mean() < 0 else each - each.mean()


CLIP_SCORE = ClipScore(name="clip_score", weights=CLIP_VIT_B_16, text_prefix="", scale=100.0, clamp="mean")
CLIP_SCORE_HESSEL = ClipScore(
    name="clip_score_hessel", weights=CLIP_VIT_B_32, text_prefix="A photo depicts ", scale=2.5, clamp="each"
)
