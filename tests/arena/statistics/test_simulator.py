import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, optimize, special, stats

from arena.statistics.position import position_test
from arena.statistics.simulator import REFERENCE, ArenaDesign, DesignError, design_from_json, simulate_votes
from arena.statistics.votes import Chosen, Left, VoteTable, outcomes_against

BIG = ArenaDesign(
    raters=4000,
    prompts=4000,
    votes=400_000,
    rates=(0.62, 0.4),
    tie_share=0.2,
    both_bad_share=0.1,
    side_bias=0.3,
    spammers=400,
)
# Far apart and widely spread, so that flattened rates are far from any Bradley-Terry model.
ALL_PAIRS = ArenaDesign(
    raters=3000, prompts=3000, votes=600_000, rates=(0.9, 0.7, 0.2), pairs="all", sd_rater=1.0, sd_prompt=1.5
)


def logistic_strengths(votes: VoteTable, *, side_term: bool) -> np.ndarray:
    """Bradley-Terry by a library for logistic regression: each entrant's strength, the reference's being 0."""
    decisive = votes.choice <= Chosen.B
    rows = np.arange(np.count_nonzero(decisive))
    columns = np.zeros((len(rows), len(votes.models)))
    columns[rows, votes.model_a[decisive]] = 1
    columns[rows, votes.model_b[decisive]] = -1
    columns[:, -1] = np.where(votes.left[decisive] == Left.A, 1.0, -1.0)
    fitted = sm.Logit(votes.choice[decisive] == Chosen.A, columns if side_term else columns[:, :-1]).fit(disp=0)
    return np.append(fitted.params[: len(votes.models) - 1], 0.0)


def test_the_votes_have_the_declared_rates_ties_both_bad_and_spammers() -> None:
    votes = simulate_votes(BIG, np.random.default_rng(1))

    found = [outcomes_against(votes, entrant, REFERENCE) for entrant in BIG.entrants]

    half = [float(outcomes.value.mean()) for outcomes in found]
    dropped = [float(outcomes.without_ties().value.mean()) for outcomes in found]
    assert half == pytest.approx(BIG.true_half_tie(), abs=0.006)
    assert dropped == pytest.approx(BIG.true_ties_dropped(), abs=0.006)
    assert np.mean(votes.choice == Chosen.BOTH_BAD) == pytest.approx(0.1 * 0.9, abs=0.004)
    assert np.mean(votes.choice == Chosen.TIE) == pytest.approx(0.2 * 0.9 * 0.9, abs=0.004)


def test_the_truth_is_what_new_raters_on_new_prompts_say_on_average() -> None:
    design = ArenaDesign(raters=1, prompts=1, votes=1, rates=(0.83,), sd_rater=0.8, sd_rater_entrant=0.5, sd_prompt=2.0)
    rng = np.random.default_rng(2)

    alone = [int(simulate_votes(design, rng).choice[0] == Chosen.A) for _ in range(5000)]

    assert np.mean(alone) == pytest.approx(0.83, abs=0.016)  # three standard errors


def test_small_arenas_with_spammers_meet_the_population_on_average() -> None:
    design = ArenaDesign(
        raters=6, prompts=20, votes=80, rates=(0.8,), tie_share=0.3, both_bad_share=0.2, activity=1.0, spammers=1
    )
    rng = np.random.default_rng(3)

    values = [outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE).value for _ in range(2000)]

    # The ratio of the means over arenas: how much the one spammer happens to vote differs from arena to arena.
    half = sum(value.sum() for value in values) / sum(len(value) for value in values)
    dropped = sum((value == 1).sum() for value in values) / sum((value != 0.5).sum() for value in values)
    assert design.true_half_tie() == pytest.approx((half,), abs=0.009)
    assert design.true_ties_dropped() == pytest.approx((dropped,), abs=0.012)


def test_weights_say_how_much_each_rater_votes_and_what_spammers_share_is() -> None:
    weights = (6.0, 1.0, 0.0, 3.0)
    design = ArenaDesign(raters=4, prompts=50, votes=40_000, rates=(0.7,), activity=weights, spammers=1)

    votes = simulate_votes(design, np.random.default_rng(4))

    assert np.bincount(votes.rater, minlength=4) / 40_000 == pytest.approx([0.6, 0.1, 0, 0.3], abs=0.008)
    assert design.true_half_tie() == pytest.approx((0.5 + 0.4 * 0.2,))


def test_side_bias_shows_on_the_left() -> None:
    design = ArenaDesign(raters=500, prompts=500, votes=40_000, side_bias=0.5)
    votes = simulate_votes(design, np.random.default_rng(2))

    found = position_test(votes)

    assert found.left_share is not None
    assert found.left_share > 0.58
    assert np.mean(votes.left == Left.A) == pytest.approx(0.5, abs=0.01)


def test_spammers_press_left_whatever_they_see() -> None:
    design = ArenaDesign(raters=10, prompts=20, votes=500, spammers=3, tie_share=0.3, both_bad_share=0.3)
    votes = simulate_votes(design, np.random.default_rng(3))

    spam = votes.rater < 3

    assert spam.any()
    assert (votes.choice[spam] == votes.left[spam]).all()


def test_activity_makes_raters_unequally_busy() -> None:
    even = simulate_votes(ArenaDesign(raters=50, prompts=50, votes=5000, activity=0.0), np.random.default_rng(4))
    uneven = simulate_votes(ArenaDesign(raters=50, prompts=50, votes=5000, activity=1.0), np.random.default_rng(4))

    assert np.bincount(uneven.rater).max() > 2 * np.bincount(even.rater).max()


def test_votes_come_in_no_order() -> None:
    votes = simulate_votes(ArenaDesign(raters=40, prompts=50, votes=8000), np.random.default_rng(5))

    first, second = np.bincount(votes.rater[:4000], minlength=40), np.bincount(votes.rater[4000:], minlength=40)

    assert first.min() > 0
    assert np.abs(first - second).max() < 5 * np.sqrt((first + second).max())


def test_the_same_seed_gives_the_same_votes() -> None:
    one, other = (simulate_votes(BIG, np.random.default_rng(5)) for _ in range(2))

    np.testing.assert_array_equal(one.choice, other.choice)


def test_where_every_two_models_meet_each_pair_meets_as_often_and_the_rates_hold() -> None:
    votes = simulate_votes(ALL_PAIRS, np.random.default_rng(6))

    met = [(votes.model_a == a) & (votes.model_b == b) for a, b in combinations(range(4), 2)]
    half = [float(outcomes_against(votes, entrant, REFERENCE).value.mean()) for entrant in ALL_PAIRS.entrants]

    assert [np.mean(pair) for pair in met] == pytest.approx([1 / 6] * 6, abs=0.003)
    assert half == pytest.approx(ALL_PAIRS.true_half_tie(), abs=0.012)


def test_in_all_pairs_logits_spread_as_in_a_star_and_belong_to_the_models() -> None:
    design = ArenaDesign(raters=30_000, prompts=1, votes=60_000, rates=(0.5, 0.5), sd_prompt=0.0, sd_rater=2.0)
    votes = simulate_votes(replace(design, pairs="all"), np.random.default_rng(7))
    rng = np.random.default_rng(8)
    draws = rng.normal(0, np.sqrt((2.0**2 + 0.2**2) / 2), (100_000, 3))
    # Given that a rater preferred entrant 0 to the reference, how often does the same one prefer 0 to 1?
    to_reference, to_other = special.expit(draws[:, 0] - draws[:, 2]), special.expit(draws[:, 0] - draws[:, 1])
    expected = np.mean(to_reference * to_other) / 0.5

    won = votes.choice == Chosen.A
    against_reference = np.full(30_000, -1)
    pair = (votes.model_a == 0) & (votes.model_b == 2)
    against_reference[votes.rater[pair]] = won[pair]
    again = (votes.model_a == 0) & (votes.model_b == 1) & (against_reference[votes.rater] == 1)

    assert np.count_nonzero(again) > 5000
    assert np.mean(won[again]) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("side_term", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"pairs": "all"},
        {"pairs": "all", "side_bias": 0.8, "spammers": 300, "tie_share": 0.2},
        {"pairs": "all", "categories": 7, "sd_category": 0.8},
        {"pairs": "star", "side_bias": 0.8, "spammers": 300, "tie_share": 0.2},
    ],
)
def test_the_true_strengths_are_what_very_many_votes_lead_to(changes: dict[str, Any], side_term: bool) -> None:
    design = replace(ALL_PAIRS, **changes)

    found = logistic_strengths(simulate_votes(design, np.random.default_rng(9)), side_term=side_term)

    # Three standard errors: mostly the spread of 3000 raters and 3000 prompts.
    assert found == pytest.approx(design.true_strengths(side_term=side_term), abs=0.12)


def test_the_true_strengths_are_a_logistic_regressions_on_exact_mean_rates() -> None:
    spread = float(np.sqrt(1.0**2 + 0.2**2 + 1.5**2))

    def mean_rate(difference: float) -> float:
        def density(z: float) -> float:
            return float(special.expit(difference + spread * z) * stats.norm.pdf(z))

        return float(integrate.quad(density, -12, 12, epsabs=1e-12)[0])

    def gap_to(rate: float) -> float:
        return float(optimize.brentq(lambda difference: mean_rate(difference) - rate, -20, 20, xtol=1e-12))

    thetas = [*map(gap_to, ALL_PAIRS.rates), 0.0]
    pairs = list(combinations(range(4), 2))
    columns = np.array([np.eye(4)[a] - np.eye(4)[b] for a, b in pairs])[:, :-1]
    rates = [mean_rate(thetas[a] - thetas[b]) for a, b in pairs]

    fitted = sm.GLM(rates, columns, family=sm.families.Binomial()).fit(tol=1e-14).params

    assert ALL_PAIRS.true_strengths()[:-1] == pytest.approx(fitted, abs=1e-7)


def test_flattened_rates_are_not_the_logits_of_one_rater_and_no_bradley_terry_model() -> None:
    against_reference = special.logit(ALL_PAIRS.rates)

    strengths = ALL_PAIRS.true_strengths()

    assert replace(ALL_PAIRS, pairs="star").true_strengths()[:-1] == pytest.approx(against_reference)
    assert np.abs(strengths[:-1] - against_reference).max() > 0.01


def test_without_spread_the_strengths_are_the_logits_of_the_rates() -> None:
    design = replace(ALL_PAIRS, sd_rater=0.0, sd_rater_entrant=0.0, sd_prompt=0.0)

    assert design.true_strengths() == pytest.approx([*special.logit(design.rates), 0.0], abs=1e-9)


def test_prompts_are_dealt_to_categories_whose_rates_are_known() -> None:
    design = ArenaDesign(
        raters=4000,
        prompts=4001,
        votes=500_000,
        rates=(0.6, 0.45),
        tie_share=0.2,
        categories=3,
        sd_category=0.9,
    )

    votes = simulate_votes(design, np.random.default_rng(10))

    found = [
        [
            outcomes_against(votes.rows(votes.category == category), entrant, REFERENCE).value.mean()
            for category in range(3)
        ]
        for entrant in design.entrants
    ]
    assert np.array(found) == pytest.approx(design.true_category_rates(ties="half"), abs=0.02)
    assert np.ptp(design.true_category_rates(ties="half"), axis=1).min() > 0.2
    assert design.true_category_rates(ties="half") @ [1334 / 4001, 1334 / 4001, 1333 / 4001] == pytest.approx(
        design.true_half_tie(), abs=1e-9
    )
    assert votes.categories == ("category-0", "category-1", "category-2")
    assert (votes.category == votes.prompt % 3).all()


def test_a_design_is_moved_to_a_wanted_truth() -> None:
    design = ArenaDesign(raters=20, prompts=20, votes=10, rates=(0.8, 0.2), tie_share=0.4, spammers=2)

    assert design.with_truth(0.45, ties="half").true_half_tie() == pytest.approx((0.45, 0.45))
    assert design.with_truth(0.45, ties="drop").true_ties_dropped() == pytest.approx((0.45, 0.45))
    with pytest.raises(DesignError, match="leave only 54% of the votes to preferences"):
        design.with_truth(0.2, ties="half")


def test_many_entrants_have_names_that_sort_as_their_numbers_do() -> None:
    names = ArenaDesign(raters=2, prompts=2, votes=0, rates=(0.5,) * 12).entrants

    assert list(names) == sorted(names)
    assert names[:2] == ("entrant-00", "entrant-01")


@pytest.mark.parametrize("pairs", ["star", "all"])
def test_an_arena_without_votes_is_an_empty_table(pairs: Any) -> None:
    votes = simulate_votes(ArenaDesign(raters=2, prompts=2, votes=0, pairs=pairs), np.random.default_rng(1))

    assert len(votes) == 0
    assert votes.models == ("entrant-0", "reference")


def test_a_json_object_describes_a_design_and_leaves_the_rest_as_declared() -> None:
    written = """{"raters": 30, "prompts": 2e2, "votes": 900, "entrants": ["ours", "theirs"], "rates": [0.6, 0.45],
        "tie_share": 0.1, "spammers": 2, "sd_prompt": 1, "activity": 0}"""

    design = design_from_json(json.loads(written))

    assert design == ArenaDesign(
        raters=30,
        prompts=200,
        votes=900,
        names=("ours", "theirs"),
        rates=(0.6, 0.45),
        tie_share=0.1,
        spammers=2,
        sd_prompt=1.0,
        activity=0.0,
    )
    assert (design.sd_rater, design.sd_rater_entrant, design.models) == (0.45, 0.20, ("ours", "theirs", "reference"))


@pytest.mark.parametrize(
    ("more", "rates"),
    [
        ({}, (0.5,)),
        ({"entrants": 3}, (0.5, 0.5, 0.5)),
        ({"entrants": 3, "rates": 0.4}, (0.4, 0.4, 0.4)),
        ({"rates": [0.4, 0.6]}, (0.4, 0.6)),
        ({"entrants": ["a", "b"]}, (0.5, 0.5)),
    ],
)
def test_one_rate_is_for_all_entrants_and_a_list_is_one_each(more: dict[str, Any], rates: tuple[float, ...]) -> None:
    design = design_from_json({"raters": 30, "prompts": 200, "votes": 900, **more})

    assert design.rates == rates


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"colour": 1}, "A design has no key 'colour'. Its keys are raters"),
        ({"raters": "many"}, "The design's raters is 'many'. Give a number."),
        ({"raters": True}, "The design's raters is 'True'. Give a number."),
        ({"raters": None}, "The design's raters is 'None'. Give a number."),
        ({"raters": 12.5}, "The design's raters is 12.5. Give a whole number."),
        ({"raters": 0}, "The design's raters is 0. Give a number from 1 to 1,000,000."),
        ({"votes": -3}, "The design's votes is -3. Give a number from 0"),
        ({"votes": 10**400}, "The design's votes is not a finite number."),
        ({"prompts": 10**9}, "The design's prompts is 1e\\+09. Give a number from 1"),
        ({"sd_rater": float("nan")}, "The design's sd_rater is not a finite number."),
        ({"activity": float("inf")}, "The design's activity is not a finite number."),
        ({"activity": [1, 2]}, "The design's activity is '\\[1, 2\\]'. Give a number."),
        ({"sd_prompt": -0.1}, "The design's sd_prompt is -0.1. Give a number from 0 to 10."),
        ({"tie_share": 1}, "The design's tie_share is 1. Give a number from 0 to 0.99."),
        ({"spammers": 30}, "The design has 30 spammers among 30 raters. Leave somebody who looks."),
        ({"rates": 1}, "The design's rates hold 1. Give a number between 0 and 1"),
        ({"rates": [0.5, 0]}, "The design's rates hold 0."),
        ({"rates": [0.5, "x"]}, "The design's rates is 'x'. Give a number."),
        ({"rates": []}, "The design has no entrants."),
        ({"rates": None}, "The design's rates is 'None'."),
        ({"entrants": 0}, "The design's entrants is 0. Give a number from 1"),
        ({"entrants": 1.5}, "The design's entrants is 1.5. Give a whole number."),
        ({"entrants": "two"}, "The design's entrants is 'two'. Give a number."),
        ({"entrants": 2, "rates": [0.5]}, "The design has 2 entrants and 1 rates. Give one rate for all, or each."),
        ({"entrants": ["a", "a"]}, "The design's entrants need names of their own, none of them 'reference'."),
        ({"entrants": ["reference"]}, "The design's entrants need names of their own"),
        ({"entrants": [" "]}, "The design's entrants need names of their own"),
        ({"entrants": [7]}, "The design's entrants hold '7'. Give names, or how many there are."),
        ({"entrants": []}, "The design has no entrants."),
        ({"rates": [0.5] * 1001}, "The design has 1,001 entrants. Give at most 1,000."),
    ],
)
def test_what_a_design_cannot_mean_is_refused_in_a_sentence(more: dict[str, Any], says: str) -> None:
    value = {"raters": 30, "prompts": 200, "votes": 900, **more}

    with pytest.raises(DesignError, match=says):
        design_from_json(value)


@pytest.mark.parametrize("value", [None, [], "design", 3])
def test_a_design_that_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(DesignError, match="A design is one JSON object"):
        design_from_json(value)


@pytest.mark.parametrize("key", ["raters", "prompts", "votes"])
def test_a_design_says_how_large_it_is(key: str) -> None:
    sizes = {"raters": 30, "prompts": 200, "votes": 900}
    del sizes[key]

    with pytest.raises(DesignError, match=f"The design does not say how many {key} there are"):
        design_from_json(sizes)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: ArenaDesign(raters=3, prompts=9, votes=9, activity=(1.0, 2.0)), "weighs 2 raters of 3"),
        (lambda: ArenaDesign(raters=2, prompts=9, votes=9, activity=(1.0, 0.0), spammers=1), "no honest rater a vote"),
        (lambda: ArenaDesign(raters=2, prompts=9, votes=9, activity=(float("nan"), 1.0)), "weights of 0 or more"),
        (lambda: ArenaDesign(raters=2, prompts=9, votes=9, names=("a",), rates=(0.5, 0.5)), "names 1 entrants and"),
        (lambda: ArenaDesign(raters=2, prompts=9, votes=9, side_bias=float("nan")), "side_bias is nan"),
        (lambda: ArenaDesign(raters=2, prompts=9, votes=9, both_bad_share=1.0), "both_bad_share is 1"),
        (lambda: ArenaDesign(raters=2, prompts=9, votes=9, categories=-1), "categories is -1"),
    ],
)
def test_a_design_that_nobody_could_vote_in_is_refused(wrong: Callable[[], ArenaDesign], says: str) -> None:
    with pytest.raises(DesignError, match=says):
        wrong()
