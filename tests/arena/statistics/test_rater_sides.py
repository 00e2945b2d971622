import doctest
import json

import numpy as np
import pytest
from scipy import stats

from arena.statistics import rater_sides
from arena.statistics.independent import exact_binomial_p
from arena.statistics.multiplicity import holm
from arena.statistics.not_estimable import Obstacle
from arena.statistics.rater_sides import exact_side_p, left_shares
from arena.statistics.simulator import ArenaDesign, simulate_votes
from arena.statistics.votes import Chosen, Left, VoteTable


def _table(rater: list[int], left: list[int], choice: list[int]) -> VoteTable:
    n = len(rater)
    zeros = np.zeros(n, dtype=np.int32)
    return VoteTable(
        rater=np.array(rater, dtype=np.int32),
        prompt=np.arange(n, dtype=np.int32),
        category=zeros - 1,
        challenge=zeros - 1,
        model_a=zeros,
        model_b=zeros + 1,
        left=np.array(left, dtype=np.int8),
        choice=np.array(choice, dtype=np.int8),
        raters=("ann", "bob", "cat"),
        prompts=tuple(str(number) for number in range(n)),
        categories=(),
        challenges=(),
        models=("a", "b"),
    )


def test_p_is_that_of_the_sign_test_on_zars_deer() -> None:
    # Zar (1999), "Biostatistical Analysis", on the sign test: the hind leg is the longer one in 8 of 10 deer.
    assert exact_side_p(np.array([8]), np.array([10])) == pytest.approx(0.10938, abs=5e-6)


def test_p_is_that_of_scipys_binomial_test_for_every_count() -> None:
    left, n = (part.ravel() for part in np.meshgrid(np.arange(41), [1, 2, 7, 40]))
    possible = left <= n
    left, n = left[possible], n[possible]

    found = exact_side_p(left, n)

    peer = [stats.binomtest(int(k), int(votes), 0.5).pvalue for k, votes in zip(left, n, strict=True)]
    assert found == pytest.approx(np.array(peer), rel=1e-12)
    own = [exact_binomial_p(int(k), int(votes)) for k, votes in zip(left, n, strict=True)]
    assert found.tolist() == own


def test_each_rater_is_counted_apart_and_holm_runs_over_all() -> None:
    # ann takes the left 12 times of 12, bob 1 of 2; cat's tie and both-bad take no side.
    table = _table(
        [0] * 12 + [1, 1, 2, 2],
        [Left.A, Left.B] * 6 + [Left.A, Left.A, Left.A, Left.B],
        [Chosen.A, Chosen.B] * 6 + [Chosen.A, Chosen.B, Chosen.TIE, Chosen.BOTH_BAD],
    )

    found = left_shares(table)

    assert [(one.rater, one.left, one.n) for one in found.raters] == [("ann", 12, 12), ("bob", 1, 2)]
    assert [one.p for one in found.raters] == [2 * 0.5**12, 1.0]
    assert [one.p_holm for one in found.raters] == holm([2 * 0.5**12, 1.0])
    assert found.to_dict() == {
        "raters": 2,
        "flagged": [{"rater": "ann", "left": 12, "n": 12, "p": 2 * 0.5**12, "p_holm": 2 * 0.5**11}],
        "not_estimable": [],
    }


def test_those_who_always_press_left_are_flagged_and_strong_tastes_are_not() -> None:
    design = ArenaDesign(raters=300, prompts=200, votes=15_000, rates=(0.8,), sd_rater=1.5, spammers=5, activity=0.0)
    votes = simulate_votes(design, np.random.default_rng(1))

    found = left_shares(votes)

    assert sorted(one.rater for one in found.flagged) == sorted(votes.raters[:5])
    assert [one.p for one in found.flagged] == sorted(one.p for one in found.flagged)


def test_honest_raters_are_rarely_named_in_any_arena() -> None:
    design = ArenaDesign(raters=60, prompts=100, votes=2400, rates=(0.7,))
    arenas = [simulate_votes(design, np.random.default_rng(seed)) for seed in range(200)]

    named = sum(bool(left_shares(votes).flagged) for votes in arenas)

    assert named / 200 <= 0.075


def test_equal_p_values_are_listed_by_name() -> None:
    table = _table([1] * 12 + [0] * 12, [Left.A] * 24, [Chosen.A] * 12 + [Chosen.B] * 12)

    assert [one.rater for one in left_shares(table).flagged] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("table", "obstacle"),
    [
        (_table([], [], []), Obstacle.NO_VOTES),
        (_table([0], [Left.A], [Chosen.TIE]), Obstacle.NO_VOTES),
        (_table([-1], [Left.A], [Chosen.A]), Obstacle.UNKNOWN_RATERS),
        (_table([0, -1], [Left.UNKNOWN, Left.UNKNOWN], [Chosen.A, Chosen.B]), Obstacle.UNKNOWN_SIDES),
    ],
)
def test_where_nobody_can_be_tested_it_is_said(table: VoteTable, obstacle: Obstacle) -> None:
    found = left_shares(table)

    assert (found.raters, found.flagged) == ((), ())
    assert [gap.obstacle for gap in found.missing] == [obstacle]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


def test_the_examples_in_the_docstrings_are_true() -> None:
    failed, tried = doctest.testmod(rater_sides)

    assert tried > 1
    assert failed == 0
