import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arena.statistics.stopping import StoppingRule, StoppingRuleError
from arena.study import Study
from arena.study_file import StudyFileError, read_study_file
from arena.study_parts import StudyError
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
votes_per_rater = 12
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
        votes_per_rater=12,
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
        {"stopping": StoppingRule()},
    ],
)
def test_the_hash_covers_every_part_of_the_declaration(study: Study, change: dict[str, Any]) -> None:
    assert replace(study, **change).hash != study.hash


def test_a_study_without_a_stopping_rule_is_written_and_hashed_as_before_there_were_any(study: Study) -> None:
    assert "stopping" not in study.to_dict()
    # Computed before studies could declare one.
    assert study.hash == "af9a443a163edee20d963806604af03735ec23ed615d95a1e53e1a1f15dfe53a"


@pytest.mark.parametrize("rule", [StoppingRule(), StoppingRule(look_every=25, min_raters=20, max_votes=4000)])
def test_a_declared_stopping_rule_survives_the_dictionary_and_changes_the_hash(
    study: Study, rule: StoppingRule
) -> None:
    declared = replace(study, stopping=rule)

    again = Study.from_dict(json.loads(json.dumps(declared.to_dict())))

    assert again == declared
    assert again.hash == declared.hash
    assert len({study.hash, declared.hash, replace(study, stopping=replace(rule, look_every=10)).hash}) == 3


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
        ("votes_per_rater = 12", "votes_per_rater = 2.5", "line 12: 'votes_per_rater' is 2.5"),
        ('candidates = ["s-c", "s-nc"]', "candidates = 's-c'", "line 6: 'candidates' .* a list of texts"),
        ("both_bad = false\n", "", "does not say both_bad"),
        ('name = "shapes"', "name = shapes", r"is no TOML: .*line 2"),
        ("delta = 0.05", "delta = 0.05\n[gaits]\nleft = 1", r"line 12: unknown key 'gaits'"),
    ],
)
def test_a_slip_in_the_file_is_named_with_its_line(
    tmp_path: Path, things: Sets, old: str, new: str, complaint: str
) -> None:
    file = written(tmp_path, FILE.replace(old, new))

    with pytest.raises(StudyFileError, match=complaint):
        read_study_file(file, lambda _: things(3))


def test_a_file_declares_its_stopping_rule(tmp_path: Path, things: Sets) -> None:
    table = "[stopping]\nlook_every = 25\nmax_votes = 2000\n"

    study = read_study_file(written(tmp_path, FILE + table), lambda _: things(3))

    assert study.stopping == StoppingRule(look_every=25, max_votes=2000)
    assert read_study_file(written(tmp_path, FILE), lambda _: things(3)).stopping is None


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (
            "[stopping]\nlook_evry = 50",
            r"line 14: unknown key 'look_evry'\. Known keys of \[stopping\]: look_every, min",
        ),
        ("[stopping]\nlook_every = 0.5", "line 14: 'look_every' is 0.5, but must be a whole number"),
        ("[stopping]\nmin_raters = true", "line 14: 'min_raters' is true, but must be a whole number"),
        ('[stopping]\n\nmax_votes = "many"', "line 15: 'max_votes' is 'many', but must be a whole number"),
        ("stopping = { max_vote = 1 }", "line 13: unknown key 'max_vote'"),
        ("stopping = 50", "line 13: 'stopping' is 50, but must be a table"),
        ("[[stopping]]\nlook_every = 50", "line 13: 'stopping' is .* must be a table"),
    ],
)
def test_a_slip_in_the_stopping_rule_is_named_with_its_line(
    tmp_path: Path, things: Sets, table: str, complaint: str
) -> None:
    file = written(tmp_path, f"{FILE}{table}\n")

    with pytest.raises(StudyFileError, match=complaint):
        read_study_file(file, lambda _: things(3))


def test_a_stopping_rule_that_cannot_be_followed_is_refused(tmp_path: Path, things: Sets) -> None:
    file = written(tmp_path, FILE + "[stopping]\nmax_votes = 10\n")

    with pytest.raises(
        StoppingRuleError, match=r"study\.toml, line 14: .*max_votes = 10, fewer than its min_votes = 10"
    ):
        read_study_file(file, lambda _: things(3))


def test_a_missing_file_and_another_encoding_are_named(tmp_path: Path, things: Sets) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes('name = "größer"'.encode("latin-1"))

    with pytest.raises(StudyFileError, match=r"There is no study file .*none\.toml"):
        read_study_file(tmp_path / "none.toml", lambda _: things(3))
    with pytest.raises(StudyFileError, match="not in UTF-8"):
        read_study_file(latin, lambda _: things(3))
