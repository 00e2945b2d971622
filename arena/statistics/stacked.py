"""Several rates from the same votes, with the covariance that their shared raters and prompts give them.

In: 1 / .5 / 0 per vote and the group it belongs to (an entrant, a category). Out: one rate per group and one two-way
clustered covariance, as a regression on one indicator per group has it. Two rates of the same raters move together, so
their difference is surer, or less sure, than two separate intervals would suggest.
Source: `sandwich.py`; "stacked" as in Weesie (1999), seemingly unrelated estimation, Stata Tech. Bull. 52, 34-47.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int, Int32

from arena.statistics.sandwich import Covariance, Scores, TwoWayClusters, two_way_covariance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackedRates:
    """`rates[g]` of `counts[g]` votes; `covariance` is positive semi-definite, `spread` knows how it came about.

    `df` is the effective number of raters, over all stacked votes, less one.
    """

    rates: Float64[np.ndarray, " groups"]
    counts: Int[np.ndarray, " groups"]
    covariance: Float64[np.ndarray, "groups groups"]
    spread: Covariance
    df: float


def stacked_rates(
    value: Float64[np.ndarray, " votes"],
    group: Int32[np.ndarray, " votes"],
    rater: Int32[np.ndarray, " votes"],
    prompt: Int32[np.ndarray, " votes"],
    groups: int,
) -> StackedRates:
    """The mean of every group 0 .. groups - 1, each of which has a vote; at least two raters and two prompts in all.

    >>> import numpy as np
    >>> value, group = np.array([1.0, 0.0, 1.0, 0.5, 1.0, 0.0]), np.array([0, 0, 0, 1, 1, 1], dtype=np.int32)
    >>> rater, prompt = np.array([0, 1, 2, 0, 1, 2], dtype=np.int32), np.array([0, 0, 1, 1, 2, 2], dtype=np.int32)
    >>> found = stacked_rates(value, group, rater, prompt, 2)
    >>> found.rates.round(3).tolist()
    [0.667, 0.5]
    """
    counts = np.bincount(group, minlength=groups)
    assert counts.min() > 0, "a group without a vote has no rate"
    rates = np.bincount(group, weights=value, minlength=groups) / counts
    scores = Scores(estimates=groups, column=(group,), value=(value - rates[group],))
    clusters = TwoWayClusters(rater, prompt)
    spread = two_way_covariance(scores, clusters, np.diag(1 / counts))
    return StackedRates(
        rates=rates, counts=counts, covariance=spread.positive_semidefinite(), spread=spread, df=clusters.df
    )
