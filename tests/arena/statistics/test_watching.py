import json
from dataclasses import replace

import numpy as np
import pytest

from arena.statistics.rates import Ties
from arena.statistics.sequential import look
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.standings import Standing, decide
from arena.statistics.stopping import StoppingRule
from arena.statistics.votes import Chosen, VoteTable, outcomes_against
from arena.statistics.watching import Watch, look_counts, watch_votes

DESIGN = ArenaDesign(raters=40, prompts=200, votes=3000, rates=(0.7, 0.5), tie_share=0.1)
RULE = StoppingRule(look_every=100)


@pytest.fixture
def votes() -> VoteTable:
    table = simulate_votes(DESIGN, np.random.default_rng(4))
    unjudged = np.random.default_rng(5).random(3000) < 0.05
    return replace(table, choice=np.where(unjudged, Chosen.BOTH_BAD, table.choice).astype(np.int8))


def _watch(votes: VoteTable, rule: StoppingRule = RULE, ties: Ties = "half", order: np.ndarray | None = None) -> Watch:
    in_order = np.arange(len(votes)) if order is None else order
    return watch_votes(votes, in_order, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05, rule=rule, ties=ties)


@pytest.mark.parametrize("ties", ["half", "drop"])
def test_each_look_is_one_at_the_votes_that_were_in(votes: VoteTable, ties: Ties) -> None:
    found = _watch(votes, ties=ties)

    assert [one.votes_seen for one in found.looks] == sorted(one.votes_seen for one in found.looks)
    for entrant in DESIGN.entrants:
        mine = [one for one in found.looks if one.entrant == entrant]
        assert [one.look.n for one in mine] == [100 * (number + 1) for number in range(len(mine))]
    for one in found.looks[::7]:
        prefix = votes.rows(np.arange(3000) < one.votes_seen)
        counted = look(outcomes_against(prefix, one.entrant, REFERENCE), rule=RULE, ties=ties)
        assert one.look.rate == pytest.approx(counted.rate)
        assert one.look.p == (None if counted.p is None else pytest.approx(counted.p, rel=1e-6))
        assert (one.look.n, one.look.raters) == (counted.n, counted.raters)


def test_the_rule_is_asked_at_each_look_with_everyones_latest(votes: VoteTable) -> None:
    found = _watch(votes)

    latest = dict.fromkeys(DESIGN.entrants)
    for one in found.looks:
        latest[one.entrant] = one.look
        now = decide(latest, RULE, 0.05)
        assert (one.standing, one.p_holm) == (now.standings[one.entrant], now.p_holm[one.entrant])


def test_it_stops_at_the_first_look_at_which_all_are_decided(votes: VoteTable) -> None:
    only_first = votes.rows(votes.model_a == 0)
    found = watch_votes(
        only_first,
        np.arange(len(only_first)),
        reference=REFERENCE,
        entrants=["entrant-0"],
        delta=0.05,
        rule=RULE,
    )

    assert found.stopped_at is not None
    assert found.looks_until_stop[-1].standing is Standing.PREFERRED
    assert all(one.standing is Standing.UNDECIDED for one in found.looks_until_stop[:-1])
    assert found.decision.reason == "Stop: 'entrant-0' is preferred."
    assert found.votes_at_decision == found.looks[found.stopped_at].votes_seen
    assert len(found.looks) > len(found.looks_until_stop)


def test_the_declared_end_is_looked_at_too_and_stops(votes: VoteTable) -> None:
    found = _watch(votes, StoppingRule(look_every=100, max_votes=450))

    assert found.decision.stop
    assert found.decision.reason == "Stop: 'entrant-1' is undecided after the declared 450 votes each."
    assert found.looks_until_stop[-1].look.n == 450


def test_the_order_of_casting_counts_and_the_order_of_rows_does_not(votes: VoteTable) -> None:
    shuffled = np.random.default_rng(6).permutation(3000)
    scattered = replace(
        votes,
        **{name: getattr(votes, name)[shuffled] for name in ("rater", "prompt", "category", "challenge", "model_a")},
        **{name: getattr(votes, name)[shuffled] for name in ("model_b", "left", "choice")},
    )

    found = _watch(scattered, order=np.argsort(shuffled))

    assert found.to_dict() == _watch(votes).to_dict()


def test_an_entrant_is_found_whichever_side_of_the_table_it_stands(votes: VoteTable) -> None:
    swapped = {int(Chosen.A): Chosen.B, int(Chosen.B): Chosen.A}
    mirrored = replace(
        votes,
        model_a=votes.model_b,
        model_b=votes.model_a,
        choice=np.array([swapped.get(choice, choice) for choice in votes.choice.tolist()], dtype=np.int8),
    )

    assert _watch(mirrored).to_dict() == _watch(votes).to_dict()


def test_before_the_first_look_nothing_is_decided(votes: VoteTable) -> None:
    nothing = _watch(votes.rows(np.zeros(3000, dtype=np.bool_)))

    assert nothing.looks == ()
    assert not nothing.decision.stop
    assert nothing.votes_at_decision == 0


def test_a_watch_goes_into_json_whole(votes: VoteTable) -> None:
    found = _watch(votes)

    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))

    assert set(written) == {"reference", "delta", "ties", "rule", "votes", "looks", "decision"}
    assert written["decision"]["votes_seen"] == found.looks[-1].votes_seen
    assert len(written["looks"]) == len(found.looks)


def test_looks_fall_on_every_step_and_on_the_end() -> None:
    assert look_counts(49, StoppingRule()) == []
    assert look_counts(170, StoppingRule()) == [50, 100, 150]
    assert look_counts(170, StoppingRule(max_votes=120)) == [50, 100, 120, 150]
    assert look_counts(119, StoppingRule(max_votes=120)) == [50, 100]
