from math import isfinite, sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arena.statistics.not_estimable import Obstacle
from arena.statistics.rates import PreferenceRate, headline_interval, headline_p, preference_rate
from arena.statistics.votes import Outcomes


def _outcomes(value: list[float], rater: list[int], prompt: list[int], both_bad: int = 0) -> Outcomes:
    return Outcomes(
        value=np.array(value, dtype=np.float64),
        rater=np.array(rater, dtype=np.int32),
        prompt=np.array(prompt, dtype=np.int32),
        both_bad=both_bad,
    )


@st.composite
def any_outcomes(draw: st.DrawFn, min_votes: int = 1) -> Outcomes:
    """A few votes of any kind, degenerate ones among them."""
    n = draw(st.integers(min_votes, 25))
    columns = st.lists(st.integers(0, draw(st.integers(0, 6))), min_size=n, max_size=n)
    values = st.lists(st.sampled_from(draw(st.sampled_from([(1.0,), (0.5,), (0.0, 1.0), (0.0, 0.5, 1.0)]))), min_size=n)
    return _outcomes(draw(values)[:n], draw(columns), draw(columns))


def test_the_headline_is_wilson_with_effective_votes_and_students_t() -> None:
    rng = np.random.default_rng(3)
    rater, prompt = rng.integers(0, 20, 500), rng.integers(0, 60, 500)
    value = (rng.normal(0, 1, 20)[rater] + rng.normal(0.3, 1, 500) > 0).astype(float)
    fit = sm.OLS(value, np.ones(500)).fit(cov_type="cluster", cov_kwds={"groups": np.column_stack([rater, prompt])})
    variance, mean = float(fit.cov_params()[0, 0]), value.mean()
    sizes = np.bincount(rater)
    df = sizes.sum() ** 2 / (sizes**2).sum() - 1
    n_eff = mean * (1 - mean) / variance
    t = stats.t.ppf(0.975, df)
    centre = (mean + t**2 / (2 * n_eff)) / (1 + t**2 / n_eff)
    half = t / (1 + t**2 / n_eff) * sqrt(mean * (1 - mean) / n_eff + t**2 / (4 * n_eff**2))

    found = preference_rate(_outcomes(list(value), list(rater), list(prompt)), ties="half")

    assert found.interval is not None
    assert found.n_eff == pytest.approx(n_eff, rel=1e-10)
    assert found.design_effect == pytest.approx(500 / n_eff, rel=1e-10)
    assert found.se == pytest.approx(sqrt(variance), rel=1e-10)
    assert found.df == pytest.approx(df)
    assert (found.interval.low, found.interval.high) == pytest.approx((centre - half, centre + half), rel=1e-9)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mean - 0.5) / sqrt(0.25 / n_eff), df), rel=1e-9)


def test_ties_count_half_or_are_dropped() -> None:
    outcomes = _outcomes([1, 1, 1, 0, 0.5, 0.5], [0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 5], both_bad=7)

    half, dropped = preference_rate(outcomes, ties="half"), preference_rate(outcomes, ties="drop")

    assert half.rate == pytest.approx(4 / 6)
    assert half.n == 6
    assert (dropped.rate, dropped.n) == (0.75, 4)
    assert half.independent is None
    assert dropped.independent is not None
    assert dropped.independent.p == pytest.approx(0.625)


def test_effective_votes_are_never_more_than_the_votes() -> None:
    # Ties spread less than wins and losses would, so rate * (1 - rate) / V comes out far above the number of votes.
    outcomes = _outcomes([0.5] * 38 + [1, 0], list(range(40)), list(range(40)))

    found = preference_rate(outcomes, ties="half")

    assert found.n_eff == 40
    assert found.design_effect == 1


def test_one_rater_says_nothing_about_other_raters() -> None:
    found = preference_rate(_outcomes([1, 0, 1], [4, 4, 4], [0, 1, 2]), ties="half")

    assert found.rate == pytest.approx(2 / 3)
    assert (found.interval, found.se, found.p, found.df) == (None, None, None, None)
    assert [gap.obstacle for gap in found.missing] == [Obstacle.ONE_RATER]


def test_one_prompt_says_nothing_about_other_prompts() -> None:
    found = preference_rate(_outcomes([1, 0, 1], [0, 1, 2], [4, 4, 4]), ties="half")

    assert found.rate == pytest.approx(2 / 3)
    assert found.interval is None
    assert [gap.obstacle for gap in found.missing] == [Obstacle.ONE_PROMPT]


def test_votes_without_raters_have_a_rate_and_no_interval() -> None:
    found = preference_rate(_outcomes([1, 0, 1], [-1, -1, -1], [0, 1, 2]), ties="drop")

    assert found.rate == pytest.approx(2 / 3)
    assert [gap.obstacle for gap in found.missing] == [Obstacle.UNKNOWN_RATERS]
    assert found.independent is not None


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        (_outcomes([], [], []), "There are no votes yet."),
        (_outcomes([], [], [], both_bad=3), "All 3 votes call both images bad, and those are counted apart."),
        (_outcomes([0.5, 0.5], [0, 1], [0, 1]), "All 2 votes are ties, and ties are dropped here."),
    ],
)
def test_no_votes_have_no_rate_and_a_reason(outcomes: Outcomes, sentence: str) -> None:
    found = preference_rate(outcomes, ties="drop")

    assert (found.rate, found.interval, found.p) == (None, None, None)
    assert [gap.reason for gap in found.missing] == [sentence]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_votes_that_are_all_alike_weigh_no_more_than_their_raters(value: float) -> None:
    rater, prompt = list(np.repeat(range(10), 100)), list(np.tile(range(100), 10))

    found = preference_rate(_outcomes([value] * 1000, rater, prompt), ties="half")

    assert found.interval is not None
    assert found.n_eff == pytest.approx(10)
    assert found.se is None
    assert found.interval.high - found.interval.low > 0.3
    assert [gap.obstacle for gap in found.missing] == [Obstacle.ALL_VOTES_ALIKE]


def test_an_unbeaten_entrant_on_two_prompts_is_not_certain_whatever_the_raters() -> None:
    found = preference_rate(_outcomes([1.0] * 200, list(range(200)), [0, 1] * 100), ties="half")

    assert found.interval is not None
    assert found.n_eff == pytest.approx(2)
    assert found.interval.low < 0.4


def test_a_rater_who_gives_nearly_all_votes_leaves_the_interval_open() -> None:
    value, rater = [1.0, 0.0, 1.0] * 400, [0] * 1199 + [1]

    found = preference_rate(_outcomes(value, rater, list(range(1200))), ties="half")

    assert found.interval is not None
    assert found.df == pytest.approx(0, abs=0.01)
    assert found.interval.low < 0.001
    assert found.interval.high > 0.999
    assert found.p is not None
    assert found.p > 0.9


def test_ten_votes_give_a_wide_interval() -> None:
    found = preference_rate(
        _outcomes([1, 1, 1, 0, 1, 1, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], list(range(10))), ties="half"
    )

    assert found.interval is not None
    assert 0.8 in found.interval
    assert 0.5 in found.interval


@given(any_outcomes())
def test_whatever_the_votes_no_number_is_nan_and_no_interval_is_a_point(outcomes: Outcomes) -> None:
    for found in (preference_rate(outcomes, ties="half"), preference_rate(outcomes, ties="drop")):
        numbers = [found.rate, found.se, found.df, found.n_eff, found.design_effect, found.p]
        assert all(number is None or isfinite(number) for number in numbers)
        assert found.interval is not None or found.missing
        if found.interval is not None:
            assert found.rate is not None
            assert 0 <= found.interval.low <= found.rate + 1e-12
            assert found.rate - 1e-12 <= found.interval.high <= 1
            assert found.interval.high - found.interval.low > 0.05
            assert found.se is None or found.se > 0


def _numbers(found: PreferenceRate) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("se", "df", "n_eff", "p") if getattr(found, name) is not None}


@given(any_outcomes(min_votes=3))
def test_swapping_entrant_and_reference_mirrors_the_rate_about_one_half(outcomes: Outcomes) -> None:
    mirrored = Outcomes(
        value=1 - outcomes.value, rater=outcomes.rater, prompt=outcomes.prompt, both_bad=outcomes.both_bad
    )

    one, other = preference_rate(outcomes, ties="half"), preference_rate(mirrored, ties="half")

    assert one.rate is not None
    assert other.rate == pytest.approx(1 - one.rate)
    assert _numbers(other) == pytest.approx(_numbers(one), rel=1e-9)
    if one.interval is not None and other.interval is not None:
        assert (other.interval.low, other.interval.high) == pytest.approx(
            (1 - one.interval.high, 1 - one.interval.low), abs=1e-9
        )


@given(any_outcomes(min_votes=3), st.randoms(use_true_random=False))
def test_order_and_names_of_raters_and_prompts_do_not_matter(outcomes: Outcomes, random: object) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    order, renamed = rng.permutation(len(outcomes.value)), rng.permutation(30).astype(np.int32)
    moved = Outcomes(
        value=outcomes.value[order],
        rater=renamed[outcomes.rater[order]],
        prompt=renamed[outcomes.prompt[order]],
        both_bad=0,
    )

    one, other = preference_rate(outcomes, ties="half"), preference_rate(moved, ties="half")

    assert other.rate == one.rate
    assert _numbers(other) == pytest.approx(_numbers(one), rel=1e-9)


@given(any_outcomes(min_votes=4))
def test_counting_every_vote_twice_adds_no_certainty(outcomes: Outcomes) -> None:
    doubled = Outcomes(
        value=np.tile(outcomes.value, 2),
        rater=np.tile(outcomes.rater, 2),
        prompt=np.tile(outcomes.prompt, 2),
        both_bad=0,
    )

    one, other = preference_rate(outcomes, ties="half"), preference_rate(doubled, ties="half")

    assert other.rate == one.rate
    assert other.df == pytest.approx(one.df)
    if one.route == other.route == "two_way":
        assert other.se == pytest.approx(one.se)


def test_four_copies_of_an_arena_with_their_own_raters_and_prompts_halve_the_standard_error() -> None:
    rng = np.random.default_rng(8)
    rater, prompt = rng.integers(0, 200, 4000), rng.integers(0, 300, 4000)
    value = (rng.normal(0, 1, 200)[rater] + rng.normal(0, 1, 4000) > 0).astype(float)
    copies = [(value, rater + 200 * copy, prompt + 300 * copy) for copy in range(4)]
    fourfold = [np.concatenate(column).tolist() for column in zip(*copies, strict=True)]

    one = preference_rate(_outcomes(value.tolist(), rater.tolist(), prompt.tolist()), ties="half")
    four = preference_rate(_outcomes(*fourfold), ties="half")

    assert one.se is not None
    assert four.se == pytest.approx(one.se / 2, rel=0.005)
    assert four.effective_raters == pytest.approx(4 * (one.effective_raters or 0))


@given(st.floats(0.001, 0.999), st.floats(1, 5000), st.floats(0.05, 500))
def test_p_is_below_five_percent_exactly_where_the_interval_leaves_one_half_out(
    rate: float, n_eff: float, df: float
) -> None:
    interval, p = headline_interval(rate, n_eff, df), headline_p(rate, n_eff, df)

    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == (0.5 not in interval)
