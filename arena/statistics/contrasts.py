"""Entrant against entrant: through the reference that both met, and directly where they met each other.

In: a `VoteTable` and the reference. Out: one `Contrast` per two entrants. Through the reference, a contrast is the
difference of two preference rates whose votes share raters and prompts: all votes against the reference are stacked,
and the difference takes its spread from their one covariance. Whether two intervals overlap is never asked: two rates
of the same raters can differ surely while their intervals overlap, and the other way round.
Source: `stacked.py` for the shared covariance, Holm (1979) over all contrasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, Int64
from scipy import sparse, special

from arena.statistics.clustered import obstacle_to_clustering
from arena.statistics.mcnemar import McNemar, SameJudges
from arena.statistics.multiplicity import holm
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.rates import PreferenceRate, Ties, preference_rate
from arena.statistics.stacked import StackedRates, stacked_rates
from arena.statistics.votes import Outcomes, VoteTable, outcomes_of_each, outcomes_of_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """The rate of `a` less that of `b`, both against the reference; `direct` is how often a was preferred to b itself.

    None where it cannot be had, and `missing` says why. `p_holm` is adjusted over all contrasts.
    """

    a: str
    b: str
    difference: float | None
    se: float | None = None
    df: float | None = None
    p: float | None = None
    p_holm: float | None = None
    direct: PreferenceRate | None = None
    mcnemar: McNemar | None = None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "se": self.se,
            "df": self.df,
            "p": self.p,
            "p_holm": self.p_holm,
            "direct": None if self.direct is None else self.direct.to_dict(),
            "mcnemar": None if self.mcnemar is None else self.mcnemar.to_dict(),
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def contrasts(
    table: VoteTable, *, reference: str, entrants: Sequence[str], ties: Ties = "half"
) -> tuple[Contrast, ...]:
    """One contrast for every two of `entrants`, in their order.

    >>> import numpy as np
    >>> from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
    >>> design = ArenaDesign(raters=40, prompts=100, votes=3000, rates=(0.6, 0.5))
    >>> votes = simulate_votes(design, np.random.default_rng(8))
    >>> (found,) = contrasts(votes, reference=REFERENCE, entrants=design.entrants)
    >>> round(found.difference, 1), found.p < 0.05
    (0.1, True)
    """
    outcomes = outcomes_of_each(table, entrants, reference)
    kept = [one.without_ties() if ties == "drop" else one for one in outcomes]
    stack = _Stack(kept)
    same_judges = SameJudges(kept)
    direct = outcomes_of_pairs(table)
    found = []
    for i, a in enumerate(entrants):
        for j in range(i + 1, len(entrants)):
            contrast = stack.contrast(a, i, entrants[j], j)
            met = _direct(direct, a, entrants[j])
            rate = None if met is None else preference_rate(met, ties=ties)
            found.append(replace(contrast, direct=rate, mcnemar=same_judges.compare(i, j)))
    adjusted = holm([contrast.p for contrast in found])
    return tuple(replace(contrast, p_holm=p) for contrast, p in zip(found, adjusted, strict=True))


class _Stack:
    """All votes against the reference, and what any two entrants' rates have in common."""

    def __init__(self, outcomes: Sequence[Outcomes]) -> None:
        self._outcomes = outcomes
        self._voted = [number for number, one in enumerate(outcomes) if len(one.value)]
        self._group = {number: group for group, number in enumerate(self._voted)}
        self._alike = {
            number: bool((outcomes[number].value == outcomes[number].value[0]).all()) for number in self._voted
        }
        self.stacked, self.obstacle = self._stacked()
        if self.obstacle is None:
            self._raters, self._prompts = (
                _shared(codes, self._sizes()) for codes in (self._column("rater"), self._column("prompt"))
            )
            self._variances = self.stacked.spread.of_differences() if self.stacked is not None else None

    def contrast(self, a: str, i: int, b: str, j: int) -> Contrast:
        """The rate of entrant number i less that of number j."""
        for name, number in ((a, i), (b, j)):
            if number not in self._group:
                reason = f"'{name}' has no votes against the reference that count here."
                gap = NotEstimable(what="difference", obstacle=Obstacle.NO_VOTES, reason=reason)
                return Contrast(a=a, b=b, difference=None, missing=(gap,))
        rates = [float(self._outcomes[number].value.mean()) for number in (i, j)]
        plain = Contrast(a=a, b=b, difference=rates[0] - rates[1])
        gap_or_none = self.obstacle or self._obstacle(a, i, b, j)
        if gap_or_none is not None:
            return replace(plain, missing=(gap_or_none,))
        first, second = self._group[i], self._group[j]
        assert self._variances is not None, "a stack without an obstacle has its covariance"
        se = sqrt(float(self._variances[first, second]))
        df = self._raters.effective(first, second) - 1
        p = min(1.0, 2 * float(special.stdtr(df, -abs(rates[0] - rates[1]) / se)))
        return replace(plain, se=se, df=df, p=p)

    def _obstacle(self, a: str, i: int, b: str, j: int) -> NotEstimable | None:
        what = "standard error"
        for name, number in ((a, i), (b, j)):
            if self._alike[number]:
                reason = f"All votes on '{name}' say the same, so their spread cannot be seen."
                return NotEstimable(what=what, obstacle=Obstacle.ALL_VOTES_ALIKE, reason=reason)
        first, second = self._group[i], self._group[j]
        if self._raters.count(first, second) == 1:
            reason = "All votes on these two come from one rater, which says nothing about other raters."
            return NotEstimable(what=what, obstacle=Obstacle.ONE_RATER, reason=reason)
        if self._prompts.count(first, second) == 1:
            reason = "All votes on these two are on one prompt, which says nothing about other prompts."
            return NotEstimable(what=what, obstacle=Obstacle.ONE_PROMPT, reason=reason)
        return None

    def _stacked(self) -> tuple[StackedRates | None, NotEstimable | None]:
        what = "standard error"
        if not self._voted:
            return None, NotEstimable(what=what, obstacle=Obstacle.NO_VOTES, reason="There are no votes yet.")
        rater, prompt = self._column("rater"), self._column("prompt")
        obstacle = obstacle_to_clustering(rater, prompt)
        if obstacle is not None:
            return None, obstacle
        if len(rater) <= len(self._voted):
            reason = f"{len(rater)} votes are too few to tell how far {len(self._voted)} rates may be off."
            return None, NotEstimable(what=what, obstacle=Obstacle.FEW_VOTES, reason=reason)
        value = np.concatenate([self._outcomes[number].value for number in self._voted])
        return stacked_rates(value, self._sizes(), rater, prompt, len(self._voted)), None

    def _column(self, name: str) -> Int32[np.ndarray, " stacked"]:
        return np.concatenate([getattr(self._outcomes[number], name) for number in self._voted])

    def _sizes(self) -> Int32[np.ndarray, " stacked"]:
        sizes = [len(self._outcomes[number].value) for number in self._voted]
        return np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shared:
    """How the clusters of two groups overlap: `squares[i, j]` sums m_i * m_j, `both[i, j]` counts those with both."""

    sizes: Int64[np.ndarray, " groups"]
    squares: Float64[np.ndarray, "groups groups"]
    both: Float64[np.ndarray, "groups groups"]

    def effective(self, i: int, j: int) -> float:
        """G* = (sum m)^2 / sum m^2, where m = m_i + m_j votes of each cluster."""
        square = self.squares[i, i] + self.squares[j, j] + 2 * self.squares[i, j]
        return float((self.sizes[i] + self.sizes[j]) ** 2 / square)

    def count(self, i: int, j: int) -> int:
        """How many clusters have a vote in either group."""
        return int(self.both[i, i] + self.both[j, j] - self.both[i, j])


def _shared(cluster: Int32[np.ndarray, " votes"], group: Int32[np.ndarray, " votes"]) -> _Shared:
    ones = np.ones(len(cluster))
    counts = sparse.csr_matrix((ones, (cluster, group)))
    there = counts.copy()
    there.data[:] = 1.0
    return _Shared(
        sizes=np.bincount(group),
        squares=np.asarray((counts.T @ counts).toarray()),
        both=np.asarray((there.T @ there).toarray()),
    )


def _direct(outcomes: dict[tuple[str, str], Outcomes], a: str, b: str) -> Outcomes | None:
    if a < b:
        return outcomes.get((a, b))
    mirrored = outcomes.get((b, a))
    return None if mirrored is None else replace(mirrored, value=1 - mirrored.value)
