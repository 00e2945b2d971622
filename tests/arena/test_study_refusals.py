"""Whatever a study file can say wrongly is refused with the file, the line and what to do."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from arena.ledger.errors import (
    MissingImagesError,
    ShapesDifferError,
    UnknownEntrantError,
    UnknownPromptError,
    UnknownPromptSetError,
)
from arena.ledger.records import Entrant
from arena.quality import Gates, GatesError
from arena.statistics.stopping import StoppingRuleError
from arena.study import Study
from arena.study_file import StudyFileError, lines_named, read_study_file
from arena.study_parts import Check, Crowd, KnownPair, Question, StudyError
from prompts.prompt import PromptSet, SampleError

FILE = """\
name = "shapes"
question = "Which fits better?"
reference = "old"
candidates = ["ant", "bee"]
prompts = "things-4"
ties = true
both_bad = false
seeds = [0]
delta = 0.05
votes_per_rater = 8
pairs_per_prompt = 3
repeats = 0.2
gold_share = 0.2
links = [["ant", "bee"]]

[sample]
size = 3
seed = 1

[[gold]]
prompt = "thing number 0"
better = "ant"
worse = "old"
attention = true

[[gold]]
prompt = "thing number 1"
better = "bee"
worse = "old"
attention = true
seed = 0

[[practice]]
prompt = "thing number 2"
better = "bee"
worse = "old"

[[checks]]
text = "What do you compare?"
answers = ["two images", "two sounds"]
right = 0

[gates]
latency_floor_ms = 400
latency_share = 0.2
repeat_agreement = 0.6
attention = true

[crowd]
site = "prolific"
slots = 10
completion_code = "DONE"
return_url = "https://example.org/{code}"

[stopping]
look_every = 10
min_votes = 20
max_votes = 400
"""
#: The one of three known pairs that no other text is like.
SECOND_GOLD = 'better = "bee"\nworse = "old"\nattention = true\nseed = 0'


@pytest.fixture
def opened(arena: Any, tmp_path: Path, now: datetime) -> Callable[[str], Study]:
    """Opens a study file's text, as the command does."""

    def open_it(text: str) -> Study:
        file = tmp_path / "study.toml"
        file.write_text(text, encoding="utf-8")
        study = read_study_file(file, arena.ledger.prompt_set)
        with lines_named(file):
            arena.ledger.check_study(study)
            arena.ledger.open_study(study, now=now)
        return study

    return open_it


def test_the_file_that_the_slips_below_are_made_in_can_be_opened(opened: Callable[[str], Study], arena: Any) -> None:
    study = opened(FILE)

    assert arena.ledger.study("shapes").study == study
    assert len(study.gold) == 2


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        # What its own values forbid.
        ('name = "shapes"', 'name = "Shapes!"', StudyError, "line 1: .* use 1 to 64 lower-case letters"),
        ('"Which fits better?"', '" "', StudyError, "line 2: .* asks nothing. Write its question"),
        ('reference = "old"', 'reference = ""', StudyError, "line 3: .* has no reference. Name the entrant"),
        ('["ant", "bee"]\np', "[]\np", StudyError, "line 4: .* has no candidates. Name at least one"),
        ('["ant", "bee"]\np', '["ant", "ant"]\np', StudyError, "line 4: .* 'ant' 2 times. Keep one of them"),
        ('["ant", "bee"]\np', '["ant", "old"]\np', StudyError, "line 4: .* Take it out of the candidates"),
        ("seeds = [0]", "seeds = [0, 0]", StudyError, "line 8: .* give at least one, 0 or more, each once"),
        ("seeds = [0]", f"seeds = [{2**63}]", StudyError, f"line 8: .* the largest is {2**63 - 1}"),
        ("delta = 0.05", "delta = 0.0", StudyError, "line 9: .* delta = 0.0: it must lie between 0 and 0.5"),
        ("delta = 0.05", "delta = 0", StudyError, "line 9: .* it must lie between 0 and 0.5"),
        ("delta = 0.05", "delta = 0.5", StudyError, "line 9: .* between 0 and 0.5"),
        ("delta = 0.05", "delta = nan", StudyError, "line 9: .* delta = nan: it must lie between"),
        ("votes_per_rater = 8", "votes_per_rater = 0", StudyError, "line 10: .* ask for 1 or more"),
        ("pairs_per_prompt = 3", "pairs_per_prompt = 0", StudyError, "line 11: .* ask for 1 or more"),
        ("repeats = 0.2", "repeats = 0.4", StudyError, "line 12: .* a share lies between 0 and 0.3"),
        ("repeats = 0.2", "repeats = -inf", StudyError, "line 12: .* a share lies between 0 and 0.3"),
        ("gold_share = 0.2", "gold_share = 0.31", StudyError, "line 13: .* a share lies between"),
        ("gold_share = 0.2\n", "", StudyError, r"line 19: .* lacks a gold_share above 0"),
        ('[["ant", "bee"]]', '[["ant", "old"]]', StudyError, "line 14: .* a link joins two different candidates"),
        ('[["ant", "bee"]]', '[["ant", "bee"], ["bee", "ant"]]', StudyError, "line 14: .* Keep one of them"),
        ("size = 3", "size = 9", SampleError, "line 17: .* ask for 1 to 4"),
        ("seed = 1", "seed = -1", SampleError, "line 18: .* Choose another seed"),
        (SECOND_GOLD, SECOND_GOLD.replace("bee", "old"), StudyError, "line 29: .* as the worse one"),
        ("seed = 0\n", "seed = -1\n", StudyError, "line 31: .* it lies between 0 and"),
        ('"thing number 2"', '" "', StudyError, "line 34: .* Write its text"),
        ('"two sounds"', '"two images"', StudyError, "line 40: .* needs two different answers"),
        ("right = 0", "right = 2", StudyError, "line 41: .* count its answers from 0 to 1"),
        ("latency_floor_ms = 400", "latency_floor_ms = 0", GatesError, "line 44: .* give milliseconds, from 1 to"),
        ("latency_floor_ms = 400\n", "", GatesError, "line 44: .* Declare the floor, or neither"),
        ("repeat_agreement = 0.6", "repeat_agreement = 7", GatesError, "line 46: .* above 0 and at most 1"),
        ("slots = 10", "slots = 0", StudyError, "line 51: .* ask for 1 or more"),
        ("slots = 10", "slots = 10\nminutes = 0", StudyError, "line 52: .* ask for 1 or more"),
        ('"DONE"', '" "', StudyError, "line 52: .* Write the one that the site gave you"),
        ('"https://example.org/{code}"', '"example.org"', StudyError, "line 53: .* give an address with https://"),
        ("look_every = 10", "look_every = 0", StoppingRuleError, "line 56: .* ask for 1 or more"),
        # Two keys bring this about, and the table's line stands for both.
        ("max_votes = 400", "max_votes = 10", StoppingRuleError, "line 55: .* Raise max_votes or lower min_votes"),
        ("min_votes = 20", "min_votes = 500", StoppingRuleError, "line 55: .* Raise max_votes or lower min_votes"),
        # Keys and their kinds.
        ("slots = 10", "slot = 10", StudyFileError, r"line 51: unknown key 'slot'\. Known keys of \[crowd\]: site"),
        (SECOND_GOLD, SECOND_GOLD.replace('"bee"', "5"), StudyFileError, "line 28: "),
        ("right = 0", "", StudyFileError, r"line 38: \[checks\] does not say right. Add what is missing"),
        ('site = "prolific"', 'site = "clickworker"', StudyFileError, "line 50: .* must be prolific or mturk"),
        ("delta = 0.05", "delta = 1979-05-27", StudyFileError, "line 9: 'delta' is .* must be a number"),
        # What the ledger does not have.
        ('reference = "old"', 'reference = "older"', UnknownEntrantError, "line 3: .* Known: ant, bee, old"),
        ('["ant", "bee"]\np', '["bee", "ant", "cat"]\np', UnknownEntrantError, "line 4: There is no entrant 'cat'"),
        ("things-4", "things-9", UnknownPromptSetError, "line 5: .* no prompt set 'things-9'. Known: things-4"),
        ("seeds = [0]", "seeds = [0, 1]", MissingImagesError, "line 3: .* Paint them: `canvas evaluate generate"),
        (SECOND_GOLD, SECOND_GOLD.replace("bee", "cat"), UnknownEntrantError, "line 28: .* 'cat'"),
        ('"thing number 1"', '"no such thing"', UnknownPromptError, "line 27: .* Write the prompt word for word"),
        ('"thing number 2"', '"thing number  2"', UnknownPromptError, "line 34: .* asks 'thing number  2'"),
        ("seed = 0\n", "seed = 4\n", MissingImagesError, "line 26: .*'bee' and 'old' painted no .* take the pair out"),
    ],
)  # fmt: skip
def test_a_slip_is_refused_with_its_line_and_what_to_do(
    opened: Callable[[str], Study], arena: Any, old: str, new: str, error: type[Exception], said: str
) -> None:
    assert FILE.count(old) == 1

    with pytest.raises(error, match=rf"/study\.toml, {said}"):
        opened(FILE.replace(old, new))

    assert arena.ledger.studies() == []


def test_two_questions_of_one_key_are_refused_on_the_line_of_the_second(opened: Callable[[str], Study]) -> None:
    questions = '[[questions]]\nkey = "look"\ntext = "Nicer?"\n\n[[questions]]\nkey = "look"\ntext = "Sharper?"\n'

    with pytest.raises(StudyError, match=r"line 63: .* two questions of one key: look, look. Give one another key"):
        opened(FILE.replace('question = "Which fits better?"\n', "") + questions)
    with pytest.raises(StudyError, match=r"line 59: .* use 1 to 20 lower-case letters"):
        opened(FILE.replace('question = "Which fits better?"\n', "") + questions.replace("look", "Look", 1))
    with pytest.raises(StudyError, match=r"line 2: .* both a question and \[\[questions\]\]"):
        opened(FILE + questions)


def test_images_of_another_shape_are_refused_on_the_line_that_names_them(
    opened: Callable[[str], Study], arena: Any, things: Callable[[int], PromptSet], now: datetime
) -> None:
    arena.ledger.enter(Entrant(name="wide", source="", sampler="swatch"), now=now)
    for prompt in things(4):
        stored = arena.images.put(Image.new("RGB", (16, 8)))
        arena.ledger.keep_image("wide", prompt.id, 0, stored, seconds=0.1, now=now)

    with pytest.raises(ShapesDifferError, match=r"line 4: .* 'wide' paints 16 x 8 .* Paint both in one shape"):
        opened(FILE.replace('["ant", "bee"]\np', '["ant", "bee", "wide"]\np'))
    with pytest.raises(ShapesDifferError, match=r"line 33: .* 'old' paints 8 x 8 pixels where 'wide' paints 16 x 8"):
        opened(FILE.replace('better = "bee"\nworse = "old"\n\n[[checks', 'better = "wide"\nworse = "old"\n\n[[checks'))


def test_a_whole_number_will_do_where_a_number_is_asked_for(opened: Callable[[str], Study]) -> None:
    whole = {"repeats = 0.2": "repeats = 0", "repeat_agreement = 0.6": "gold_pass = 1"}
    text = FILE.replace(SECOND_GOLD, SECOND_GOLD.replace("attention = true\n", ""))
    for old, new in {**whole, "attention = true\n\n[crowd]": "\n[crowd]"}.items():
        text = text.replace(old, new)

    study = opened(text)

    assert study.repeats == 0.0
    assert study.gates == Gates(latency_floor_ms=400, latency_share=0.2, gold_pass=1.0)
    assert isinstance(study.gates.gold_pass, float)


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: Question(key="Look", text="Nicer?"), ("key",)),
        (lambda: KnownPair(prompt="a cat", better="ant", worse="ant"), ("worse",)),
        (lambda: Check(text="?", answers=("a", "b"), right=2), ("right",)),
        (lambda: Crowd(site="prolific", slots=1, completion_code=""), ("completion_code",)),
    ],
)
def test_a_part_says_which_of_its_keys_is_wrong(make: Callable[[], object], place: tuple[str, ...]) -> None:
    with pytest.raises(StudyError) as refused:
        make()

    assert refused.value.place == place


def test_a_declaration_says_which_of_its_parts_is_wrong(things: Callable[[int], PromptSet]) -> None:
    pairs = [{"prompt": "a cat", "better": "ant", "worse": worse} for worse in ("bee", "ant")]
    declared = Study(
        name="shapes",
        question="?",
        reference="old",
        candidates=("ant", "bee"),
        prompts=things(3),
        ties=True,
        both_bad=True,
    ).to_dict()

    with pytest.raises(StudyError) as refused:
        Study.from_dict(declared | {"practice": pairs})

    assert refused.value.place == (1, "worse")


def test_a_refusal_that_no_key_causes_stays_as_it_is(tmp_path: Path) -> None:
    file = written_to(tmp_path)

    with pytest.raises(UnknownEntrantError, match=r"^Nobody is entered yet\.$"), lines_named(file):
        raise UnknownEntrantError("Nobody is entered yet.")
    with pytest.raises(UnknownEntrantError, match=r"^.*/study\.toml, line 4: Nobody") as placed, lines_named(file):
        raise UnknownEntrantError("Nobody is entered yet.").at("candidates")

    assert placed.value.place == ("candidates",)


def written_to(folder: Path) -> Path:
    file = folder / "study.toml"
    file.write_text(FILE, encoding="utf-8")
    return file
