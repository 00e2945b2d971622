"""How far a mean may be off when votes cluster in raters and in prompts: two-way clustered variance.

In: each vote's residual and the codes of its rater and prompt. Out: the variance of the mean. Votes of one rater share
a taste and votes on one prompt share a pair of images, so each cluster's residuals are summed before they are squared;
what rater and prompt have in common would be counted twice and is subtracted once.
Source: Cameron, Gelbach & Miller (2011), doi:10.1198/jbes.2010.07136; effective number of clusters simplified from
Carter, Schnepel & Steigerwald (2017), doi:10.1162/REST_a_00639.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from arena.statistics.not_estimable import NotEstimable, Obstacle

# A sum over clusters that is this small beside the plain variance is nothing but rounding.
ROUNDING = 1e-12


class Route(StrEnum):
    """Which variance was taken: two-way, or what stands in for it where it is not positive."""

    TWO_WAY = "two_way"
    RATER = "rater"
    PROMPT = "prompt"
    VOTE = "vote"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanVariance:
    """The variance of a mean and the route by which it was found. It is 0 only where all residuals are."""

    variance: float
    route: Route


def two_way_variance(
    residuals: Float64[np.ndarray, " votes"],
    rater: Int[np.ndarray, " votes"],
    prompt: Int[np.ndarray, " votes"],
) -> MeanVariance:
    """Variance of the mean by rater and prompt: V_rater + V_prompt - V_rater-prompt, each with its G / (G - 1).

    The difference can come out at or below 0; then the larger of V_rater and V_prompt is taken, and where both are 0
    (every rater and every prompt exactly divided) the variance of independent votes. Codes are >= 0, of at least two
    raters and two prompts.
    """
    by_rater = one_way_variance(residuals, rater)
    by_prompt = one_way_variance(residuals, prompt)
    order, first = sorted_cells(rater, prompt)
    by_cell = _variance_of_sums(np.add.reduceat(residuals[order], np.flatnonzero(first)), votes=len(residuals))
    two_way = by_rater + by_prompt - by_cell

    floor = ROUNDING * vote_variance(residuals)
    if two_way > floor:
        return MeanVariance(variance=two_way, route=Route.TWO_WAY)
    if max(by_rater, by_prompt) > floor:
        route = Route.RATER if by_rater >= by_prompt else Route.PROMPT
        return MeanVariance(variance=max(by_rater, by_prompt), route=route)
    return MeanVariance(variance=vote_variance(residuals), route=Route.VOTE)


def rater_variance(residuals: Float64[np.ndarray, " votes"], rater: Int[np.ndarray, " votes"]) -> MeanVariance:
    """Variance of the mean clustered by rater alone; of independent votes where every rater is exactly divided."""
    by_rater = one_way_variance(residuals, rater)
    if by_rater > ROUNDING * vote_variance(residuals):
        return MeanVariance(variance=by_rater, route=Route.RATER)
    return MeanVariance(variance=vote_variance(residuals), route=Route.VOTE)


def one_way_variance(residuals: Float64[np.ndarray, " votes"], cluster: Int[np.ndarray, " votes"]) -> float:
    """Variance of the mean by one kind of cluster: sum over clusters of (sum of residuals)^2 * G / (G - 1) / n^2."""
    sums = np.bincount(cluster, weights=residuals)
    return _variance_of_sums(sums[np.bincount(cluster) > 0], votes=len(residuals))


def sorted_cells(
    rater: Int[np.ndarray, " votes"], prompt: Int[np.ndarray, " votes"]
) -> tuple[Int64[np.ndarray, " votes"], Bool[np.ndarray, " votes"]]:
    """An order in which votes of one rater on one prompt stand together, and where in it each such cell begins."""
    cell = rater.astype(np.int64) * (int(prompt.max()) + 1) + prompt
    bits = len(cell).bit_length()
    if int(cell.max()).bit_length() + bits < 64:
        # Cell and row in one number: sorting numbers is several times quicker than sorting an index to them.
        packed = np.sort((cell << bits) | np.arange(len(cell)))
        order, cell = packed & ((1 << bits) - 1), packed >> bits
    else:
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
    first = np.ones(len(cell), dtype=np.bool_)
    np.not_equal(cell[1:], cell[:-1], out=first[1:])
    return order, first


def _variance_of_sums(sums: Float64[np.ndarray, " clusters"], *, votes: int) -> float:
    clusters = len(sums)
    assert clusters > 1, "one cluster says nothing about how clusters differ"
    return float(sums @ sums) * clusters / (clusters - 1) / votes**2


def vote_variance(residuals: Float64[np.ndarray, " votes"]) -> float:
    """Variance of the mean if votes were independent, from the residuals' own spread; needs two votes."""
    n = len(residuals)
    return float(residuals @ residuals) / (n - 1) / n


def cluster_count(cluster: Int[np.ndarray, " votes"]) -> int:
    """How many clusters have a vote."""
    return int(np.count_nonzero(np.bincount(cluster)))


def effective_clusters(cluster: Int[np.ndarray, " votes"]) -> float:
    """G* = (sum m)^2 / sum m^2 over the clusters' sizes m: G when all vote alike often, near 1 when one votes most."""
    sizes = np.bincount(cluster).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes @ sizes))


def obstacle_to_clustering(rater: Int[np.ndarray, " votes"], prompt: Int[np.ndarray, " votes"]) -> NotEstimable | None:
    """Why votes, of which there is at least one, have no two-way clustered spread; None where they have one."""
    what = "interval"
    if rater.min() < 0:
        reason = "The votes do not say who cast them, so how much raters differ is unknown."
        return NotEstimable(what=what, obstacle=Obstacle.UNKNOWN_RATERS, reason=reason)
    if prompt.min() < 0:
        reason = "The votes do not say on which prompt they were cast, so how much prompts differ is unknown."
        return NotEstimable(what=what, obstacle=Obstacle.UNKNOWN_PROMPTS, reason=reason)
    if cluster_count(rater) == 1:
        reason = "All votes come from one rater, which says nothing about other raters."
        return NotEstimable(what=what, obstacle=Obstacle.ONE_RATER, reason=reason)
    if cluster_count(prompt) == 1:
        reason = "All votes are on one prompt, which says nothing about other prompts."
        return NotEstimable(what=what, obstacle=Obstacle.ONE_PROMPT, reason=reason)
    return None
