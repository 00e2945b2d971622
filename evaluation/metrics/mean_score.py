"""Means of what learned judges say: each image and its prompt has a score, and a gallery has their mean.

In: the scores that a line of SCORERS made. Out: their mean, over images or, for TIFA, over captions. What the scores
are is the scorer's affair; `definition` repeats what a reader must know to compare two means. Pure.
Sources: Xu et al. (2023), arXiv:2304.05977 (ImageReward); Wu et al. (2023), arXiv:2306.09341 (HPSv2); Kirstain et al.
(2023), arXiv:2305.01569 (PickScore); Schuhmann et al. (2022), arXiv:2210.08402 (aesthetic score); Hu et al. (2023),
arXiv:2303.11897 (TIFA).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from evaluation.metrics.base import (
    ComparesWith,
    FeaturesError,
    GalleryFeatures,
    NotFiniteFeaturesError,
    Statistic,
    TooFewFeaturesError,
    Weights,
)
from evaluation.metrics.published import AESTHETIC, HPS_V2, HPS_V2_1, IMAGE_REWARD, PICK_SCORE, TIFA_VQA


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanScore:
    """The mean of one judge's scores; satisfies Metric.

    `over` "captions" is the mean over prompts of each prompt's mean, so that a prompt with more images weighs no more.
    """

    name: str
    weights: Weights
    extractor: str
    score: str
    text_prefix: str | None = ""
    at_least: float | None = None
    over: Literal["images", "captions"] = "images"
    better: Literal["higher", "lower"] = "higher"
    compares_with: ComparesWith | None = None
    scored: bool = True

    @property
    def definition(self) -> dict[str, object]:
        """What a score is, and what the mean is over, as JSON values."""
        return {"score": self.score, "mean_over": self.over}

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """The mean of any choice of rows: of whole prompts, where it is over captions."""
        scores, weights = self.per_image(features), self._weights(features.prompts)

        def mean(rows: Int[np.ndarray, " rows"]) -> float:
            return float(np.average(scores[rows], weights=weights[rows]))

        return mean

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """Each image's own score.

        Raises FeaturesError without scores, TooFewFeaturesError for none, and NotFiniteFeaturesError.
        """
        scores = features.scores
        if scores is None:
            raise FeaturesError(f"{self.name} is a mean of scores, and no scores were given.")
        if not len(scores):
            raise TooFewFeaturesError(f"{self.name} was given no scores: add images.")
        broken = np.flatnonzero(~np.isfinite(scores))
        if broken.size:
            raise NotFiniteFeaturesError(
                f"{self.name} has NaN or infinity for {broken.size} of {len(scores)} images, the first is image "
                f"{broken[0]}: score them again in float32."
            )
        return scores.astype(np.float64)

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """Each image's score less the mean, as often as it weighs more than it would in a mean over images."""
        scores, weights = self.per_image(features), self._weights(features.prompts)
        influences: Float64[np.ndarray, " images"] = (
            weights / weights.mean() * (scores - np.average(scores, weights=weights))
        )
        return influences

    def _weights(self, prompts: Int[np.ndarray, " images"]) -> Float64[np.ndarray, " images"]:
        if self.over == "images":
            return np.ones(len(prompts))
        _, inverse, images = np.unique(prompts, return_inverse=True, return_counts=True)
        weights: Float64[np.ndarray, " images"] = 1 / images[inverse]
        return weights


IMAGE_REWARD_MEAN = MeanScore(
    name="image_reward",
    weights=IMAGE_REWARD,
    extractor="image_reward",
    score="(reward - 0.16717362830052426) / 1.0333394966054072",
)
HPS_V2_MEAN = MeanScore(
    name="hps_v2", weights=HPS_V2, extractor="hps_v2", score="raw cosine of HPSv2, not multiplied by 100"
)
HPS_V2_1_MEAN = MeanScore(
    name="hps_v2_1", weights=HPS_V2_1, extractor="hps_v2_1", score="raw cosine of HPSv2.1, not multiplied by 100"
)
PICK_SCORE_MEAN = MeanScore(
    name="pick_score",
    weights=PICK_SCORE,
    extractor="pick_score",
    score="exp(logit scale) times the cosine; it compares images of one prompt, and means of the same prompts only",
)
AESTHETIC_MEAN = MeanScore(
    name="aesthetic",
    weights=AESTHETIC,
    extractor="aesthetic",
    score="the predictor's rating, about 1 to 10",
    text_prefix=None,
)
TIFA_MEAN = MeanScore(
    name="tifa",
    weights=TIFA_VQA,
    extractor="tifa",
    score="the share of the caption's questions that are answered as the caption says",
    at_least=0.0,
    over="captions",
)
