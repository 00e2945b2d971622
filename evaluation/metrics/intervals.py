"""How certain a metric is, and a difference between two galleries: intervals over prompts, with or without resampling.

Images of one prompt resemble each other, so prompts are what is counted. `linear`: from each image's influence psi,

    se^2 = G / (G - 1) sum over prompts g of (sum over the images i of g of psi_i)^2 / N^2,    t with G - 1 degrees,

at the cost of one pass; `bootstrap`: prompts are drawn again and again (bootstrap.py), where a metric has no influences
or the prompts are too few to trust a first order. `auto` is linear from `ENOUGH_PROMPTS` prompts on. Two galleries of
the same prompts and seeds are compared image by image: what a prompt does to both cancels. Pure; `rng` comes in.
Sources: Hampel (1974), doi:10.1080/01621459.1974.10482962 (influences); Liang & Zeger (1986),
doi:10.1093/biomet/73.1.13 (clusters); Efron & Tibshirani (1993), "An introduction to the bootstrap".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int
from scipy import stats

from evaluation.metrics.base import (
    FeaturesError,
    GalleryFeatures,
    Metric,
    MismatchedFeaturesError,
    TooFewFeaturesError,
)
from evaluation.metrics.bootstrap import resampled_values

ENOUGH_PROMPTS = 30

Method = Literal["auto", "linear", "bootstrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInterval:
    """A value with its interval of coverage `level`, and how it was made; `resamples` is 0 where none were drawn."""

    value: float
    low: float
    high: float
    standard_error: float
    level: float
    prompts: int
    method: Literal["linear", "bootstrap"]
    resamples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference(MetricInterval):
    """Gallery A's value less gallery B's, and how surprising it is if there is none: `p_value` by `test`, two-sided."""

    p_value: float
    test: Literal["t", "sign-flip"]


def interval(
    metric: Metric,
    features: GalleryFeatures,
    *,
    rng: np.random.Generator,
    method: Method = "auto",
    level: float = 0.95,
    resamples: int = 1000,
    on_resample: Callable[[], None] = lambda: None,
) -> MetricInterval:
    """The metric of a gallery with its interval over prompts, which does not reach below what the metric can be.

    `rng` draws the resamples of a bootstrap, and nothing where there is none.
    Raises TooFewFeaturesError for fewer than two prompts, FeaturesError where `linear` is asked of a metric without
    influences, and what the metric raises.
    """
    groups = _groups(features.prompts)
    statistic = metric.statistic(features)
    value = statistic(np.arange(len(features.prompts)))
    influences = _influences(metric, features, method, groups)
    if influences is not None:
        spread = _linear_spread(influences, features.prompts, level)
    else:
        drawn = resampled_values([statistic], features.prompts, resamples=resamples, rng=rng, on_resample=on_resample)
        spread = _drawn_spread(drawn[0], level)
    lowest = -np.inf if metric.at_least is None else metric.at_least
    return MetricInterval(
        value=value,
        low=max(lowest, value + spread.low),
        high=max(lowest, value + spread.high),
        standard_error=spread.standard_error,
        level=level,
        prompts=groups,
        method="bootstrap" if influences is None else "linear",
        resamples=resamples if influences is None else 0,
    )


def paired_difference(
    metric: Metric,
    a: GalleryFeatures,
    b: GalleryFeatures,
    *,
    rng: np.random.Generator,
    method: Method = "auto",
    level: float = 0.95,
    resamples: int = 1000,
    flips: int = 10_000,
    on_resample: Callable[[], None] = lambda: None,
) -> PairedDifference:
    """The metric of gallery `a` less that of `b`; row i of both must be the same prompt and seed.

    The test is `sign_flip_test` where images have values of their own, and otherwise t.
    Raises MismatchedFeaturesError for galleries of other prompts, and as `interval` does.
    """
    if not np.array_equal(a.prompts, b.prompts):
        raise MismatchedFeaturesError(
            f"Two galleries of {len(a.prompts)} and {len(b.prompts)} images do not pair prompt by prompt: "
            "compare galleries of the same prompts and seeds, in the same order."
        )
    groups = _groups(a.prompts)
    statistics = [metric.statistic(a), metric.statistic(b)]
    every = np.arange(len(a.prompts))
    value = statistics[0](every) - statistics[1](every)
    of_a = _influences(metric, a, method, groups)
    of_b = None if of_a is None else _influences(metric, b, method, groups)
    linear = of_a is not None and of_b is not None
    if of_a is not None and of_b is not None:
        spread = _linear_spread(of_a - of_b, a.prompts, level)
    else:
        drawn = resampled_values(statistics, a.prompts, resamples=resamples, rng=rng, on_resample=on_resample)
        spread = _drawn_spread(drawn[0] - drawn[1], level)
    each = metric.per_image(a), metric.per_image(b)
    if each[0] is not None and each[1] is not None:
        p_value = sign_flip_test(each[0] - each[1], a.prompts, flips=flips, rng=rng)
    else:
        p_value = _t_test(value, spread.standard_error, groups - 1)
    return PairedDifference(
        value=value,
        low=value + spread.low,
        high=value + spread.high,
        standard_error=spread.standard_error,
        level=level,
        prompts=groups,
        method="linear" if linear else "bootstrap",
        resamples=0 if linear else resamples,
        p_value=p_value,
        test="t" if each[0] is None or each[1] is None else "sign-flip",
    )


def clustered_standard_error(influences: Float64[np.ndarray, " images"], prompts: Int[np.ndarray, " images"]) -> float:
    """The standard error of a metric with these influences, prompts being drawn whole (the formula above).

    Raises TooFewFeaturesError for fewer than two prompts.
    """
    groups = _groups(prompts)
    sums = np.bincount(np.unique(prompts, return_inverse=True)[1], weights=influences - influences.mean())
    return float(np.sqrt(groups / (groups - 1) * np.square(sums).sum()) / len(influences))


def sign_flip_test(
    differences: Float64[np.ndarray, " images"],
    prompts: Int[np.ndarray, " images"],
    *,
    flips: int,
    rng: np.random.Generator,
) -> float:
    """How often a mean this far from 0 would come about if A and B were exchangeable within each prompt; two-sided.

    All 2^G ways to exchange them where these are no more than `flips`, so that the p-value is exact; otherwise `flips`
    random ways and the observed one, so that it is never 0 (Phipson & Smyth (2010), doi:10.2202/1544-6115.1585)
    """
    groups = _groups(prompts)
    sums = np.bincount(np.unique(prompts, return_inverse=True)[1], weights=differences)
    # A last digit's difference in the order of adding must not tell equal sums apart.
    observed = abs(sums.sum()) - 1e-12 * np.abs(sums).sum()
    if groups < 63 and 2**groups <= flips:
        ways = (np.arange(2**groups)[:, None] >> np.arange(groups)) & 1
        return float((np.abs((1 - 2 * ways) @ sums) >= observed).mean())
    reached = 1
    for start in range(0, flips, 1000):
        signs = rng.choice([-1.0, 1.0], size=(min(1000, flips - start), groups))
        reached += int((np.abs(signs @ sums) >= observed).sum())
    return reached / (flips + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """How far an interval reaches below (`low`, negative) and above its value."""

    low: float
    high: float
    standard_error: float


def _groups(prompts: Int[np.ndarray, " images"]) -> int:
    groups = len(np.unique(prompts))
    if groups < 2:
        raise TooFewFeaturesError(
            "An interval over prompts needs two prompts or more, and the gallery has one: add prompts."
        )
    return groups


def _influences(
    metric: Metric, features: GalleryFeatures, method: Method, groups: int
) -> Float64[np.ndarray, " images"] | None:
    if method == "bootstrap" or (method == "auto" and groups < ENOUGH_PROMPTS):
        return None
    found = metric.influences(features)
    if found is None and method == "linear":
        raise FeaturesError(
            f"{metric.name} of these {len(features.prompts)} images has no influences, so that its interval cannot be "
            "linear: ask for a bootstrap, or for auto."
        )
    return found


def _linear_spread(
    influences: Float64[np.ndarray, " images"], prompts: Int[np.ndarray, " images"], level: float
) -> _Spread:
    error = clustered_standard_error(influences, prompts)
    reach = float(stats.t.ppf((1 + level) / 2, _groups(prompts) - 1)) * error
    return _Spread(low=-reach, high=reach, standard_error=error)


def _drawn_spread(values: Float64[np.ndarray, " resamples"], level: float) -> _Spread:
    """Around the value, as bootstrap.py says: every resample of a distance lies above the value itself."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) - values.mean()
    return _Spread(low=float(low), high=float(high), standard_error=float(values.std(ddof=1)))


def _t_test(value: float, standard_error: float, degrees: int) -> float:
    if standard_error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * stats.t.sf(abs(value) / standard_error, degrees))
