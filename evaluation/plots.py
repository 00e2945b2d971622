"""Figures of scores: curves over guidance scales, the frontier between distance and CLIP-Score, metrics against people.

Pure but for `write`.
Colours and signs tell entrants apart with any colour vision (Okabe & Ito (2008), "Color Universal Design").
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena.metrics_board import MetricsBoard
from evaluation.sweep import Point, Sweep
from prompts.errors import CanvasError

_COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#cc79a7", "#56b4e9", "#8a6d00", "#1c1c1a")
_SIGNS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
_PANEL_PX, _HEAD_PX = 380, 120
_INK, _LINE, _FONT = "#1c1c1a", "#dfded9", "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_TITLES = {
    "fid": "FID",
    "clip_fid": "CLIP-FID",
    "kid": "KID",
    "cmmd": "CMMD",
    "dinov2_fd": "DINOv2 Fréchet distance",
    "clip_score": "CLIP-Score",
    "clip_score_hessel": "CLIP-Score (Hessel)",
    "image_reward": "ImageReward",
    "hps_v2": "HPSv2",
    "hps_v2_1": "HPSv2.1",
    "pick_score": "PickScore",
    "tifa": "TIFA",
}


class FigureFileError(CanvasError):
    """A figure that cannot be written."""


def title_of(metric: str) -> str:
    """A metric's name as people write it."""
    return _TITLES.get(metric, metric.replace("_", " "))


def sweep_figure(sweep: Sweep) -> go.Figure:
    """Above, each metric over the guidance scale; below, each distance against the text score (figures 7 and 8)."""
    frontiers = [(distance, sweep.text_metric) for distance in sweep.distances if sweep.text_metric is not None]
    columns = max(len(sweep.metrics), len(frontiers), 1)
    rows = 2 if frontiers else 1
    names = [title_of(metric) for metric in sweep.metrics] + [""] * (columns - len(sweep.metrics))
    names += [f"{title_of(distance)} against {title_of(text)}" for distance, text in frontiers]
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=names, horizontal_spacing=0.08)
    styles = cycle(zip(_COLOURS, _SIGNS, strict=True))
    for entrant in sweep.entrants:
        colour, sign = next(styles)
        points = sweep.of(entrant)
        look = {"line": {"color": colour, "width": 2}, "marker": {"symbol": sign, "size": 8, "color": colour}}
        for column, metric in enumerate(sweep.metrics, 1):
            drawn = go.Scatter(
                x=[point.guidance for point in points],
                y=[point.scores[metric].value for point in points],
                error_y=_bars(points, metric),
                name=entrant,
                legendgroup=entrant,
                showlegend=column == 1,
                **look,
            )
            figure.add_trace(drawn, row=1, col=column)
            figure.update_xaxes(title_text="guidance scale", row=1, col=column)
        for column, (distance, text) in enumerate(frontiers, 1):
            drawn = go.Scatter(
                x=[point.scores[text].value for point in points],
                y=[point.scores[distance].value for point in points],
                text=[f"{point.guidance:g}" for point in points],
                textposition="top center",
                mode="lines+markers+text",
                name=entrant,
                legendgroup=entrant,
                showlegend=False,
                **look,
            )
            figure.add_trace(drawn, row=2, col=column)
            figure.update_xaxes(title_text=title_of(text), row=2, col=column)
            figure.update_yaxes(title_text=title_of(distance), row=2, col=column)
    return plain(figure, title="Scores over guidance scales", width=columns * _PANEL_PX, height=rows * _PANEL_PX)


def people_figure(board: MetricsBoard) -> go.Figure:
    """Each metric's agreement with people's votes and its interval, over all prompts and in each category."""
    categories = list(dict.fromkeys(row.category for row in board.rows))
    metrics = [row.metric for row in board.rows if row.category is None and row.agreement.rate is not None]
    figure = go.Figure()
    for (colour, sign), category in zip(cycle(zip(_COLOURS, _SIGNS, strict=True)), categories, strict=False):
        rows = {row.metric: row.agreement for row in board.rows if row.category == category}
        kept = [metric for metric in metrics if metric in rows and rows[metric].rate is not None]
        ends = [(rows[metric].interval, rows[metric].rate or 0.0) for metric in kept]
        drawn = go.Scatter(
            x=[rows[metric].rate for metric in kept],
            y=[title_of(metric) for metric in kept],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [0.0 if found is None else found.high - rate for found, rate in ends],
                "arrayminus": [0.0 if found is None else rate - found.low for found, rate in ends],
                "thickness": 1,
            },
            mode="markers",
            marker={"symbol": sign, "size": 10 if category is None else 7, "color": colour},
            name="all prompts" if category is None else category,
        )
        figure.add_trace(drawn)
    figure.add_vline(x=0.5, line={"color": _INK, "dash": "dot", "width": 1})
    figure.update_xaxes(title_text="share of decisive votes that agree", tickformat=".0%")
    marked = " (simulated raters)" if board.raters_kind == "simulated" else ""
    return plain(
        figure,
        title=f"Metrics against people: {board.title}{marked}",
        width=2 * _PANEL_PX,
        height=48 * len(metrics) + 120,
    )


def plain(figure: go.Figure, *, title: str, width: int, height: int) -> go.Figure:
    """`figure` in the house's look: ink on white, quiet lines, the legend below the title; in px."""
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "xref": "paper"},
        template="plotly_white",
        font={"family": _FONT, "size": 13, "color": _INK},
        legend={"orientation": "h", "y": 1.12, "x": 0, "yanchor": "bottom"},
        width=max(width, 480),
        height=height + _HEAD_PX,
        margin={"l": 64, "r": 24, "t": _HEAD_PX, "b": 56},
    )
    figure.update_xaxes(gridcolor=_LINE, zeroline=False)
    figure.update_yaxes(gridcolor=_LINE, zeroline=False)
    return figure


def write(figure: go.Figure, out: Path) -> list[Path]:
    """Write `figure` as `out`.html, which needs no network, and as `out`.svg; the files that were written.

    Raises FigureFileError where no Chromium or Chrome is there to draw the SVG; the HTML is written before.
    """
    stem = out.with_suffix("") if out.suffix.lower() in {".html", ".svg"} else out
    stem.parent.mkdir(parents=True, exist_ok=True)
    page, drawing = stem.with_name(f"{stem.name}.html"), stem.with_name(f"{stem.name}.svg")
    figure.write_html(page, include_plotlyjs=True, full_html=True)
    try:
        drawing.write_bytes(figure.to_image(format="svg"))
    except Exception as error:  # kaleido has errors of its own for every way a browser can be missing
        raise FigureFileError(
            f"{page} is written, but {drawing.name} is not: plotly draws SVG with the kaleido package and a Chrome or "
            f"Chromium, and that failed ({str(error).strip().splitlines()[0] if str(error).strip() else error!r}). "
            "Install one, or save the SVG from the page's own menu."
        ) from error
    return [page, drawing]


def _bars(points: Sequence[Point], metric: str) -> dict[str, Any]:
    scores = [point.scores[metric] for point in points]
    return {
        "type": "data",
        "symmetric": False,
        "array": [one.high - one.value for one in scores],
        "arrayminus": [one.value - one.low for one in scores],
        "thickness": 1,
        "width": 3,
    }
