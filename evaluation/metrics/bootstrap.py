"""How certain a metric is: a bootstrap over prompts.

Images of one prompt resemble each other, so whole prompts are drawn, with all their images. Pure; `rng` comes in.
The interval is the resamples' spread laid around the value: a metric that falls with the number of distinct images
(a Frechet distance does) comes out higher in every resample, and plain percentiles would lie beside the value.
Source: Efron & Tibshirani (1993), "An introduction to the bootstrap", sections 10.2 and 13.3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from evaluation.metrics.base import Statistic, TooFewFeaturesError


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its interval, and the number of prompts that were drawn from."""

    value: float
    low: float
    high: float
    prompts: int


def interval_over_prompts(
    statistic: Statistic,
    prompts: Int[np.ndarray, " images"],
    *,
    resamples: int,
    level: float,
    rng: np.random.Generator,
    at_least: float | None = None,
    on_resample: Callable[[], None] = lambda: None,
) -> Interval:
    """The statistic of all images with its interval; `prompts[i]` numbers the prompt of image i.

    `level` is the coverage aimed at, as 0.95; the interval does not reach below `at_least`.
    Raises TooFewFeaturesError for fewer than two prompts.
    """
    values = resampled_values([statistic], prompts, resamples=resamples, rng=rng, on_resample=on_resample)[0]
    value = statistic(np.arange(len(prompts)))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) - values.mean()
    lowest = -np.inf if at_least is None else at_least
    return Interval(
        value=value,
        low=max(lowest, value + float(low)),
        high=max(lowest, value + float(high)),
        prompts=len(np.unique(prompts)),
    )


def resampled_values(
    statistics: Sequence[Statistic],
    prompts: Int[np.ndarray, " images"],
    *,
    resamples: int,
    rng: np.random.Generator,
    on_resample: Callable[[], None] = lambda: None,
) -> Float64[np.ndarray, "statistics resamples"]:
    """Each statistic of every resample; all see the same drawn prompts, so that differences of them are paired.

    Raises TooFewFeaturesError for fewer than two prompts.
    """
    names = np.unique(prompts)
    if len(names) < 2:
        raise TooFewFeaturesError(
            "An interval over prompts needs two prompts or more, and the gallery has one: add prompts."
        )
    rows_of = [np.flatnonzero(prompts == name) for name in names]
    values = np.empty((len(statistics), resamples))
    for index in range(resamples):
        drawn = rng.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[prompt] for prompt in drawn])
        values[:, index] = [statistic(rows) for statistic in statistics]
        on_resample()
    return values
