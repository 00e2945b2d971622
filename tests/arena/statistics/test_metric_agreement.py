"""Metrics against people: image by image with clustered intervals, and gallery by gallery."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from arena.statistics.metric_agreement import MetricValues, agreeing, metric_agreements
from arena.statistics.rates import preference_rate
from arena.statistics.votes import VoteTable

TableOf = Callable[..., VoteTable]


def _values(table: VoteTable, of_prompts: object, *, better: str = "higher", of_models: object = None) -> MetricValues:
    models = np.full(len(table.models), np.nan) if of_models is None else np.asarray(of_models, dtype=np.float64)
    return MetricValues(
        metric="m",
        better=better,  # type: ignore[arg-type]
        of_prompts=np.asarray(of_prompts, dtype=np.float64),
        of_models=models,
    )


def _simulated(
    rng: np.random.Generator, *, models: int, prompts: int, strength: float
) -> tuple[VoteTable, MetricValues]:
    """Each candidate meets the reference once per prompt and rater; people follow the metric with this strength."""
    table_of = _plain_table
    metric = rng.normal(size=(models, prompts)) + np.arange(models)[:, None] * 0.3
    model_a, model_b, choice, rater, prompt = [], [], [], [], []
    for one in range(40):
        for number in range(prompts):
            model = 1 + int(rng.integers(models - 1))
            lead = metric[0, number] - metric[model, number]
            chance = 1 / (1 + np.exp(-strength * lead))
            model_a.append("m0")
            model_b.append(f"m{model}")
            choice.append("A" if rng.random() < chance else "B")
            rater.append(one)
            prompt.append(number)
    table = table_of(model_a, model_b, choice, rater=rater, prompt=prompt)
    return table, _values(table, metric, of_models=metric.mean(axis=1))


def _plain_table(
    model_a: list[str], model_b: list[str], choice: list[str], *, rater: list[int], prompt: list[int]
) -> VoteTable:
    names = tuple(sorted({*model_a, *model_b}))
    return VoteTable(
        rater=np.array(rater, dtype=np.int32),
        prompt=np.array(prompt, dtype=np.int32),
        category=np.array([number % 2 for number in prompt], dtype=np.int32),
        challenge=np.full(len(choice), -1, dtype=np.int32),
        model_a=np.array([names.index(one) for one in model_a], dtype=np.int32),
        model_b=np.array([names.index(one) for one in model_b], dtype=np.int32),
        left=np.full(len(choice), -1, dtype=np.int8),
        choice=np.array([{"A": 0, "B": 1, "tie": 2, "both_bad": 3}[one] for one in choice], dtype=np.int8),
        raters=tuple(f"r{number}" for number in range(max(rater) + 1)),
        prompts=tuple(f"p{number}" for number in range(max(prompt) + 1)),
        categories=("even", "odd"),
        challenges=(),
        models=names,
    )


def test_a_vote_agrees_where_the_chosen_image_has_the_better_value_and_equal_values_count_a_half(
    table_of: TableOf,
) -> None:
    table = table_of(["a", "a", "a", "a"], ["b", "b", "b", "b"], ["A", "B", "A", "tie"], prompt=[0, 1, 2, 0])

    outcomes = agreeing(table, _values(table, [[3, 3, 1], [1, 1, 1]]))

    assert outcomes.value.tolist() == [1.0, 0.0, 0.5]


def test_where_lower_is_better_the_lower_value_is_the_one_that_agrees(table_of: TableOf) -> None:
    table = table_of(["a", "a"], ["b", "b"], ["A", "B"], prompt=[0, 1])

    outcomes = agreeing(table, _values(table, [[3, 3], [1, 1]], better="lower"))

    assert outcomes.value.tolist() == [0.0, 1.0]


def test_both_bad_votes_and_images_without_a_value_say_nothing(table_of: TableOf) -> None:
    table = table_of(["a", "a", "a"], ["b", "b", "b"], ["both_bad", "A", "A"], prompt=[0, 1, 2])

    outcomes = agreeing(table, _values(table, [[3, np.nan, 3], [1, 1, 1]]))

    assert outcomes.value.tolist() == [1.0]


def test_the_interval_of_agreement_is_the_two_way_clustered_one_of_a_preference_rate() -> None:
    table, values = _simulated(np.random.default_rng(1), models=3, prompts=20, strength=1.0)

    whole = metric_agreements(table, [values], reference="m0")[0]

    assert whole.agreement == preference_rate(agreeing(table, values), ties="half")
    assert whole.agreement.interval is not None
    assert whole.agreement.interval.low > 0.5


def test_a_metric_that_people_do_not_follow_agrees_in_half_of_the_votes() -> None:
    inside = 0
    for seed in range(60):
        table, values = _simulated(np.random.default_rng(seed), models=2, prompts=16, strength=0.0)
        interval = preference_rate(agreeing(table, values), ties="half").interval
        assert interval is not None
        inside += 0.5 in interval

    assert inside >= 52  # of 60 at 95 %: fewer has a chance below 1 in 100


def test_the_correlation_over_prompts_is_spearmans_of_leads_and_rates() -> None:
    table, values = _simulated(np.random.default_rng(2), models=2, prompts=30, strength=1.0)
    lead = values.of_prompts[1] - values.of_prompts[0]
    rate = [np.mean(table.choice[table.prompt == number] == 1) for number in range(30)]

    whole = metric_agreements(table, [values], reference="m0")[0]

    found = whole.prompt_correlation
    assert found.value == pytest.approx(stats.spearmanr(lead, rate).statistic, abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_three_candidates_are_too_few_for_a_correlation_over_entrants() -> None:
    table, values = _simulated(np.random.default_rng(3), models=4, prompts=12, strength=1.0)

    whole = metric_agreements(table, [values], reference="m0")[0]

    assert whole.entrant_correlation.value is None
    assert "3 candidates" in whole.entrant_correlation.reason


def test_the_correlation_over_entrants_has_the_interval_of_bonett_and_wright(table_of: TableOf) -> None:
    # Wins of 10 against the reference "a", and scores whose ranks agree but for one exchange: rho = .9.
    wins = {"b": 2, "c": 4, "d": 5, "e": 7, "f": 9}
    votes = [(name, "B" if number < won else "A") for name, won in wins.items() for number in range(10)]
    table = table_of(["a"] * len(votes), [name for name, _ in votes], [choice for _, choice in votes])
    values = _values(table, np.full((6, len(votes)), np.nan), of_models=[0.0, 1.0, 3.0, 2.0, 4.0, 5.0])

    found = metric_agreements(table, [values], reference="a")[0].entrant_correlation

    half = 1.959963984540054 * np.sqrt((1 + 0.9**2 / 2) / 2)
    assert found.value == pytest.approx(0.9)
    assert (found.low, found.high) == pytest.approx((np.tanh(np.arctanh(0.9) - half), np.tanh(np.arctanh(0.9) + half)))


def test_the_interval_of_the_prompt_correlation_covers_the_truth_with_several_candidates_per_prompt() -> None:
    # The truth: the correlation of very many prompts of the same kind.
    table, values = _simulated(np.random.default_rng(0), models=3, prompts=1500, strength=1.0)
    truth = metric_agreements(table, [values], reference="m0")[0].prompt_correlation.value
    assert truth is not None
    inside = 0
    for seed in range(60):
        table, values = _simulated(np.random.default_rng(seed), models=3, prompts=30, strength=1.0)
        found = metric_agreements(table, [values], reference="m0")[0].prompt_correlation
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high

    assert inside >= 54  # of 60: the interval is on the safe side of 95 %


def test_each_category_is_judged_alone_after_the_whole() -> None:
    table, values = _simulated(np.random.default_rng(4), models=2, prompts=40, strength=2.0)

    found = metric_agreements(table, [values], reference="m0")

    assert [one.category for one in found] == [None, "even", "odd"]
    assert found[0].agreement.n == found[1].agreement.n + found[2].agreement.n
    assert "not of one category" in found[1].entrant_correlation.reason


def test_a_distance_between_sets_has_no_agreement_per_vote_and_says_why(table_of: TableOf) -> None:
    table = table_of(["a", "a"], ["b", "b"], ["A", "B"], prompt=[0, 1])
    values = _values(table, np.full((2, 2), np.nan), better="lower", of_models=[1.0, 2.0])

    whole = metric_agreements(table, [values], reference="a")[0]

    assert whole.agreement.rate is None
    assert "no value per image" in whole.prompt_correlation.reason
    assert whole.to_dict()["prompt_correlation"]["spearman"] is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_only_the_order_of_a_metrics_values_matters(seed: int, scale: float, shift: float) -> None:
    table, values = _simulated(np.random.default_rng(seed), models=3, prompts=12, strength=1.0)
    moved = _values(table, values.of_prompts * scale + shift)

    assert agreeing(table, moved).value.tolist() == agreeing(table, values).value.tolist()
