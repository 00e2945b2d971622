"""What an edited study file says that the opened study does not: every change, with its line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from arena.study import Study
from arena.study_changes import changes_in_words
from arena.study_file import read_study_file
from prompts.prompt import PromptSet

FILE = """\
name = "shapes"
question = "Which fits better?"
reference = "old"
candidates = ["ant", "bee"]
prompts = "things-4"
ties = true
both_bad = false
gold_share = 0.1
instructions = '''
Look at both.
delta = 0.05
'''
delta = 0.05

[[gold]]
prompt = "thing number 0"
better = "ant"
worse = "old"

[[gold]]
prompt = "thing number 1"
better = "bee"
worse = "old"

[sample]
size = 2

[gates]
latency_floor_ms = 400
latency_share = 0.2
"""


@pytest.fixture
def changes(tmp_path: Path, things: Callable[[int], PromptSet]) -> Callable[..., str]:
    """Edits FILE, text by text, and says what changed."""

    def read(text: str) -> Study:
        file = tmp_path / "shapes.toml"
        file.write_text(text, encoding="utf-8")
        return read_study_file(file, lambda name: things(int(name.removeprefix("things-"))))

    def edited(*edits: tuple[str, str]) -> str:
        text = FILE
        for old, new in edits:
            assert text.count(old) == 1
            text = text.replace(old, new)
        return changes_in_words(text, before=read(FILE), after=read(text))

    return edited


def test_a_file_that_says_the_same_in_other_words_has_no_changes(changes: Callable[..., str]) -> None:
    assert changes() == ""
    assert changes(("ties = true", "ties = true   # as before"), ("\n[sample]", "\n\n\n[sample]")) == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\ndelta = 0.05\n\n", "\ndelta = 0.1\n\n", "line 13 (delta, was 0.05)"),
        ('"ant", "bee"]', '"ant"]', 'line 4 (candidates, was ["ant","bee"])'),
        ('"Which fits better?"', '"Which is nicer?"', 'line 2 (question, was "Which fits better?")'),
        ("Look at both.", "Look twice.", 'line 9 (instructions, was "Look at both.\\ndelta = 0.05\\n")'),
        ("latency_share = 0.2", "latency_share = 0.3", "line 30 (gates.latency_share, was 0.2)"),
        ("latency_share = 0.2", "gold_pass = 0.9", "line 30 (gates.gold_pass); gates.latency_share is gone, was 0.2"),
        ('better = "bee"', 'better = "cat"', 'line 22 (gold 2.better, was "bee")'),
        ("size = 2", "size = 3", "line 26 (sample.size, was 2)"),
        ("things-4", "things-3", 'line 5 (prompts, was "things-4")'),
        ("ties = true", "ties = true\nrepeats = 0.1", "line 7 (repeats)"),
        ("ties = true", "ties = true\nvotes_per_rater = 2", "line 7 (votes_per_rater, was 4)"),
        ("ties = true", 'ties = true\nlinks = [["ant", "bee"]]', "line 7 (links)"),
    ],
)
def test_a_changed_key_is_named_with_its_line_and_what_it_was(
    changes: Callable[..., str], old: str, new: str, said: str
) -> None:
    found = changes((old, new))

    assert found == said


def test_all_changes_come_in_the_order_of_the_file_and_what_is_gone_comes_last(changes: Callable[..., str]) -> None:
    found = changes(
        ("latency_share = 0.2\n", ""),
        ("latency_floor_ms = 400", "latency_floor_ms = 500"),
        ("[sample]\nsize = 2\n", ""),
        ("both_bad = false", "both_bad = true"),
        ("gold_share = 0.1\n", "gold_share = 0.2\n"),
    )

    assert found == (
        "line 7 (both_bad, was false); line 8 (gold_share, was 0.1); line 27 (gates.latency_floor_ms, was 400); "
        "sample is gone; gates.latency_share is gone, was 0.2"
    )


def test_a_pair_more_and_a_pair_less_are_named(changes: Callable[..., str]) -> None:
    third = '[[gold]]\nprompt = "thing number 2"\nbetter = "ant"\nworse = "bee"\n\n[sample]'
    second = '[[gold]]\nprompt = "thing number 1"\nbetter = "bee"\nworse = "old"\n\n'

    assert changes(("[sample]", third)) == "line 25 (gold 3)"
    assert changes((second, "")) == "gold 2 is gone"
