"""Where a key stands in a TOML file, whatever the values before it look like."""

import json
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from prompts.toml_places import PlacedError, line_of, places

FILE = '''\
# What we want to know.
name = "shapes"

consent = """
name = "nobody"
[gates]
delta = 0.5
"""
candidates = [
    "a",  # the first
    "b",
]
"delta" = 0.05
crowd = { site = "mturk", slots = 3 }

[[gold]]
prompt = "one"

[[gold]]
# the second
prompt = "two"
seed = 4

[gates]
attention = true
'''


def test_every_key_has_the_line_where_it_begins() -> None:
    assert places(FILE) == {
        ("name",): 2,
        ("consent",): 4,
        ("candidates",): 9,
        ("delta",): 13,
        ("crowd",): 14,
        ("crowd", "site"): 14,
        ("crowd", "slots"): 14,
        ("gold",): 16,
        ("gold", 0): 16,
        ("gold", 0, "prompt"): 17,
        ("gold", 1): 19,
        ("gold", 1, "prompt"): 21,
        ("gold", 1, "seed"): 22,
        ("gates",): 24,
        ("gates", "attention"): 25,
    }


def test_a_key_without_a_line_has_that_of_its_table() -> None:
    assert line_of(FILE, ("gold", 1, "better")) == 19
    assert line_of(FILE, ("gold", 2, "better")) == 16
    assert line_of(FILE, ("gates", "gold_pass")) == 24
    assert line_of(FILE, ("title",)) is None


def test_dotted_keys_lists_of_inline_tables_and_tables_in_tables_have_places_too() -> None:
    text = "gates.attention = true\nchecks = [\n{ right = 1 },\n{ right = 0 }]\n[a.b]\nc = 1\n[[d]]\n[d.e]\nf = 2\n"

    found = places(text)

    assert found["gates", "attention"] == 1
    assert found["checks", 1, "right"] == 2
    assert found["a", "b", "c"] == 6
    assert found["d", 0, "e", "f"] == 9


def test_a_refusal_finds_its_line_from_the_inside_out() -> None:
    error = PlacedError("The better one is nobody.").at("better")

    outer = error.at("gold", 1)

    assert outer is error
    assert error.place == ("gold", 1, "better")
    assert line_of(FILE, error.place) == 19
    assert PlacedError("Nothing in the file is at fault.").place == ()


VALUES = st.one_of(
    st.integers(-9, 9).map(str),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12).map(
        lambda text: json.dumps(text, ensure_ascii=False)
    ),
    st.lists(st.sampled_from(["k0 = 1", "[k1]", "", "# k2", "words"]), max_size=4).map(
        lambda lines: "'''\n" + "\n".join(lines) + "'''"
    ),
    st.lists(st.integers(0, 9), max_size=4).map(lambda items: "[\n" + ",\n".join(map(str, items)) + "\n]"),
)


@given(st.lists(st.tuples(VALUES, st.integers(0, 2), st.booleans()), max_size=8))
def test_the_places_are_where_the_keys_were_written(statements: list[tuple[str, int, bool]]) -> None:
    written = ""
    expected: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, (value, blanks, header) in enumerate(statements):
        written += "\n" * blanks
        if header:
            table = (f"t{number}",)
            expected[table] = written.count("\n") + 1
            written += f"[t{number}]\n"
        expected[*table, f"k{number}"] = written.count("\n") + 1
        written += f"k{number} = {value}\n"

    found = places(written)

    tomllib.loads(written)
    assert found == expected
