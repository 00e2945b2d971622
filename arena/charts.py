"""A board as a picture: each entrant's preference rate with its interval, and the verdict in words beside it.

In: a `Board`. Out: a Plotly figure. Pure. The picture never lets two intervals be compared with each other: each row
is read against the dashed line (no preference) and the shaded band (equivalent within delta), and the verdict is
written out. Verdicts differ by symbol and word as well as by colour, and everything stands above its interval rather
than beside it, so that it reads on a telephone.
"""

from html import escape
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from arena.board import Board
from arena.statistics.against_reference import EntrantResult
from arena.statistics.verdicts import Verdict

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
INK, QUIET, LINE, PAPER = "#1c1c1a", "#5f5e59", "#dfded9", "#ffffff"
BAND, SIMULATED = "rgba(79, 74, 140, 0.12)", "#9a2f22"

# After Okabe and Ito (2008, "Color Universal Design"), told apart with any colour vision; darkened where words in them
# would have had less than 4.5:1 on white.
_COLOURS = {
    Verdict.PREFERRED: "#0072b2",
    Verdict.NOT_PREFERRED: "#b34a00",
    Verdict.EQUIVALENT: "#007a5a",
    Verdict.INCONCLUSIVE: QUIET,
}
_SYMBOLS = {
    Verdict.PREFERRED: "triangle-up",
    Verdict.NOT_PREFERRED: "triangle-down",
    Verdict.EQUIVALENT: "square",
    Verdict.INCONCLUSIVE: "circle-open",
}
_SIGNS = {Verdict.PREFERRED: "▲", Verdict.NOT_PREFERRED: "▼", Verdict.EQUIVALENT: "■", Verdict.INCONCLUSIVE: "○"}

ROW_PX, HEAD_PX, FOOT_PX = 128, 88, 84
BELOW = 0.18  # how much of a row lies below its interval; the text fills the rest
LINE_LETTERS = 46  # what a telephone of 360 px shows in one line of the rows' text


def forest(board: Board) -> go.Figure:
    """One row per entrant, in the declared order from the top; height in px follows from the number of rows.

    `layout.meta` says for programs and screen readers what is drawn: `simulated`, `study`, `method_version`, and a
    `description` in sentences.
    """
    figure = go.Figure()
    reach = _reach(board)
    head_px = HEAD_PX + (24 if board.is_simulated else 0) + (16 if board.left_out is not None else 0)
    for number, row in enumerate(board.rows):
        height = len(board.rows) - 1 - number
        _add_strip(figure, board, height)
        if row.half_tie.rate is not None:
            figure.add_trace(_interval(board, row, height))
        figure.add_annotation(
            text=_row_text(board, row),
            x=0,
            xref="paper",
            xanchor="left",
            y=height,
            yanchor="top",
            yshift=round(ROW_PX * (1 - BELOW)) - 4,
            align="left",
            showarrow=False,
            font={"size": 13, "color": INK},
        )
    figure.update_layout(
        title=_title(board),
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        showlegend=False,
        dragmode=False,
        height=head_px + FOOT_PX + ROW_PX * len(board.rows),
        margin={"l": 16, "r": 16, "t": head_px, "b": FOOT_PX},
        meta={
            "study": board.study,
            "raters_kind": board.raters_kind,
            "simulated": board.is_simulated,
            "method_version": board.method_version,
            "description": describe(board),
        },
    )
    figure.update_xaxes(
        range=[0.5 - reach, 0.5 + reach],
        tickformat=".0%",
        showgrid=False,
        showline=True,
        linecolor=LINE,
        ticks="outside",
        tickcolor=LINE,
        zeroline=False,
        fixedrange=True,
        nticks=7,
        title={
            "text": f"← {_short(board.reference, 20)} preferred · entrant preferred →"
            f"<br>dashed: no preference; shaded: within {_points(board.delta)}",
            "font": {"size": 12, "color": QUIET},
        },
    )
    figure.update_yaxes(visible=False, range=[-BELOW, len(board.rows) - BELOW], fixedrange=True)
    return figure


def describe(board: Board) -> str:
    """The picture in sentences, without markup, for those who do not see it."""
    rows = [f"{row.entrant}: {_verdict(board, row)}; {'; '.join(_numbers(row))}." for row in board.rows]
    counts = "; ".join(filter(None, [_counts(board), _left_out(board)]))
    return " ".join([f"Preference against {board.reference}: {counts}.", *rows])


def _title(board: Board) -> dict[str, Any]:
    text = f"<b>Preferred to {_short(board.reference, 24)}?</b>"
    if board.is_simulated:
        text = f'<b><span style="color:{SIMULATED}">Simulated raters, not people</span></b><br>{text}'
    return {
        "text": text,
        "font": {"size": 18, "color": INK},
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 16},
        "automargin": False,
        "subtitle": {
            "text": "<br>".join(filter(None, [_counts(board), _left_out(board), "95 % intervals; a tie counts half"])),
            "font": {"size": 12, "color": QUIET},
        },
    }


def _add_strip(figure: go.Figure, board: Board, height: int) -> None:
    """The band and the dashed line behind one interval; they end below the row's text, so as not to strike it out."""
    low, high = height - BELOW, height + BELOW
    band = {"x0": 0.5 - board.delta, "x1": 0.5 + board.delta, "y0": low, "y1": high}
    figure.add_shape(type="rect", **band, fillcolor=BAND, line_width=0, layer="below")
    dashed = {"color": INK, "width": 1.5, "dash": "4px,3px"}
    figure.add_shape(type="line", x0=0.5, x1=0.5, y0=low, y1=high, line=dashed, layer="below")
    figure.add_shape(type="line", x0=0, x1=1, xref="paper", y0=low, y1=low, line={"color": LINE, "width": 1})


def _interval(board: Board, row: EntrantResult, height: int) -> go.Scatter:
    rate, interval = row.half_tie.rate, row.half_tie.interval
    assert rate is not None, "a row without votes has no mark"
    colour = _COLOURS[row.judgement.verdict]
    arms = None
    if interval is not None:
        arms = {
            "type": "data",
            "symmetric": False,
            "array": [interval.high - rate],
            "arrayminus": [rate - interval.low],
            "color": colour,
            "thickness": 3,
            "width": 7,
        }
    return go.Scatter(
        x=[rate],
        y=[height],
        mode="markers",
        name=row.entrant,
        marker={
            "symbol": _SYMBOLS[row.judgement.verdict],
            "size": 13,
            "color": colour,
            "line": {"width": 2, "color": colour},
        },
        error_x=arms,
        cliponaxis=False,
        hovertemplate=f"{_row_text(board, row)}<extra></extra>",
    )


def _row_text(board: Board, row: EntrantResult) -> str:
    colour, sign = _COLOURS[row.judgement.verdict], _SIGNS[row.judgement.verdict]
    lines = [line for text in _numbers(row) for line in wrap(text, LINE_LETTERS, max_lines=2, placeholder=" …")]
    return "<br>".join(
        [
            f"<b>{_short(row.entrant, 36)}</b>",
            f'<span style="color:{colour}">{sign} <b>{_verdict(board, row)}</b></span>',
            *(f'<span style="color:{QUIET}">{escape(line)}</span>' for line in lines),
        ]
    )


def _verdict(board: Board, row: EntrantResult) -> str:
    judgement = row.judgement
    if judgement.verdict is not Verdict.EQUIVALENT:
        return judgement.verdict.value
    also = ", also different" if judgement.also_different else ""
    return f"equivalent within {_points(board.delta)}{also}"


def _numbers(row: EntrantResult) -> list[str]:
    """The rate with its interval, and the votes, or what keeps them from being had."""
    rate = row.half_tie
    votes = f"{_count(rate.n, 'vote')}, {_count(rate.raters, 'rater')}"
    if row.both_bad:
        votes += f"; both bad: {row.both_bad:,} more"
    if rate.rate is None:
        return [rate.missing[0].reason.removesuffix(".")]
    if rate.interval is None:
        return [f"{_percent(rate.rate)} of {votes}", f"No interval: {rate.missing[0].reason.removesuffix('.')}"]
    low, high = (f"{100 * end:.1f}" for end in (rate.interval.low, rate.interval.high))
    return [f"{_percent(rate.rate)} [{low}, {high}]", votes]


def _counts(board: Board) -> str:
    whose = ("simulated rater" if board.is_simulated else "rater") + ("" if board.raters == 1 else "s")
    if not board.votes:
        return "No votes of simulated raters yet" if board.is_simulated else "No votes yet"
    return f"{_count(board.votes, 'vote')} by {board.raters:,} {whose} on {_count(board.prompts, 'prompt')}"


def _left_out(board: Board) -> str:
    """A picture that does not hold everybody's votes says so, wherever it is shown; "" where it does."""
    if board.left_out is None:
        return ""
    return f"with the gates: {_count(board.left_out, 'rater')} left out"


def _reach(board: Board) -> float:
    """How far from one half the axis runs, the same to both sides: all intervals and twice the band fit in."""
    ends = [2 * board.delta, 0.15]
    for row in board.rows:
        if row.half_tie.rate is not None:
            ends.append(abs(row.half_tie.rate - 0.5))
        if row.half_tie.interval is not None:
            ends += [0.5 - row.half_tie.interval.low, row.half_tie.interval.high - 0.5]
    return min(0.5, max(ends)) * 1.06


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _points(delta: float) -> str:
    return f"±{100 * delta:g} points"


def _short(name: str, letters: int) -> str:
    return escape(name if len(name) <= letters else name[: letters - 1] + "…")
