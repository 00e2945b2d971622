"""The bootstrap over raters, as a check on the sandwich clustered by rater."""

from collections.abc import Callable

import numpy as np
import pytest

from arena.statistics.bradley_terry import fit_bradley_terry
from arena.statistics.not_estimable import Obstacle
from arena.statistics.resampling import rater_bootstrap
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.votes import VoteTable

TableOf = Callable[..., VoteTable]


def test_its_spread_is_that_of_the_sandwich_clustered_by_rater() -> None:
    design = ArenaDesign(raters=150, prompts=500, votes=9000, rates=(0.6, 0.5, 0.4), sd_rater=0.8)
    votes = simulate_votes(design, np.random.default_rng(1))
    fit = fit_bradley_terry(votes, reference=REFERENCE)
    assert fit.covariance is not None

    found = rater_bootstrap(votes, reference=REFERENCE, resamples=1000, rng=np.random.default_rng(2))

    ours = np.sqrt(np.diag(fit.covariance.by_rater))
    assert [found.se()[name] for name in design.entrants] == pytest.approx(ours, rel=0.1)
    assert found.se()[REFERENCE] == 0
    assert all(
        low < fit.strengths()[name] < high for name, (low, high) in found.intervals().items() if name != REFERENCE
    )


def test_each_resample_is_a_fit_of_the_drawn_raters_votes(table_of: TableOf) -> None:
    model_a, choice = ["a"] * 12, ["A", "B", "A", "A", "B", "B", "A", "A", "B", "A", "A", "B"]
    rater = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    votes = table_of(model_a, ["b"] * 12, choice, rater=rater)

    found = rater_bootstrap(votes, reference="b", resamples=300, rng=np.random.default_rng(3))

    wins = np.array([2, 1, 2, 2])
    possible = {round(float(np.log(total / (12 - total))), 6) for total in range(4, 9)}
    assert {round(float(one), 6) for one in found.strengths[:, 0]} <= possible
    assert found.strengths[:, 0].mean() == pytest.approx(np.log(wins.sum() / 5), abs=0.1)


def test_resamples_that_cannot_rank_are_counted_and_left_out(table_of: TableOf) -> None:
    votes = table_of(["a"] * 4, ["b"] * 4, ["A", "A", "A", "B"], rater=[0, 1, 2, 3])

    found = rater_bootstrap(votes, reference="b", resamples=400, rng=np.random.default_rng(4))

    # The one rater who preferred b is absent from (3/4)^4 of the draws; all draws of that rater alone are few.
    assert found.unrankable / 400 == pytest.approx(0.75**4 + 0.25**4, abs=0.07)
    assert len(found.strengths) == 400 - found.unrankable


def test_the_seed_decides_and_progress_is_told() -> None:
    votes = simulate_votes(ArenaDesign(raters=20, prompts=60, votes=900), np.random.default_rng(1))
    steps: list[int] = []

    one = rater_bootstrap(votes, reference=REFERENCE, resamples=70, rng=np.random.default_rng(5), on_step=steps.append)
    other = rater_bootstrap(votes, reference=REFERENCE, resamples=70, rng=np.random.default_rng(5))

    assert (one.strengths == other.strengths).all()
    assert sum(steps) == 70


@pytest.mark.parametrize(
    ("choice", "rater", "obstacle"),
    [(["A", "A"], [0, 1], Obstacle.NOT_CONNECTED), (["A", "B"], [-1, -1], Obstacle.UNKNOWN_RATERS)],
)
def test_without_a_ranking_or_raters_nothing_is_drawn(
    table_of: TableOf, choice: list[str], rater: list[int], obstacle: Obstacle
) -> None:
    votes = table_of(["a", "a"], ["b", "b"], choice, rater=rater)

    found = rater_bootstrap(votes, reference="b", resamples=5, rng=np.random.default_rng(6))

    assert found.missing is not None
    assert found.missing.obstacle is obstacle
    assert (found.se(), found.intervals()) == ({}, {})
