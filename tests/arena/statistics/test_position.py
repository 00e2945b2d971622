from math import sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from arena.statistics.not_estimable import Obstacle
from arena.statistics.position import position_test
from arena.statistics.simulator import ArenaDesign, simulate_votes
from arena.statistics.votes import Chosen, Left, VoteTable


def _table(left: list[int], choice: list[int], rater: list[int]) -> VoteTable:
    n = len(left)
    zeros = np.zeros(n, dtype=np.int32)
    return VoteTable(
        rater=np.array(rater, dtype=np.int32),
        prompt=np.arange(n, dtype=np.int32),
        category=zeros - 1,
        model_a=zeros,
        model_b=zeros + 1,
        left=np.array(left, dtype=np.int8),
        choice=np.array(choice, dtype=np.int8),
        raters=("r0", "r1", "r2"),
        prompts=tuple(str(number) for number in range(n)),
        categories=(),
        challenge=np.full(len(choice), -1, dtype=np.int32),
        challenges=(),
        models=("a", "b"),
    )


def test_left_share_is_clustered_by_rater_as_in_statsmodels() -> None:
    votes = simulate_votes(ArenaDesign(raters=30, prompts=50, votes=800, side_bias=0.4), np.random.default_rng(4))
    took_left = (votes.choice == votes.left).astype(float)
    fit = sm.OLS(took_left, np.ones(800)).fit(cov_type="cluster", cov_kwds={"groups": votes.rater})
    se = sqrt(float(fit.cov_params()[0, 0]))
    sizes = np.bincount(votes.rater)
    df = sizes.sum() ** 2 / (sizes**2).sum() - 1

    found = position_test(votes)

    assert found.left_share == pytest.approx(took_left.mean())
    assert found.se == pytest.approx(se, rel=1e-10)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(took_left.mean() - 0.5) / se, df), rel=1e-8)
    assert found.p is not None
    assert found.p < 0.001


def test_ties_and_both_bad_take_no_side() -> None:
    found = position_test(
        _table([Left.A, Left.B, Left.A, Left.A], [Chosen.A, Chosen.A, Chosen.TIE, Chosen.BOTH_BAD], rater=[0, 1, 2, 2])
    )

    assert (found.left_share, found.n) == (0.5, 2)


@pytest.mark.parametrize(
    ("table", "obstacle"),
    [
        (_table([], [], []), Obstacle.NO_VOTES),
        (_table([Left.A], [Chosen.TIE], [0]), Obstacle.NO_VOTES),
        (_table([Left.UNKNOWN] * 2, [Chosen.A, Chosen.B], [0, 1]), Obstacle.UNKNOWN_SIDES),
        (_table([Left.A] * 2, [Chosen.A, Chosen.B], [0, 0]), Obstacle.ONE_RATER),
        (_table([Left.A] * 2, [Chosen.A, Chosen.B], [-1, -1]), Obstacle.UNKNOWN_RATERS),
    ],
)
def test_what_cannot_be_tested_is_named(table: VoteTable, obstacle: Obstacle) -> None:
    found = position_test(table)

    assert found.p is None
    assert [gap.obstacle for gap in found.missing] == [obstacle]


def test_votes_that_all_fall_on_the_left_count_one_per_rater() -> None:
    found = position_test(_table([Left.A] * 30, [Chosen.A] * 30, [0, 1, 2] * 10))

    assert (found.left_share, found.se) == (1.0, None)
    assert found.p == pytest.approx(2 * stats.t.sf(sqrt(3), 2))
    assert [gap.obstacle for gap in found.missing] == [Obstacle.ALL_VOTES_ALIKE]


def test_exactly_divided_raters_do_not_look_certain() -> None:
    found = position_test(_table([Left.A] * 6, [Chosen.A, Chosen.B] * 3, [0, 0, 1, 1, 2, 2]))

    assert found.left_share == 0.5
    assert found.se == pytest.approx(sqrt(0.25 / 5))
    assert found.p == 1
