"""`study show` says all that was declared: no field of a study is left out."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from arena.quality import Gates
from arena.statistics.stopping import StoppingRule
from arena.study import Study
from arena.study_parts import Check, Crowd, KnownPair, Question, Sample
from arena.study_words import in_words, questions_in_words
from prompts.prompt import PromptSet

OTHERS: dict[str, Any] = {
    "title": "Which shape?",
    "question": "Which is nicer?",
    "questions": (Question(key="look", text="Nicer?"), Question(key="fit", text="Closer?")),
    "reference": "older",
    "candidates": ("ant", "cat"),
    "ties": True,
    "both_bad": False,
    "seeds": (0, 7),
    "delta": 0.08,
    "votes_per_rater": 7,
    "stopping": StoppingRule(look_every=25, max_votes=900),
    "sample": Sample(size=3, seed=5),
    "links": (("ant", "bee"),),
    "pairs_per_prompt": 4,
    "sampling": "active",
    "repeats": 0.15,
    "gold": (KnownPair(prompt="a cat", better="ant", worse="old", seed=3, attention=True),),
    "gold_share": 0.125,
    "gates": Gates(latency_floor_ms=350, left_share_p=0.01, repeat_agreement=0.6, gold_pass=0.8, attention=True),
    "consent": "Your votes\nare kept.\n",
    "instructions": "Look at both.",
    "practice": (KnownPair(prompt="a dog", better="bee", worse="old", feedback="Count the legs."),),
    "checks": (Check(text="What do you do?", answers=("compare", "draw"), right=0),),
    "language": "de",
    "access": "link",
    "crowd": Crowd(
        site="prolific",
        slots=11,
        minutes=45,
        completion_code="DONE7",
        screen_out_code="OUT8",
        return_url="https://example.org/{code}",
    ),
}


@pytest.fixture
def study(things: Callable[[int], PromptSet]) -> Study:
    return Study(
        name="shapes",
        question="Which is better?",
        reference="old",
        candidates=("ant", "bee"),
        prompts=things(4),
        ties=False,
        both_bad=True,
        gold=(KnownPair(prompt="a cat", better="ant", worse="old"),),
        gold_share=0.1,
    )


# The name and the prompts' set stand beside the table's rows.
@pytest.mark.parametrize("field", [one.name for one in fields(Study) if one.name not in ("name", "prompts")])
def test_whatever_is_declared_otherwise_reads_otherwise(study: Study, field: str) -> None:
    change = {field: OTHERS[field]} | ({"question": ""} if field == "questions" else {})

    other = replace(study, **change)

    assert in_words(other) != in_words(study)


def test_every_part_is_said_in_words(study: Study) -> None:
    whole = replace(study, **OTHERS | {"question": "", "candidates": ("ant", "bee"), "both_bad": True})

    rows = dict(in_words(whole))

    assert rows == {
        "title": "Which shape?",
        "questions": "look: Nicer?; fit: Closer?",
        "reference": "older",
        "candidates": "ant, bee",
        "links": "ant - bee",
        "prompts": "things-4 (4)",
        "sample": "3 prompts, drawn by seed 5",
        "seeds": "0, 7",
        "comparisons": "24 in 3 lines",
        "choices": "left, right, tie, both_bad",
        "delta": "0.08",
        "stopping rule": "looks after every 25 votes per entrant, from 100 votes and 12 effective raters on, and stops "
        "at 900 votes per entrant",
        "votes per rater": "7",
        "sampling": "active: lines are drawn by how wide their intervals still are",
        "pairs per prompt": "4 showings of a comparison at most",
        "repeats": "15% of a rater's pairs",
        "gold": "12.5% of a rater's pairs, from 1",
        "gold 1": "ant is better than old on 'a cat', seed 3; an attention check",
        "gate latency": "below 350 ms at most 50% of the pairs",
        "gate left_share": "preferences lean to no side with p below 0.01",
        "gate repeats": "repeated pairs are judged as before, 60% of them",
        "gate gold": "gold pairs get their known answer, 80% of them",
        "gate attention": "one attention check is missed at most",
        "consent": "Your votes are kept.",
        "instructions": "Look at both.",
        "practice 1": "bee is better than old on 'a dog', seed 0; then: Count the legs.",
        "check 1": "What do you do? compare (right), draw",
        "language": "de",
        "access": "raters whom prolific sends",
        "crowd site": "prolific",
        "crowd slots": "11",
        "crowd minutes": "45",
        "crowd completion code": "DONE7",
        "crowd screen out code": "OUT8",
        "crowd return url": "https://example.org/{code}",
    }


def test_a_plain_study_says_what_it_does_without(study: Study) -> None:
    rows = dict(in_words(replace(study, gold=(), gold_share=0.0)))

    assert {part for part, words in rows.items() if words == "none"} == {
        "stopping rule", "repeats", "gold", "gates", "consent", "instructions", "practice", "checks"
    }  # fmt: skip
    assert (rows["access"], rows["language"]) == ("anyone", "the browser's")
    assert questions_in_words(study) == "Which is better?"
