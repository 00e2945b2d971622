"""What commands say: values and tables on stdout, all else on stderr."""

import json
import math

import pytest

from prompts.console import print_json, print_table, progress, say, track


def test_a_sentence_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("Three prompts were drawn.")

    assert capsys.readouterr() == ("", "Three prompts were drawn.\n")


def test_json_is_one_value_on_stdout_in_peoples_own_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"prompt": "a café [bold]at night[/bold]", "count": 2})

    out, err = capsys.readouterr()
    assert json.loads(out) == {"prompt": "a café [bold]at night[/bold]", "count": 2}
    assert "café" in out
    assert err == ""


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_json_has_no_nan_and_no_infinity(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"rate": number})


def test_a_table_in_a_pipe_has_one_line_a_row_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    long = "a very long prompt " * 40

    print_table(["name", "prompt"], [("one", long), ("two", "short")])

    out, err = capsys.readouterr()
    lines = [line.split(maxsplit=1) for line in out.splitlines() if line.strip()]
    assert [line[0] for line in lines] == ["name", lines[1][0], "one", "two"]
    assert lines[2][1].strip() == long.strip()
    assert [line for line in out.splitlines() if line != line.rstrip()] == []
    assert err == ""


def test_the_rule_under_the_header_is_not_as_long_as_the_longest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["prompt"], [("word " * 100,)])

    rule = next(line for line in capsys.readouterr().out.splitlines() if "─" in line)
    assert len(rule) <= 100


def test_a_table_in_a_terminal_is_folded_and_nothing_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    address = "https://example.org/" + "0123456789" * 6

    print_table(["address"], [(address,)])

    lines = capsys.readouterr().out.splitlines()
    assert address in "".join(line.strip() for line in lines)
    assert max(len(line) for line in lines if "0123456789" in line) <= 40


def test_cells_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["prompt", "votes"], [("a [red]dog[/red] with a :smile:", 3), ("[/]", None)])

    out = capsys.readouterr().out
    assert "a [red]dog[/red] with a :smile:" in out
    assert "[/]" in out
    assert "None" in out


def test_what_would_steer_a_terminal_is_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["prompt"], [("red \x1b[31m ring \x07 line\nend",)])

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert r"red \x1b[31m ring \x07 line\nend" in out


def test_a_table_without_rows_shows_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "prompts"], [])

    assert "name" in capsys.readouterr().out


def test_progress_says_nothing_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Painting", total=3) as tick:
        tick()
        tick(2)

    assert capsys.readouterr() == ("", "")


def test_progress_is_drawn_on_stderr_where_somebody_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    with progress("Painting", total=3) as tick:
        tick(3)

    out, err = capsys.readouterr()
    assert out == ""
    assert "Painting" in err
    assert "3/3" in err


def test_track_gives_every_item_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter("abc"), "Painting", total=3)) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""
