"""Answers about pairs: shares by character, their interval and test, and what is refused; and the command."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from arena.labelling.label_export import COLUMNS
from evaluation.audit.differences import TooFewCharactersError
from evaluation.audit.labels import LabelsError
from evaluation.audit.pairwise import PairAnswer, compare_pairs, read_pairs
from evaluation.cli_audit_pairs import pairs

app = typer.Typer()
app.command()(pairs)


def answer(character: str, winner: str, *, prompt: str = "p", kind: str = "name", models: Any = ("mine", "sd2")) -> Any:
    """One rater's answer."""
    return PairAnswer(
        character=character, prompt=f"{character} {prompt}", seed=0, kind=kind, models=models, winner=winner
    )


def row(**said: Any) -> dict[str, Any]:
    """One row as the arena exports it."""
    plain = {"character": "elsa", "prompt": "p", "seed": 0, "kind": "name", "model_a": "mine", "model_b": "sd2"}
    return plain | {"left": "A", "answer": "left", "rater": 1, "label_id": 1, "ts": "2025-01-31T12:00:00"} | said


def export(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    """A file of these rows."""
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS["pair"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_raters_are_averaged_in_a_pair_pairs_in_a_character_and_characters_count_once() -> None:
    found = compare_pairs(
        [
            # One pair with three raters: 2/3 for mine, 1/3 for the reference.
            answer("elsa", "mine"),
            answer("elsa", "mine"),
            answer("elsa", "sd2"),
            # Two pairs of one rater each: one for the reference, one for nobody.
            answer("hulk", "sd2", prompt="one"),
            answer("hulk", "", prompt="two"),
            answer("nemo", "sd2"),
        ],
        "sd2",
    )

    (one,) = found.models
    assert one.model == "mine"
    assert one.more == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert one.reference_more == pytest.approx((1 / 3 + 1 / 2 + 1) / 3)
    assert one.difference == pytest.approx((1 / 3 - 1 / 2 - 1) / 3)
    assert (one.answers, one.pairs, [shares.pairs for shares in one.characters]) == (6, 4, [1, 2, 1])


def test_interval_and_test_are_those_of_scipy_over_characters() -> None:
    rng = np.random.default_rng(3)
    answers = [
        answer(f"c{number}", str(rng.choice(["mine", "sd2", ""])), prompt=str(prompt))
        for number in range(9)
        for prompt in range(6)
    ]

    (one,) = compare_pairs(answers, "sd2").models

    differences = np.array([shares.more - shares.reference_more for shares in one.characters])
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    exact = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert one.interval == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert one.test.exact
    assert one.test.p == pytest.approx(exact.pvalue, abs=1e-12)


@given(st.lists(st.sampled_from(["mine", "sd2", ""]), min_size=4, max_size=12))
def test_seen_from_the_other_side_everything_turns_around(winners: list[str]) -> None:
    answers = [answer(f"c{number % 3}", winner, prompt=str(number)) for number, winner in enumerate(winners)]

    (one,), (other,) = compare_pairs(answers, "sd2").models, compare_pairs(answers, "mine").models

    assert (one.more, one.reference_more) == (other.reference_more, other.more)
    assert one.difference == pytest.approx(-other.difference)
    assert one.test.p == pytest.approx(other.test.p)
    assert -1 <= one.interval[0] <= one.difference <= one.interval[1] <= 1


def test_controls_and_pairs_without_the_reference_are_left_out_and_counted() -> None:
    asked = [answer("elsa", "mine"), answer("hulk", "mine"), answer("elsa", "third", models=("sd2", "third"))]
    asked += [answer("hulk", "sd2", models=("sd2", "third")), answer("elsa", "sd2", kind="generic")]

    found = compare_pairs([*asked, answer("elsa", "mine", models=("mine", "third"))], "sd2")

    assert [one.model for one in found.models] == ["mine", "third"]
    assert (found.controls, found.others) == (1, 1)
    assert found.models[0].more == 1
    assert [one.p_holm for one in found.models] == [min(1, 2 * found.models[0].test.p), 1.0]


def test_sides_are_turned_back_into_models(tmp_path: Path) -> None:
    said = [("A", "left"), ("B", "left"), ("B", "right"), ("A", "equally"), ("B", "neither")]
    path = export(
        tmp_path, *(row(left=left, answer=answer, label_id=number) for number, (left, answer) in enumerate(said))
    )

    assert [one.winner for one in read_pairs(path)] == ["mine", "sd2", "mine", "", ""]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": "both"}, "line 2 has the answer 'both': known are left, right, equally, neither"),
        ({"left": "C"}, "line 2 has left 'C': write A or B"),
        ({"model_b": "mine"}, "line 2 holds 'mine' against itself"),
        ({"seed": "x"}, "line 2 has the seed 'x'"),
        ({"character": ""}, "line 2 has no character"),
    ],
)
def test_what_is_no_answer_is_named_with_its_line(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(LabelsError, match=says):
        read_pairs(export(tmp_path, row(**change)))


def test_one_label_twice_no_answer_and_another_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"has the label '1' twice \(lines 2 and 3\)"):
        read_pairs(export(tmp_path, row(), row()))
    with pytest.raises(LabelsError, match="has no answer"):
        read_pairs(export(tmp_path))
    (tmp_path / "other.csv").write_text("model,human\nmine,1\n")
    with pytest.raises(LabelsError, match=r'no column character, .* study with mode = "pair"'):
        read_pairs(tmp_path / "other.csv")


def test_an_unknown_reference_one_character_and_controls_alone_are_refused() -> None:
    with pytest.raises(LabelsError, match=r"no model 'sd3' in the pairs\. Models: mine, sd2"):
        compare_pairs([answer("elsa", "mine")], "sd3")
    with pytest.raises(TooFewCharactersError, match=r"1 \(elsa\), and two are needed"):
        compare_pairs([answer("elsa", "mine")], "sd2")
    with pytest.raises(LabelsError, match="No answer is left"):
        compare_pairs([answer("elsa", "mine", kind="generic")], "sd2")


def test_the_command_prints_a_table_for_people_and_a_value_for_programs(tmp_path: Path) -> None:
    path = export(tmp_path, *(row(character=f"c{number}", answer="right", label_id=number) for number in range(8)))

    shown = CliRunner().invoke(app, [str(path), "--reference", "sd2"], catch_exceptions=False)
    told = json.loads(CliRunner().invoke(app, [str(path), "--reference", "sd2", "--json"]).stdout)

    assert "-100.0" in shown.stdout
    assert "Each character counts once" in shown.stderr
    assert told["models"]["mine"]["p_signflip"] == 2 / 2**8
    assert told["models"]["mine"]["characters"]["c3"] == {"more": 0.0, "reference_more": 1.0, "pairs": 1}
