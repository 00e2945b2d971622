"""Texts are read for names: whom they name, how often, and what is only a word."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from prompts.name_scan import EVERYDAY, SHORT, NameFinder, known_names, scan, wilson_interval
from prompts.probes import Probe, TargetKind, find_probes

PROBES = tuple(find_probes("characters,celebrities,logos"))
FINDER = NameFinder(PROBES)
# Probes none of whose names is an everyday phrase, too.
PLAIN = [
    probe
    for probe in PROBES
    if not any(name.casefold() in EVERYDAY for name in probe.names) and probe.name not in SHORT
]
PLAIN_FINDER = NameFinder(PLAIN)
NAMES = sorted({name for probe in PROBES for name in probe.names})


def keys(text: str) -> list[str]:
    return [one.probe for one in FINDER.find(text)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("an image of elsa from frozen", ["elsa"]),
        ("pikachu pikachu pikachu pikachu pikachu", ["pikachu"]),
        ("SNOOPY'S doghouse", ["snoopy"]),
        ("a shelf of Minions and snoopys", ["snoopy", "minion"]),
        ("IMG_harry_potter_01.jpg", ["harry-potter"]),
        ("the Pok\u00e9mon centre", ["pikachu"]),
        ("the Poke\u0301mon centre", ["pikachu"]),
        ("a McDonald’s sign", ["mcdonalds-logo"]),
        ("spider-man and spider man", ["spider-man"]),
        ("a can of Red Bull on the shelf", ["red-bull-logo"]),
        ("donald trump and joe biden shaking hands", ["donald-trump", "joe-biden"]),
        ("Mickey's house", ["mickey-mouse"]),
        ("a cake with Mickey on it", ["mickey-mouse"]),
        ("E.T. in a basket", ["et"]),
        ("a bicycle like e.t.'s", ["et"]),
    ],
)
def test_a_name_is_found_however_it_is_written(text: str, named: list[str]) -> None:
    assert keys(text) == named


@pytest.mark.parametrize(
    "text",
    [
        "a frozen lake",
        "a red apple on a table",
        "a prince and a queen with a crown",
        "a shell on the beach",
        "a puma in the zoo",
        "a chain link fence by a woody hillside",
        "stitches on a blue cloth",
        "a red bull in a field",
        "Red bull in a field",
        "RED BULL IN A FIELD",
        "a kitty white and fluffy on the sofa",
        "a prancing horse under the golden arches of a cathedral",
        "three bears standing in the forest",
        "elsam and selsa",
        "a black and white cartoon dog with black ears",
        "Mickey Rooney and Mickey Mantle",
        "mickey at the beach",
        "MICKEY ON SALE",
        "it doesn't taste of tea etc.",
        "",
    ],
)
def test_a_common_word_is_no_leak(text: str) -> None:
    assert keys(text) == []


def test_short_names_that_are_words_or_others_names_are_missed_and_listed_ones_are_counted_as_the_module_says() -> None:
    missed = ["hulk smashing a car", "mario jumping on a box", "nemo the fish"]

    assert [keys(text) for text in missed] == [[], [], []]
    assert keys("darwin australia skyline") == ["charles-darwin"]
    assert keys("Serena at the beach") == ["serena-williams"]


def test_a_target_is_told_once_by_its_longest_name_in_the_text() -> None:
    found = FINDER.find("The Lion King: Simba on a rock, simba again")

    assert [(one.probe, one.target, one.words) for one in found] == [
        ("simba", TargetKind.CHARACTER, "The Lion King"),
    ]


words = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from([name.lower() for name in NAMES]),
    st.sampled_from([part for name in NAMES for part in name.split()]),
    st.text("abekmnosty '’-_.&é", max_size=6),
)


@given(st.lists(words, max_size=8), st.sampled_from([" ", "_", "-", "", "s ", "'s "]))
def test_the_index_finds_what_trying_every_name_finds(parts: list[str], between: str) -> None:
    text = between.join(parts).replace("’", "'")

    found = {one.probe for one in PLAIN_FINDER.find(text)}

    assert found == {probe.key for probe in PLAIN if probe.named_in(text)}


def test_a_scan_counts_texts_by_target_and_by_kind_with_an_interval_and_examples() -> None:
    texts = ["a lake", "elsa and pikachu", "pikachu in nike shoes", "a tree", "PIKACHU, pikachu", *["grass"] * 15]

    found = scan(iter(texts), FINDER)

    assert (found.texts, found.named, found.share) == (20, 3, 0.15)
    assert next(iter(found.targets.items())) == ("pikachu", 3)
    assert found.targets == {"pikachu": 3, "elsa": 1, "nike-logo": 1}
    assert found.kinds == {TargetKind.CHARACTER: 3, TargetKind.CELEBRITY: 0, TargetKind.LOGO: 1}
    assert [one.place for one in found.examples] == [1, 2]
    low, high = proportion_confint(3, 20, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("hits", "of"), [(0, 30), (30, 30), (1, 1), (7, 1000), (0, 1)])
def test_the_interval_is_wilsons(hits: int, of: int) -> None:
    found = wilson_interval(hits, of, level=0.9)

    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, of, alpha=0.1, method="wilson"), abs=1e-12)


def test_without_texts_nothing_is_known() -> None:
    found = scan([], FINDER)

    assert (found.share, found.low, found.high, found.examples) == (0.0, 0.0, 1.0, ())


def test_the_houses_own_names_are_those_of_all_its_probe_sets() -> None:
    found = scan(["elsa", "barack obama", "a starbucks cup"], known_names())

    assert found.named == 3


def test_a_users_own_probes_add_their_names() -> None:
    from dataclasses import replace

    mascot: Probe = replace(PROBES[0], key="our-mascot", name="Zibbel", aliases=("Zibbelina the third",))

    found = NameFinder([mascot]).find("two zibbels in a boat")

    assert [one.words for one in found] == ["zibbels"]


def test_a_hundred_thousand_captions_take_seconds() -> None:
    rng = np.random.default_rng(0)
    words = [
        "a",
        "man",
        "dog",
        "on",
        "the",
        "beach",
        "with",
        "red",
        "frozen",
        "apple",
        "lake",
        "king",
        "park",
        "sitting",
    ]
    captions = [" ".join(row) for row in rng.choice(words, size=(100_000, 12))]

    began = time.process_time()
    found = scan(captions, FINDER)

    assert found.named == 0
    # One regular expression of all names took 48 s of processor time for as many, this scan 0.5 s.
    assert time.process_time() - began < 6
