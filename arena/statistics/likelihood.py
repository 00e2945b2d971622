"""The likelihood of counted comparisons, and its highest point by Newton's method.

In: `PairedCounts`. Out: an `Estimate`. With d the difference of two strengths (plus the side's, for the one that stands
first), P(first) : P(tie) : P(second) = e^(d/2) : nu : e^(-d/2), which is Davidson's model; without ties (nu = 0) it is
Bradley and Terry's. Either is an exponential family in (strengths, side, log nu), so the likelihood is concave.
Source: Davidson (1970), doi:10.1080/01621459.1970.10481082; side as in Davidson & Beaver (1977), doi:10.2307/2529467.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import special

from arena.statistics.paired_counts import PairedCounts

# Newton's method doubles the right digits at each step: this step leaves none wrong.
_SMALL_STEP = 1e-9
_MOST_STEPS = 200


class NoConvergenceError(ArithmeticError):
    """Newton's method did not settle although the strengths exist: our own mistake, never the votes'."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """The highest point of a likelihood: strengths with the reference at 0, and the inverse information.

    `model_covariance` has a row for every entrant but the reference, in their order, then the side, then log nu.
    """

    strengths: Float64[np.ndarray, " entrants"]
    side: float | None
    log_nu: float | None
    model_covariance: Float64[np.ndarray, "estimates estimates"]


def estimate(
    counts: PairedCounts,
    *,
    reference: int,
    ties: bool,
    side: bool,
    start: Float64[np.ndarray, " entrants"] | None = None,
) -> Estimate:
    """The highest point of the likelihood, by Newton's method; there must be one (see `why_no_maximum`).

    `reference` is the code of the entrant whose strength is 0; `start` a guess of the strengths.
    Raises NoConvergenceError, which no votes should cause.
    """
    likelihood = _Likelihood(counts, reference, ties=ties, side=side)
    point = likelihood.start(start)
    value = likelihood.value(point)
    for _ in range(_MOST_STEPS):
        gradient, information = likelihood.slopes(point)
        step = np.linalg.solve(information, gradient)
        size = float(np.abs(step).max(initial=0.0))
        if size < _SMALL_STEP:
            return likelihood.estimate(point + step, np.linalg.inv(information))
        # The likelihood is concave, so some part of the step always raises it; rounding may hide the very last rise.
        while (found := likelihood.value(point + step)) < value - 1e-9 * abs(value) and size > _SMALL_STEP:
            step, size = step / 2, size / 2
        point, value = point + step, found
    raise NoConvergenceError(f"no maximum after {_MOST_STEPS} steps")


class _Likelihood:
    """The log-likelihood of counted votes and its slopes, at a point: strengths but the reference's, side, log nu."""

    def __init__(self, counts: PairedCounts, reference: int, *, ties: bool, side: bool) -> None:
        self._counts, self._ties, self._side = counts, ties, side
        self._k = len(counts.first)
        self._others = np.delete(np.arange(self._k), reference)
        self._met = counts.first + counts.second + (counts.ties if ties else 0.0)
        self._estimates = self._k - 1 + int(side) + int(ties)

    def start(self, strengths: Float64[np.ndarray, " entrants"] | None) -> Float64[np.ndarray, " estimates"]:
        point = np.zeros(self._estimates)
        if strengths is not None:
            point[: self._k - 1] = strengths[self._others]
        return point

    def value(self, point: Float64[np.ndarray, " estimates"]) -> float:
        half, log_nu = self._gaps(point) / 2, self._log_nu(point)
        top = np.logaddexp(half, -half)
        if self._ties:
            top = np.logaddexp(top, log_nu)
        found = ((self._counts.first - self._counts.second) * half).sum() - (self._met * top).sum()
        return float(found + self._counts.ties.sum() * log_nu if self._ties else found)

    def slopes(
        self, point: Float64[np.ndarray, " estimates"]
    ) -> tuple[Float64[np.ndarray, " estimates"], Float64[np.ndarray, "estimates estimates"]]:
        """The gradient and the information (minus the second derivatives; observed and expected agree here)."""
        k, met = self._k, self._met
        shares = outcome_shares(self._gaps(point), self._log_nu(point) if self._ties else None)
        lean, tie = shares.lean, shares.tie
        surprise = (self._counts.first - self._counts.second) / 2 - met * lean
        weight = met * ((shares.first + shares.second) / 4 - lean**2)

        gradient = np.zeros(k + int(self._side) + int(self._ties))
        information = np.zeros((len(gradient), len(gradient)))
        gradient[:k] = surprise.sum(axis=1) - surprise.sum(axis=0)
        information[:k, :k] = -(weight + weight.T)
        information[np.arange(k), np.arange(k)] = weight.sum(axis=1) + weight.sum(axis=0)
        if self._side:
            gradient[k] = surprise.sum()
            information[:k, k] = information[k, :k] = weight.sum(axis=1) - weight.sum(axis=0)
            information[k, k] = weight.sum()
        if self._ties:
            together = -met * tie * lean
            gradient[-1] = (self._counts.ties - met * tie).sum()
            information[:k, -1] = information[-1, :k] = together.sum(axis=1) - together.sum(axis=0)
            information[-1, -1] = (met * tie * (1 - tie)).sum()
            if self._side:
                information[k, -1] = information[-1, k] = together.sum()
        kept = np.concatenate([self._others, np.arange(k, len(gradient))])
        return gradient[kept], information[np.ix_(kept, kept)]

    def estimate(
        self, point: Float64[np.ndarray, " estimates"], covariance: Float64[np.ndarray, "estimates estimates"]
    ) -> Estimate:
        strengths = np.zeros(self._k)
        strengths[self._others] = point[: self._k - 1]
        return Estimate(
            strengths=strengths,
            side=float(point[self._k - 1]) if self._side else None,
            log_nu=float(point[-1]) if self._ties else None,
            model_covariance=covariance,
        )

    def _gaps(self, point: Float64[np.ndarray, " estimates"]) -> Float64[np.ndarray, "entrants entrants"]:
        strengths = np.zeros(self._k)
        strengths[self._others] = point[: self._k - 1]
        gaps: Float64[np.ndarray, "entrants entrants"] = strengths[:, None] - strengths[None, :]
        return gaps + point[self._k - 1] if self._side else gaps

    def _log_nu(self, point: Float64[np.ndarray, " estimates"]) -> float:
        return float(point[-1]) if self._ties else -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeShares:
    """The chances of the first, of a tie and of the second; they sum to 1."""

    first: Float64[np.ndarray, "*shape"]
    tie: Float64[np.ndarray, "*shape"]
    second: Float64[np.ndarray, "*shape"]

    @property
    def lean(self) -> Float64[np.ndarray, "*shape"]:
        """The expected outcome, where the first counts 1/2, a tie 0 and the second -1/2."""
        half: Float64[np.ndarray, "*shape"] = (self.first - self.second) / 2
        return half


def outcome_shares(gap: Float64[np.ndarray, "*shape"], log_nu: float | None) -> OutcomeShares:
    """P(first) : P(tie) : P(second) = e^(gap/2) : nu : e^(-gap/2); None for log nu means that there are no ties."""
    if log_nu is None:
        return OutcomeShares(special.expit(gap), np.zeros_like(gap), special.expit(-gap))
    half = gap / 2
    top = np.logaddexp(np.logaddexp(half, -half), log_nu)
    return OutcomeShares(np.exp(half - top), np.exp(log_nu - top), np.exp(-half - top))
