import doctest
import json
import warnings
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

from arena.statistics import heterogeneity
from arena.statistics.heterogeneity import Heterogeneity, categories_of, paule_mandel, pool, rates_by_label
from arena.statistics.multiplicity import benjamini_hochberg
from arena.statistics.not_estimable import Obstacle
from arena.statistics.rates import Ties, preference_rate
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.votes import Chosen, Outcomes, VoteTable, outcomes_against

DESIGN = ArenaDesign(raters=48, prompts=400, votes=3000, categories=6, tie_share=0.1)
# Gelman et al. (2013), "Bayesian Data Analysis", 3rd edition, section 5.5: eight schools' effects of coaching.
SCHOOLS = np.array([28, 8, -3, 7, -1, 1, 18, 12]) / 100
SCHOOL_ERRORS = np.array([15, 10, 16, 11, 9, 11, 10, 18]) / 100


def _by_category(design: ArenaDesign, seed: int, ties: Ties = "half") -> Heterogeneity:
    votes = simulate_votes(design, np.random.default_rng(seed))
    return categories_of(votes, "entrant-0", REFERENCE, by="category", ties=ties)


def _covariance(seed: int, labels: int) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(0, 0.05, (labels, labels))
    return factor @ factor.T + np.eye(labels) * 1e-3


def test_test_and_degrees_of_freedom_are_those_of_explicit_contrasts_on_statsmodels_covariances() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(1))
    outcomes = outcomes_against(votes, "entrant-0", REFERENCE)
    labels = 6
    design = (votes.category[:, None] == np.arange(labels)).astype(float)
    fit = OLS(outcomes.value, design).fit()
    parts = {"rater": votes.rater, "prompt": votes.prompt}
    one_way = {name: cov_cluster(fit, code) for name, code in parts.items()}
    both = cov_cluster_2groups(fit, votes.rater, votes.prompt)[0]
    for name, code in parts.items():
        sizes = [len(set(code[votes.category == label])) for label in range(labels)]
        total = len(set(code))
        own = np.array([(g / (g - 1)) / (total / (total - 1)) for g in sizes])
        extra = np.diag(one_way[name].diagonal() * (own - 1))
        one_way[name], both = one_way[name] + extra, both + extra
    contrast = np.hstack([np.eye(labels - 1), -np.ones((labels - 1, 1))])
    middle = contrast @ both @ contrast.T
    q = (contrast @ fit.params) @ np.linalg.solve(middle, contrast @ fit.params)
    scaled = linalg.inv(linalg.sqrtm(middle)) @ contrast

    def unsureness(share: np.ndarray, effective: float) -> float:
        return (np.trace(share) ** 2 + np.trace(share @ share)) / (effective - 1)

    def effective(code: np.ndarray) -> float:
        sizes = np.bincount(code)
        return float(sizes.sum() ** 2 / (sizes**2).sum())

    total = unsureness(scaled @ one_way["rater"] @ scaled.T, effective(votes.rater))
    for label in range(labels):
        share = one_way["prompt"][label, label] * np.outer(scaled[:, label], scaled[:, label])
        total += unsureness(share, effective(votes.prompt[votes.category == label]))
    eta = (labels - 1) * labels / total

    found = _by_category(DESIGN, 1)

    assert found.homogeneity is not None
    assert found.homogeneity.q == pytest.approx(q, rel=1e-8)
    assert found.homogeneity.df_votes == pytest.approx(eta - (labels - 1) + 1, rel=1e-8)
    f = q * (eta - labels + 2) / (eta * (labels - 1))
    assert found.homogeneity.p == pytest.approx(stats.f.sf(f, labels - 1, eta - labels + 2), rel=1e-8)
    assert [label.se for label in found.labels] == pytest.approx(np.sqrt(np.diag(both)).tolist(), rel=1e-8)


def test_a_single_label_has_the_rate_and_standard_error_of_the_whole() -> None:
    votes = simulate_votes(replace(DESIGN, categories=1), np.random.default_rng(2))

    found = categories_of(votes, "entrant-0", REFERENCE, by="category", ties="half")

    whole = preference_rate(outcomes_against(votes, "entrant-0", REFERENCE), ties="half")
    assert [(one.rate, one.n, one.raters, one.prompts) for one in found.labels] == [
        (whole.rate, whole.n, whole.raters, whole.prompts)
    ]
    assert found.labels[0].se == pytest.approx(whole.se, rel=1e-10)
    assert (found.homogeneity, found.pooling) == (None, None)
    assert [gap.obstacle for gap in found.missing] == [Obstacle.TOO_FEW_LABELS]


@pytest.mark.parametrize("seed", range(6))
def test_tau_is_paule_and_mandels_as_in_statsmodels_where_errors_are_independent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.0005, 0.004, 8)
    rates = rng.normal(0.5, 0.03 * (seed % 3), 8) + rng.normal(0, np.sqrt(variance))
    peer = combine_effects(rates, variance, method_re="iterated", atol=1e-9, maxiter=500)

    found = paule_mandel(rates, np.diag(variance))

    assert found == pytest.approx(peer.tau2, abs=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.floats(0.0, 0.3))
def test_tau_is_where_the_generalised_sum_of_squares_is_what_chance_gives(seed: int, labels: int, tau: float) -> None:
    rng = np.random.default_rng(seed)
    covariance = _covariance(seed, labels)
    rates = rng.multivariate_normal(np.full(labels, 0.5), covariance + tau**2 * np.eye(labels))

    found = paule_mandel(rates, covariance)

    inverse = np.linalg.inv(covariance + found * np.eye(labels))
    mean = inverse.sum(axis=0) @ rates / inverse.sum()
    q = (rates - mean) @ inverse @ (rates - mean)
    assert q == pytest.approx(labels - 1, rel=1e-6) if found > 0 else q <= labels - 1


def test_pooled_rates_of_the_eight_schools() -> None:
    # The book's 95 % intervals, from 200 draws, in points of 100; the schools are moved up by 40 to lie within [0, 1].
    published = {0: (-2, 31), 3: (-7, 21), 6: (-1, 26)}

    found = pool(SCHOOLS + 0.4, np.diag(SCHOOL_ERRORS**2), np.full(8, 1e9))

    for school, (low, high) in published.items():
        interval = found.intervals[school]
        assert 100 * (interval.low - 0.4) == pytest.approx(low, abs=2)
        assert 100 * (interval.high - 0.4) == pytest.approx(high, abs=2)
    assert (found.tau, found.tau_interval.low) == (0, 0)
    assert found.mean - 0.4 == pytest.approx(0.079, abs=0.001)
    order = np.argsort(SCHOOLS)
    assert np.argsort(found.rates)[[0, -1]].tolist() == [order[1], order[-1]]


@pytest.mark.parametrize(("seed", "labels"), [(1, 2), (2, 4), (3, 7)])
def test_pooled_rates_are_those_of_plain_integration_over_tau(seed: int, labels: int) -> None:
    covariance = _covariance(seed, labels)
    rates = np.random.default_rng(seed).normal(0.5, 0.08, labels)
    ones = np.ones(labels)
    weights, centres, draws = [], [], []
    for tau in np.linspace(0.00025, 0.49975, 1000):
        total = covariance + tau**2 * np.eye(labels)
        inverse = np.linalg.inv(total)
        precision = ones @ inverse @ ones
        mean = ones @ inverse @ rates / precision
        weights.append(stats.multivariate_normal(mean * ones, total).pdf(rates) / sqrt(precision))
        # Rates given mu, then mu: the joint precision of both is 1 / tau^2 between them and the votes' own.
        joint = np.linalg.inv(
            np.block(
                [
                    [np.linalg.inv(covariance) + np.eye(labels) / tau**2, -ones[:, None] / tau**2],
                    [-ones[None, :] / tau**2, np.array([[labels / tau**2]])],
                ]
            )
        )
        centres.append(joint[:labels, :labels] @ np.linalg.inv(covariance) @ rates)
        draws.append(np.sqrt(np.diag(joint)[:labels]))
    share = np.array(weights) / np.sum(weights)

    found = pool(rates, covariance, np.full(labels, 40.0))

    assert list(found.rates) == pytest.approx((share @ np.array(centres)).tolist(), abs=2e-4)
    for label, interval in enumerate(found.intervals):
        for end, chance in ((interval.low, 0.025), (interval.high, 0.975)):
            if 0 < end < 1:
                z = (end - np.array(centres)[:, label]) / np.array(draws)[:, label]
                assert share @ stats.t.cdf(z, 40) == pytest.approx(chance, abs=5e-4)


@pytest.mark.parametrize("prompts", [400, 48])
def test_labels_that_do_not_differ_are_found_to_differ_in_five_percent(prompts: int) -> None:
    design = replace(DESIGN, prompts=prompts, votes=2000)

    tests = [_by_category(design, seed).homogeneity for seed in range(250)]

    assert all(test is not None for test in tests)
    assert 0.015 <= np.mean([test is not None and test.p < 0.05 for test in tests]) <= 0.095


def test_pooled_intervals_hold_the_truth_and_are_shorter_than_unpooled_ones() -> None:
    design = replace(DESIGN, sd_category=0.2)
    truth = design.true_category_rates(ties="half")[0]
    arenas = [_by_category(design, seed) for seed in range(150)]

    intervals = [[one.pooled_interval for one in labels] for labels in (arena.labels for arena in arenas)]
    held = [
        interval is not None and float(true) in interval
        for row in intervals
        for true, interval in zip(truth, row, strict=True)
    ]

    assert 0.93 <= np.mean(held) <= 0.99
    spreads = [arena.pooling for arena in arenas]
    assert np.mean([one is not None and one.tau in one.tau_interval for one in spreads]) == 1
    pooled = np.mean([interval.high - interval.low for row in intervals for interval in row if interval is not None])
    assert pooled < np.mean([2 * 1.96 * (one.se or 0) for arena in arenas for one in arena.labels])


def test_labels_that_differ_are_found_to_and_tau_is_about_theirs() -> None:
    design = replace(DESIGN, votes=20_000, prompts=3000, raters=200, sd_category=0.8)
    truth = design.true_category_rates(ties="half")[0]

    found = _by_category(design, 3)

    assert found.homogeneity is not None
    assert found.pooling is not None
    assert found.homogeneity.p < 1e-6
    assert found.homogeneity.share > 0.9
    assert found.pooling.tau == pytest.approx(float(np.std(truth, ddof=1)), rel=0.25)
    assert found.pooling.tau in found.pooling.tau_interval
    assert [one.pooled for one in found.labels] == pytest.approx(truth.tolist(), abs=0.05)


def test_labels_are_explored_against_one_half_with_benjamini_and_hochberg() -> None:
    found = _by_category(replace(DESIGN, sd_category=0.8), 4)

    for one in found.labels:
        assert one.se is not None
        assert one.exploratory_p == pytest.approx(2 * stats.t.sf(abs(one.rate - 0.5) / one.se, one.df), rel=1e-8)
    assert [one.exploratory_p_bh for one in found.labels] == benjamini_hochberg(
        [one.exploratory_p for one in found.labels]
    )


def _codes(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int32)


def test_labels_without_spread_are_named_and_left_out() -> None:
    # Labels: a and b are fine, c has one rater, d one prompt, e only wins, f has no vote; two votes have no label.
    found = rates_by_label(
        np.array([1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0.0]),
        _codes(0, 1, 2, 3, 0, 1, 2, 3, 0, 0, 0, 1, 0, 1, 2, 3),
        _codes(0, 0, 1, 1, 2, 3, 2, 3, 4, 5, 6, 6, 7, 8, 9, 9),
        _codes(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, -1, -1),
        tuple("abcdef"),
    )

    assert [one.label for one in found.labels] == list("abcde")
    assert [[gap.obstacle for gap in one.missing] for one in found.labels] == [
        [],
        [],
        [Obstacle.ONE_RATER],
        [Obstacle.ONE_PROMPT],
        [Obstacle.ALL_VOTES_ALIKE],
    ]
    assert [one.rate for one in found.labels] == [0.5, 0.5, 0.5, 0.5, 1.0]
    assert [one.se is None for one in found.labels] == [False, False, True, True, True]
    assert found.without_label == 2
    assert found.homogeneity is not None
    assert found.homogeneity.df_labels == 1


@pytest.mark.parametrize(
    ("rater", "prompt", "obstacle"), [(-1, 0, Obstacle.UNKNOWN_RATERS), (0, -1, Obstacle.UNKNOWN_PROMPTS)]
)
def test_unknown_raters_and_prompts_are_named(rater: int, prompt: int, obstacle: Obstacle) -> None:
    found = rates_by_label(np.array([1.0, 0.0]), _codes(rater, 1), _codes(prompt, 1), _codes(0, 0), ("a",))

    assert [gap.obstacle for gap in found.labels[0].missing] == [obstacle]
    assert [gap.obstacle for gap in found.missing] == [Obstacle.TOO_FEW_LABELS]


def test_more_labels_than_the_votes_can_compare_are_not_tested() -> None:
    design = ArenaDesign(raters=3, prompts=12, votes=60, categories=6)

    found = _by_category(design, 1)

    assert found.homogeneity is None
    assert [gap.obstacle for gap in found.missing] == [Obstacle.TOO_FEW_CLUSTERS]
    assert found.pooling is not None


def test_exactly_divided_raters_and_prompts_do_not_look_certain() -> None:
    # Every rater and every prompt of both labels has one vote each way.
    found = rates_by_label(
        np.array([1, 0, 0, 1, 1, 0, 0, 1.0]),
        _codes(0, 0, 1, 1, 0, 0, 1, 1),
        _codes(0, 1, 0, 1, 2, 3, 2, 3),
        _codes(0, 0, 0, 0, 1, 1, 1, 1),
        ("a", "b"),
    )

    assert [one.se for one in found.labels] == pytest.approx([sqrt(0.25 / 3)] * 2)
    assert [one.exploratory_p for one in found.labels] == [1.0, 1.0]


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 3), st.integers(0, 4), st.integers(-1, 2)),
        max_size=40,
    )
)
def test_whatever_the_votes_every_number_is_one_or_has_its_reason(rows: list[tuple[float, int, int, int]]) -> None:
    value = np.array([row[0] for row in rows], dtype=np.float64)
    columns = [np.array([row[place] for row in rows], dtype=np.int32) for place in (1, 2, 3)]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rates_by_label(value, *columns, ("a", "b", "c"))

    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()
    for one in found.labels:
        assert (one.se is None) == bool(one.missing)
        assert one.se is None or one.se > 0
        assert one.pooled_interval is None or one.pooled_interval.low < one.pooled_interval.high
    assert (found.homogeneity is None) == bool(found.missing)


def _swapped(votes: VoteTable) -> VoteTable:
    return replace(
        votes,
        model_a=votes.model_b,
        model_b=votes.model_a,
        left=(1 - votes.left).astype(np.int8),
        choice=np.where(votes.choice <= Chosen.B, 1 - votes.choice, votes.choice).astype(np.int8),
    )


def test_only_the_votes_between_the_two_count_whichever_is_called_a() -> None:
    design = replace(DESIGN, rates=(0.6, 0.4), tie_share=0.2, both_bad_share=0.1)
    votes = simulate_votes(design, np.random.default_rng(6))
    between = votes.rows(votes.model_a == votes.models.index("entrant-1"))

    found = categories_of(votes, "entrant-1", REFERENCE, by="category", ties="half")

    assert found == categories_of(between, "entrant-1", REFERENCE, by="category", ties="half")
    assert found == categories_of(_swapped(votes), "entrant-1", REFERENCE, by="category", ties="half")
    assert sum(one.n for one in found.labels) == len(outcomes_against(votes, "entrant-1", REFERENCE).value)


def test_ties_are_half_a_win_or_dropped() -> None:
    votes = simulate_votes(replace(DESIGN, tie_share=0.3), np.random.default_rng(7))
    first = outcomes_against(votes.rows(votes.category == 0), "entrant-0", REFERENCE)

    def rate(ties: Ties) -> tuple[float, int]:
        one = categories_of(votes, "entrant-0", REFERENCE, by="category", ties=ties).labels[0]
        return one.rate, one.n

    def mean(outcomes: Outcomes) -> tuple[float, int]:
        return float(outcomes.value.mean()), len(outcomes.value)

    assert rate("half") == pytest.approx(mean(first))
    assert rate("drop") == pytest.approx(mean(first.without_ties()))


def test_challenges_are_labels_too_and_votes_without_one_are_counted_apart() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(8))
    challenged = replace(
        votes, challenge=np.where(votes.category < 2, votes.category, -1).astype(np.int32), challenges=("hands", "text")
    )

    found = categories_of(challenged, "entrant-0", REFERENCE, by="challenge", ties="half")

    assert [one.label for one in found.labels] == ["hands", "text"]
    assert found.without_label == np.count_nonzero(votes.category >= 2)


def test_an_entrant_that_nobody_voted_on_has_no_labels() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(9))

    found = categories_of(votes, "not yet", REFERENCE, by="category", ties="half")

    assert (found.labels, found.without_label) == ((), 0)
    assert [gap.obstacle for gap in found.missing] == [Obstacle.TOO_FEW_LABELS]


def test_the_examples_in_the_docstrings_are_true() -> None:
    failed, tried = doctest.testmod(heterogeneity)

    assert tried > 5
    assert failed == 0
