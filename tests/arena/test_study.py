from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arena.study import Study, StudyError, StudyFileError, read_study_file
from arena.votes import Choice
from prompts.prompt import PromptSet

Sets = Callable[[int], PromptSet]

FILE = """\
# What we want to know.
name = "shapes"
title = "Which shape?"
question = "Which image fits the prompt better?"
reference = "sd2"
candidates = ["s-c", "s-nc"]
prompts = "things-3"
seeds = [0, 1]
ties = true
both_bad = false
delta = 0.05
votes_per_rater = 20
"""


@pytest.fixture
def study(things: Sets) -> Study:
    return Study(
        name="shapes",
        question="Which is better?",
        reference="sd2",
        candidates=("s-c", "s-nc"),
        prompts=things(3),
        ties=True,
        both_bad=False,
    )


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "study.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_becomes_the_study_it_declares(tmp_path: Path, things: Sets) -> None:
    asked: list[str] = []

    def prompt_set(name: str) -> PromptSet:
        asked.append(name)
        return things(3)

    study = read_study_file(written(tmp_path, FILE), prompt_set)

    assert asked == ["things-3"]
    assert study == Study(
        name="shapes",
        title="Which shape?",
        question="Which image fits the prompt better?",
        reference="sd2",
        candidates=("s-c", "s-nc"),
        prompts=things(3),
        seeds=(0, 1),
        ties=True,
        both_bad=False,
        delta=0.05,
        votes_per_rater=20,
    )


def test_a_study_survives_its_dictionary(study: Study) -> None:
    again = Study.from_dict(study.to_dict())

    assert again == study
    assert again.hash == study.hash


@pytest.mark.parametrize(
    "change",
    [
        {"question": "Which is nicer?"},
        {"title": "Shapes"},
        {"reference": "sd1"},
        {"candidates": ("s-nc", "s-c")},
        {"seeds": (1,)},
        {"ties": False},
        {"both_bad": True},
        {"delta": 0.06},
        {"votes_per_rater": 31},
    ],
)
def test_the_hash_covers_every_part_of_the_declaration(study: Study, change: dict[str, Any]) -> None:
    assert replace(study, **change).hash != study.hash


def test_the_hash_covers_the_prompts_and_their_labels(study: Study, things: Sets) -> None:
    relabelled = replace(study.prompts, prompts=tuple(replace(one, category="other") for one in study.prompts))

    assert len({study.hash, replace(study, prompts=things(4)).hash, replace(study, prompts=relabelled).hash}) == 3


def test_only_the_declared_choices_are_offered(study: Study) -> None:
    assert study.choices == (Choice.LEFT, Choice.RIGHT, Choice.TIE)
    assert replace(study, ties=False).choices == (Choice.LEFT, Choice.RIGHT)
    assert replace(study, ties=False, both_bad=True).choices == (Choice.LEFT, Choice.RIGHT, Choice.BOTH_BAD)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "My Study"}, "'My Study' is no name for an address"),
        ({"name": "shapes\n"}, "is no name for an address"),
        ({"question": " "}, "asks nothing"),
        ({"reference": ""}, "has no reference"),
        ({"candidates": ()}, "has no candidates"),
        ({"candidates": ("s-c", "sd2")}, "holds 'sd2' against itself"),
        ({"candidates": ("s-c", "s-nc", "s-c")}, "names the candidate 's-c' 2 times"),
        ({"seeds": ()}, "has the seeds"),
        ({"seeds": (1, 1)}, "each once"),
        ({"seeds": (-1,)}, "0 or more"),
        ({"delta": 0.0}, "delta = 0.0: it must lie between 0 and 0.5"),
        ({"delta": 0.5}, "between 0 and 0.5"),
        ({"delta": float("nan")}, "between 0 and 0.5"),
        ({"votes_per_rater": 0}, "ask for 1 or more"),
    ],
)
def test_what_is_no_study_is_refused(study: Study, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(StudyError, match=complaint):
        replace(study, **change)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("delta = 0.05", "delat = 0.05", r"study\.toml, line 11: unknown key 'delat'\. Known keys: name, title"),
        ("ties = true", 'ties = "yes"', r"line 9: 'ties' is 'yes', but must be true or false"),
        ("seeds = [0, 1]", "seeds = [0.5]", r"line 8: 'seeds' is \[0\.5\], but must be a list of whole numbers"),
        ("seeds = [0, 1]", "seeds = [true]", r"line 8: 'seeds'"),
        ("votes_per_rater = 20", "votes_per_rater = 2.5", "line 12: 'votes_per_rater' is 2.5"),
        ('candidates = ["s-c", "s-nc"]', "candidates = 's-c'", "line 6: 'candidates' .* a list of texts"),
        ("both_bad = false\n", "", "does not say both_bad"),
        ('name = "shapes"', "name = shapes", r"is no TOML: .*line 2"),
        ("delta = 0.05", "delta = 0.05\n[gates]\nleft = 1", r"line 12: unknown key 'gates'"),
    ],
)
def test_a_slip_in_the_file_is_named_with_its_line(
    tmp_path: Path, things: Sets, old: str, new: str, complaint: str
) -> None:
    file = written(tmp_path, FILE.replace(old, new))

    with pytest.raises(StudyFileError, match=complaint):
        read_study_file(file, lambda _: things(3))


def test_a_missing_file_and_another_encoding_are_named(tmp_path: Path, things: Sets) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes('name = "größer"'.encode("latin-1"))

    with pytest.raises(StudyFileError, match=r"There is no study file .*none\.toml"):
        read_study_file(tmp_path / "none.toml", lambda _: things(3))
    with pytest.raises(StudyFileError, match="not in UTF-8"):
        read_study_file(latin, lambda _: things(3))
