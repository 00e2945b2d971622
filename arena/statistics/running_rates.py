"""The preference rate after every so many votes, without counting the first votes again at each look.

In: one entrant's outcomes in the order in which they were cast, and after how many of them one looks. Out: for each
look what `rates.preference_rate` says of the votes so far. The clustered variance of a mean needs three sums over the
clusters only (of S^2, of S * m and of m^2, for a cluster's sum of values S and its size m), and one more vote changes
each by a known amount; so one sort per kind of cluster serves all looks. Outcomes are 1, .5 or 0, so twice their sums
are whole numbers, and everything up to the last division is exact: nothing that is 0 comes out as a little more.
Source: `clustered.py`, of which this is the running form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import numpy as np
from jaxtyping import Int64

from arena.statistics.clustered import ROUNDING, Route
from arena.statistics.independent import if_votes_were_independent
from arena.statistics.rates import PreferenceRate, Ties, headline_interval, headline_p, preference_rate
from arena.statistics.votes import Outcomes


def rates_after(outcomes: Outcomes, looks: Sequence[int], *, ties: Ties) -> list[PreferenceRate]:
    """What `preference_rate` says of the first `looks[i]` votes; with `ties` dropped, of the first decisive ones.

    Each look lies between 1 and the number of these votes; `outcomes` are in order of time.
    """
    kept = outcomes.without_ties() if ties == "drop" else outcomes
    if not looks:
        return []
    assert min(looks) >= 1, "a look needs a vote"
    assert max(looks) <= len(kept.value), "a look needs votes that are there"
    last = np.array(looks, dtype=np.int64) - 1
    doubled = np.rint(2 * kept.value).astype(np.int64)
    # A code of -1 says that nobody wrote it down; moved up by one it counts like any other, and is refused below.
    rater, prompt = kept.rater.astype(np.int64) + 1, kept.prompt.astype(np.int64) + 1
    cell = rater * (int(prompt.max()) + 1) + prompt
    by_rater, by_prompt, by_cell = (_sums_at(last, code, doubled) for code in (rater, prompt, cell))
    totals, squares = np.cumsum(doubled)[last].tolist(), np.cumsum(doubled * doubled)[last].tolist()
    recorded = (np.minimum.accumulate(np.minimum(rater, prompt))[last] > 0).tolist()
    found = []
    for place, n in enumerate(looks):
        seen = _Seen(
            n=n,
            total=totals[place],
            squares=squares[place],
            rater=by_rater[place],
            prompt=by_prompt[place],
            cell=by_cell[place],
        )
        regular = recorded[place] and seen.rater.clusters > 1 and seen.prompt.clusters > 1 and seen.spread > 0
        found.append(_rate(seen, ties) if regular else preference_rate(_first(kept, n), ties=ties))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClusterSums:
    """Over the clusters of one kind: how many, and the sums of S^2, S * m and m^2, S being twice the sum of values."""

    clusters: int
    values_squared: int
    values_sizes: int
    sizes_squared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The votes up to a look: `total` is twice the sum of the values, `squares` four times that of their squares."""

    n: int
    total: int
    squares: int
    rater: _ClusterSums
    prompt: _ClusterSums
    cell: _ClusterSums

    @property
    def spread(self) -> Fraction:
        """Sum of squared residuals."""
        return Fraction(self.n * self.squares - self.total**2, 4 * self.n)

    def variance(self, by: _ClusterSums) -> Fraction:
        """Variance of the mean by one kind of cluster, as in `clustered.one_way_variance`."""
        n, total = self.n, self.total
        residuals = n * n * by.values_squared - 2 * n * total * by.values_sizes + total * total * by.sizes_squared
        return Fraction(residuals * by.clusters, (by.clusters - 1) * 4 * n**4)


def _sums_at(
    last: Int64[np.ndarray, " looks"], cluster: Int64[np.ndarray, " votes"], doubled: Int64[np.ndarray, " votes"]
) -> list[_ClusterSums]:
    order = np.argsort(cluster, kind="stable")
    value, n = doubled[order], len(order)
    opens = np.concatenate([[True], np.diff(cluster[order]) != 0])
    begin = np.maximum.accumulate(np.where(opens, np.arange(n), 0))
    # What the vote's own cluster held before it: so many votes, with such a sum.
    size = np.arange(n) - begin
    before = np.cumsum(value) - value
    sums = before - before[begin]

    def running(change: Int64[np.ndarray, " votes"]) -> list[int]:
        in_time = np.empty(n, dtype=np.int64)
        in_time[order] = change
        whole: list[int] = np.cumsum(in_time)[last].tolist()
        return whole

    columns = zip(
        running(opens.astype(np.int64)),
        running(value * (2 * sums + value)),
        running(sums + value * size + value),
        running(2 * size + 1),
        strict=True,
    )
    return [
        _ClusterSums(clusters=clusters, values_squared=ss, values_sizes=sm, sizes_squared=mm)
        for clusters, ss, sm, mm in columns
    ]


def _rate(seen: _Seen, ties: Ties) -> PreferenceRate:
    n, rate = seen.n, seen.total / (2 * seen.n)
    variance, route = _two_way(seen)
    n_eff = min(float(n), rate * (1 - rate) / variance)
    effective_raters = n * n / seen.rater.sizes_squared
    df = effective_raters - 1
    return PreferenceRate(
        rate=rate,
        n=n,
        raters=seen.rater.clusters,
        prompts=seen.prompt.clusters,
        effective_raters=effective_raters,
        se=sqrt(variance),
        route=route,
        df=df,
        n_eff=n_eff,
        design_effect=n / n_eff,
        interval=headline_interval(rate, n_eff, df),
        p=headline_p(rate, n_eff, df),
        independent=if_votes_were_independent(seen.total // 2, n) if ties == "drop" else None,
    )


def _two_way(seen: _Seen) -> tuple[float, Route]:
    """The variance that `clustered.two_way_variance` takes, by the same route."""
    rater, prompt = seen.variance(seen.rater), seen.variance(seen.prompt)
    two_way = rater + prompt - seen.variance(seen.cell)
    of_votes = seen.spread / (seen.n - 1) / seen.n
    floor = ROUNDING * float(of_votes)
    if two_way > floor:
        return float(two_way), Route.TWO_WAY
    if max(rater, prompt) > floor:
        return float(max(rater, prompt)), Route.RATER if rater >= prompt else Route.PROMPT
    return float(of_votes), Route.VOTE


def _first(outcomes: Outcomes, n: int) -> Outcomes:
    return Outcomes(value=outcomes.value[:n], rater=outcomes.rater[:n], prompt=outcomes.prompt[:n], both_bad=0)
