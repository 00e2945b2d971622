"""How few votes, or how few raters, carry a verdict: the fewest whose removal would change it.

In: an entrant's `Outcomes` and the p-values of the other entrants. Out: `Fragility`, with the very votes and raters, so
that people can look at them. A verdict that hangs on three raters out of fifty says so here, however small its p.

The fewest is a search over sets, which nobody can finish for thousands of votes. What is claimed here is an upper
bound: these votes, once removed, do change the verdict as `verdicts.judge` gives it, with the other entrants' p-values
held fixed. It is the true minimum where `exact` says so: always for one, and for as many more as all sets of that size
could be tried. Elsewhere those of the greatest influence are removed first, their influence is weighed anew as the set
grows, and whatever the set does not need is put back.
Source: Broderick, Giordano & Meager (2020), arXiv:2011.14999 (removing by influence); Walsh et al. (2014),
doi:10.1016/j.jclinepi.2013.10.019 (the fragility index).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import special

from arena.statistics.clustered import ROUNDING, obstacle_to_clustering
from arena.statistics.equivalence import check_margin, tost
from arena.statistics.interval import ALPHA
from arena.statistics.multiplicity import holm
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.rates import Ties, preference_rate
from arena.statistics.verdicts import Verdict, judge
from arena.statistics.votes import Outcomes

# Nobody would read a verdict on fewer than these.
KEPT_VOTES = 10
KEPT_RATERS = 2

# How many numbers may be looked at to try all sets of one size, and to put a set's members back one by one.
_EXHAUSTIVE_NUMBERS = 400_000
_POLISH_NUMBERS = 400_000
# How many pairs of members may be exchanged for one other.
_EXCHANGES = 30
# Sets up to this size are also built one by one; in how many steps at most any set is built.
_SMALL = 12
_STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Removing these `count` votes (rows of the outcomes) or raters (codes), a `share` of all, gives `verdict`.

    `exact`: no smaller set does it. Else smaller sets may exist, but none was found.
    """

    count: int
    share: float
    verdict: Verdict
    exact: bool
    members: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The numbers and the verdict, ready for JSON; whose votes they are is told apart."""
        return {"count": self.count, "share": self.share, "verdict": self.verdict.value, "exact": self.exact}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragility:
    """The verdict as it stands, and the fewest votes and raters found to carry it; where None, `missing` says why."""

    verdict: Verdict
    votes: Removal | None
    raters: Removal | None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; what is not estimable is null."""
        return {
            "verdict": self.verdict.value,
            "votes": None if self.votes is None else self.votes.to_dict(),
            "raters": None if self.raters is None else self.raters.to_dict(),
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def fragility(outcomes: Outcomes, *, other_p: Sequence[float | None], delta: float, ties: Ties) -> Fragility:
    """The fewest votes, and the fewest raters, without which the entrant's verdict is another.

    `other_p` are the other entrants' unadjusted p-values, which stay as they are while this entrant's votes go. At
    least ten votes, or two raters, are kept.

    Twelve raters on eight prompts; all but two raters prefer the entrant on three prompts of four:

    >>> import numpy as np
    >>> rater, prompt = np.repeat(np.arange(12), 8).astype(np.int32), np.tile(np.arange(8), 12).astype(np.int32)
    >>> value = np.where(rater < 10, (rater + prompt) % 4 > 0, prompt % 2 > 0).astype(np.float64)
    >>> votes = Outcomes(value=value, rater=rater, prompt=prompt, both_bad=0)
    >>> found = fragility(votes, other_p=[], delta=0.05, ties="half")
    >>> print(found.verdict, "but without", found.raters.count, "raters", found.raters.verdict)
    preferred but without 4 raters inconclusive
    """
    check_margin(delta)
    rows = np.flatnonzero(outcomes.value != 0.5) if ties == "drop" else np.arange(len(outcomes.value))
    kept = outcomes.without_ties() if ties == "drop" else outcomes
    court = _Court.of(kept, other_p, delta)
    verdict = court.verdict(np.ones(len(rows), dtype=np.bool_))
    gap = _obstacle(kept)
    if gap is not None:
        missing = tuple(replace(gap, what=what) for what in ("fewest votes", "fewest raters"))
        return Fragility(verdict=verdict, votes=None, raters=None, missing=missing)
    by_vote = _fewest(court, _vote_units(kept), verdict, kept_units=KEPT_VOTES)
    by_rater = _fewest(court, _rater_units(kept), verdict, kept_units=KEPT_RATERS)
    gaps = [_not_found(what) for what, one in (("votes", by_vote), ("raters", by_rater)) if one is None]
    if by_vote is not None:
        by_vote = replace(by_vote, members=tuple(rows[list(by_vote.members)].tolist()))
    if by_rater is not None:
        codes = np.unique(kept.rater)
        by_rater = replace(by_rater, members=tuple(codes[list(by_rater.members)].tolist()))
    return Fragility(verdict=verdict, votes=by_vote, raters=by_rater, missing=tuple(gaps))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Totals:
    """What a verdict is made of, for many sets of votes at once. Values count from one half: a win +.5, a loss -.5.

    For each kind of cluster (rater, prompt, both together) `groups` is how many there are; `products`, of the rows
    sum * sum, votes * sum and votes * votes, are summed over the clusters, because the squared residual sums around any
    rate follow from them.
    """

    n: Float64[np.ndarray, " sets"]
    total: Float64[np.ndarray, " sets"]
    squares: Float64[np.ndarray, " sets"]
    groups: Float64[np.ndarray, "3 sets"]
    products: Float64[np.ndarray, "3 3 sets"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Evidence:
    """For many sets of votes: the rate's distance from one half, n_eff, standard error and degrees of freedom.

    `se` is infinite where all votes are alike; `usable` is False where raters or prompts are too few for any test.
    """

    away: Float64[np.ndarray, " sets"]
    n_eff: Float64[np.ndarray, " sets"]
    se: Float64[np.ndarray, " sets"]
    df: Float64[np.ndarray, " sets"]
    usable: Bool[np.ndarray, " sets"]

    @property
    def score(self) -> Float64[np.ndarray, " sets"]:
        """The statistic of the headline test, with its sign."""
        found: Float64[np.ndarray, " sets"] = 2 * self.away * np.sqrt(self.n_eff)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Threshold:
    """What Student's t surpasses with the chance `chance`: exact where it matters, else read off a curve."""

    chance: float
    df: Float64[np.ndarray, " points"]
    quantiles: Float64[np.ndarray, " points"]

    @classmethod
    def of(cls, chance: float) -> "_Threshold":
        df = np.geomspace(1.0, 1e6, 256)
        return cls(chance=chance, df=df, quantiles=special.stdtrit(df, 1 - chance))

    def about(self, df: Float64[np.ndarray, " sets"]) -> Float64[np.ndarray, " sets"]:
        """Off by less than 1 % from df 1 upwards; below it, what it is at 1."""
        found: Float64[np.ndarray, " sets"] = np.interp(df, self.df, self.quantiles)
        return found

    def surpassed(
        self, statistic: Float64[np.ndarray, " sets"], df: Float64[np.ndarray, " sets"]
    ) -> Bool[np.ndarray, " sets"]:
        """Whether t lies beyond the statistic with less than the chance."""
        needed = self.about(df)
        found: Bool[np.ndarray, " sets"] = statistic > needed
        close = (np.abs(statistic - needed) < 0.02 * needed) | (df < 1)
        found[close] = special.stdtr(df[close], -statistic[close]) < self.chance
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Court:
    """Gives verdicts: the real one on the votes themselves, and many at once on their sums."""

    outcomes: Outcomes
    other_p: tuple[float | None, ...]
    delta: float
    difference: _Threshold
    equivalence: _Threshold

    @classmethod
    def of(cls, outcomes: Outcomes, other_p: Sequence[float | None], delta: float) -> "_Court":
        return cls(
            outcomes=outcomes,
            other_p=tuple(other_p),
            delta=delta,
            difference=_Threshold.of(_critical_p(other_p) / 2),
            equivalence=_Threshold.of(ALPHA),
        )

    def verdict(self, kept: Bool[np.ndarray, " outcomes"]) -> Verdict:
        """As a board gives it."""
        outcomes = Outcomes(
            value=self.outcomes.value[kept],
            rater=self.outcomes.rater[kept],
            prompt=self.outcomes.prompt[kept],
            both_bad=self.outcomes.both_bad,
        )
        rate = preference_rate(outcomes, ties="half")
        rate = replace(rate, p_holm=holm([rate.p, *self.other_p])[0])
        return judge(rate, tost(rate.rate, rate.se, rate.df, delta=self.delta)).verdict

    def verdicts(self, found: _Evidence) -> Int64[np.ndarray, " sets"]:
        """Places in `_VERDICTS`, one per set."""
        different = found.usable & self.difference.surpassed(np.abs(found.score), found.df)
        nearer = np.minimum(found.away + self.delta, self.delta - found.away) / found.se
        equivalent = found.usable & self.equivalence.surpassed(nearer, found.df)
        towards = np.where(found.away > 0, _PREFERRED, _NOT_PREFERRED)
        return np.where(equivalent, _EQUIVALENT, np.where(different, towards, _INCONCLUSIVE)).astype(np.int64)

    def aims(self, verdict: Verdict, found: _Evidence) -> list[Float64[np.ndarray, " sets"]]:
        """How near each set has come to losing the verdict, in each of the ways in which it can: larger is nearer."""
        score = np.where(found.usable, found.score, 0.0)
        needed, needed_equivalent = self.difference.about(found.df), self.equivalence.about(found.df)
        above = (found.away + self.delta) / found.se - needed_equivalent
        below = (self.delta - found.away) / found.se - needed_equivalent
        if verdict is Verdict.PREFERRED:
            return [needed - score, np.minimum(above, below)]
        if verdict is Verdict.NOT_PREFERRED:
            return [needed + score, np.minimum(above, below)]
        if verdict is Verdict.EQUIVALENT:
            return [-above, -below]
        return [score - needed, -score - needed, np.minimum(above, below)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Entries:
    """How many votes each unit has in each cluster of one kind, and their sum; a unit and a cluster meet once."""

    unit: Int64[np.ndarray, " entries"]
    cluster: Int64[np.ndarray, " entries"]
    votes: Float64[np.ndarray, " entries"]
    sums: Float64[np.ndarray, " entries"]
    cluster_votes: Float64[np.ndarray, " clusters"]
    cluster_sums: Float64[np.ndarray, " clusters"]

    @classmethod
    def of(
        cls,
        unit: Int64[np.ndarray, " entries"],
        cluster: Int64[np.ndarray, " entries"],
        votes: Float64[np.ndarray, " entries"],
        sums: Float64[np.ndarray, " entries"],
    ) -> "_Entries":
        return cls(
            unit=unit,
            cluster=cluster,
            votes=votes,
            sums=sums,
            cluster_votes=np.bincount(cluster, weights=votes).astype(np.float64, copy=False),
            cluster_sums=np.bincount(cluster, weights=sums).astype(np.float64, copy=False),
        )

    def those_of(self, alive: Bool[np.ndarray, " units"]) -> "_Entries":
        """The entries of some of the units."""
        kept = alive[self.unit]
        return _Entries.of(self.unit[kept], self.cluster[kept], self.votes[kept], self.sums[kept])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Units:
    """What can be removed (votes, or raters with all their votes), with its share in the sums that make a verdict."""

    unit_of_vote: Int64[np.ndarray, " votes"]
    n: Float64[np.ndarray, " units"]
    total: Float64[np.ndarray, " units"]
    squares: Float64[np.ndarray, " units"]
    kinds: tuple[_Entries, _Entries, _Entries]

    def without(self, removed: Sequence[int]) -> "_Units":
        """The same units, of which some have no votes any more."""
        alive = np.ones(len(self.n), dtype=np.bool_)
        alive[list(removed)] = False
        rater, prompt, cell = (entries.those_of(alive) for entries in self.kinds)
        return replace(
            self,
            n=self.n * alive,
            total=self.total * alive,
            squares=self.squares * alive,
            kinds=(rater, prompt, cell),
        )


_VERDICTS = (Verdict.INCONCLUSIVE, Verdict.PREFERRED, Verdict.NOT_PREFERRED, Verdict.EQUIVALENT)
_INCONCLUSIVE, _PREFERRED, _NOT_PREFERRED, _EQUIVALENT = range(4)


def _vote_units(outcomes: Outcomes) -> _Units:
    """Every vote is a unit of its own."""
    value, own = outcomes.value - 0.5, np.arange(len(outcomes.value), dtype=np.int64)
    one = np.ones(len(own), dtype=np.float64)
    rater, prompt, cell = _clusters(outcomes)
    kinds = tuple(_Entries.of(own, cluster, one, value) for cluster in (rater, prompt, cell))
    return _Units(unit_of_vote=own, n=one, total=value, squares=value * value, kinds=(kinds[0], kinds[1], kinds[2]))


def _rater_units(outcomes: Outcomes) -> _Units:
    """Every rater is a unit; what one rater has in one prompt is one cell."""
    value = outcomes.value - 0.5
    rater, prompt, cell = _clusters(outcomes)
    n, total, squares = (np.bincount(rater, weights=weights) for weights in (None, value, value * value))
    votes, sums = np.bincount(cell).astype(np.float64), np.bincount(cell, weights=value)
    rater_of_cell, prompt_of_cell = np.empty(len(votes), np.int64), np.empty(len(votes), np.int64)
    rater_of_cell[cell], prompt_of_cell[cell] = rater, prompt
    own, own_cell = np.arange(len(n)), np.arange(len(votes))
    n = n.astype(np.float64)
    return _Units(
        unit_of_vote=rater,
        n=n,
        total=total,
        squares=squares,
        kinds=(
            _Entries.of(own, own, n, total),
            _Entries.of(rater_of_cell, prompt_of_cell, votes, sums),
            _Entries.of(rater_of_cell, own_cell, votes, sums),
        ),
    )


def _clusters(
    outcomes: Outcomes,
) -> tuple[Int64[np.ndarray, " votes"], Int64[np.ndarray, " votes"], Int64[np.ndarray, " votes"]]:
    """Codes of rater, prompt and both together, without gaps."""
    _, rater = np.unique(outcomes.rater, return_inverse=True)
    _, prompt = np.unique(outcomes.prompt, return_inverse=True)
    _, cell = np.unique(rater * (int(prompt.max()) + 1) + prompt, return_inverse=True)
    return rater, prompt, cell


def _evidence(totals: _Totals) -> _Evidence:
    n = np.maximum(totals.n, 2)
    away = totals.total / n
    scatter = np.maximum(totals.squares - totals.total * away, 0.0)
    # Halves and quarters are exact, so this tells votes that are all alike from those that nearly are.
    alike = totals.squares * totals.n == totals.total * totals.total
    sums, mixed, sizes = totals.products
    residual = sums - 2 * away * mixed + away * away * sizes
    groups = np.maximum(totals.groups, 2)
    rater, prompt, cell = residual * groups / (groups - 1) / (n * n)
    by_vote = scatter / (n - 1) / n
    two_way, larger = rater + prompt - cell, np.maximum(rater, prompt)
    floor = ROUNDING * by_vote
    variance = np.where(two_way > floor, two_way, np.where(larger > floor, larger, by_vote))
    variance = np.where(alike, 1.0, variance)
    effective = n * n / np.maximum(sizes[:2], 1)
    n_eff = np.where(alike, effective.min(axis=0), np.minimum(n, (0.25 - away * away) / variance))
    return _Evidence(
        away=away,
        n_eff=n_eff,
        se=np.where(alike, np.inf, np.sqrt(variance)),
        df=np.maximum(effective[0] - 1, ROUNDING),
        usable=(totals.groups[:2].min(axis=0) > 1) & (totals.n > 1),
    )


def _without_each(units: _Units) -> _Totals:
    """The sums without each one of the units, closed form: what leaves a cluster is known from the cluster's sums."""
    removed = [_removed_alone(entries, len(units.n)) for entries in units.kinds]
    return _less(units, removed, units.n, units.total, units.squares)


def _after_each(units: _Units, order: Int64[np.ndarray, " removed"]) -> _Totals:
    """The sums after removing the first, the first two, ... of `order`."""
    place = np.full(len(units.n), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    removed = [_removed_in_turn(entries, place, len(order)) for entries in units.kinds]
    return _less(units, removed, *(np.cumsum(part[order]) for part in (units.n, units.total, units.squares)))


def _without_sets(units: _Units, members: Int64[np.ndarray, " some"], sets: Bool[np.ndarray, "sets some"]) -> _Totals:
    """The sums without each of some sets; a set marks which of `members` it removes."""
    removed = [_removed_together(entries, members, sets, len(units.n)) for entries in units.kinds]
    chosen = sets.astype(np.float64)
    return _less(units, removed, *(chosen @ part[members] for part in (units.n, units.total, units.squares)))


def _less(
    units: _Units,
    removed: Sequence[Float64[np.ndarray, "4 sets"]],
    n: Float64[np.ndarray, " sets"],
    total: Float64[np.ndarray, " sets"],
    squares: Float64[np.ndarray, " sets"],
) -> _Totals:
    """What is left of all votes; `removed` has, per kind of cluster, the change of groups and of the three products."""
    whole = [_whole(entries) for entries in units.kinds]
    left = np.array([before[:, None] + change for before, change in zip(whole, removed, strict=True)])
    return _Totals(
        n=units.n.sum() - n,
        total=units.total.sum() - total,
        squares=units.squares.sum() - squares,
        groups=left[:, 0],
        products=left[:, 1:].transpose(1, 0, 2),
    )


def _whole(entries: _Entries) -> Float64[np.ndarray, "4"]:
    votes, sums = entries.cluster_votes, entries.cluster_sums
    return np.array([np.count_nonzero(votes), sums @ sums, votes @ sums, votes @ votes], dtype=np.float64)


def _change(
    votes: Float64[np.ndarray, "*shape"],
    sums: Float64[np.ndarray, "*shape"],
    less_votes: Float64[np.ndarray, "*shape"],
    less_sums: Float64[np.ndarray, "*shape"],
) -> Float64[np.ndarray, "4 *shape"]:
    """How a cluster's part in groups and products changes when it loses some votes."""
    left_votes, left_sums = votes - less_votes, sums - less_sums
    gone = (left_votes == 0) & (less_votes > 0)
    return np.stack(
        [
            -gone.astype(np.float64),
            left_sums * left_sums - sums * sums,
            left_votes * left_sums - votes * sums,
            left_votes * left_votes - votes * votes,
        ]
    )


def _removed_alone(entries: _Entries, units: int) -> Float64[np.ndarray, "4 units"]:
    votes, sums = entries.cluster_votes, entries.cluster_sums
    change = _change(votes[entries.cluster], sums[entries.cluster], entries.votes, entries.sums)
    return np.array([np.bincount(entries.unit, weights=row, minlength=units) for row in change])


def _removed_in_turn(
    entries: _Entries, place: Int64[np.ndarray, " units"], removals: int
) -> Float64[np.ndarray, "4 removals"]:
    votes, sums = entries.cluster_votes, entries.cluster_sums
    leaving = np.flatnonzero(place[entries.unit] >= 0)
    turn = place[entries.unit[leaving]]
    # By cluster, and within it by turn: then what left the cluster before is a running sum.
    order = np.argsort(entries.cluster[leaving] * removals + turn)
    leaving, turn = leaving[order], turn[order]
    cluster, less_votes, less_sums = entries.cluster[leaving], entries.votes[leaving], entries.sums[leaving]
    before_votes, before_sums = (_running(part, cluster) for part in (less_votes, less_sums))
    change = _change(votes[cluster] - before_votes, sums[cluster] - before_sums, less_votes, less_sums)
    return np.array([np.cumsum(np.bincount(turn, weights=row, minlength=removals)) for row in change])


def _running(
    part: Float64[np.ndarray, " leaving"], cluster: Int64[np.ndarray, " leaving"]
) -> Float64[np.ndarray, " leaving"]:
    """The sum of what stands before, within the same cluster."""
    before = np.cumsum(part) - part
    starts = np.flatnonzero(np.diff(cluster, prepend=-1))
    found: Float64[np.ndarray, " leaving"] = before - np.repeat(before[starts], np.diff(starts, append=len(part)))
    return found


def _removed_together(
    entries: _Entries, members: Int64[np.ndarray, " some"], sets: Bool[np.ndarray, "sets some"], units: int
) -> Float64[np.ndarray, "4 sets"]:
    place = np.full(units, -1, dtype=np.int64)
    place[members] = np.arange(len(members))
    touched = place[entries.unit] >= 0
    cluster, column = np.unique(entries.cluster[touched], return_inverse=True)
    row = place[entries.unit[touched]]
    tables = np.zeros((2, len(members), len(cluster)))
    tables[0, row, column], tables[1, row, column] = entries.votes[touched], entries.sums[touched]
    less_votes, less_sums = sets.astype(np.float64) @ tables
    votes, sums = entries.cluster_votes, entries.cluster_sums
    change = _change(
        np.broadcast_to(votes[cluster], less_votes.shape),
        np.broadcast_to(sums[cluster], less_sums.shape),
        less_votes,
        less_sums,
    )
    together: Float64[np.ndarray, "4 sets"] = change.sum(axis=2)
    return together


def _fewest(court: _Court, units: _Units, verdict: Verdict, *, kept_units: int) -> Removal | None:
    """The smallest set that was found to change the verdict; at least `kept_units` of the units are kept."""
    alone = _evidence(_without_each(units))
    search = _Search(court=court, units=units, alone=alone, verdict=verdict, most=len(units.n) - kept_units)
    members, tried = search.exhaustive()
    exact = members is not None
    if members is None and tried < search.most:
        members = search.by_influence()
        exact = members is not None and len(members) == tried + 1
    if members is None:
        return None
    return Removal(
        count=len(members),
        share=len(members) / len(units.n),
        verdict=search.verdict_without(members),
        exact=exact,
        members=tuple(sorted(members)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Search:
    """Sets of units are lists of their places; every set that is returned was put before the court."""

    court: _Court
    units: _Units
    alone: _Evidence  # without each single unit
    verdict: Verdict
    most: int

    def verdict_without(self, members: Sequence[int]) -> Verdict:
        """The real verdict on what is left."""
        removed = np.zeros(len(self.units.n), dtype=np.bool_)
        removed[list(members)] = True
        return self.court.verdict(~removed[self.units.unit_of_vote])

    def changing(self, found: _Evidence) -> Int64[np.ndarray, " changing"]:
        """The sets that seem to change the verdict, in their order."""
        return np.flatnonzero(self.court.verdicts(found) != _VERDICTS.index(self.verdict))

    def exhaustive(self) -> tuple[list[int] | None, int]:
        """A set of the smallest size at which any set changes the verdict, and up to which size all were tried."""
        if self.most < 1:
            return None, 0
        found = self.first_real([place] for place in self.changing(self.alone).tolist())
        members = np.arange(len(self.units.n))
        clusters = sum(np.count_nonzero(entries.cluster_votes) for entries in self.units.kinds)
        size = 1
        while found is None and size < self.most and comb(len(members), size + 1) * clusters <= _EXHAUSTIVE_NUMBERS:
            size += 1
            chosen = np.array(list(combinations(range(len(members)), size)))
            sets = np.zeros((len(chosen), len(members)), dtype=np.bool_)
            np.put_along_axis(sets, chosen, values=True, axis=1)
            changing = self.changing(_evidence(_without_sets(self.units, members, sets)))
            found = self.first_real(chosen[place].tolist() for place in changing.tolist())
        return found, size

    def first_real(self, sets: Iterator[list[int]]) -> list[int] | None:
        """The first of the sets that really changes the verdict; rounding may let a few others seem to."""
        return next((members for members in sets if self.verdict_without(members) is not self.verdict), None)

    def by_influence(self) -> list[int] | None:
        """The smallest set that the greatest influences lead to, by each way in which the verdict can be lost."""
        ways = len(self.court.aims(self.verdict, self.alone))
        best: list[int] | None = None
        for way in range(ways):
            best = self.towards(way, best, share=0.5)
        for way in range(ways):
            if best is None or len(best) <= _SMALL:
                best = self.towards(way, best, share=0.0)
        return None if best is None else self.polished(best)

    def towards(self, way: int, best: list[int] | None, *, share: float) -> list[int] | None:
        """The best set, or a smaller one, by the influences in this way.

        The influences are weighed, a `share` of what they ask for (one unit at least) is removed, and the others are
        weighed again.
        """
        removed: list[int] = []
        plan: list[int] = []
        for _ in range(_STEPS):
            if len(removed) + 1 >= self.shorter_than(best):
                break
            units = self.units.without(removed) if removed else self.units
            alone = _evidence(_without_each(units)) if removed else self.alone
            if len(plan) - len(removed) <= _SMALL:
                changing = self.changing(alone)
                last = self.first_real([*removed, place] for place in changing.tolist() if units.n[place] > 0)
                if last is not None:
                    return last
            order = _largest(
                np.where(units.n > 0, self.court.aims(self.verdict, alone)[way], -np.inf),
                self.shorter_than(best) - 1 - len(removed),
            )
            changing = self.changing(_evidence(_after_each(units, order)))
            found = self.first_real([*removed, *order[: place + 1].tolist()] for place in changing[:5].tolist())
            if found is not None:
                best = plan = found
            asked = plan[len(removed) :] or order.tolist()
            removed = removed + asked[: max(1, int(share * len(asked)))]
        return best

    def shorter_than(self, best: list[int] | None) -> int:
        """How large a set is too large to be of use."""
        return self.most + 1 if best is None else len(best)

    def polished(self, best: list[int]) -> list[int]:
        """The set without what it does not need, and with one unit in place of two of its members where that does."""
        best = self.needed(best)
        pairs = comb(len(best), 2)
        if pairs > _EXCHANGES:
            return best
        for pair in combinations(best, 2):
            others = [member for member in best if member not in pair]
            units = self.units.without(others)
            changing = self.changing(_evidence(_without_each(units)))
            found = self.first_real([*others, place] for place in changing.tolist() if units.n[place] > 0)
            if found is not None and len(found) < len(best):
                return self.polished(found)
        return best

    def needed(self, best: list[int]) -> list[int]:
        """The set without any one member that it does not need, and again."""
        while len(best) > 1 and 3 * len(best) * self.units.n[best].sum() <= _POLISH_NUMBERS:
            sets = ~np.eye(len(best), dtype=np.bool_)
            changing = self.changing(_evidence(_without_sets(self.units, np.array(best), sets)))
            found = self.first_real(best[:place] + best[place + 1 :] for place in changing.tolist())
            if found is None:
                break
            best = found
        return best


def _largest(aim: Float64[np.ndarray, " units"], count: int) -> Int64[np.ndarray, " largest"]:
    """Where the largest are, in descending order."""
    chosen = np.arange(len(aim)) if 4 * count > len(aim) else np.argpartition(-aim, count)[:count]
    order: Int64[np.ndarray, " largest"] = chosen[np.argsort(-aim[chosen], kind="stable")][:count]
    return order


def _critical_p(other_p: Sequence[float | None]) -> float:
    """Below which p Holm lets this entrant's difference stand, the others' p being what they are."""
    tests = len(other_p) + 1
    others = sorted(1.0 if p is None else p for p in other_p)
    rejected = 0
    while rejected < len(others) and others[rejected] * (tests - rejected) < ALPHA:
        rejected += 1
    return ALPHA / (tests - rejected)


def _obstacle(kept: Outcomes) -> NotEstimable | None:
    if len(kept.value) == 0:
        return NotEstimable(what="", obstacle=Obstacle.NO_VOTES, reason="There are no votes that could be removed.")
    gap = obstacle_to_clustering(kept.rater, kept.prompt)
    return gap if gap is not None and gap.obstacle in (Obstacle.UNKNOWN_RATERS, Obstacle.UNKNOWN_PROMPTS) else None


def _not_found(what: str) -> NotEstimable:
    kept = KEPT_VOTES if what == "votes" else KEPT_RATERS
    reason = f"No removal that keeps {kept} {what} was found to change the verdict."
    return NotEstimable(what=f"fewest {what}", obstacle=Obstacle.NO_CHANGE, reason=reason)
