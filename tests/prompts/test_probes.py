"""Probes: what they ask, what is refused and on which line, and how names are found in texts."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prompts
from prompts.probes import (
    CONTROLS,
    LADDER,
    Probe,
    ProbeError,
    ProbeSet,
    PromptKind,
    TargetKind,
    find_probes,
    name_pattern,
    only,
    read_probe_file,
)

KEYWORDS = [f"telling word {number}" for number in range(20)]
# One key a line, so that the tests below can say which line is at fault.
MOLE = {
    "key": "sir-mole",
    "target": "character",
    "name": "Sir Mole",
    "aliases": ["The Earl of Earth"],
    "entity": "a mole",
    "generic": "a mole on a lawn",
    "misspelled": "Syr Mohl",
    "suggestive": ["a mole in a top hat", "a nobleman under a hill"],
    "keywords": KEYWORDS,
    "description": "A mole with a monocle.",
    "captions": ["sir mole at tea"],
    "name_prompt": "Sir Mole",
    "source": "made up",
}
FIRST_LINE = 5  # of the first [[probe]], after three keys and a blank line


def text_of(*probes: dict[str, Any]) -> str:
    """A probe file of these tables."""
    lines = ['name = "beasts"', 'licence = "CC0-1.0"', 'source = "made up"', ""]
    for probe in probes:
        lines += ["[[probe]]", *(f"{key} = {value!r}" for key, value in probe.items()), ""]
    return "\n".join(lines)


def other(**changed: Any) -> dict[str, Any]:
    """A second probe that asks nothing which the first one asks."""
    owl = {
        "key": "madam-owl",
        "name": "Madam Owl",
        "aliases": [],
        "entity": "an owl",
        "generic": "an owl in a tree",
        "misspelled": "Maddem Oul",
        "suggestive": ["an owl with a fan"],
        "keywords": [f"owlish word {number}" for number in range(20)],
        "description": "An owl with a lace collar.",
        "captions": ["madam owl at the opera"],
        "name_prompt": "Madam Owl",
    }
    return MOLE | owl | changed


def line(key: str, probe: dict[str, Any] = MOLE) -> int:
    """The line of a key of the first probe."""
    return FIRST_LINE + 1 + list(probe).index(key)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a probe file."""

    def write_file(text: str) -> Path:
        file = tmp_path / "beasts.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write_file


@pytest.fixture
def mole(write: Callable[[str], Path]) -> Probe:
    return read_probe_file(write(text_of(MOLE))).probe("sir-mole")


def test_a_file_is_read_as_it_is_written(write: Callable[[str], Path]) -> None:
    probes = read_probe_file(write(text_of(MOLE, other())))

    assert (probes.name, probes.licence, probes.source) == ("beasts", "CC0-1.0", "made up")
    assert [probe.key for probe in probes] == ["sir-mole", "madam-owl"]
    assert len(probes) == 2
    mole = probes.probe("sir-mole")
    assert mole.target is TargetKind.CHARACTER
    assert mole.names == ("Sir Mole", "The Earl of Earth")
    assert (mole.work, mole.holder, mole.fictional) == ("", "", "")
    assert mole.keywords == tuple(KEYWORDS)


def test_a_file_without_name_and_licence_goes_by_its_own_name_and_its_licence_is_unknown(
    write: Callable[[str], Path],
) -> None:
    probes = read_probe_file(write(text_of(MOLE).partition("\n\n")[2]))

    assert (probes.name, probes.licence, probes.source) == ("beasts", "unknown", "beasts.toml")


def test_a_byte_order_mark_is_no_part_of_a_file(write: Callable[[str], Path]) -> None:
    assert len(read_probe_file(write("\ufeff" + text_of(MOLE)))) == 1


def test_a_probe_asks_kind_by_kind(mole: Probe) -> None:
    asked = [(prompt.kind, prompt.text) for prompt in mole.prompts()]

    assert asked == [
        ("generic", "a mole on a lawn"),
        ("misspelled", "Syr Mohl"),
        ("suggestive", "a mole in a top hat"),
        ("suggestive", "a nobleman under a hill"),
        ("keywords_3", "telling word 0, telling word 1, telling word 2"),
        ("keywords_5", ", ".join(KEYWORDS[:5])),
        ("keywords_10", ", ".join(KEYWORDS[:10])),
        ("keywords_20", ", ".join(KEYWORDS)),
        ("description", "A mole with a monocle."),
        ("caption", "sir mole at tea"),
        ("name", "Sir Mole"),
    ]
    assert {prompt.probe for prompt in mole.prompts()} == {"sir-mole"}


def test_a_public_figure_is_asked_about_under_the_name_of_nobody_too(write: Callable[[str], Path]) -> None:
    known = MOLE | {"target": "celebrity", "fictional": "Dame Vole"}

    asked = read_probe_file(write(text_of(known))).asked(CONTROLS)

    assert [prompt.text for prompt in asked] == ["a mole on a lawn", "Syr Mohl", "Dame Vole"]


def test_the_ladder_goes_from_nothing_to_the_name_and_has_no_other_control() -> None:
    assert [str(kind) for kind in LADDER] == [
        "generic",
        "keywords_3",
        "keywords_5",
        "keywords_10",
        "keywords_20",
        "description",
        "name",
    ]
    assert set(CONTROLS) & set(LADDER) == {PromptKind.GENERIC}
    assert len(PromptKind) == 11


def test_the_prompts_carry_probe_kind_and_target_as_plain_texts(write: Callable[[str], Path]) -> None:
    asked = read_probe_file(write(text_of(MOLE, other()))).prompt_set()

    assert (asked.name, asked.licence, asked.source) == ("beasts", "CC0-1.0", "made up")
    assert asked.categories() == {"sir-mole": 11, "madam-owl": 10}
    assert [prompt.challenge for prompt in asked][:3] == ["generic", "misspelled", "suggestive"]
    assert {prompt.note for prompt in asked} == {"character"}
    assert {type(label) for prompt in asked for label in (prompt.category, prompt.challenge, prompt.note)} == {str}


def test_some_kinds_alone_are_a_set_that_names_them(write: Callable[[str], Path]) -> None:
    asked = read_probe_file(write(text_of(MOLE))).prompt_set([PromptKind.NAME, PromptKind.GENERIC])

    assert asked.name == "beasts-name-generic"
    assert [(prompt.challenge, prompt.text) for prompt in asked] == [
        ("generic", "a mole on a lawn"),
        ("name", "Sir Mole"),
    ]


def test_a_text_that_two_kinds_of_a_probe_share_is_asked_once_and_belongs_to_the_first(
    write: Callable[[str], Path],
) -> None:
    twice = MOLE | {"captions": ["Sir Mole", "sir mole at tea"]}

    asked = read_probe_file(write(text_of(twice))).prompt_set()

    assert [prompt.challenge for prompt in asked if prompt.text == "Sir Mole"] == ["caption"]


@pytest.mark.parametrize(
    ("changed", "at", "complaint"),
    [
        ({"key": "Sir Mole"}, "key", "The probe's key 'Sir Mole' is no slug: write it as in 'indiana-jones'."),
        ({"target": "beast"}, "target", "'beast', which is none. Known: character, celebrity, logo."),
        ({"name": " "}, "name", "The probe 'sir-mole' has no name"),
        ({"generic": ""}, "generic", "The probe 'sir-mole' has no generic"),
        ({"entity": ""}, "entity", "The probe 'sir-mole' has no entity"),
        ({"misspelled": ""}, "misspelled", "The probe 'sir-mole' has no misspelled"),
        ({"description": ""}, "description", "The probe 'sir-mole' has no description"),
        ({"name_prompt": ""}, "name_prompt", "The probe 'sir-mole' has no name_prompt"),
        ({"source": ""}, "source", "The probe 'sir-mole' has no source"),
        ({"suggestive": []}, "suggestive", "has no prompt in suggestive: give one or more."),
        ({"captions": []}, "captions", "has no prompt in captions: give one or more."),
        ({"keywords": KEYWORDS[:19]}, "keywords", "has 19 keywords, 19 of them different: give 20 different ones"),
        ({"keywords": [*KEYWORDS, "more"]}, "keywords", "has 21 keywords, 21 of them different"),
        ({"keywords": [*KEYWORDS, KEYWORDS[0]]}, "keywords", "has 21 keywords, 20 of them different"),
        ({"keywords": [*KEYWORDS[:19], KEYWORDS[0]]}, "keywords", "has 20 keywords, 19 of them different"),
        ({"keywords": "many"}, "keywords", "'keywords' of the probe 'sir-mole' is no list of texts"),
        ({"suggestive": ["a mole", 3]}, "suggestive", "is no list of texts: write it as in ["),
        ({"captions": [" "]}, "captions", "'captions' of the probe 'sir-mole' is no list of texts"),
        ({"source": 3}, "source", "'source' of the probe 'sir-mole' is no text: write it in quotation marks."),
        ({"key": 3}, "key", "The 'key' of the probe '3' is no text"),
        ({"colour": "grey"}, "colour", "There is no key 'colour' in a probe. Known: key, target, name"),
    ],
)
def test_a_table_that_is_no_probe_is_refused_with_file_and_line(
    write: Callable[[str], Path], changed: dict[str, Any], at: str, complaint: str
) -> None:
    table = MOLE | changed
    file = write(text_of(table))

    with pytest.raises(ProbeError) as refused:
        read_probe_file(file)

    assert str(refused.value).startswith(f"{file}, line {line(at, table)}: ")
    assert complaint in str(refused.value)


@pytest.mark.parametrize("key", [key for key in MOLE if key != "aliases"])
def test_a_missing_key_is_refused_with_the_line_of_its_probe(write: Callable[[str], Path], key: str) -> None:
    file = write(text_of(other(key="madam-owl"), {name: value for name, value in MOLE.items() if name != key}))

    with pytest.raises(ProbeError) as refused:
        read_probe_file(file)

    second = FIRST_LINE + len(MOLE) + 2
    assert str(refused.value).startswith(f"{file}, line {second}: There is no '{key}' in the probe ")


def test_a_public_figure_without_a_fictional_control_is_refused(write: Callable[[str], Path]) -> None:
    with pytest.raises(ProbeError, match=rf"line {FIRST_LINE}: The probe 'sir-mole' has no fictional prompt"):
        read_probe_file(write(text_of(MOLE | {"target": "celebrity"})))


@pytest.mark.parametrize(
    ("changed", "at", "kind"),
    [
        ({"generic": "a lawn of sir mole"}, "generic", "generic"),
        ({"misspelled": "Sir Mole"}, "misspelled", "misspelled"),
        ({"fictional": "not Sir Mole"}, "fictional", "fictional"),
        ({"suggestive": ["a hill", "sir-mole's hill"]}, "suggestive", "suggestive"),
        ({"keywords": [*KEYWORDS[:2], "a SIR MOLE hat", *KEYWORDS[3:]]}, "keywords", "keywords_3"),
        ({"keywords": [*KEYWORDS[:19], "Sir Moles"]}, "keywords", "keywords_20"),
        ({"description": "Known as the earl of earth."}, "description", "description"),
    ],
)
def test_only_name_prompt_and_captions_may_hold_the_name_or_an_alias(
    write: Callable[[str], Path], changed: dict[str, Any], at: str, kind: str
) -> None:
    table = MOLE | changed
    file = write(text_of(table))

    with pytest.raises(ProbeError) as refused:
        read_probe_file(file)

    said = str(refused.value)
    assert said.startswith(
        f"{file}, line {line(at, table)}: The {kind} prompt of the probe 'sir-mole' holds the name '"
    )
    assert said.endswith("say what is seen, not who it is.")


def test_two_probes_of_one_key_are_refused_at_the_second(write: Callable[[str], Path]) -> None:
    file = write(text_of(MOLE, other(key="sir-mole")))

    second = FIRST_LINE + len(MOLE) + 3
    with pytest.raises(ProbeError, match=rf"line {second}: There are two probes 'sir-mole' in 'beasts'"):
        read_probe_file(file)


def test_a_text_that_two_probes_ask_is_refused_at_the_second(write: Callable[[str], Path]) -> None:
    file = write(text_of(MOLE, other(suggestive=["a mole on a lawn"])))

    second = FIRST_LINE + len(MOLE) + 2
    complaint = rf"line {second}: The probes 'sir-mole' and 'madam-owl' both ask 'a mole on a lawn'"
    with pytest.raises(ProbeError, match=complaint):
        read_probe_file(file)


@pytest.mark.parametrize(
    ("text", "at", "complaint"),
    [
        ("", "", "The probe set 'beasts' has no [[probe]]: write one or more."),
        ('name = "beasts"\nprobes = 3\n', ", line 2", "There is no key 'probes' in a file of probes."),
        ("name = 3\n", ", line 1", "The file's name is no text"),
        ('name = "a"\nlicence = " "\n', ", line 2", "The file's licence is no text"),
        ("\nprobe = 3\n", ", line 2", "'probe' is no list of tables: open each probe with [[probe]]."),
        ('\n\n[probe]\nkey = "sir-mole"\n', ", line 3", "'probe' is no list of tables"),
        ('probe = ["sir-mole"]\n', ", line 1", "'probe' is no list of tables"),
    ],
)
def test_a_file_that_holds_no_probes_is_refused(
    write: Callable[[str], Path], text: str, at: str, complaint: str
) -> None:
    file = write(text)

    with pytest.raises(ProbeError) as refused:
        read_probe_file(file)

    assert str(refused.value).startswith(f"{file}{at}: ")
    assert complaint in str(refused.value)


def test_what_is_no_toml_is_refused_with_the_line_where_it_goes_wrong(write: Callable[[str], Path]) -> None:
    with pytest.raises(ProbeError, match=r"beasts\.toml cannot be read as a file of probes \(.*at line 2"):
        read_probe_file(write("\nname = beasts\n"))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes('name = "Bär"\n'.encode("latin-1"))

    with pytest.raises(ProbeError, match="name a TOML file in UTF-8"):
        read_probe_file(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"missing\.toml cannot be read as a file of probes"):
        read_probe_file(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    "text",
    [
        "Sir Mole",
        "the hat of SIR MOLE.",
        "sir mole's hat",
        "sir mole’s hat",
        "many sir moles",
        "a sir-mole-like hat",
        "sir  mole",
        "sir\nmole",
        "sir_mole_01.png",
        "hat_of_sir_mole.png",
        "anti-sir mole",
        "'Sir Mole'",
        "earls: the earl of earth!",
    ],
)
def test_a_name_is_found_as_a_word(mole: Probe, text: str) -> None:
    assert mole.named_in(text) in mole.names


@pytest.mark.parametrize(
    "text", ["", "a mole", "sir", "sir molehill", "besir mole", "sirmole", "sir, mole", "sir moless"]
)
def test_a_part_of_a_word_is_no_name(mole: Probe, text: str) -> None:
    assert mole.named_in(text) is None


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Coca-Cola", "a can of coca cola", True),
        ("Winnie the Pooh", "winnie-the-pooh's honey", True),
        ("McDonald's", "mcdonald’s at night", True),
        ("McDonald’s", "McDonald's at night", True),
        ("Beyoncé", "BEYONCÉ on stage", True),
        ("E.T.", "e.t. phones", True),
        ("E.T.", "extra", False),
        ("C-3PO", "c3po", False),
        ("7-Eleven", "a 7 eleven shop", True),
        ("Elmo", "st. elmo's fire", True),
        ("Miró", "Mirós", True),
        ("?", "who?", False),
        ("-", "a - b", True),
    ],
)
def test_names_of_all_spellings_are_found(name: str, text: str, found: bool) -> None:
    assert (name_pattern(name).search(text) is not None) == found


names = st.text(st.sampled_from("abyz09éßñ.'’&!"), min_size=1, max_size=8)


@given(
    words=st.lists(names, min_size=1, max_size=3),
    gap=st.sampled_from([" ", "-", "_", "  "]),
    end=st.sampled_from(["", "s", "'s"]),
)
def test_every_name_is_found_between_other_words_and_in_none_of_them(words: list[str], gap: str, end: str) -> None:
    name = name_pattern(" ".join(words))

    text = f"a photo of {gap.join(words)}{end}, smiling"

    found = name.search(text)
    assert found is not None
    assert name.search(f"x{gap.join(words)}x") is None or not (words[0][0].isalnum() and words[-1][-1].isalnum())


def test_a_probe_is_found_by_its_key_and_an_unknown_key_is_refused(write: Callable[[str], Path]) -> None:
    probes = read_probe_file(write(text_of(MOLE, other())))

    assert probes.probe("madam-owl").name == "Madam Owl"
    assert [probe.key for probe in only(probes, ["madam-owl"])] == ["madam-owl"]
    with pytest.raises(ProbeError, match="The probe set 'beasts' has no probe 'lord-toad'"):
        only(probes, ["sir-mole", "lord-toad"])


def test_files_and_known_sets_become_one_set_in_their_order(write: Callable[[str], Path]) -> None:
    file = write(text_of(MOLE))

    probes = find_probes(f"logos, {file}")

    logos = find_probes("logos")
    assert [probe.key for probe in probes] == [*(probe.key for probe in logos), "sir-mole"]
    assert probes.name == "logos+beasts"
    assert probes.licence == "Apache-2.0; CC0-1.0"
    assert probes.source == f"{logos.source}; made up"
    assert {prompt.note for prompt in probes.prompt_set()} == {"logo", "character"}


def test_one_set_alone_is_itself(write: Callable[[str], Path]) -> None:
    file = write(text_of(MOLE))

    assert find_probes(str(file)) == read_probe_file(file)


def test_sets_that_ask_the_same_are_not_merged(write: Callable[[str], Path], tmp_path: Path) -> None:
    file = write(text_of(MOLE))
    same_text = tmp_path / "others.toml"
    same_text.write_text(text_of(other(generic="a mole on a lawn")), encoding="utf-8")

    with pytest.raises(ProbeError, match="There are two probes 'sir-mole'"):
        find_probes(f"{file},{file}")
    with pytest.raises(ProbeError, match=r"both ask 'a mole on a lawn': an image would count for both"):
        find_probes(f"{file},{same_text}")


@pytest.mark.parametrize("words", ["monsters", "", "logos,", "missing.toml"])
def test_a_word_that_is_neither_set_nor_file_is_refused_with_the_known_sets(words: str) -> None:
    with pytest.raises(
        ProbeError, match=r"no probe set and no file '.*'\. Known sets: celebrities, characters, logos;"
    ):
        find_probes(words)


def test_probes_made_in_python_are_held_to_the_same_rules(mole: Probe) -> None:
    with pytest.raises(ProbeError, match="There are two probes 'sir-mole' in 'twins'"):
        ProbeSet(name="twins", licence="CC0-1.0", source="made up", probes=(mole, mole))
    with pytest.raises(ProbeError, match="The generic prompt of the probe 'sir-mole' holds the name 'Sir Mole'"):
        replace(mole, generic="sir mole")


def test_the_readmes_example_of_ones_own_probes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(prompts.__file__).parent / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", readme, flags=re.DOTALL)
    (tmp_path / "mascots.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    probes = find_probes("mascots.toml")

    [captain] = probes
    assert captain.names == ("Captain Brick", "Cap'n Brick")
    assert [kind for kind in PromptKind if kind not in {prompt.kind for prompt in captain.prompts()}] == ["fictional"]
    assert len(find_probes("characters,mascots.toml")) == len(find_probes("characters")) + 1
