"""A study that could be declared and could never work is refused before it opens, and one that works is not."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.pages.messages.messages import load_messages
from arena.quality import Gates, GateState, QualityVote, judge_raters
from arena.study import Study
from arena.study_parts import Crowd, KnownPair, StudyError
from arena.study_workable import ATTENTION_CHECKS, check_workable, most_pairs, usual_votes
from arena.votes import Choice
from prompts.prompt import Prompt, PromptSet

GOLD = KnownPair(prompt="thing number 0", better="ant", worse="old")
CHECK = replace(GOLD, attention=True)


def declared(prompts: int = 4, **values: Any) -> Study:
    things = tuple(Prompt(text=f"thing number {number}") for number in range(prompts))
    return Study(
        **{
            "name": "shapes",
            "question": "Which is better?",
            "reference": "old",
            "candidates": ("ant", "bee"),
            "prompts": PromptSet(name="things", prompts=things, licence="CC0-1.0", source="made up"),
            "ties": True,
            "both_bad": False,
            "votes_per_rater": 8,
            **values,
        }
    )


@pytest.mark.parametrize(
    ("values", "place", "said"),
    [
        ({"language": "fr"}, ("language",), 'language = "fr", .* Write en or de, leave it out'),
        ({"gates": Gates()}, ("gates",), "declares no gate. Write one"),
        ({"gates": Gates(gold_pass=0.8)}, ("gates", "gold_pass"), r"no \[\[gold\]\] pairs at all. Write some"),
        (
            {"gates": Gates(gold_pass=0.8), "gold": (CHECK, CHECK), "gold_share": 0.1},
            ("gates", "gold_pass"),
            "pairs but attention checks, which have a gate of their own",
        ),
        ({"gates": Gates(repeat_agreement=0.6)}, ("gates", "repeat_agreement"), "no pair is repeated. Write repeats"),
        (
            {"gates": Gates(repeat_agreement=0.6), "repeats": 0.2, "votes_per_rater": 5},
            ("gates", "repeat_agreement"),
            "it comes after more than 5 other pairs. Raise votes_per_rater",
        ),
        (
            {"gates": Gates(attention=True)},
            ("gates", "attention"),
            "0 of the .* pairs are attention checks: it takes 2",
        ),
        (
            {"gates": Gates(attention=True), "gold": (GOLD, CHECK), "gold_share": 0.1},
            ("gates", "attention"),
            "1 of the .* pairs is an attention check: it takes 2",
        ),
        (
            {"access": "link", "crowd": Crowd(site="mturk", slots=3, completion_code="C")},
            ("access",),
            "have no sign-up link. Take one of the two out",
        ),
        ({"votes_per_rater": 9}, ("votes_per_rater",), "= 9, and one rater can be asked 8 pairs. Write 8 or less"),
        (
            {"votes_per_rater": 8000, "repeats": 0.2},
            ("votes_per_rater",),
            r"asked 10 pairs \(8 comparisons, and repeats among them\). Write 10 or less",
        ),
    ],
)
def test_what_could_never_work_is_refused_with_its_place(
    values: dict[str, Any], place: tuple[str, ...], said: str
) -> None:
    study = declared(**values)

    with pytest.raises(StudyError, match=said) as refused:
        check_workable(study)

    assert refused.value.place == place


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"language": "de", "access": "link"},
        {"crowd": Crowd(site="prolific", slots=3, completion_code="C")},
        {"gates": Gates(latency_floor_ms=300)},
        {
            "gates": Gates(gold_pass=0.8, attention=True, repeat_agreement=0.6),
            "gold": (GOLD, CHECK, CHECK),
            "gold_share": 0.2,
            "repeats": 0.1,
        },
        {"repeats": 0.2, "votes_per_rater": 10},
    ],
)
def test_what_can_work_is_let_through(values: dict[str, Any]) -> None:
    check_workable(declared(**values))


@pytest.mark.parametrize("language", load_messages())
def test_every_language_with_a_message_file_will_do(language: str) -> None:
    check_workable(declared(language=language))


def test_the_attention_gate_takes_as_many_checks_as_are_asked_for_here() -> None:
    def judged(checks: int) -> GateState:
        votes = [
            QualityVote(
                rater=1,
                pair=number,
                pair_kind="gold",
                question="overall",
                choice=Choice.LEFT,
                latency_ms=900,
                cast_at=datetime(2024, 5, 1, tzinfo=UTC),
                right_answer=Choice.LEFT,
                attention=True,
            )
            for number in range(checks)
        ]
        [rater] = judge_raters(votes, Gates(attention=True))
        return rater.gates["attention"].by_rule

    assert judged(ATTENTION_CHECKS - 1) is GateState.UNAVAILABLE
    assert judged(ATTENTION_CHECKS) is GateState.PASS


@pytest.mark.parametrize(
    ("repeats", "gold", "share", "most"),
    [
        (0.0, 0, 0.0, 40),
        (0.2, 0, 0.0, 50),
        # 40 / (1 - .2 - .2) = 66 would take 13 gold pairs.
        (0.2, 13, 0.2, 66),
        (0.2, 4, 0.2, 55),
        (0.0, 3, 0.3, 43),
    ],
)
def test_a_rater_can_be_asked_the_comparisons_with_their_share_of_repeats_and_gold(
    repeats: float, gold: int, share: float, most: int
) -> None:
    study = declared(20, repeats=repeats, gold=(GOLD,) * gold, gold_share=share)

    assert most_pairs(study) == most
    assert usual_votes(study) == 30


def test_a_file_that_says_no_number_of_votes_asks_no_more_than_there_are() -> None:
    assert usual_votes(declared(4)) == 8
    assert usual_votes(declared(4, repeats=0.2)) == 10


@given(
    prompts=st.integers(1, 60),
    repeats=st.floats(0, 0.3),
    share=st.floats(0.01, 0.3),
    gold=st.integers(1, 40),
)
def test_the_most_is_what_the_shares_leave(prompts: int, repeats: float, share: float, gold: int) -> None:
    study = declared(prompts, repeats=repeats, gold=(GOLD,) * gold, gold_share=share)

    most = most_pairs(study)

    wanted = study.comparisons + min(repeats * most, max(0, study.comparisons - 5)) + min(share * most, gold)
    assert most <= wanted + 1e-6
    assert study.comparisons <= most <= study.comparisons / 0.4 + 1


def test_raters_are_really_asked_about_as_many(arena: Any, things: Callable[[int], PromptSet]) -> None:
    """The schedule is random; over 24 raters the mean lies within one pair of what is said."""
    known = [replace(GOLD, prompt=f"thing number {number}") for number in range(4)]
    study = arena.open(repeats=0.2, gold=tuple(known), gold_share=0.2, votes_per_rater=1000)

    counts = [arena.rate_all(arena.join()) for _ in range(24)]

    assert abs(np.mean(counts) - most_pairs(study)) < 1
    assert min(counts) >= study.comparisons


def test_the_refusal_of_a_language_names_those_there_are() -> None:
    with pytest.raises(StudyError) as refused:
        check_workable(declared(language="xx"))

    assert re.search(f"Write {' or '.join(load_messages())}, ", str(refused.value))
