"""A check on the sandwich that assumes less: draw the raters again, with replacement, and fit the strengths each time.

In: a `VoteTable` and a generator. Out: standard errors and percentile intervals of the Bradley-Terry strengths over the
resamples. Whole raters are drawn, with all their votes, so it is the counterpart of the variance clustered by rater;
what prompts add is not in it, and the two-way sandwich stays the headline.
Source: Davison & Hinkley (1997), "Bootstrap Methods and their Application", section 3.8; Field & Welsh (2007),
doi:10.1111/j.1467-9868.2007.00593.x, for the cluster bootstrap.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy import sparse, special

from arena.statistics.connectivity import strong_groups, why_no_maximum
from arena.statistics.interval import ALPHA
from arena.statistics.likelihood import estimate
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.paired_counts import decisive_votes, paired_counts
from arena.statistics.votes import Chosen, VoteTable

# Resamples that are fitted together: enough to keep the processor busy, few enough to stay in its cache.
_BATCH = 50
_SMALL_STEP = 1e-6
_MOST_STEPS = 25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RaterBootstrap:
    """`strengths[b]` of every resample b that could rank all entrants; `unrankable` resamples could not.

    `low` and `high` are the 2.5 % and 97.5 % points. Where `missing` is not None, nothing was drawn.
    """

    entrants: tuple[str, ...]
    strengths: Float64[np.ndarray, "resamples entrants"]
    unrankable: int = 0
    missing: NotEstimable | None = None

    def se(self) -> dict[str, float]:
        """The standard deviation over the resamples, by entrant; empty where there are fewer than two."""
        if len(self.strengths) < 2:
            return {}
        return dict(zip(self.entrants, self.strengths.std(axis=0, ddof=1).tolist(), strict=True))

    def intervals(self) -> dict[str, tuple[float, float]]:
        """The percentile interval of each entrant's strength against the reference; empty as `se` is."""
        if len(self.strengths) < 2:
            return {}
        low, high = np.quantile(self.strengths, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
        return {name: (float(one), float(other)) for name, one, other in zip(self.entrants, low, high, strict=True)}


def rater_bootstrap(
    table: VoteTable,
    *,
    reference: str,
    resamples: int,
    rng: np.random.Generator,
    on_step: Callable[[int], None] | None = None,
) -> RaterBootstrap:
    """Draw the raters `resamples` times and fit each draw's decisive votes; `on_step` hears how many are done.

    A resample whose graph of wins is not strongly connected has no strengths; it is counted in `unrankable`.
    """
    assert resamples > 0, "a bootstrap draws at least once"
    kept = decisive_votes(table)
    votes = table if kept.all() else table.rows(kept)
    nothing = np.zeros((0, len(table.models)))
    counts = paired_counts(votes)
    reason = why_no_maximum(counts, table.models, ties=False, side=False)
    if reason is not None:
        gap = NotEstimable(what="bootstrap", obstacle=Obstacle.NOT_CONNECTED, reason=reason)
        return RaterBootstrap(entrants=table.models, strengths=nothing, missing=gap)
    if votes.rater.min() < 0:
        unknown = "The votes do not say who cast them, so no raters can be drawn."
        gap = NotEstimable(what="bootstrap", obstacle=Obstacle.UNKNOWN_RATERS, reason=unknown)
        return RaterBootstrap(entrants=table.models, strengths=nothing, missing=gap)

    place = table.models.index(reference)
    point = estimate(counts, reference=place, ties=False, side=False).strengths
    summary = _RaterSums(votes)
    drawn: list[Float64[np.ndarray, "some entrants"]] = []
    unrankable = 0
    for first in range(0, resamples, _BATCH):
        batch = min(_BATCH, resamples - first)
        found = _fit_batch(summary, summary.draw(batch, rng), point)
        drawn.append(found - found[:, place, None])
        unrankable += batch - len(found)
        if on_step is not None:
            on_step(batch)
    return RaterBootstrap(entrants=table.models, strengths=np.concatenate(drawn), unrankable=unrankable)


class _RaterSums:
    """Per rater: how often each entrant won, and how often each pair met. That is all a resample is made of."""

    def __init__(self, votes: VoteTable) -> None:
        k = len(votes.models)
        present, rater = np.unique(votes.rater, return_inverse=True)
        a_won = votes.choice == Chosen.A
        winner = np.where(a_won, votes.model_a, votes.model_b).astype(np.int64)
        low, high = np.minimum(votes.model_a, votes.model_b), np.maximum(votes.model_a, votes.model_b)
        self.k, self.raters = k, len(present)
        self.first, self.second = np.triu_indices(k, k=1)
        pair = np.zeros((k, k), dtype=np.int64)
        pair[self.first, self.second] = np.arange(len(self.first))
        lower_won = winner == low
        columns = pair[low, high] + len(self.first) * lower_won
        ones = np.ones(len(votes))
        # Column c: meetings of pair c that the higher-numbered won; column pairs + c: that the lower-numbered won.
        self.wins = sparse.csr_matrix((ones, (rater, columns)), shape=(self.raters, 2 * len(self.first))).T.tocsr()

    def draw(self, batch: int, rng: np.random.Generator) -> Float64[np.ndarray, "2 batch pairs"]:
        """Wins of the lower-numbered and of the higher-numbered entrant of each pair, in `batch` draws of raters."""
        chosen = rng.integers(0, self.raters, (batch, self.raters))
        chosen += np.arange(batch)[:, None] * self.raters
        weights = np.bincount(chosen.ravel(), minlength=batch * self.raters).reshape(batch, self.raters)
        totals = (self.wins @ weights.T.astype(np.float64)).T
        pairs = len(self.first)
        wins: Float64[np.ndarray, "2 batch pairs"] = np.stack([totals[:, pairs:], totals[:, :pairs]])
        return wins


def _fit_batch(
    sums: _RaterSums, wins: Float64[np.ndarray, "2 batch pairs"], start: Float64[np.ndarray, " entrants"]
) -> Float64[np.ndarray, "ranked entrants"]:
    """The strengths of each draw that can be ranked, by Newton's method on all of them at once."""
    rankable = np.array([_is_rankable(sums, lower > 0, higher > 0) for lower, higher in zip(*wins, strict=True)])
    lower, higher = wins[:, rankable]
    met, k = lower + higher, sums.k
    strengths = np.tile(start, (len(lower), 1))
    value = _log_likelihood(sums, strengths, lower, met)
    for _ in range(_MOST_STEPS):
        step = _newton_step(sums, strengths, lower, met, k)
        # Each draw's likelihood is concave: half a step too far is taken back until it no longer falls.
        for _ in range(_MOST_STEPS):
            found = _log_likelihood(sums, strengths + step, lower, met)
            falls = found < value - 1e-9 * np.abs(value)
            if not falls.any():
                break
            step[falls] /= 2
        strengths, value = strengths + step, found
        if np.abs(step).max(initial=0.0) < _SMALL_STEP:
            settled: Float64[np.ndarray, "ranked entrants"] = strengths
            return settled
    raise ArithmeticError("a resample's strengths did not settle")


def _newton_step(
    sums: _RaterSums,
    strengths: Float64[np.ndarray, "draws entrants"],
    lower: Float64[np.ndarray, "draws pairs"],
    met: Float64[np.ndarray, "draws pairs"],
    k: int,
) -> Float64[np.ndarray, "draws entrants"]:
    """One step, with the first entrant held in place."""
    chance = special.expit(strengths[:, sums.first] - strengths[:, sums.second])
    surprise = lower - met * chance
    weight = met * chance * (1 - chance)
    information = np.zeros((len(strengths), k, k))
    information[:, sums.first, sums.second] = -weight
    information[:, sums.second, sums.first] = -weight
    own = np.arange(k)
    information[:, own, own] = -information.sum(axis=2)
    square = np.zeros((len(strengths), k, k))
    square[:, sums.first, sums.second] = surprise
    gradient = square.sum(axis=2) - square.sum(axis=1)
    step = np.zeros_like(strengths)
    step[:, 1:] = np.linalg.solve(information[:, 1:, 1:], gradient[:, 1:, None])[..., 0]
    return step


def _log_likelihood(
    sums: _RaterSums,
    strengths: Float64[np.ndarray, "draws entrants"],
    lower: Float64[np.ndarray, "draws pairs"],
    met: Float64[np.ndarray, "draws pairs"],
) -> Float64[np.ndarray, " draws"]:
    gap = strengths[:, sums.first] - strengths[:, sums.second]
    total: Float64[np.ndarray, " draws"] = (lower * gap - met * np.logaddexp(0, gap)).sum(axis=1)
    return total


def _is_rankable(sums: _RaterSums, lower: Bool[np.ndarray, " pairs"], higher: Bool[np.ndarray, " pairs"]) -> bool:
    beats = np.zeros((sums.k, sums.k), dtype=np.bool_)
    beats[sums.first, sums.second] = lower
    beats[sums.second, sums.first] = higher
    return bool(strong_groups(beats).max() == 0)
