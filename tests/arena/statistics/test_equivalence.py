import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from arena.statistics.equivalence import MarginError, tost
from arena.statistics.rates import preference_rate
from arena.statistics.votes import Outcomes


def test_with_one_vote_per_rater_and_prompt_it_is_statsmodels_tost_of_a_mean() -> None:
    value = np.random.default_rng(5).choice([0.0, 0.5, 1.0], 300, p=[0.4, 0.2, 0.4])
    own = np.arange(300, dtype=np.int32)
    rate = preference_rate(Outcomes(value=value, rater=own, prompt=own, both_bad=0), ties="half")
    peer, worse, better = DescrStatsW(value).ttost_mean(0.4, 0.6)

    found = tost(rate.rate, rate.se, rate.df, delta=0.1)

    assert (found.p, found.p_worse, found.p_better) == pytest.approx((peer, worse[1], better[1]), rel=1e-8)


def test_few_votes_near_one_half_are_no_equivalence() -> None:
    found = tost(0.5, 0.10, 9.0, delta=0.05)

    assert found.p is not None
    assert found.p > 0.3


def test_a_rate_beyond_the_margin_is_never_equivalent() -> None:
    found = tost(0.56, 0.001, 100.0, delta=0.05)

    assert found.p is not None
    assert found.p > 0.99


def test_without_a_standard_error_there_is_no_p() -> None:
    assert tost(1.0, None, 5.0, delta=0.05).to_dict() == {"delta": 0.05, "p": None}


@pytest.mark.parametrize("delta", [0.0, -0.1, 0.5, float("nan")])
def test_a_margin_that_is_none_is_refused(delta: float) -> None:
    with pytest.raises(MarginError, match="is no equivalence margin"):
        tost(0.5, 0.1, 9.0, delta=delta)


def test_non_inferiority_asks_only_whether_the_rate_is_much_worse() -> None:
    better, worse = (tost(rate, 0.02, 60.0, delta=0.05).non_inferiority() for rate in (0.6, 0.47))

    assert better == {"delta": 0.05, "p": pytest.approx(stats.t.sf(7.5, 60.0)), "holds": True}
    assert worse == {"delta": 0.05, "p": pytest.approx(stats.t.sf(1.0, 60.0)), "holds": False}
    assert tost(0.6, 0.02, 60.0, delta=0.05).p == pytest.approx(1, abs=0.01)


def test_without_a_standard_error_non_inferiority_is_open() -> None:
    assert tost(0.5, None, None, delta=0.05).non_inferiority() == {"delta": 0.05, "p": None, "holds": None}
