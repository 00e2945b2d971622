import numpy as np
import pytest

from arena.statistics.position import position_test
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.votes import Chosen, Left, outcomes_against

BIG = ArenaDesign(
    raters=4000, prompts=4000, votes=400_000, rates=(0.62, 0.4), tie_share=0.2, side_bias=0.3, spammers=400
)


def test_the_votes_have_the_declared_rates_ties_and_spammers() -> None:
    votes = simulate_votes(BIG, np.random.default_rng(1))

    found = [outcomes_against(votes, entrant, REFERENCE) for entrant in BIG.entrants]

    half = [float(outcomes.value.mean()) for outcomes in found]
    dropped = [float(outcomes.without_ties().value.mean()) for outcomes in found]
    assert half == pytest.approx(BIG.true_half_tie(), abs=0.006)
    assert dropped == pytest.approx(BIG.true_ties_dropped(), abs=0.006)
    assert np.mean(votes.choice == Chosen.TIE) == pytest.approx(0.2 * 0.9, abs=0.005)


def test_side_bias_shows_on_the_left() -> None:
    design = ArenaDesign(raters=500, prompts=500, votes=40_000, side_bias=0.5)
    votes = simulate_votes(design, np.random.default_rng(2))

    found = position_test(votes)

    assert found.left_share is not None
    assert found.left_share > 0.58
    assert np.mean(votes.left == Left.A) == pytest.approx(0.5, abs=0.01)


def test_spammers_press_left_whatever_they_see() -> None:
    votes = simulate_votes(
        ArenaDesign(raters=10, prompts=20, votes=500, spammers=3, tie_share=0.3), np.random.default_rng(3)
    )

    spam = votes.rater < 3

    assert spam.any()
    assert (votes.choice[spam] == votes.left[spam]).all()


def test_activity_makes_raters_unequally_busy() -> None:
    even = simulate_votes(ArenaDesign(raters=50, prompts=50, votes=5000, activity=0.0), np.random.default_rng(4))
    uneven = simulate_votes(ArenaDesign(raters=50, prompts=50, votes=5000, activity=1.0), np.random.default_rng(4))

    assert np.bincount(uneven.rater).max() > 2 * np.bincount(even.rater).max()


def test_the_same_seed_gives_the_same_votes() -> None:
    one, other = (simulate_votes(BIG, np.random.default_rng(5)) for _ in range(2))

    np.testing.assert_array_equal(one.choice, other.choice)
