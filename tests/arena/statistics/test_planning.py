import numpy as np
import pytest
from scipy.stats import binom

from arena.statistics.planning import votes_for_difference, votes_for_equivalence


# Power 80 %, two-sided 5 %: n = ((z(.975) / 2 + z(.8) sqrt(p q)) / (p - .5))^2, worked by hand.
@pytest.mark.parametrize(("rate", "votes"), [(0.47, 2178), (0.45, 783), (0.38, 134), (0.55, 783)])
def test_votes_for_a_difference_are_the_known_ones(rate: float, votes: int) -> None:
    assert votes_for_difference(rate) == votes


# n = ((z(.95) + z(.9)) / (2 delta))^2.
@pytest.mark.parametrize(("delta", "votes"), [(0.05, 857), (0.03, 2379)])
def test_votes_for_equivalence_are_the_known_ones(delta: float, votes: int) -> None:
    assert votes_for_equivalence(delta) == votes


def test_the_planned_votes_have_the_wanted_power_by_exact_counting() -> None:
    n = votes_for_difference(0.45)
    wins = np.arange(n + 1)
    significant = np.abs(wins / n - 0.5) / np.sqrt(0.25 / n) > 1.959964

    power = binom.pmf(wins, n, 0.45)[significant].sum()

    assert power == pytest.approx(0.8, abs=0.01)
