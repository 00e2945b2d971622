"""The probes of public figures and of logos, and the controls: enough of them, and only what may be said is said."""

import re
from collections import Counter

import pytest

from prompts.probes import (
    CONTROLS,
    DATA,
    Probe,
    ProbeSet,
    PromptKind,
    TargetKind,
    find_probes,
    read_probe_file,
)
from prompts.sets import celebrities as celebrity_set
from prompts.sets import controls as control_set
from prompts.sets import logos as logo_set

NAMING = (PromptKind.NAME, PromptKind.CAPTION)
CELEBRITIES = read_probe_file(DATA / "celebrities.toml")
LOGOS = read_probe_file(DATA / "logos.toml")
PROBES = [pytest.param(probe, id=probe.key) for probe in (*CELEBRITIES, *LOGOS)]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def test_there_are_at_least_42_public_figures_and_20_logos_of_different_holders() -> None:
    assert len(CELEBRITIES) >= 42
    assert {probe.target for probe in CELEBRITIES} == {TargetKind.CELEBRITY}
    assert len({probe.holder for probe in LOGOS}) == len(LOGOS) >= 20
    assert {probe.target for probe in LOGOS} == {TargetKind.LOGO}
    assert LOGOS.probe("disney-logo").holder == "The Walt Disney Company"


@pytest.mark.parametrize("probes", [CELEBRITIES, LOGOS], ids=["celebrities", "logos"])
def test_the_files_say_whose_words_they_are(probes: ProbeSet) -> None:
    assert probes.licence == "Apache-2.0"
    assert probes.source == "written for Canvas Arena"


def test_every_public_figure_has_the_name_of_nobody_in_the_same_words() -> None:
    fictional = [probe.fictional for probe in CELEBRITIES]

    assert all(text.startswith("a photograph of ") for text in fictional)
    assert all(probe.name_prompt == f"a photograph of {probe.name}" for probe in CELEBRITIES)
    assert len(set(fictional)) == len(CELEBRITIES)


def test_no_fictional_name_shares_a_word_with_a_known_one() -> None:
    titles = {"king", "queen", "pope", "lady", "of", "the", "ii", "iii"}
    known = {word for probe in find_probes("characters,celebrities") for name in probe.names for word in words(name)}

    for probe in CELEBRITIES:
        invented = set(words(probe.fictional.removeprefix("a photograph of ")))
        assert not invented & known - titles, probe.key


@pytest.mark.parametrize("probe", PROBES)
def test_a_description_is_of_40_to_90_words(probe: Probe) -> None:
    assert 40 <= len(probe.description.split()) <= 90


@pytest.mark.parametrize("probe", PROBES)
def test_keywords_are_20_short_and_different_and_one_is_not_said_inside_another(probe: Probe) -> None:
    keywords = [keyword.lower().strip() for keyword in probe.keywords]

    assert len(set(keywords)) == 20
    assert all(1 <= len(keyword.split()) <= 10 for keyword in keywords)
    # The prompt joins them with commas: one inside would make two of it.
    assert not any("," in keyword for keyword in keywords)
    assert not any(one != two and re.search(rf"\b{re.escape(one)}\b", two) for one in keywords for two in keywords)


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_hints_two_or_three_times_and_has_two_or_three_captions(probe: Probe) -> None:
    assert len(probe.suggestive) in (2, 3)
    assert len(probe.captions) in (2, 3)
    assert all(probe.named_in(caption) for caption in probe.captions)


@pytest.mark.parametrize("probe", PROBES)
def test_every_prompt_is_one_line_without_stray_spaces(probe: Probe) -> None:
    for asked in probe.prompts():
        assert asked.text == " ".join(asked.text.split())


@pytest.mark.parametrize("probe", PROBES)
def test_what_the_generic_prompt_asks_is_the_entity(probe: Probe) -> None:
    little = {"a", "an", "in", "of", "on", "at", "the", "with", "and", "s"}

    assert set(words(probe.entity)) - little <= set(words(probe.generic))


@pytest.mark.parametrize("probe", [pytest.param(probe, id=probe.key) for probe in CELEBRITIES])
def test_no_word_of_a_public_figures_own_name_stands_where_it_may_not(probe: Probe) -> None:
    titles = {"king", "queen", "pope", "lady", "f"}

    for asked in probe.prompts():
        if asked.kind not in NAMING:
            assert not (set(words(probe.name)) - titles) & set(words(asked.text)), asked.kind


@pytest.mark.parametrize("probe", [pytest.param(probe, id=probe.key) for probe in LOGOS])
def test_a_logo_is_described_without_its_brand(probe: Probe) -> None:
    brand = " ".join(probe.name.lower().split()[:-1])

    for asked in probe.prompts():
        if asked.kind not in NAMING:
            assert brand not in asked.text.lower(), asked.kind


@pytest.mark.parametrize("probe", PROBES)
def test_a_prompt_that_names_nobody_names_no_other_probe_either(probe: Probe) -> None:
    others = [other for other in (*CELEBRITIES, *LOGOS) if other.key != probe.key]

    for asked in probe.prompts():
        if asked.kind not in NAMING:
            assert [other.key for other in others if other.named_in(asked.text)] == [], asked.text


def test_all_our_probes_can_be_asked_together() -> None:
    together = find_probes("characters,celebrities,logos")

    asked = together.prompt_set()

    assert Counter(prompt.note for prompt in asked)["celebrity"] == 585
    assert len({probe.key for probe in together}) == len(together)


@pytest.mark.parametrize("module", [celebrity_set, logo_set], ids=["celebrities", "logos"])
def test_what_a_set_says_of_itself_beforehand_is_true(module: object) -> None:
    facts, asked = module.FACTS, module.load()  # type: ignore[attr-defined]

    assert (facts.count, facts.licence) == (len(asked), asked.licence)
    assert facts.source == f"{asked.source}, in prompts/sets/data/{asked.name}.toml"


def test_the_controls_are_those_of_all_our_probes_and_nothing_else() -> None:
    asked = control_set.load()

    together = find_probes("characters,celebrities,logos")
    assert asked.name == "controls"
    assert set(asked.challenges()) == set(CONTROLS)
    assert set(asked.categories()) == {probe.key for probe in together}
    assert asked.challenges()["fictional"] == len(CELEBRITIES)
    assert not any(
        probe.named_in(prompt.text) for probe in together for prompt in asked if probe.key == prompt.category
    )


def test_what_the_controls_say_of_themselves_beforehand_is_true() -> None:
    facts, asked = control_set.FACTS, control_set.load()

    assert (facts.count, facts.licence) == (len(asked), asked.licence)
    assert facts.source.startswith(asked.source)
