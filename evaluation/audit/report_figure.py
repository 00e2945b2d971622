"""The dose-response curves as a figure: how often each model shows its targets, the more a prompt says of them.

In: curves. Out: a Plotly figure for the page, the same as SVG for a paper. Whiskers are 95 % intervals over characters.
Colours and signs tell models apart with any colour vision (Okabe & Ito (2008), "Color Universal Design"); the reference
is grey.
"""

from html import escape
from itertools import cycle

import plotly.graph_objects as go

from evaluation.audit.dose_response import DoseResponse
from evaluation.audit.report_words import kind_words
from evaluation.plots import FigureFileError, plain
from prompts.probes import LADDER

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b08900")
_SIGNS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
_REFERENCE = "#85837b"
_LETTERS = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', Arial, sans-serif"
_HEIGHT_PX, _WIDTH_PX, _APART, _LONGEST = 400, 760, 0.07, 40


def dose_figure(curves: tuple[DoseResponse, ...], reference: str) -> go.Figure:
    """As wide as its page; colours of letters and lines are left to the page's style."""
    figure = _drawn(curves, reference)
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _LETTERS, "size": 13},
        autosize=True,
        height=_HEIGHT_PX,
        margin={"l": 52, "r": 12, "t": 16, "b": 64},
        legend={"orientation": "h", "y": 1.02, "x": 0, "yanchor": "bottom"},
        hovermode="closest",
        dragmode=False,
    )
    return figure


def dose_svg(curves: tuple[DoseResponse, ...], reference: str) -> bytes:
    """Ink on white. Raises FigureFileError where no Chromium or Chrome is there to draw it."""
    figure = plain(
        _drawn(curves, reference), title="The more a prompt says of its target", width=_WIDTH_PX, height=_HEIGHT_PX
    )
    try:
        drawing: bytes = figure.to_image(format="svg")
    except Exception as error:  # kaleido has errors of its own for every way a browser can be missing
        raise FigureFileError(
            "The figure is on the page, but not there as SVG: plotly draws that with the kaleido package and a Chrome "
            "or Chromium. Install one, delete the report and make it again."
        ) from error
    return drawing


def _drawn(curves: tuple[DoseResponse, ...], reference: str) -> go.Figure:
    present = {step.kind for curve in curves for step in curve.steps}
    steps = [str(kind) for kind in LADDER if kind in present]
    figure = go.Figure()
    styles = cycle(zip(_COLOURS, _SIGNS, strict=True))
    # The reference comes last, so that it lies on top of nothing and stands last in the legend.
    for number, curve in enumerate(sorted(curves, key=lambda curve: curve.model == reference)):
        colour, sign = (_REFERENCE, "circle-open") if curve.model == reference else next(styles)
        apart = _APART * (number - (len(curves) - 1) / 2)
        shown = [(steps.index(step.kind) + apart, step) for step in curve.steps if step.kind in steps]
        intervals = [step.interval or (step.rate, step.rate) for _, step in shown]
        figure.add_trace(
            go.Scatter(
                x=[x for x, _ in shown],
                y=[step.rate for _, step in shown],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [high - step.rate for (_, step), (_, high) in zip(shown, intervals, strict=True)],
                    "arrayminus": [step.rate - low for (_, step), (low, _) in zip(shown, intervals, strict=True)],
                    "thickness": 1.5,
                    "width": 4,
                },
                mode="lines+markers",
                line={"color": colour, "width": 2, "dash": "dot" if curve.model == reference else "solid"},
                marker={"symbol": sign, "size": 9, "color": colour},
                name=_short(curve.model),
                hovertext=[
                    f"{_short(curve.model)}<br>{kind_words(step.kind)}: {step.rate:.1%} of {step.characters} characters"
                    for _, step in shown
                ],
                hoverinfo="text",
            )
        )
    figure.update_xaxes(
        tickvals=list(range(len(steps))),
        ticktext=[kind_words(kind) for kind in steps],
        range=[-0.4, len(steps) - 0.6],
        autotickangles=[0, 45, 90],
        automargin=True,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(
        tickformat=".0%", range=[0, 1.02], zeroline=False, fixedrange=True, title_text="images that show the target"
    )
    return figure


def _short(name: str) -> str:
    """`name` as text: Plotly reads tags in names."""
    return escape(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")
