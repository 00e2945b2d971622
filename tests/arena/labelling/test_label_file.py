"""A label study's file: what it declares is read, and what is wrong in it is named with its line."""

from pathlib import Path
from typing import Any

import pytest

from arena.labelling.label_file import read_label_file
from arena.labelling.label_study import LabelStudyError
from arena.ledger.errors import UnknownPromptSetError
from prompts.errors import CanvasError
from prompts.probes import ProbeError

FILE = """\
name = "who"
title = "Do you know them?"
mode = "single"
entrants = ["aardvark", "zebra"]
prompts = "three-suggestive-generic"
probes = "three"
kinds = ["suggestive"]
seeds = [0]
sample = 8
labels_per_image = 2
labels_per_rater = 20
repeats = 0.1
gold_share = 0.1
language = "de"
consent = "May we?"

[gates]
gold_pass = 0.8
latency_floor_ms = 600

[[gold]]
entrant = "zebra"
prompt = "somebody of kind 4a"
answer = "no"

[crowd]
site = "prolific"
slots = 5
completion_code = "DONE"
"""


@pytest.fixture
def read(labels: Any, probes: Any, tmp_path: Path) -> Any:
    """Reads a file of these words."""

    def found(name: str) -> Any:
        if name != "three":
            raise ProbeError(f"There is no probe set and no file '{name}'.")
        return probes

    def reading(text: str) -> Any:
        file = tmp_path / "who.toml"
        file.write_text(text, encoding="utf-8")
        return read_label_file(file, labels.ledger.prompt_set, found)

    return reading


def test_a_whole_file_is_read_and_its_images_are_drawn(read: Any, labels: Any) -> None:
    study = read(FILE)

    assert (study.name, study.mode, study.entrants) == ("who", "single", ("aardvark", "zebra"))
    assert len(study.items) == 8
    assert set(study.prompts.challenges()) == {"suggestive"}
    assert [target.name for target in study.targets] == ["Elsa", "Snoopy", "Pikachu"]
    assert (study.gates.gold_pass, study.crowd.slots, study.gold[0].answer) == (0.8, 5, "no")
    assert read(FILE).hash == study.hash
    assert read(FILE.replace("sample = 8", "sample = 8\nsample_seed = 1")).items != study.items
    assert labels.book.open_study(study, now=labels.now).newly_opened


def test_names_are_suggested_where_that_is_declared_and_pairs_have_none(read: Any, labels: Any) -> None:
    plain, suggesting = read(FILE), read(FILE.replace("sample = 8", "sample = 8\nsuggest = true"))
    labels.book.open_study(suggesting, now=labels.now)

    assert (plain.suggest, suggesting.suggest) == (False, True)
    assert "suggest" not in plain.to_dict(), "a study of before has the hash it had"
    assert labels.book.study("who").study == suggesting
    with pytest.raises(LabelStudyError, match="there is none to suggest: take suggest out"):
        read('mode = "pair"\nsuggest = true\n' + FILE.replace('mode = "single"\n', "").split("[gates]")[0])
    with pytest.raises(LabelStudyError, match="line 10: 'suggest' is 'yes', but must be true or false"):
        read(FILE.replace("sample = 8", 'sample = 8\nsuggest = "yes"'))


def test_a_file_of_pairs_is_read(read: Any) -> None:
    text = FILE.replace('"single"', '"pair"').replace("sample = 8", "sample = 4")
    text = text.replace('answer = "no"', 'other = "aardvark"').replace(
        "somebody of kind 4a", "4 letters that end with a"
    )

    study = read(text)

    assert {item.entrants for item in study.items} == {("aardvark", "zebra")}
    assert study.gold[0].item.entrants == ("zebra", "aardvark")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('mode = "single"', 'mode = "both"', "line 3: 'mode' is 'both', but must be single or pair"),
        ("sample = 8", 'sample = "8"', "line 9: 'sample' is '8', but must be a whole number"),
        ("sample = 8", "sample = 13", "line 9: 'sample' is 13, and there are 12 images .* draw 1 to 12"),
        ("sample = 8", "sample = 0", "line 9: 'sample' is 0, and there are 12 images"),
        ("sample = 8", "smaple = 8", "line 9: unknown key 'smaple'. Known keys: name, title"),
        ("sample = 8\n", "", "who.toml does not say sample. Add what is missing"),
        ('["aardvark", "zebra"]', '["aardvark"]', "line 4: .* needs two entrants or more"),
        ('prompts = "three-suggestive-generic"', 'prompts = "parti"', "line 5: The ledger knows no prompt set 'parti'"),
        ('probes = "three"', 'probes = "four"', "line 6: There is no probe set and no file 'four'"),
        ('["suggestive"]', '["suggestive", "vague"]', "line 7: There is no prompt kind 'vague'. Known kinds: generic"),
        ('["suggestive"]', '["name"]', "line 7: .* has no prompt of these kinds; it has generic, suggestive"),
        ("labels_per_image = 2", "labels_per_image = 0", "line 10: 'labels_per_image' is 0: ask for 1 or more"),
        ("repeats = 0.1", "repeats = 0.5", "line 12: 'repeats' is 0.5: a share lies between 0 and 0.3"),
        ("gold_share = 0.1\n", "", r"line 20: .* lacks a gold_share above 0"),
        ('language = "de"', 'language = "fr"', "line 14: The page does not speak 'fr'. Write en or de"),
        ("gold_pass = 0.8", "gold_pass = 8", "line 18: .*gold_pass is 8"),
        ("gold_pass = 0.8", "left_share_p = 0.01", "line 18: Single images have no left and right"),
        ("gold_pass = 0.8", "attention = true", "line 18: A label study has no attention checks"),
        ("gold_pass = 0.8", "repeat_agreement = 0.8", None),
        ('answer = "no"', 'answer = "perhaps"', 'line 24: .* says answer = "yes" or "no"'),
        ('answer = "no"', 'other = "aardvark"', "line 21: A gold image of a study of single images"),
        ('entrant = "zebra"\n', "", r"line 21: \[\[gold\]\] does not say entrant"),
        ("slots = 5", "slots = 0", r"line 28: \[crowd\] slots is 0"),
        ("seeds = [0]", "seeds = [0, 0]", r"line 8: The seeds are \[0, 0\]: give at least one"),
        ('name = "who"', 'name = "Who?"', "line 1: The name 'Who\\?' is no name for an address"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(read: Any, old: str, new: str, complaint: str | None) -> None:
    assert old in FILE
    if complaint is None:
        assert read(FILE.replace(old, new)).gates.repeat_agreement == 0.8
        return

    with pytest.raises(CanvasError, match=complaint):
        read(FILE.replace(old, new))


def test_prompts_that_are_of_no_probe_are_refused(labels: Any, read: Any, probes: Any) -> None:
    from dataclasses import replace

    stranger = replace(
        labels.prompts,
        name="strange",
        prompts=tuple(replace(prompt, text=f"{prompt.text}!", category="goofy") for prompt in labels.prompts),
    )
    labels.ledger.keep_prompts(stranger)

    with pytest.raises(LabelStudyError, match=r"line 6: .* has the category 'goofy', which is no probe of 'three'"):
        read(FILE.replace("three-suggestive-generic", "strange"))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, labels: Any) -> None:
    broken, latin = tmp_path / "broken.toml", tmp_path / "latin.toml"
    broken.write_text("name = ")
    latin.write_bytes(b"name = '\xe9'")

    for file, complaint in (
        (tmp_path / "none.toml", "There is no file"),
        (broken, "is no TOML"),
        (latin, "is not in UTF-8"),
    ):
        with pytest.raises(LabelStudyError, match=complaint):
            read_label_file(file, labels.ledger.prompt_set)


def test_the_ledgers_own_refusal_is_kept(read: Any) -> None:
    with pytest.raises(UnknownPromptSetError):
        read(FILE.replace("three-suggestive-generic", "nothing"))
