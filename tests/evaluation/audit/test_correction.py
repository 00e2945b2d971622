"""The judge's errors corrected by people's labels, and how many of these are wanted."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluation.audit.correction import (
    LabelPlanError,
    labels_wanted,
    powered_difference,
    prediction_powered,
    rogan_gladen,
)
from evaluation.cli_audit import app


def _drawn(
    rng: np.random.Generator, *, characters: int = 40, each: int = 20, share: float = 0.25, errors: float = 0.2
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Judge's calls, people's labels on a random share, characters, and the rate that all people would find."""
    character = np.repeat(np.arange(characters), each)
    truth = (rng.random(len(character)) < rng.beta(1.5, 4, characters)[character]).astype(np.int8)
    # Over-flags twice as often as it misses.
    wrong = rng.random(len(character)) < np.where(truth == 1, errors / 2, errors)
    judge = np.where(wrong, 1 - truth, truth).astype(np.int8)
    human = np.where(rng.random(len(character)) < share, truth, -1).astype(np.int8)
    return judge, human, character, float(truth.mean())


def test_the_estimate_is_the_judges_mean_elsewhere_plus_what_people_add_where_they_looked() -> None:
    judge, human, character, _ = _drawn(np.random.default_rng(0))
    seen = human != -1

    found = prediction_powered(judge, human, character)

    assert found.rate == pytest.approx(judge[~seen].mean() + (human[seen] - judge[seen]).mean(), abs=1e-12)
    assert found.labelled == seen.sum()


def test_with_one_image_per_character_the_error_is_that_of_the_published_formula() -> None:
    # Angelopoulos et al. (2023), algorithm 1: var(f) / N + var(Y - f) / n, here with n / (n - 1) once for all images.
    judge, human, character, _ = _drawn(np.random.default_rng(1), characters=400, each=1)
    seen = human != -1

    found = prediction_powered(judge, human, character)

    variance = judge[~seen].var() / (~seen).sum() + (human[seen] - judge[seen]).var() / seen.sum()
    assert found.se == pytest.approx(np.sqrt(variance * 400 / 399), rel=1e-9)


def test_where_everybody_is_labelled_people_alone_decide() -> None:
    judge, human, character, truth = _drawn(np.random.default_rng(2), share=1.1)

    found = prediction_powered(judge, human, character)

    assert found.rate == pytest.approx(truth)


@pytest.mark.slow
def test_intervals_cover_what_all_people_would_have_found_and_the_judges_own_do_not() -> None:
    rng = np.random.default_rng(3)
    covered, naive = 0, 0
    for _ in range(300):
        judge, human, character, _ = _drawn(rng)
        # What is estimated is the rate over characters like these: 1.5 / 5.5.
        target = 1.5 / 5.5
        found = prediction_powered(judge, human, character)
        own = prediction_powered(judge, judge, character)
        assert found.low is not None
        assert found.high is not None
        assert own.low is not None
        assert own.high is not None
        covered += found.low <= target <= found.high
        naive += own.low <= target <= own.high

    assert covered / 300 == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / 300))
    assert naive / 300 < 0.6


def test_a_good_judge_makes_the_interval_narrower_than_peoples_labels_alone() -> None:
    judge, human, character, _ = _drawn(np.random.default_rng(7), characters=2000, each=1, errors=0.05)
    seen = human != -1

    found = prediction_powered(judge, human, character)
    alone = prediction_powered(human[seen], human[seen], character[seen])

    assert found.se is not None
    assert alone.se is not None
    assert found.se < 0.75 * alone.se


def test_a_corrected_difference_has_the_sign_of_the_truth_although_the_judge_says_otherwise() -> None:
    rng = np.random.default_rng(4)
    character = np.repeat(np.arange(60), 20)
    truths = [(rng.random(1200) < rate).astype(np.int8) for rate in (0.2, 0.4)]
    # It over-flags the first model only, so that the two look alike to it.
    judges = [np.where(rng.random(1200) < 0.35, 1, truths[0]).astype(np.int8), truths[1]]
    humans = [np.where(rng.random(1200) < 0.4, truth, -1).astype(np.int8) for truth in truths]

    found = powered_difference((judges[0], judges[1]), (humans[0], humans[1]), character)

    assert judges[0].mean() > judges[1].mean()
    assert found.high is not None
    assert found.high < 0


def test_rogan_and_gladens_estimate_turns_the_rate_around() -> None:
    # Sensitivity .8, false alarms .1, seen rate .24: (.24 - .1) / (.8 - .1) = .2
    human = np.array([1] * 10 + [0] * 20 + [-1] * 70, dtype=np.int8)
    judge = np.array([1] * 8 + [0] * 2 + [1] * 2 + [0] * 18 + [1] * 14 + [0] * 56, dtype=np.int8)

    found = rogan_gladen(judge, human, np.arange(100))

    assert judge.mean() == pytest.approx(0.24)
    assert found.rate == pytest.approx(0.2)
    # The labelled images are among all of them: their share is in the seen rate too, which the textbook leaves out.
    variance = (0.24 * 0.76 / 100 + 0.2**2 * 0.16 / 10 + 0.8**2 * 0.09 / 20) / 0.7**2
    assert found.se == pytest.approx(np.sqrt(variance), rel=0.3)


@pytest.mark.slow
def test_rogan_and_gladens_intervals_know_that_images_of_one_character_are_alike() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        judge, human, character, _ = _drawn(rng, characters=60)
        found = rogan_gladen(judge, human, character)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.5 / 5.5 <= found.high

    assert covered / 300 == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / 300))


def test_kinds_that_nobody_labelled_are_not_corrected_by_the_labels_of_others() -> None:
    judge, human, character, _ = _drawn(np.random.default_rng(6))
    kind = np.arange(len(judge)) % 2
    human = np.where(kind == 1, -1, human).astype(np.int8)

    found = prediction_powered(judge, human, character, kind)

    assert found.rate is None
    assert "1 of 2 kinds of images have fewer than two labels" in found.reason


def test_kinds_that_were_labelled_unevenly_count_by_their_images_and_not_by_their_labels() -> None:
    # The judge misses all of kind 1, of which few were labelled: 0 in 1,000 images, where 600 show the target.
    rng = np.random.default_rng(8)
    kind = np.repeat([0, 1], 1000)
    character = np.tile(np.arange(50), 40)
    truth = (rng.random(2000) < np.where(kind == 1, 0.6, 0.2)).astype(np.int8)
    judge = np.where(kind == 1, 0, truth).astype(np.int8)
    human = np.where(rng.random(2000) < np.where(kind == 1, 0.1, 0.6), truth, -1).astype(np.int8)

    plain, weighed = prediction_powered(judge, human, character), prediction_powered(judge, human, character, kind)

    assert weighed.rate == pytest.approx(truth.mean(), abs=0.04)
    assert plain.rate is not None
    assert abs(plain.rate - truth.mean()) > 0.1


def test_labels_drawn_at_random_over_kinds_count_together() -> None:
    judge, human, character, _ = _drawn(np.random.default_rng(9))

    assert prediction_powered(judge, human, character, np.arange(len(judge)) % 3) == prediction_powered(
        judge, human, character
    )


def test_a_judge_that_says_nothing_cannot_be_turned_around() -> None:
    human = np.array([1, 0, 1, 0], dtype=np.int8)

    found = rogan_gladen(np.array([1, 1, 0, 0], dtype=np.int8), human, np.arange(4))

    assert found.rate is None
    assert "says nothing" in found.reason


def test_too_few_labels_give_no_rate_and_a_reason() -> None:
    found = prediction_powered(
        np.array([1, 0, 1], dtype=np.int8), np.array([1, -1, -1], dtype=np.int8), np.array([0, 0, 1])
    )

    assert found.rate is None
    assert "1 label of 2 characters are too few" in found.reason


def test_the_planned_number_of_labels_gives_the_wanted_width_and_one_less_does_not() -> None:
    labels = labels_wanted(images=20_000, half_width=0.03, disagreement=0.1, rate=0.2, design_effect=2.5)

    def half(count: int) -> float:
        corrected = 0.1 / count + 0.16 / (20_000 - count)
        return float(1.959963984540054 * np.sqrt(2.5 * min(corrected, 0.16 / count)))

    assert half(labels) <= 0.03 < half(labels - 1)


def test_where_the_judge_is_poor_people_do_without_it() -> None:
    labels = labels_wanted(images=5000, half_width=0.03, disagreement=0.4, rate=0.2, design_effect=2.5)

    assert labels == int(np.ceil(2.5 * 0.16 / (0.03 / 1.959963984540054) ** 2))


def test_fewer_labels_do_for_a_better_judge() -> None:
    good, poor = (labels_wanted(images=20_000, half_width=0.03, disagreement=rate) for rate in (0.1, 0.4))

    assert good < poor


def test_the_command_prints_the_plan_and_refuses_what_no_number_of_labels_can_do() -> None:
    result = CliRunner().invoke(app, ["plan", "--images", "5000", "--json"], catch_exceptions=False)

    assert json.loads(result.stdout)["labels"] == labels_wanted(
        images=5000, half_width=0.03, disagreement=0.2, rate=0.2, design_effect=2.5
    )
    with pytest.raises(LabelPlanError, match=r"200 images do not give a half-width of 0\.03"):
        CliRunner().invoke(app, ["plan", "--images", "200"], catch_exceptions=False)
