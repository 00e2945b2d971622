"""People's own text inside our sentences: one line, nothing that steers a terminal, not too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.errors import printable, quoted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a café, 夜", "a café, 夜"),
        ("two\nlines", r"two\nlines"),
        ("red \x1b[31m", r"red \x1b[31m"),
        ("left \u202e right", r"left \u202e right"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_what_would_steer_a_terminal_stands_as_its_escape(text: str, line: str) -> None:
    assert printable(text) == line


@given(text=st.text(st.characters()))
def test_every_text_becomes_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()


@given(text=st.text(), longest=st.integers(1, 100))
def test_a_quotation_is_no_longer_than_it_may_be(text: str, longest: int) -> None:
    assert len(quoted(text, longest)) <= longest + 2


def test_a_short_text_is_quoted_whole_and_a_long_one_is_cut() -> None:
    assert quoted("a cat") == "'a cat'"
    assert quoted("a cat on a mat", longest=6) == "'a cat…'"
