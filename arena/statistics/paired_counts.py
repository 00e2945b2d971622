"""How often each entrant beat each other one: the small tables that are enough to fit strengths to any number of votes.

In: a `VoteTable`. Out: K x K counts, in one pass. Row i, column j: entrant i stood left of entrant j, where sides
matter; else only i < j are filled. Both-bad votes say nothing about which is better and are not counted.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from arena.statistics.votes import Chosen, Left, VoteTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedCounts:
    """`first[i, j]` votes preferred i to j, `second[i, j]` preferred j to i, `ties[i, j]` neither; i stands first."""

    first: Float64[np.ndarray, "entrants entrants"]
    second: Float64[np.ndarray, "entrants entrants"]
    ties: Float64[np.ndarray, "entrants entrants"]

    @property
    def wins(self) -> Float64[np.ndarray, "entrants entrants"]:
        """`wins[i, j]`: how often i was preferred to j, whichever stood first."""
        total: Float64[np.ndarray, "entrants entrants"] = self.first + self.second.T
        return total


def decisive_votes(table: VoteTable, *, sides_known: bool = False) -> Bool[np.ndarray, " votes"]:
    """The votes that prefer one of the two; with `sides_known`, those alone whose sides were written down."""
    kept: Bool[np.ndarray, " votes"] = (table.choice <= Chosen.B) & _sides(table, sides_known)
    return kept


def judged_votes(table: VoteTable, *, sides_known: bool = False) -> Bool[np.ndarray, " votes"]:
    """The decisive votes and the ties."""
    kept: Bool[np.ndarray, " votes"] = (table.choice != Chosen.BOTH_BAD) & _sides(table, sides_known)
    return kept


def paired_counts(table: VoteTable, *, by_side: bool = False) -> PairedCounts:
    """Count all votes of the table but the both-bad ones; with `by_side` every vote's side must be known."""
    k = len(table.models)
    # Every vote falls into one of 4 choices x K x K places; what is left to do is done on the K x K tables.
    place = table.choice.astype(np.int64)
    place *= k
    place += table.model_a
    place *= k
    place += table.model_b
    if not by_side:
        first, second, ties, _ = _tables(place, k)
        return folded(first + second.T, ties)
    a_left = table.left == Left.A
    first, second, ties, _ = _tables(place[a_left], k)
    mirrored_second, mirrored_first, mirrored_ties, _ = _tables(place[~a_left], k)
    return PairedCounts(first=first + mirrored_first.T, second=second + mirrored_second.T, ties=ties + mirrored_ties.T)


def folded(
    wins: Float64[np.ndarray, "entrants entrants"], ties: Float64[np.ndarray, "entrants entrants"] | None = None
) -> PairedCounts:
    """The counts of `wins[i, j]` (i preferred to j), and of `ties` in either order, where sides do not matter."""
    both = np.zeros_like(wins) if ties is None else ties + ties.T
    return PairedCounts(first=np.triu(wins), second=np.tril(wins).T, ties=np.triu(both))


def count_wins(table: VoteTable) -> Float64[np.ndarray, "entrants entrants"]:
    """`[i, j]`: how often entrant i was preferred to entrant j."""
    return paired_counts(table).wins


def _tables(place: Int64[np.ndarray, " votes"], k: int) -> Float64[np.ndarray, "4 entrants entrants"]:
    return np.bincount(place, minlength=4 * k * k).reshape(4, k, k).astype(np.float64)


def _sides(table: VoteTable, sides_known: bool) -> Bool[np.ndarray, " votes"]:
    return table.left != Left.UNKNOWN if sides_known else np.ones(len(table), dtype=np.bool_)
