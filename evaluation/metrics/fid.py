"""FID and its kin: the Frechet distance between a gallery and real images, in one extractor's feature space.

`clip_fid` takes CLIP ViT-B/32 image features after the projection, not normalised, of images resized as CLIP's own
processor does (Kynkaanniemi et al. (2023), arXiv:2203.06026, section 4; the definition is clean-fid's). Pure.
"""

from dataclasses import dataclass
from typing import Literal

from evaluation.metrics.base import FeaturesError, GalleryFeatures, Statistic, Weights
from evaluation.metrics.frechet import DistanceToReference
from evaluation.metrics.published import CLIP_VIT_B_32


@dataclass(frozen=True, slots=True, kw_only=True)
class FrechetMetric:
    """A Frechet distance to reference images in one extractor's feature space; satisfies Metric."""

    name: str
    weights: Weights
    extractor: str
    better: Literal["higher", "lower"] = "lower"
    text_prefix: str | None = None
    needs_reference: bool = True
    at_least: float | None = 0.0

    @property
    def definition(self) -> dict[str, object]:
        """What the distance is made of, as JSON values."""
        return {"distance": "frechet", "ddof": 1, "precision": "float64", "normalised": False}

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The distance of any choice of rows to the reference."""
        if features.reference is None:
            raise FeaturesError(f"{self.name} compares with reference images, and no features of them were given.")
        return DistanceToReference(features.images, features.reference)


CLIP_FID = FrechetMetric(name="clip_fid", weights=CLIP_VIT_B_32, extractor="clip")
