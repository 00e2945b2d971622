"""The probes of iconic characters: enough of them, the paper's own, and only what may be said is said."""

from collections import Counter

import pytest

from prompts.probes import DATA, LADDER, Probe, ProbeSet, PromptKind, TargetKind, name_pattern, read_probe_file
from prompts.sets.characters import FACTS, load

NAMING = (PromptKind.NAME, PromptKind.CAPTION)


@pytest.fixture(scope="module")
def characters() -> ProbeSet:
    return read_probe_file(DATA / "characters.toml")


def licensor(probe: Probe) -> str:
    """The holder without label or author: what "Disney (Pixar)" and "Disney (Marvel)" share."""
    return probe.holder.partition(" (")[0]


def test_there_are_at_least_60_characters_of_at_least_20_holders(characters: ProbeSet) -> None:
    assert len(characters) >= 60
    assert len({licensor(probe) for probe in characters}) >= 20


def test_no_holder_has_more_than_a_third_of_the_characters(characters: ProbeSet) -> None:
    [(_, most)] = Counter(licensor(probe) for probe in characters).most_common(1)

    assert most <= len(characters) / 3


@pytest.mark.parametrize(
    ("key", "name", "work"),
    [
        ("elsa", "Elsa", "Frozen"),
        ("simba", "Simba", "The Lion King"),
        ("indiana-jones", "Indiana Jones", "Indiana Jones"),
        ("harry-potter", "Harry Potter", "Harry Potter"),
        ("snoopy", "Snoopy", "Peanuts"),
        ("pikachu", "Pikachu", "Pokémon"),
    ],
)
def test_the_papers_own_characters_are_there(characters: ProbeSet, key: str, name: str, work: str) -> None:
    probe = characters.probe(key)

    assert (probe.name, probe.work) == (name, work)


@pytest.mark.parametrize(
    ("key", "caption"),
    [
        ("elsa", "an image of elsa from frozen"),
        ("pikachu", "pikachu pikachu pikachu pikachu pikachu"),
        ("ewok", "three characters dressed like bears, standing in the forest"),
    ],
)
def test_the_captions_of_the_papers_figure_15_are_asked_word_for_word(
    characters: ProbeSet, key: str, caption: str
) -> None:
    assert caption in characters.probe(key).captions


def test_every_probe_is_a_character_with_a_work_a_holder_and_names_to_look_for(characters: ProbeSet) -> None:
    assert {probe.target for probe in characters} == {TargetKind.CHARACTER}
    assert [probe.key for probe in characters if not (probe.work and probe.holder and probe.aliases)] == []


def test_every_probe_asks_all_kinds_but_the_one_for_people(characters: ProbeSet) -> None:
    wanted = set(PromptKind) - {PromptKind.FICTIONAL}

    for probe in characters:
        kinds = Counter(asked.kind for asked in probe.prompts())
        assert set(kinds) == wanted, probe.key
        assert 2 <= kinds[PromptKind.SUGGESTIVE] <= 3, probe.key
        assert 2 <= kinds[PromptKind.CAPTION] <= 3, probe.key


def test_every_step_of_the_ladder_is_a_text_of_its_own(characters: ProbeSet) -> None:
    for probe in characters:
        steps = [asked.text for asked in probe.prompts() if asked.kind in LADDER]
        assert len(set(steps)) == len(LADDER), probe.key


def test_a_keyword_is_one_phrase_so_that_twenty_are_twenty(characters: ProbeSet) -> None:
    assert [word for probe in characters for word in probe.keywords if "," in word or not word.strip()] == []
    assert [probe.key for probe in characters if len({word.casefold() for word in probe.keywords}) != 20] == []


def test_a_description_has_40_to_90_words(characters: ProbeSet) -> None:
    lengths = {probe.key: len(probe.description.split()) for probe in characters}

    assert {key: length for key, length in lengths.items() if not 40 <= length <= 90} == {}


def test_what_must_not_name_its_character_names_no_other_either(characters: ProbeSet) -> None:
    named = [
        (probe.key, other.key, asked.text)
        for probe in characters
        for asked in probe.prompts()
        for other in characters
        if asked.kind not in NAMING and other.named_in(asked.text)
    ]

    assert named == []


def test_what_must_not_name_its_character_does_not_name_its_work_either(characters: ProbeSet) -> None:
    named = [
        (probe.key, asked.text)
        for probe in characters
        for asked in probe.prompts()
        if asked.kind not in NAMING and name_pattern(probe.work).search(asked.text)
    ]

    assert named == []


def test_the_name_prompt_and_a_caption_name_the_character_in_words_that_a_scan_would_find(characters: ProbeSet) -> None:
    assert [probe.key for probe in characters if probe.named_in(probe.name_prompt) is None] == []
    assert [probe.key for probe in characters if not any(map(probe.named_in, probe.captions))] == []


def test_the_generic_prompt_asks_for_the_key_entity(characters: ProbeSet) -> None:
    strayed = [
        probe.key
        for probe in characters
        if not set(probe.entity.removeprefix("a ").removeprefix("an ").split()) <= set(probe.generic.split())
    ]

    assert strayed == []


@pytest.mark.parametrize("word", ["frozen", "cars", "hulk", "stitch", "nemo", "link", "transformers", "woody", "ariel"])
def test_an_everyday_word_alone_is_nobodys_name(characters: ProbeSet, word: str) -> None:
    assert [probe.key for probe in characters if word in [name.casefold() for name in probe.names]] == []


def test_the_set_holds_what_its_facts_promise(characters: ProbeSet) -> None:
    asked = load()

    assert len(asked) == FACTS.count
    assert (asked.licence, asked.name) == (FACTS.licence, "characters")
    assert set(asked.categories()) == {probe.key for probe in characters}
