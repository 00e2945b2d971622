import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from arena.statistics.independent import clopper_pearson, exact_binomial_p, score_interval, wilson

# Newcombe (1998), Statistics in Medicine 17, 857-872, table I: methods 3 (Wilson) and 5 (Clopper-Pearson).
NEWCOMBE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("wins", "n", "printed", "_"), NEWCOMBE)
def test_wilson_gives_newcombes_printed_digits(wins: int, n: int, printed: tuple[float, float], _: object) -> None:
    interval = wilson(wins, n)

    assert (round(interval.low, 4), round(interval.high, 4)) == printed


@pytest.mark.parametrize(("wins", "n", "_", "printed"), NEWCOMBE)
def test_clopper_pearson_gives_newcombes_printed_digits(
    wins: int, n: int, _: object, printed: tuple[float, float]
) -> None:
    interval = clopper_pearson(wins, n)

    assert (round(interval.low, 4), round(interval.high, 4)) == printed


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_and_p_agree_with_statsmodels_and_scipy(count: tuple[int, int]) -> None:
    wins, n = count

    score, exact = wilson(wins, n), clopper_pearson(wins, n)

    assert (score.low, score.high) == pytest.approx(proportion_confint(wins, n, method="wilson"), abs=1e-12)
    assert (exact.low, exact.high) == pytest.approx(proportion_confint(wins, n, method="beta"), abs=1e-10)
    assert exact_binomial_p(wins, n) == pytest.approx(binomtest(wins, n, 0.5).pvalue, rel=1e-8)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_a_quantile_beyond_all_bounds_gives_the_whole_interval(rate: float) -> None:
    interval = score_interval(rate, 100.0, quantile=1e200)

    assert (interval.low, interval.high) == (0.0, 1.0)
