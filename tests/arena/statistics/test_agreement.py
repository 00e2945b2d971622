import doctest
import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats import inter_rater

from arena.statistics import agreement
from arena.statistics.agreement import fleiss_kappa, krippendorff_alpha, rater_agreement
from arena.statistics.not_estimable import Obstacle
from arena.statistics.simulator import ArenaDesign, simulate_votes
from arena.statistics.votes import Chosen, Left, VoteTable

# Krippendorff (2011), section C: four observers, twelve units, five values; a dot is a unit that was not observed.
FOUR_OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
# Fleiss (1971), table 1: each digit is one of six psychiatrists' diagnoses of one of thirty patients.
DIAGNOSES = """
444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445
333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555
"""
# Krippendorff (2011), sections A and B: two observers each, without gaps.
TWO_OBSERVERS = [
    ("0100000010 1110010000", 0.095),
    ("aabbdcccedda babbbccceddd", 0.692),
]


def _counts(units: list[str], categories: str) -> np.ndarray:
    return np.array([[unit.count(category) for category in categories] for unit in units])


def _four_observers() -> np.ndarray:
    rows = [line.split() for line in FOUR_OBSERVERS.strip().splitlines()]
    return _counts(["".join(column) for column in zip(*rows, strict=True)], "12345")


@pytest.mark.parametrize(("observers", "published"), TWO_OBSERVERS)
def test_alpha_of_krippendorffs_two_observers(observers: str, published: float) -> None:
    first, second = observers.split()
    counts = _counts([a + b for a, b in zip(first, second, strict=True)], "".join(sorted(set(first + second))))

    assert krippendorff_alpha(counts) == pytest.approx(published, abs=5e-4)


def test_alpha_of_krippendorffs_four_observers_with_gaps_by_name_and_on_a_scale() -> None:
    counts = _four_observers()

    assert krippendorff_alpha(counts) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(counts, values=np.arange(1.0, 6.0)) == pytest.approx(0.849, abs=5e-4)


def test_kappa_of_fleiss_psychiatric_diagnoses() -> None:
    assert fleiss_kappa(_counts(DIAGNOSES.split(), "12345")) == pytest.approx(0.430, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(2 + seed, [0.5, 0.3, 0.2], size=60)

    assert fleiss_kappa(counts) == pytest.approx(inter_rater.fleiss_kappa(counts), abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_alpha_is_one_less_observed_over_expected_disagreement_counted_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units = [rng.choice([0.0, 0.5, 1.0], size=rng.integers(1, 5)) for _ in range(6)]
    pooled = np.concatenate([unit for unit in units if len(unit) > 1] or [np.zeros(0)])
    observed = sum(sum((a - b) ** 2 for a, b in combinations(u, 2)) / (len(u) - 1) for u in units if len(u) > 1)
    expected = sum((a - b) ** 2 for a, b in combinations(pooled, 2)) / max(1, len(pooled) - 1)
    counts = np.array([[np.count_nonzero(unit == value) for value in (0, 0.5, 1)] for unit in units])

    found = krippendorff_alpha(counts, values=np.array([0, 0.5, 1]))

    assert found is None if expected == 0 else found == pytest.approx(1 - observed / expected, abs=1e-12)


def test_what_nobody_could_have_disagreed_about_has_neither_alpha_nor_kappa() -> None:
    alike = np.array([[3, 0], [3, 0]])

    assert (krippendorff_alpha(alike), fleiss_kappa(alike)) == (None, None)
    assert (krippendorff_alpha(alike[:0]), fleiss_kappa(alike[:0])) == (None, None)


def _table(rows: list[tuple[int, int, int, int, int]], models: int = 3) -> VoteTable:
    """Rows of rater, prompt, model A, model B, choice."""
    columns = np.array(rows, dtype=np.int32).reshape(-1, 5).T
    none = np.full(len(rows), -1, dtype=np.int32)
    return VoteTable(
        rater=columns[0],
        prompt=columns[1],
        category=none,
        challenge=none,
        model_a=columns[2],
        model_b=columns[3],
        left=np.full(len(rows), Left.A, dtype=np.int8),
        choice=columns[4].astype(np.int8),
        raters=tuple("rstuvw"),
        prompts=tuple("pqxy"),
        categories=(),
        challenges=(),
        models=tuple("abcdefgh"[:models]),
    )


def test_only_units_with_two_raters_count_and_of_a_raters_votes_the_first() -> None:
    table = _table(
        [
            (0, 0, 0, 1, Chosen.A),
            (1, 0, 0, 1, Chosen.B),
            (1, 0, 0, 1, Chosen.A),  # the same rater again
            (0, 1, 0, 1, Chosen.A),
            (1, 1, 1, 0, Chosen.B),  # the same choice, the models named the other way round
            (2, 1, 0, 1, Chosen.TIE),
            (3, 2, 0, 1, Chosen.B),  # alone on its prompt
            (3, 1, 0, 2, Chosen.B),  # alone on its pair of models
            (-1, 1, 0, 1, Chosen.B),
        ]
    )
    textbook = np.array([[1, 1, 0], [2, 0, 1]])

    found = rater_agreement(table)

    assert (found.units, found.votes, found.raters) == (2, 5, 3)
    assert found.alpha == pytest.approx(krippendorff_alpha(textbook))
    assert found.alpha_ordered == pytest.approx(krippendorff_alpha(textbook, values=np.array([0, 1, 0.5])))
    assert found.same_choice == pytest.approx(1 / 4)
    assert (found.kappa_units, found.kappa_raters) == (1, 3)
    assert found.kappa == pytest.approx(inter_rater.fleiss_kappa(textbook[1:]))


def test_raters_who_toss_coins_over_many_pairs_of_models_do_not_seem_to_agree() -> None:
    rates = tuple(np.linspace(0.05, 0.95, 12).tolist())
    design = ArenaDesign(
        raters=60, prompts=30, votes=20_000, rates=rates, sd_rater=0.0, sd_rater_entrant=0.0, sd_prompt=0.0
    )
    votes = simulate_votes(design, np.random.default_rng(1))
    units = votes.prompt * 12 + votes.model_a
    winner = np.where(votes.choice == Chosen.A, votes.model_a, votes.model_b)
    pooled = np.bincount(units * 13 + winner, minlength=30 * 12 * 13).reshape(-1, 13)

    found = rater_agreement(votes)

    naive = krippendorff_alpha(pooled)
    assert naive is not None
    assert naive > 0.3
    assert found.alpha == pytest.approx(0, abs=0.01)
    assert found.kappa == pytest.approx(0, abs=0.05)


def test_prompts_that_suit_one_model_make_raters_agree() -> None:
    def alpha(sd_prompt: float) -> float | None:
        design = ArenaDesign(raters=40, prompts=60, votes=3000, sd_prompt=sd_prompt)
        return rater_agreement(simulate_votes(design, np.random.default_rng(2))).alpha

    found = [alpha(spread) for spread in (0.0, 1.0, 3.0)]

    assert [value is not None for value in found] == [True] * 3
    assert found == sorted(found, key=lambda value: value or 0)
    assert found[0] == pytest.approx(0, abs=0.05)


def test_neither_sides_nor_which_model_is_called_a_matter() -> None:
    design = ArenaDesign(raters=30, prompts=40, votes=3000, rates=(0.7, 0.4), tie_share=0.2)
    votes = simulate_votes(design, np.random.default_rng(3))
    flip = np.random.default_rng(4).random(len(votes)) < 0.5
    flipped = replace(
        votes,
        model_a=np.where(flip, votes.model_b, votes.model_a),
        model_b=np.where(flip, votes.model_a, votes.model_b),
        left=np.where(flip, 1 - votes.left, votes.left).astype(np.int8),
        choice=np.where(flip & (votes.choice <= Chosen.B), 1 - votes.choice, votes.choice).astype(np.int8),
    )

    assert rater_agreement(flipped) == rater_agreement(votes)


@pytest.mark.parametrize(
    ("table", "obstacle"),
    [
        (_table([]), Obstacle.NO_VOTES),
        (_table([(-1, 0, 0, 1, Chosen.A)] * 2), Obstacle.UNKNOWN_RATERS),
        (_table([(0, -1, 0, 1, Chosen.A), (1, -1, 0, 1, Chosen.A)]), Obstacle.UNKNOWN_PROMPTS),
        (_table([(0, 0, 0, 1, Chosen.A), (0, 0, 0, 1, Chosen.B), (1, 1, 0, 1, 0)]), Obstacle.NO_SHARED_UNITS),
        (_table([(0, 0, 0, 1, Chosen.A), (1, 0, 0, 1, Chosen.A)]), Obstacle.ALL_VOTES_ALIKE),
    ],
)
def test_what_cannot_be_had_is_named(table: VoteTable, obstacle: Obstacle) -> None:
    found = rater_agreement(table)

    assert (found.alpha, found.alpha_ordered, found.kappa) == (None, None, None)
    assert [(gap.what, gap.obstacle) for gap in found.missing] == [("alpha", obstacle), ("kappa", obstacle)]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


def test_both_bad_is_a_choice_of_its_own_and_has_no_place_in_the_order() -> None:
    table = _table([(0, 0, 0, 1, Chosen.BOTH_BAD), (1, 0, 0, 1, Chosen.BOTH_BAD), (0, 1, 0, 1, 0), (1, 1, 0, 1, 0)])

    found = rater_agreement(table)

    assert (found.alpha, found.kappa, found.alpha_ordered) == (1, 1, None)
    assert [gap.what for gap in found.missing] == ["ordered alpha"]


def test_the_examples_in_the_docstrings_are_true() -> None:
    failed, tried = doctest.testmod(agreement)

    assert tried > 5
    assert failed == 0
