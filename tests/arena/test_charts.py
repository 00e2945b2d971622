from collections.abc import Sequence
from datetime import UTC, datetime

import plotly.graph_objects as go
import pytest

from arena.board import Board, RatersKind, board_from_votes
from arena.charts import describe, forest
from arena.study import Study
from arena.votes import Choice, VoteRecord
from prompts.prompt import Prompt, PromptSet

PROMPTS = PromptSet(
    name="numbers", licence="CC0-1.0", source="made up", prompts=tuple(Prompt(text=str(number)) for number in range(40))
)


def _board(kind: RatersKind, choices: dict[str, Sequence[Choice]], *, candidates: Sequence[str] | None = None) -> Board:
    """A board where each candidate stood on the left and got these choices, each by another rater and prompt."""
    study = Study(
        name="shapes",
        question="Which image fits the prompt better?",
        reference="old",
        candidates=tuple(candidates or choices),
        prompts=PROMPTS,
        ties=True,
        both_bad=True,
        delta=0.04,
    )
    votes = [
        VoteRecord(
            vote_id=1000 * row + number,
            ts=datetime(2024, 5, 1, tzinfo=UTC),
            rater=number % 20,
            simulated=kind == "simulated",
            study="shapes",
            question="overall",
            prompt_id=PROMPTS.prompts[number % 40].id,
            prompt="",
            category="",
            left=candidate,
            right="old",
            choice=choice,
            latency_ms=None,
            session="",
        )
        for row, (candidate, cast) in enumerate(choices.items())
        for number, choice in enumerate(cast)
    ]
    return board_from_votes(study, votes, kind)


BETTER = [Choice.LEFT] * 35 + [Choice.RIGHT] * 5
EVEN = [Choice.LEFT, Choice.RIGHT] * 10


def _rows(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_each_row_shows_rate_interval_and_the_verdict_in_words() -> None:
    board = _board("people", {"new": BETTER, "other": EVEN})

    figure = forest(board)

    first, second = _rows(figure)
    assert "new" in first
    assert "preferred" in first
    assert "87.5 %" in first
    assert "40 votes, 20 raters" in first
    assert "inconclusive" in second
    mark, interval = figure.data[0], board.rows[0].half_tie.interval
    assert interval is not None
    assert (mark.x[0], mark.y[0]) == (0.875, 1)
    assert mark.x[0] + mark.error_x.array[0] == pytest.approx(interval.high)
    assert mark.x[0] - mark.error_x.arrayminus[0] == pytest.approx(interval.low)


def test_every_row_has_the_dashed_line_at_one_half_and_the_band_of_delta() -> None:
    figure = forest(_board("people", {"new": BETTER, "other": EVEN}))

    bands = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    dashed = [shape for shape in figure.layout.shapes if shape.line.dash]
    assert [(band.x0, band.x1) for band in bands] == [(0.46, 0.54)] * 2
    assert [(line.x0, line.x1) for line in dashed] == [(0.5, 0.5)] * 2
    low, high = figure.layout.xaxis.range
    assert low < 0.46
    assert high - 0.5 == pytest.approx(0.5 - low)


def test_verdicts_differ_by_symbol_and_word_and_not_by_colour_alone() -> None:
    board = _board("people", {"new": BETTER, "worse": [Choice.RIGHT] * 35 + [Choice.LEFT] * 5, "even": EVEN})

    figure = forest(board)

    symbols = [mark.marker.symbol for mark in figure.data]
    assert len(set(symbols)) == 3
    assert [row.split(" <b>")[0][-1] for row in _rows(figure)] == ["▲", "▼", "○"]


def test_the_title_says_how_many_votes_and_raters() -> None:
    figure = forest(_board("people", {"new": BETTER}))

    assert "Preferred to old?" in figure.layout.title.text
    assert "40 votes by 20 raters on 40 prompts" in figure.layout.title.subtitle.text
    assert "imulated" not in figure.to_json().replace('"simulated":false', "")


def test_simulated_raters_are_named_first_and_in_the_meta() -> None:
    figure = forest(_board("simulated", {"new": BETTER}))

    assert "Simulated raters, not people" in figure.layout.title.text.split("<br>")[0]
    assert "20 simulated raters" in figure.layout.title.subtitle.text
    assert figure.layout.meta["simulated"] is True
    assert figure.layout.meta["raters_kind"] == "simulated"
    assert "simulated raters" in figure.layout.meta["description"]


def test_a_board_without_votes_is_drawn_with_its_reasons() -> None:
    figure = forest(_board("people", {}, candidates=["new", "other"]))

    assert len(figure.data) == 0
    assert all("There are no votes yet" in row for row in _rows(figure))
    assert "No votes yet" in figure.layout.title.subtitle.text


def test_a_row_that_cannot_have_an_interval_says_why_and_draws_none() -> None:
    figure = forest(_board("people", {"new": [Choice.LEFT]}))

    assert figure.data[0].error_x.array is None
    assert "No interval: All votes come from one rater" in _rows(figure)[0].replace("</span><br>", " ")


def test_both_bad_votes_are_told_apart() -> None:
    figure = forest(_board("people", {"new": [*BETTER[5:], *[Choice.BOTH_BAD] * 5]}))

    assert "35 votes, 20 raters; both bad: 5 more" in _rows(figure)[0]


def test_names_are_shown_as_they_are_written() -> None:
    figure = forest(_board("people", {"<b>new</b> & co": BETTER}))

    assert "&lt;b&gt;new&lt;/b&gt; &amp; co" in _rows(figure)[0]


def test_a_description_tells_the_picture_in_sentences() -> None:
    sentences = describe(_board("people", {"new": BETTER}))

    assert sentences.startswith("Preference against old: 40 votes by 20 raters on 40 prompts. new: preferred; 87.5 % [")


def test_the_same_board_gives_the_same_picture() -> None:
    board = _board("people", {"new": BETTER})

    assert forest(board).to_json() == forest(board).to_json()
