"""Strengths on one scale: Bradley-Terry, and Davidson's model with ties, each with or without a side of the page.

In: K x K counts for the estimates; the `VoteTable` for their clustered spread. Out: a `Fit`. A strength is a log-odds
with the reference at 0; the side is the logit for whoever stands left. Bradley-Terry is fitted to the decisive votes,
Davidson's model to the decisive votes and the ties. The counts are enough for the estimates, so they cost milliseconds
whatever the number of votes; the spread needs to know who voted on what, and reads the votes once more.
Source: Bradley & Terry (1952), doi:10.1093/biomet/39.3-4.324; the models are in `likelihood.py`, the spread in
`sandwich.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import special

from arena.statistics.clustered import obstacle_to_clustering
from arena.statistics.connectivity import why_no_maximum
from arena.statistics.interval import ALPHA
from arena.statistics.likelihood import Estimate, estimate, outcome_shares
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.paired_counts import decisive_votes, folded, judged_votes, paired_counts
from arena.statistics.sandwich import Covariance, Scores, TwoWayClusters, two_way_covariance
from arena.statistics.votes import Chosen, Left, VoteTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Strengths with their spread. Where `reason` is not None nothing is estimable, and it says why.

    `covariance` is two-way clustered, in the order of `Estimate.model_covariance`; None where `missing` says why. `df`
    are the degrees of freedom that go with it: the effective number of raters, less one.
    """

    entrants: tuple[str, ...]
    reference: str
    votes: int
    has_side: bool
    has_ties: bool
    raters: int | None = None
    reason: str | None = None
    estimate: Estimate | None = None
    covariance: Covariance | None = None
    df: float | None = None
    missing: tuple[NotEstimable, ...] = ()

    def strengths(self) -> dict[str, float]:
        """Log-odds by entrant, the reference at 0; empty where not estimable."""
        return {} if self.estimate is None else self._named(self.estimate.strengths)

    def se(self) -> dict[str, float]:
        """Two-way clustered standard errors by entrant; the reference's is 0 by definition. Empty without spread."""
        return {} if self.covariance is None else self._named(self._with_reference(self.covariance.variances()) ** 0.5)

    def se_model(self) -> dict[str, float]:
        """Standard errors if votes were independent; the reference's is 0 by definition."""
        if self.estimate is None:
            return {}
        return self._named(self._with_reference(np.diag(self.estimate.model_covariance)) ** 0.5)

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % of every entrant but the reference: strength +- t * se, t on `df` degrees of freedom, one at a time.

        Empty without spread, and where one rater gives so nearly all votes that t has no end.
        """
        if self.df is None:
            return {}
        quantile = float(special.stdtrit(self.df, 1 - ALPHA / 2))
        if not quantile < _NO_END:
            return {}
        strengths, se = self.strengths(), self.se()
        return {
            name: (strengths[name] - quantile * se[name], strengths[name] + quantile * se[name])
            for name in self.entrants
            if name != self.reference
        }

    def of_strengths(self, matrix: Float64[np.ndarray, "k k"]) -> Float64[np.ndarray, "entrants entrants"]:
        """The rows and columns of the strengths, with zeros for the reference put in its place."""
        k, place = len(self.entrants), self.entrants.index(self.reference)
        others = np.delete(np.arange(k), place)
        full = np.zeros((k, k))
        full[np.ix_(others, others)] = matrix[: k - 1, : k - 1]
        return full

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; maps by entrant are null where not estimable."""
        found: dict[str, Any] = {
            "estimable": self.estimate is not None,
            "reason": self.reason,
            "strengths": self.strengths() or None,
            "se": self.se() or None,
            "se_model": self.se_model() or None,
            "intervals": {name: list(ends) for name, ends in self.intervals().items()} or None,
            "df": self.df,
            "votes": self.votes,
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }
        if self.has_side:
            found["side"] = None if self.estimate is None else self.estimate.side
            found["side_se"] = self.side_se()
        if self.has_ties:
            found["log_nu"] = None if self.estimate is None else self.estimate.log_nu
        return found

    def side_se(self) -> float | None:
        """The two-way clustered standard error of the side, a logit for the entrant on the left."""
        if self.covariance is None or not self.has_side:
            return None
        return sqrt(float(self.covariance.variances()[len(self.entrants) - 1]))

    def _with_reference(self, variances: Float64[np.ndarray, " estimates"]) -> Float64[np.ndarray, " entrants"]:
        own = variances[: len(self.entrants) - 1]
        return np.insert(own, self.entrants.index(self.reference), 0.0)

    def _named(self, values: Float64[np.ndarray, " entrants"]) -> dict[str, float]:
        return {name: float(value) for name, value in zip(self.entrants, values, strict=True)}


class LiveBradleyTerry:
    """Bradley-Terry strengths that follow the votes one by one: each vote is O(1), a refit starts from the last fit."""

    def __init__(self, entrants: Sequence[str], reference: str) -> None:
        self.entrants = tuple(entrants)
        self._code = {name: number for number, name in enumerate(self.entrants)}
        self._reference = self._code[reference]
        self._wins = np.zeros((len(self.entrants), len(self.entrants)))
        self._last: Estimate | None = None

    def add(self, winner: str, loser: str, votes: int = 1) -> None:
        """`votes` more votes prefer `winner` to `loser`; a negative number takes votes back."""
        self._wins[self._code[winner], self._code[loser]] += votes

    def estimate(self) -> Estimate | None:
        """The strengths now; None while the graph of wins is not strongly connected."""
        counts = folded(self._wins)
        if why_no_maximum(counts, self.entrants, ties=False, side=False) is not None:
            return None
        start = None if self._last is None else self._last.strengths
        self._last = estimate(counts, reference=self._reference, ties=False, side=False, start=start)
        return self._last


def fit_bradley_terry(table: VoteTable, *, reference: str, side: bool = False, clustered: bool = True) -> Fit:
    """Strengths from the decisive votes; with `side`, from those whose sides are known, and a term for the left.

    Without `clustered` the votes are read once, for their counts, and only the model's own spread is given.

    >>> import numpy as np
    >>> from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
    >>> design = ArenaDesign(raters=30, prompts=60, votes=3000, rates=(0.7, 0.4), sd_prompt=0.0)
    >>> fit = fit_bradley_terry(simulate_votes(design, np.random.default_rng(5)), reference=REFERENCE)
    >>> sorted(fit.strengths(), key=fit.strengths().get)
    ['entrant-1', 'reference', 'entrant-0']
    """
    return _fit(table, reference=reference, ties=False, side=side, clustered=clustered)


def fit_davidson(table: VoteTable, *, reference: str, side: bool = False, clustered: bool = True) -> Fit:
    """Strengths and log nu from the decisive votes and the ties; `side` and `clustered` as for Bradley-Terry."""
    return _fit(table, reference=reference, ties=True, side=side, clustered=clustered)


def _fit(table: VoteTable, *, reference: str, ties: bool, side: bool, clustered: bool) -> Fit:
    used = judged_votes if ties else decisive_votes
    if side and len(table) and (table.left == Left.UNKNOWN).all():
        unknown = "The votes do not say which image stood on the left."
        return Fit(entrants=table.models, reference=reference, votes=0, has_side=side, has_ties=ties, reason=unknown)
    kept = used(table, sides_known=side)
    votes = table if kept.all() else table.rows(kept)
    counts = paired_counts(votes, by_side=side)
    shell = Fit(entrants=table.models, reference=reference, votes=len(votes), has_side=side, has_ties=ties)
    reason = why_no_maximum(counts, table.models, ties=ties, side=side)
    if reason is not None:
        return replace(shell, reason=reason)
    found = estimate(counts, reference=table.models.index(reference), ties=ties, side=side)
    shell = replace(shell, estimate=found)
    if not clustered:
        return shell
    gap = why_not_clustered(votes, estimates=len(found.model_covariance))
    if gap is not None:
        return replace(shell, missing=(gap,))
    clusters = TwoWayClusters(votes.rater, votes.prompt)
    scores = _scores(votes, found, reference=table.models.index(reference))
    covariance = two_way_covariance(scores, clusters, found.model_covariance)
    still = np.diag(covariance.by_vote) <= 0
    if still.any():
        others = [name for name in table.models if name != reference]
        names = [name for name, alike in zip(others, still, strict=False) if alike]
        reason = (
            f"The votes on {', '.join(names) or 'the entrants'} do not stray at all, so their spread cannot be seen."
        )
        gap = NotEstimable(what="standard error", obstacle=Obstacle.ALL_VOTES_ALIKE, reason=reason)
        return replace(shell, missing=(gap,))
    return replace(shell, raters=clusters.raters, covariance=covariance, df=clusters.df)


def why_not_clustered(votes: VoteTable, *, estimates: int) -> NotEstimable | None:
    """What keeps these votes, of which there is at least one, from a two-way clustered covariance; None if nothing."""
    found = obstacle_to_clustering(votes.rater, votes.prompt)
    if found is not None or len(votes) > estimates:
        return found
    reason = f"{len(votes)} votes are too few to tell how far {estimates} estimates may be off."
    return NotEstimable(what="standard error", obstacle=Obstacle.FEW_VOTES, reason=reason)


def _scores(votes: VoteTable, found: Estimate, *, reference: int) -> Scores:
    """Each vote's slope of the log-likelihood: observed less expected, for both entrants, the side and log nu."""
    k = len(votes.models)
    gaps = found.strengths[:, None] - found.strengths[None, :] + (found.side or 0.0)
    shares = outcome_shares(gaps, found.log_nu)
    first, second = votes.model_a, votes.model_b
    observed = _AS_FIRST[votes.choice]
    if found.side is not None:
        right = votes.left == Left.B
        first, second = np.where(right, second, first), np.where(right, first, second)
        observed = np.where(right, -observed, observed)
    surprise = observed - shares.lean[first, second]
    column = np.arange(k, dtype=np.int32)
    column[reference:] -= 1
    column[reference] = -1
    columns, values = [column[first], column[second]], [surprise, -surprise]
    if found.side is not None:
        columns.append(np.full(len(votes), k - 1, dtype=np.int32))
        values.append(surprise)
    if found.log_nu is not None:
        columns.append(np.full(len(votes), len(found.model_covariance) - 1, dtype=np.int32))
        values.append((votes.choice == Chosen.TIE) - shares.tie[first, second])
    return Scores(estimates=len(found.model_covariance), column=tuple(columns), value=tuple(values))


# Beyond this, an interval says nothing that a reader could use.
_NO_END = 1e100

# The outcome as a number: half a win for A, half a win for B, a tie. Both-bad votes never come here.
_AS_FIRST = np.array([0.5, -0.5, 0.0])
