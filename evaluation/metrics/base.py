"""What a metric is: features of a gallery in, one number out, for the whole gallery or for any choice of its images.

Pure: arrays in, numbers out; no models, no files, no database.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped

from prompts.errors import CanvasError

Statistic = Callable[[Int[np.ndarray, " rows"]], float]


class FeaturesError(CanvasError):
    """Features that no metric can judge."""


class NotFiniteFeaturesError(FeaturesError):
    """Features that hold NaN or infinity."""


class TooFewFeaturesError(FeaturesError):
    """Fewer features than the metric needs."""


class ConstantFeaturesError(FeaturesError):
    """Features that are the same for every image."""


class MismatchedFeaturesError(FeaturesError):
    """Two sets of features that do not belong to each other: another width, or another count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A published model: its hub id and the revision that is meant."""

    source: str
    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFeatures:
    """The features of one gallery, a row per generated image, and what its metric compares them with.

    `prompts[i]` numbers the prompt of image i; `texts` are the prompts' features, a row per image; `reference` are
    the features of real images. A metric that asks for neither gets None.
    """

    images: Float[np.ndarray, "images features"]
    prompts: Int[np.ndarray, " images"]
    texts: Float[np.ndarray, "images features"] | None = None
    reference: Float[np.ndarray, "references features"] | None = None


@runtime_checkable
class Metric(Protocol):
    """One way to judge a gallery; METRICS lists them all."""

    @property
    def name(self) -> str:
        """Its line in METRICS."""

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which way is better."""

    @property
    def at_least(self) -> float | None:
        """The value that no gallery can go below, as an interval must not either; None where there is none."""

    @property
    def extractor(self) -> str:
        """The line of FEATURES that makes its features."""

    @property
    def weights(self) -> Weights:
        """The published weights its definition names."""

    @property
    def text_prefix(self) -> str | None:
        """What is put before each prompt before its features are made; None where prompts play no part."""

    @property
    def needs_reference(self) -> bool:
        """Whether it compares with reference images."""

    @property
    def definition(self) -> dict[str, object]:
        """What a reader needs to know to compare the number with another's, as JSON values."""

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The metric of any choice of the gallery's rows; all rows give the metric itself.

        Raises a FeaturesError where the features cannot be judged.
        """


def check_features(features: Shaped[np.ndarray, "..."], what: str, *, at_least: int) -> Float[np.ndarray, "n d"]:
    """`features` in float64, once they are a table of `at_least` or more finite rows; `what` names them in an error."""
    if features.ndim != 2 or features.dtype.kind != "f":
        raise FeaturesError(
            f"The features of {what} are of shape {features.shape} and type {features.dtype}: "
            "a table of floats is needed, one row per image."
        )
    if len(features) < at_least:
        raise TooFewFeaturesError(
            f"The features of {what} have {len(features)} rows, and {at_least} are needed: add images."
        )
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if broken.size:
        raise NotFiniteFeaturesError(
            f"The features of {what} hold NaN or infinity in {broken.size} of {len(features)} rows, "
            f"the first is row {broken[0]}: extract them again in float32."
        )
    return features.astype(np.float64)
