"""The two-way sandwich and stacked rates, against statsmodels and against the sum written out."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from arena.statistics import sandwich
from arena.statistics.clustered import two_way_variance
from arena.statistics.sandwich import Covariance, Scores, TwoWayClusters, two_way_covariance
from arena.statistics.stacked import stacked_rates


def _votes(seed: int, n: int, raters: int, prompts: int, groups: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rater, prompt = rng.integers(0, raters, n), rng.integers(0, prompts, n)
    group = np.append(np.arange(groups), rng.integers(0, groups, n - groups))
    tilt = rng.normal(0, 0.3, raters)[rater] + rng.normal(0, 0.3, prompts)[prompt]
    value = np.select([rng.random(n) < 0.15, rng.random(n) < 0.5 + tilt], [0.5, 1.0], 0.0)
    return {
        "value": value,
        "group": group.astype(np.int32),
        "rater": rater.astype(np.int32),
        "prompt": prompt.astype(np.int32),
    }


@pytest.mark.parametrize("sizes", [(300, 20, 30), (300, 4, 5), (120, 100, 100)])
def test_stacked_rates_have_the_covariance_of_a_regression_on_indicators(sizes: tuple[int, int, int]) -> None:
    n, raters, prompts = sizes
    votes = _votes(1, n, raters, prompts, 4)
    peer = sm.OLS(votes["value"], np.eye(4)[votes["group"]]).fit()
    covariance = cov_cluster_2groups(peer, votes["rater"], votes["prompt"])[0]

    found = stacked_rates(**votes, groups=4)

    assert found.rates == pytest.approx(peer.params, abs=1e-12)
    assert found.spread.two_way == pytest.approx(covariance, rel=1e-9, abs=1e-14)


def test_one_group_has_the_variance_of_a_single_rate() -> None:
    votes = _votes(2, 400, 25, 40, 1)

    found = stacked_rates(**votes, groups=1)

    single = two_way_variance(votes["value"] - votes["value"].mean(), votes["rater"], votes["prompt"])
    assert found.spread.variances()[0] == pytest.approx(single.variance, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(12, 200), raters=st.integers(2, 60), prompts=st.integers(2, 60))
def test_every_route_to_the_meat_gives_the_plain_sum(seed: int, n: int, raters: int, prompts: int) -> None:
    rng = np.random.default_rng(seed)
    votes = _votes(seed, n, raters, prompts, 2)
    votes["rater"][:2], votes["prompt"][:2] = [0, 1], [0, 1]
    column = tuple(rng.integers(-1, 3, n).astype(np.int32) for _ in range(2))
    value = tuple(rng.normal(size=n) for _ in range(2))
    scores, clusters = Scores(estimates=3, column=column, value=value), TwoWayClusters(votes["rater"], votes["prompt"])

    found = two_way_covariance(scores, clusters, np.eye(3))

    dense = np.zeros((n, 4))
    for where, what in zip(column, value, strict=True):
        np.add.at(dense, (np.arange(n), where), what)
    expected = np.zeros((3, 3))
    both = votes["rater"].astype(np.int64) * 1000 + votes["prompt"]
    for sign, cluster in ((1, votes["rater"]), (1, votes["prompt"]), (-1, both)):
        codes = np.unique(cluster)
        sums = np.stack([dense[cluster == code, :3].sum(axis=0) for code in codes])
        expected += sign * len(codes) / (len(codes) - 1) * (sums.T @ sums)
    assert found.two_way == pytest.approx(expected * (n - 1) / (n - 3), rel=1e-9, abs=1e-9)


def test_tables_too_large_for_memory_are_kept_sparse_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = _votes(3, 300, 50, 60, 5)
    dense = stacked_rates(**votes, groups=5).covariance

    monkeypatch.setattr(sandwich, "_DENSE_NUMBERS", 0)

    assert stacked_rates(**votes, groups=5).covariance == pytest.approx(dense, rel=1e-12)


def test_a_variance_that_is_not_positive_gives_way_to_the_larger_one_way_variance() -> None:
    covariance = Covariance(
        two_way=np.diag([-1.0, 4.0, 0.0]),
        by_rater=np.diag([2.0, 1.0, 0.0]),
        by_prompt=np.diag([3.0, 1.0, 0.0]),
        by_vote=np.diag([1.0, 1.0, 1.0]),
    )

    assert covariance.variances().tolist() == [3.0, 4.0, 1.0]
    assert covariance.of_differences()[0].tolist() == [0.0, 3.0, 3.0]
    assert np.linalg.eigvalsh(covariance.positive_semidefinite()).min() >= 0


def test_raters_and_prompts_that_are_exactly_divided_count_as_independent_votes() -> None:
    value = np.array([1.0, 0.0, 0.0, 1.0])
    rater, prompt = np.array([0, 0, 1, 1], dtype=np.int32), np.array([0, 1, 0, 1], dtype=np.int32)

    found = stacked_rates(value, np.zeros(4, dtype=np.int32), rater, prompt, 1)

    assert found.spread.variances()[0] == pytest.approx(two_way_variance(value - 0.5, rater, prompt).variance)
    assert found.spread.variances()[0] == pytest.approx(0.25 / 3)
