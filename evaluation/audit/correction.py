"""A judge errs; people's labels on some of the images say how, and correct for it.

In: the judge's calls on all images and people's labels on some. Out: the rate that people would have found, with its
interval. Prediction-powered inference takes the judge's mean over the images that nobody labelled and adds the mean of
(human - judge) over those that somebody did; where the judge is good, few labels do. Rogan and Gladen's estimate turns
the judge's rate around by its sensitivity and specificity instead. Labels must be of images drawn at random.
Pure. Sources: Angelopoulos et al. (2023), doi:10.1126/science.adi6000, algorithm 1; Rogan & Gladen (1978),
doi:10.1093/oxfordjournals.aje.a112510; with clusters as in Liang & Zeger (1986), doi:10.1093/biomet/73.1.13.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int, Int8
from scipy import special, stats

from evaluation.audit.labels import UNKNOWN
from prompts.errors import CanvasError

ALPHA = 0.05
#: Labels drawn at random come out more unevenly than this once in a thousand audits.
LOPSIDED = 0.001


class LabelPlanError(CanvasError):
    """A plan for labels that cannot be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A corrected rate in [0, 1] with its 95 % interval, from `labelled` of `images`; None where it cannot be had."""

    rate: float | None
    se: float | None
    low: float | None
    high: float | None
    labelled: int
    images: int
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "rate": self.rate,
            "se": self.se,
            "interval": None if self.low is None else [self.low, self.high],
            "labelled": self.labelled,
            "images": self.images,
            "reason": self.reason or None,
        }


def prediction_powered(
    judge: Int8[np.ndarray, " images"],
    human: Int8[np.ndarray, " images"],
    character: Int[np.ndarray, " images"],
    strata: Int[np.ndarray, " images"] | None = None,
) -> Corrected:
    """The rate of `human` over all images, of which some have a human label and all have a judge's call.

    Images of one character are alike, so the variance counts characters: residuals are summed within each. With two
    characters or more; its t has one degree of freedom less than there are. `strata` number what labels were drawn
    within, as kinds of prompts: see `weighed`.
    """
    images, labelled = len(judge), int((human != UNKNOWN).sum())
    clusters = len(np.unique(character))
    if labelled < 2 or clusters < 2:
        reason = (
            f"{_counted(labelled, 'label')} of {_counted(clusters, 'character')} are too few: two of each are needed."
        )
        return Corrected(rate=None, se=None, low=None, high=None, labelled=labelled, images=images, reason=reason)
    if strata is not None and (empty := unlabelled(human, strata)).any():
        reason = (
            f"{int(empty.sum())} of {len(empty)} kinds of images have fewer than two labels: what people would say of "
            "them is not known. Label images of all kinds, drawn at random."
        )
        return Corrected(rate=None, se=None, low=None, high=None, labelled=labelled, images=images, reason=reason)
    rate, residuals = weighed(judge.astype(np.float64), human.astype(np.float64), human != UNKNOWN, strata)
    se = _clustered(residuals, character)
    reach = float(special.stdtrit(clusters - 1, 1 - ALPHA / 2)) * se
    return Corrected(
        rate=float(np.clip(rate, 0, 1)),
        se=se,
        low=float(np.clip(rate - reach, 0, 1)),
        high=float(np.clip(rate + reach, 0, 1)),
        labelled=labelled,
        images=images,
    )


def unlabelled(human: Int8[np.ndarray, " images"], strata: Int[np.ndarray, " images"]) -> Bool[np.ndarray, " strata"]:
    """Which strata have fewer than two labels."""
    _, place = np.unique(strata, return_inverse=True)
    few: Bool[np.ndarray, " strata"] = np.bincount(place[human != UNKNOWN], minlength=place.max() + 1) < 2
    return few


def weighed(
    judge: Float64[np.ndarray, " images"],
    human: Float64[np.ndarray, " images"],
    seen: Bool[np.ndarray, " images"],
    strata: Int[np.ndarray, " images"] | None,
) -> tuple[float, Float64[np.ndarray, " images"]]:
    """The estimate, and each image's share in its error, which sum to 0.

    Where the strata were labelled in shares that chance does not explain (chi-squared, p below LOPSIDED), each is
    corrected by its own labels and counts by its number of images; otherwise labels of all of them count together.
    """
    if strata is None:
        return _powered(judge, human, seen)
    _, place, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    counts = np.stack([np.bincount(place[seen], minlength=len(sizes)), np.bincount(place[~seen], minlength=len(sizes))])
    if len(sizes) < 2 or not counts[1].any() or stats.chi2_contingency(counts).pvalue >= LOPSIDED:
        return _powered(judge, human, seen)
    rate, residuals = 0.0, np.zeros(len(judge))
    for number, size in enumerate(sizes):
        rows = place == number
        own, share = _powered(judge[rows], human[rows], seen[rows])
        rate += size / len(judge) * own
        residuals[rows] = size / len(judge) * share
    return rate, residuals


def powered_difference(
    judge: tuple[Int8[np.ndarray, " images"], Int8[np.ndarray, " images"]],
    human: tuple[Int8[np.ndarray, " images"], Int8[np.ndarray, " images"]],
    character: Int[np.ndarray, " images"],
    strata: Int[np.ndarray, " images"] | None = None,
) -> Corrected:
    """The corrected rate of the first model less that of the second, image by image on the same items.

    `low` and `high` lie in [-1, 1]; `labelled` counts the labels of both models.
    """
    labels = [int((one != UNKNOWN).sum()) for one in human]
    clusters = len(np.unique(character))
    images = len(character)
    if min(labels) < 2 or clusters < 2:
        reason = f"{labels[0]} and {labels[1]} labels of {clusters} characters are too few: two of each are needed."
        return Corrected(rate=None, se=None, low=None, high=None, labelled=sum(labels), images=images, reason=reason)
    if strata is not None and any(unlabelled(said, strata).any() for said in human):
        reason = "Some kinds of images have fewer than two labels. Label images of all kinds, drawn at random."
        return Corrected(rate=None, se=None, low=None, high=None, labelled=sum(labels), images=images, reason=reason)
    parts = [
        weighed(calls.astype(np.float64), said.astype(np.float64), said != UNKNOWN, strata)
        for calls, said in zip(judge, human, strict=True)
    ]
    rate = parts[0][0] - parts[1][0]
    se = _clustered(parts[0][1] - parts[1][1], character)
    reach = float(special.stdtrit(clusters - 1, 1 - ALPHA / 2)) * se
    return Corrected(
        rate=rate,
        se=se,
        low=max(-1.0, rate - reach),
        high=min(1.0, rate + reach),
        labelled=sum(labels),
        images=images,
    )


def rogan_gladen(
    judge: Int8[np.ndarray, " images"], human: Int8[np.ndarray, " images"], character: Int[np.ndarray, " images"]
) -> Corrected:
    """The judge's rate over all images, turned around: (rate + specificity - 1) / (sensitivity + specificity - 1).

    The interval is by the delta method over characters: each image's share in the three rates is summed within its own.
    """
    seen = human != UNKNOWN
    images, labelled = len(judge), int(seen.sum())
    positives, negatives = int((human[seen] == 1).sum()), int((human[seen] == 0).sum())
    if not positives or not negatives:
        reason = "People must have labelled an image that shows the target and one that does not."
        return Corrected(rate=None, se=None, low=None, high=None, labelled=labelled, images=images, reason=reason)
    sensitivity = float(judge[human == 1].mean())
    false_alarms = float(judge[human == 0].mean())
    scale = sensitivity - false_alarms
    if scale <= 0:
        reason = "The judge calls no more of what people see than of what they do not: it says nothing."
        return Corrected(rate=None, se=None, low=None, high=None, labelled=labelled, images=images, reason=reason)
    called = float(judge.mean())
    rate = (called - false_alarms) / scale
    residuals = (judge - called) / images
    residuals = residuals - np.where(human == 1, rate * (judge - sensitivity) / positives, 0.0)
    residuals = residuals - np.where(human == 0, (1 - rate) * (judge - false_alarms) / negatives, 0.0)
    clusters = len(np.unique(character))
    if clusters < 2:
        reason = "Images of one character tell nothing of others."
        return Corrected(rate=None, se=None, low=None, high=None, labelled=labelled, images=images, reason=reason)
    se = _clustered(residuals / scale, character)
    reach = float(special.stdtrit(clusters - 1, 1 - ALPHA / 2)) * se
    return Corrected(
        rate=float(np.clip(rate, 0, 1)),
        se=se,
        low=float(np.clip(rate - reach, 0, 1)),
        high=float(np.clip(rate + reach, 0, 1)),
        labelled=labelled,
        images=images,
    )


def labels_wanted(
    *, images: int, half_width: float, disagreement: float, rate: float = 0.2, design_effect: float = 1.0
) -> int:
    """How many images people should label so that the corrected rate is known to `half_width`, as 0.03.

    `disagreement` is how often judge and people differ, `rate` what the judge is expected to find, `design_effect` how
    much images of one character repeat each other. Raises LabelPlanError where all `images` would not be enough.
    """
    for name, value in (("half_width", half_width), ("disagreement", disagreement), ("rate", rate)):
        if not 0 < value < 1:
            raise LabelPlanError(f"The {name} is {value}: give a share between 0 and 1.")
    if images < 2 or design_effect < 1:
        raise LabelPlanError(f"{images} images with a design effect of {design_effect}: give 2 or more, and 1 or more.")
    target = (half_width / float(special.ndtri(1 - ALPHA / 2))) ** 2 / design_effect
    counts = np.arange(2, images + 1, dtype=np.float64)
    # With n labels, corrected: the variance of (human - judge), at most their disagreement, over n, and the judge's
    # over the rest. So many labels may be wanted that they do without the judge.
    spread = rate * (1 - rate)
    corrected = disagreement / counts[:-1] + spread / (images - counts[:-1])
    alone = spread / counts
    enough = alone <= target
    enough[:-1] |= corrected <= target
    if not enough.any():
        raise LabelPlanError(
            f"{images:,} images do not give a half-width of {half_width:g}, however many are labelled: paint about "
            f"{ceil(spread / target):,}, or ask for a wider interval."
        )
    return int(counts[np.argmax(enough)])


def _powered(
    judge: Float64[np.ndarray, " images"], human: Float64[np.ndarray, " images"], seen: Bool[np.ndarray, " images"]
) -> tuple[float, Float64[np.ndarray, " images"]]:
    """The estimate, and each image's share in its error; they sum to 0."""
    rest = ~seen
    rectified = human[seen] - judge[seen]
    residuals = np.zeros(len(judge))
    residuals[seen] = (rectified - rectified.mean()) / len(rectified)
    if not rest.any():  # everybody was labelled: nothing is left to predict
        residuals[seen] = (human[seen] - human[seen].mean()) / len(rectified)
        return float(human.mean()), residuals
    residuals[rest] = (judge[rest] - judge[rest].mean()) / int(rest.sum())
    return float(judge[rest].mean() + rectified.mean()), residuals


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _clustered(residuals: Float64[np.ndarray, " images"], character: Int[np.ndarray, " images"]) -> float:
    _, place = np.unique(character, return_inverse=True)
    sums = np.bincount(place, weights=residuals)
    clusters = len(sums)
    return sqrt(clusters / (clusters - 1) * float(sums @ sums))
