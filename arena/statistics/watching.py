"""A study as someone saw it who looked after every so many votes, as its stopping rule says.

In: a `VoteTable`, the order in which its votes were cast, the reference, the entrants, delta and the rule. Out: a
`Watch`: every look in its place in the stream, and what the rule said. An entrant is looked at after every
`look_every` of its own votes that count (both-bad votes do not, and ties do not where they are dropped), and the rule
is asked at each look with every entrant's latest one. A hundred thousand votes are watched in a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from arena.statistics.rates import Ties
from arena.statistics.running_rates import rates_after
from arena.statistics.sequential import Look, look_at
from arena.statistics.standings import Standing, StoppingDecision, decide
from arena.statistics.stopping import StoppingRule
from arena.statistics.votes import Chosen, VoteTable, outcomes_of_each


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLook:
    """A look at one entrant when `votes_seen` votes of the whole stream were in, with its standing at that moment."""

    entrant: str
    votes_seen: int
    look: Look
    p_holm: float | None
    standing: Standing

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the look's numbers, with whose they are and what the rule made of them."""
        return {
            "entrant": self.entrant,
            "votes_seen": self.votes_seen,
            **self.look.to_dict(),
            "p_holm": self.p_holm,
            "standing": self.standing.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """All looks in the order in which they fell due, also those after the rule said stop.

    `decision` is the first that says stop, at `looks[stopped_at]`; where none does, the latest, and `stopped_at` is
    None.
    """

    reference: str
    delta: float
    ties: Ties
    rule: StoppingRule
    votes: int
    looks: tuple[WatchedLook, ...]
    decision: StoppingDecision
    stopped_at: int | None

    @property
    def looks_until_stop(self) -> tuple[WatchedLook, ...]:
        """The looks of someone who obeys the rule."""
        return self.looks if self.stopped_at is None else self.looks[: self.stopped_at + 1]

    @property
    def votes_at_decision(self) -> int:
        """How many votes of the stream the decision rests on: up to the stop, or up to the latest look."""
        looks = self.looks_until_stop
        return looks[-1].votes_seen if looks else 0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "reference": self.reference,
            "delta": self.delta,
            "ties": self.ties,
            "rule": self.rule.to_dict(),
            "votes": self.votes,
            "looks": [look.to_dict() for look in self.looks],
            "decision": {**self.decision.to_dict(), "votes_seen": self.votes_at_decision},
        }


def watch_votes(
    table: VoteTable,
    order: Int64[np.ndarray, " votes"],
    *,
    reference: str,
    entrants: Sequence[str],
    delta: float,
    rule: StoppingRule,
    ties: Ties = "half",
) -> Watch:
    """Look at the votes of `table`, cast in the order of the row numbers `order`, as often as the rule says."""
    in_time = _reordered(table, order)
    due = _due_looks(in_time, reference, entrants, rule, ties)
    latest: dict[str, Look | None] = dict.fromkeys(entrants)
    decision, stopped_at = decide(latest, rule, delta), None
    watched: list[WatchedLook] = []
    for votes_seen, entrant, look in due:
        latest[entrant] = look
        now = decide(latest, rule, delta)
        watched.append(
            WatchedLook(
                entrant=entrant,
                votes_seen=votes_seen,
                look=look,
                p_holm=now.p_holm[entrant],
                standing=now.standings[entrant],
            )
        )
        if stopped_at is None:
            decision = now
            stopped_at = len(watched) - 1 if now.stop else None
    return Watch(
        reference=reference,
        delta=delta,
        ties=ties,
        rule=rule,
        votes=len(table),
        looks=tuple(watched),
        decision=decision,
        stopped_at=stopped_at,
    )


def look_counts(votes: int, rule: StoppingRule) -> list[int]:
    """After how many of an entrant's `votes` votes one looks: every `look_every`, and at `max_votes`."""
    counts = set(range(rule.look_every, votes + 1, rule.look_every))
    if rule.max_votes is not None and rule.max_votes <= votes:
        counts.add(rule.max_votes)
    return sorted(counts)


def _due_looks(
    in_time: VoteTable, reference: str, entrants: Sequence[str], rule: StoppingRule, ties: Ties
) -> list[tuple[int, str, Look]]:
    due = []
    for entrant, outcomes in zip(entrants, outcomes_of_each(in_time, entrants, reference), strict=True):
        places = np.flatnonzero(_counted(in_time, entrant, reference, ties))
        counts = look_counts(len(places), rule)
        rates = rates_after(outcomes, counts, ties=ties)
        due += [
            (int(places[count - 1]) + 1, entrant, look_at(rate, rule))
            for count, rate in zip(counts, rates, strict=True)
        ]
    return sorted(due, key=lambda look: look[0])


def _counted(table: VoteTable, entrant: str, reference: str, ties: Ties) -> Bool[np.ndarray, " votes"]:
    """Which votes are outcomes of this pair, as `votes.outcomes_of_each` and the rate's `ties` count them."""
    if entrant not in table.models or reference not in table.models:
        return np.zeros(len(table), dtype=np.bool_)
    pair = [table.models.index(entrant), table.models.index(reference)]
    met = (table.model_a == min(pair)) & (table.model_b == max(pair))
    met |= (table.model_a == max(pair)) & (table.model_b == min(pair))
    uncounted = [Chosen.BOTH_BAD, Chosen.TIE] if ties == "drop" else [Chosen.BOTH_BAD]
    counted: Bool[np.ndarray, " votes"] = met & ~np.isin(table.choice, uncounted)
    return counted


def _reordered(table: VoteTable, order: Int64[np.ndarray, " votes"]) -> VoteTable:
    columns = {field.name: getattr(table, field.name) for field in fields(table)}
    return replace(table, **{name: column[order] for name, column in columns.items() if isinstance(column, np.ndarray)})
