"""What a metric is: features of a gallery in, one number out, for the whole gallery or for any choice of its images.

Pure: arrays in, numbers out; no models, no files, no database.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from prompts.errors import CanvasError

Statistic = Callable[[Int[np.ndarray, " rows"]], float]
#: The largest number a feature may be. Beyond it the variance of a cubic kernel, its twelfth power, overflows float64.
LARGEST = 1e24
#: Real images, or those that the entrant learned from.
ComparesWith = Literal["real", "training"]


class FeaturesError(CanvasError):
    """Features that no metric can judge."""


class NotFiniteFeaturesError(FeaturesError):
    """Features that hold NaN or infinity."""


class TooLargeFeaturesError(FeaturesError):
    """Features that are finite, and so large that their powers would not be."""


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
    the features of real images; `scores[i]` is what a learned judge says of image i and its prompt, and then there
    are no features. A metric gets what it asks for, and None for the rest.
    """

    images: Float[np.ndarray, "images features"] | None = None
    prompts: Int[np.ndarray, " images"]
    texts: Float[np.ndarray, "images features"] | None = None
    reference: Float[np.ndarray, "references features"] | None = None
    scores: Float[np.ndarray, " images"] | None = None


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
        """The line of FEATURES that makes its features, or of SCORERS that makes its scores."""

    @property
    def scored(self) -> bool:
        """Whether it reads `scores`, made by a line of SCORERS, and no features."""

    @property
    def weights(self) -> Weights:
        """The published weights its definition names."""

    @property
    def text_prefix(self) -> str | None:
        """What is put before each prompt before its features are made; None where prompts play no part."""

    @property
    def compares_with(self) -> ComparesWith | None:
        """Which other images it compares a gallery with; None where it needs none."""

    @property
    def definition(self) -> dict[str, object]:
        """What a reader needs to know to compare the number with another's, as JSON values."""

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The metric of any choice of the gallery's rows; all rows give the metric itself.

        Raises a FeaturesError where the features cannot be judged.
        """

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """Each image's own value, where the metric is a mean of such; None for a distance between sets."""

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        """The first-order effect of each image on the metric, so that value + mean(influences of a resample) is the
        resample's value to first order; they sum to 0. None where there is no such thing, and a bootstrap is needed.
        """


@runtime_checkable
class DrawsSubsets(Protocol):
    """A metric that is a mean over subsets of a size that its definition names, and that small sets do not have."""

    def subset_size(self, features: GalleryFeatures) -> int:
        """How many images the subsets really hold."""


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
    _check_numbers(features, what)
    return features.astype(np.float64)


def check_features_in_blocks(
    features: Shaped[np.ndarray, "..."], what: str, *, at_least: int
) -> Float[np.ndarray, "n d"]:
    """`features` just as they are, in their own type, after the checks of `check_features`; they may be a np.memmap.

    Rows are read a block at a time and nothing is copied: for tables that are large, and metrics that convert blocks.
    """
    if features.ndim != 2 or features.dtype.kind != "f" or len(features) < at_least:
        return check_features(features, what, at_least=at_least)
    _check_numbers(features, what)
    return features


def _check_numbers(features: Float[np.ndarray, "n d"], what: str) -> None:
    """Raises NotFiniteFeaturesError or TooLargeFeaturesError; rows are read a block at a time."""
    each = max(1, 2**24 // max(1, features.shape[1] * features.itemsize))
    blocks = [slice(start, start + each) for start in range(0, len(features), each)]
    # The two ends of a block show NaN, infinity and size at a fraction of the cost of looking at every number.
    suspect = [rows for rows in blocks if features.shape[1] and not _reach(features[rows]) <= LARGEST]
    if not suspect:
        return
    broken = _rows_where(lambda block: ~np.isfinite(block), features, suspect)
    if broken:
        raise NotFiniteFeaturesError(
            f"The features of {what} hold NaN or infinity in {len(broken)} of {len(features)} rows, "
            f"the first is row {broken[0]}: extract them again in float32."
        )
    large = _rows_where(lambda block: np.abs(block) > LARGEST, features, suspect)
    raise TooLargeFeaturesError(
        f"The features of {what} hold numbers beyond {LARGEST:g} in {len(large)} of {len(features)} rows, the first is "
        f"row {large[0]}, and their powers overflow: scale them down, or look whether the file is damaged."
    )


def _reach(block: Float[np.ndarray, "rows d"]) -> float:
    """The largest absolute value; NaN where there is one."""
    return max(float(block.max()), -float(block.min()))


def _rows_where(
    holds: Callable[[Float[np.ndarray, "rows d"]], Bool[np.ndarray, "rows d"]],
    features: Float[np.ndarray, "n d"],
    among: list[slice],
) -> list[int]:
    return [rows.start + int(row) for rows in among for row in np.flatnonzero(holds(features[rows]).any(axis=1))]
