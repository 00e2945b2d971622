"""Finding prompts by name or path, and the table of the sets that have a name."""

import inspect
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.files import MissingPromptFileError
from prompts.library import UnknownPromptSetError, as_options, find_prompts, known_sets
from prompts.plugins import load_plugin
from prompts.prompt import PromptSet, SampleError
from prompts.sets import PROMPT_SETS, demo
from prompts.sets.base import LoadPromptSet, PromptSetFacts
from prompts.sets.parti import MissingPartiError


def test_a_known_set_is_found_by_its_name() -> None:
    assert find_prompts("demo") == demo.load()


def test_partiprompts_are_found_in_ones_own_copy(parti_file: Path) -> None:
    prompts = find_prompts("parti", parti_file=parti_file, sample=24)

    assert (prompts.name, len(prompts)) == ("parti-24-seed0", 24)


def test_a_named_copy_that_is_missing_is_an_error_and_not_passed_over(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPartiError):
        find_prompts("parti", parti_file=tmp_path / "missing.tsv")

    assert not cache.exists()


def test_a_copy_of_partiprompts_does_not_matter_to_other_sets(tmp_path: Path) -> None:
    assert find_prompts("demo", parti_file=tmp_path / "missing.tsv") == demo.load()


@pytest.mark.parametrize("kind", [str, Path])
def test_ones_own_file_is_found_by_its_path(kind: type, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("a cat\na dog\n", encoding="utf-8")

    prompts = find_prompts(kind(file))

    assert [prompt.text for prompt in prompts] == ["a cat", "a dog"]


def test_a_file_in_the_working_folder_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").write_text("a cat\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert find_prompts("mine.txt").name == "mine.txt"


def test_a_sample_can_be_drawn_from_either(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("a cat\na dog\na bird\n", encoding="utf-8")

    assert find_prompts(file, sample=2, seed=5).name == "mine.txt-2-seed5"
    assert find_prompts("demo", sample=12, seed=5) == demo.load().sample(12, 5)


def test_a_sample_of_none_is_refused_and_is_not_the_whole_set() -> None:
    with pytest.raises(SampleError):
        find_prompts("demo", sample=0)


def found_by(options: str) -> PromptSet:
    """The prompts that a command line with these options means."""
    words = shlex.split(options)
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert set(given) <= {"--prompts", "--sample", "--sample-seed"}
    sample = int(given["--sample"]) if "--sample" in given else None
    return find_prompts(given["--prompts"], sample=sample, seed=int(given.get("--sample-seed", "0")))


@pytest.mark.parametrize("name", ["mine.csv", "my prompts.txt", "it's-24-seed3.txt"])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize(("sample", "seed"), [(None, 0), (2, 0), (2, 13)])
def test_the_options_of_a_file_find_the_same_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, relative: bool, sample: int | None, seed: int
) -> None:
    folder = tmp_path / "of mine"
    folder.mkdir()
    (folder / name).write_text("Prompt\na cat\na dog\na bird\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    prompts = find_prompts((Path("of mine") if relative else folder) / name, sample=sample, seed=seed)

    options = as_options(prompts)

    assert found_by(options) == prompts


def test_the_options_of_a_known_set_are_its_name_and_how_it_was_drawn() -> None:
    assert as_options(demo.load()) == "--prompts demo"
    assert as_options(demo.load().sample(12, 0)) == "--prompts demo --sample 12"
    assert as_options(demo.load().sample(12, 5)) == "--prompts demo --sample 12 --sample-seed 5"


@given(count=st.integers(1, 48), seed=st.integers(0, 2**40))
def test_the_options_of_a_sample_find_it_again(count: int, seed: int) -> None:
    prompts = demo.load().sample(count, seed)

    assert found_by(as_options(prompts)) == prompts


def test_a_name_alone_becomes_options_too() -> None:
    assert as_options("parti") == "--prompts parti"
    assert as_options("parti-24-seed3") == "--prompts parti --sample 24 --sample-seed 3"
    assert as_options("my own.csv-24-seed0") == "--prompts 'my own.csv' --sample 24"


def test_a_set_without_a_file_of_its_name_goes_by_its_name() -> None:
    assert as_options(replace(demo.load(), name="made here")) == "--prompts 'made here'"


def test_an_unknown_name_lists_the_known_ones() -> None:
    known = "parti, demo, characters, celebrities, logos, controls"

    with pytest.raises(UnknownPromptSetError, match=rf"named 'party'\. Known sets: {known}; .* \.tsv"):
        find_prompts("party")


@pytest.mark.parametrize("path", ["missing.tsv", "some/folder/missing"])
def test_what_looks_like_a_path_is_a_missing_file(path: str) -> None:
    with pytest.raises(MissingPromptFileError, match=path):
        find_prompts(path)


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_every_line_of_the_table_keeps_the_protocol(name: str) -> None:
    load: LoadPromptSet = load_plugin(PROMPT_SETS, name, "prompt set")

    inspect.signature(load).bind()
    assert inspect.signature(load).return_annotation.__name__ == "PromptSet"
    assert (load.__doc__ or "").strip()


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_every_set_says_what_is_known_of_it_beforehand(name: str) -> None:
    facts = known_sets()[name]

    assert isinstance(facts, PromptSetFacts)
    assert all((facts.about, facts.licence, facts.source))
    assert facts.count is None or facts.count > 0


def test_what_the_demo_set_says_of_itself_beforehand_is_true() -> None:
    facts, prompts = known_sets()["demo"], find_prompts("demo")

    assert (facts.count, facts.licence, facts.source) == (len(prompts), prompts.licence, prompts.source)
    assert prompts.name == "demo"


def test_what_partiprompts_say_of_themselves_beforehand_is_true(parti_file: Path) -> None:
    facts, prompts = known_sets()["parti"], find_prompts("parti", parti_file=parti_file)

    assert (facts.count, facts.licence, facts.source) == (len(prompts), prompts.licence, prompts.source)
    assert prompts.name == "parti"
