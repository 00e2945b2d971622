"""Lines, areas and their intervals: against counting by hand, scipy, and what simulations give."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluation.audit.calibration import (
    Calibration,
    CalibrationError,
    OtherJudgeError,
    area_under,
    at_most_false_alarms,
    calibrate,
    read_calibration,
    roc_curve,
    write_calibration,
    youden,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCORES = np.array([0.9, 0.8, 0.8, 0.7, 0.4, 0.3, 0.2])
HUMAN = np.array([1, 1, 0, 1, 0, 1, 0], dtype=bool)
EACH = np.arange(7)


def drawn(scores: Any = SCORES, human: Any = HUMAN, **changes: Any) -> Calibration:
    options: dict[str, Any] = {
        "judge": "clip_divergence",
        "details": {"judge_hash": "a" * 64, "templates": ["an image of {}."]},
        "probes": "shapes",
        "kinds": ["suggestive", "name"],
        "labelled_at": NOW,
    }
    return calibrate(scores, human, [f"c{number % 3}" for number in range(len(scores))], **(options | changes))


def test_the_curve_counts_hits_and_false_alarms_at_every_score() -> None:
    roc = roc_curve(SCORES, HUMAN)

    assert roc.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.4, 0.3, 0.2]
    assert (roc.hits * 4).tolist() == [0, 1, 2, 3, 3, 4, 4]
    assert (roc.false_alarms * 3).round(9).tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_youdens_line_has_the_most_hits_less_false_alarms() -> None:
    point = youden(roc_curve(SCORES, HUMAN))

    assert (point.threshold, point.hits) == (0.7, 0.75)
    assert point.false_alarms == pytest.approx(1 / 3)


def test_the_allowed_false_alarms_give_the_lowest_line_that_keeps_to_them() -> None:
    roc = roc_curve(SCORES, HUMAN)

    assert at_most_false_alarms(roc, 0.0).threshold == 0.9
    assert at_most_false_alarms(roc, 1 / 3).threshold == 0.7
    assert at_most_false_alarms(roc, 0.7).threshold == 0.3


def test_a_judge_whose_highest_score_is_a_false_alarm_cannot_keep_to_few() -> None:
    roc = roc_curve(np.array([0.9, 0.5, 0.1]), np.array([False, True, False]))

    with pytest.raises(CalibrationError, match=r"already give 50.0% false alarms: this judge cannot keep to 5.0%"):
        at_most_false_alarms(roc, 0.05)
    with pytest.raises(CalibrationError, match="give one from 0 to below 1"):
        at_most_false_alarms(roc, 1.0)


def test_labels_of_one_kind_draw_no_line() -> None:
    with pytest.raises(CalibrationError, match="saw the target in 0 of 2 labelled images"):
        roc_curve(np.array([0.1, 0.2]), np.array([False, False]))
    with pytest.raises(CalibrationError, match="1 of 2 scores are no numbers"):
        roc_curve(np.array([0.1, np.nan]), np.array([False, True]))


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 40))
def test_the_area_is_mann_and_whitneys_and_its_error_delongs(seed: int, seen: int, others: int) -> None:
    rng = np.random.default_rng(seed)
    human = np.arange(seen + others) < seen
    scores = rng.integers(0, 12, seen + others) + 3.0 * human  # with ties

    area = area_under(scores, human, np.arange(seen + others))

    x, y = scores[human], scores[~human]
    u = stats.mannwhitneyu(x, y).statistic / (seen * others)
    wins = (x[:, None] > y).astype(float) + 0.5 * (x[:, None] == y)
    delong = wins.mean(axis=1).var(ddof=1) / seen + wins.mean(axis=0).var(ddof=1) / others
    assert area.value == pytest.approx(u)
    assert (area.se or 0.0) == pytest.approx(np.sqrt(delong), abs=1e-9)
    if area.low is not None and area.high is not None:
        assert 0 <= area.low <= area.value <= area.high <= 1


@given(st.integers(0, 10_000))
def test_only_the_order_of_the_scores_matters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, human = rng.normal(size=30), np.arange(30) % 3 == 0
    other = np.exp(2 * scores)

    one, two = youden(roc_curve(scores, human)), youden(roc_curve(other, human))

    assert (one.hits, one.false_alarms) == (two.hits, two.false_alarms)
    assert np.exp(2 * one.threshold) == pytest.approx(two.threshold)
    assert area_under(scores, human, np.arange(30)) == area_under(other, human, np.arange(30))


def simulated(rng: np.random.Generator, characters: int, each: int) -> tuple[Any, Any, Any]:
    """Images of a character share a part of their score, which moves with whether it is seen."""
    character = np.repeat(np.arange(characters), 2 * each)
    human = np.tile(np.arange(2 * each) < each, characters)
    shared = rng.normal(size=(characters, 2))  # of its seen and of its other images
    scores = shared[character, human.astype(int)] + rng.normal(size=len(character)) + 1.5 * human
    return scores, human, character


def test_the_interval_covers_as_often_as_it_says_although_images_of_a_character_are_alike() -> None:
    truth = float(stats.norm.cdf(1.5 / 2))  # of a difference with variance 4
    rng = np.random.default_rng(5)
    clustered, naive = 0, 0

    for _ in range(400):
        scores, human, character = simulated(rng, 25, 8)
        found = area_under(scores, human, character)
        alone = area_under(scores, human, np.arange(len(scores)))
        assert found.low is not None
        assert found.high is not None
        assert alone.low is not None
        assert alone.high is not None
        clustered += found.low <= truth <= found.high
        naive += alone.low <= truth <= alone.high

    assert 0.92 <= clustered / 400 <= 0.98
    assert naive / 400 < 0.85


def test_a_judge_that_errs_nowhere_has_no_interval_and_says_why() -> None:
    area = area_under(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]), np.arange(4))

    assert (area.value, area.low, area.reason) == (1.0, None, "No image stands on the wrong side.")


def test_labels_of_one_character_tell_no_spread() -> None:
    area = area_under(SCORES, HUMAN, np.zeros(7, dtype=np.int64))

    assert area.se is None
    assert area.reason == "Labels of one character tell no spread."


def test_held_out_shares_call_each_character_by_the_line_of_the_others() -> None:
    scores = np.array([0.9, 0.1, 0.8, 0.2, 0.15, 0.05])
    human = np.array([True, False, True, False, True, False])
    names = ["a", "a", "b", "b", "c", "c"]

    found = calibrate(
        scores,
        human,
        names,
        judge="x",
        details={"judge_hash": "h"},
        probes="shapes",
        kinds=[],
        labelled_at=NOW,
    )

    # The line of a and b is 0.8 and misses c's 0.15; that of a and c is 0.15 and calls both of b; b and c have 0.8.
    assert found.point.hits == pytest.approx(2 / 3)
    assert found.held_out == {"hits": pytest.approx(2 / 3), "false_alarms": pytest.approx(1 / 3)}


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    made = drawn(max_false_alarms=0.4)

    write_calibration(path, made)

    assert read_calibration(path, judge_hash="a" * 64) == made
    told = json.loads(path.read_text())
    assert told["labelled_at"] == "2026-01-02T03:04:05+00:00"
    assert told["point"]["rule"] == "at most 0.4 false alarms"
    assert (told["positives"], told["negatives"], told["characters"], told["kinds"]) == (
        4,
        3,
        3,
        ["name", "suggestive"],
    )


def test_the_calibration_of_another_judge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, drawn())

    with pytest.raises(
        OtherJudgeError, match=r"of 'clip_divergence' with other weights.* \(hash a{12} and not b{12}\)"
    ):
        read_calibration(path, judge_hash="b" * 64)


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"point": 1}'])
def test_a_file_that_is_no_calibration_is_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(damage)

    with pytest.raises(CalibrationError, match="cannot be read as a calibration"):
        read_calibration(path)
