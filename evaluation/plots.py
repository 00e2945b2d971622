"""Figures of scores: values side by side, differences, curves over guidance scales, metrics against people.

In: scores, comparisons, a sweep or a board. Out: Plotly figures, and by `write` a page that fills its window and loads
nothing from anywhere, and an SVG of a fixed size. Pure but for `write`.
Colours and signs tell entrants apart with any colour vision (Okabe & Ito (2008), "Color Universal Design").
"""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arena.ledger.records import Score
from arena.metrics_board import MetricsBoard
from evaluation.compare import Comparison, Verdict
from evaluation.sweep import Point, Sweep
from prompts.console import say
from prompts.errors import CanvasError

_COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#cc79a7", "#56b4e9", "#8a6d00", "#1c1c1a")
_SIGNS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
_INK, _QUIET, _LINE, _SHADE = "#1c1c1a", "#5f5e59", "#dfded9", "#e4e2da"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
# All in px. A panel with its gaps is what a column or a row of a figure takes.
_PANEL_PX, _ROW_PX, _GAP_PX, _BESIDE_PX = 400, 290, 96, 84
_LEFT_PX, _RIGHT_PX, _FOOT_PX = 72, 24, 64
_TITLE_PX, _LEGEND_LINE_PX, _ABOVE_PX, _LETTER_PX, _SIGN_PX = 52, 30, 32, 7.2, 48
_MOST_COLUMNS = 3
_NAME_LETTERS, _NAME_LINE_PX, _ENTRANT_PX = 26, 16, 34
_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "better": ("#0072b2", "triangle-up"),
    "worse": ("#b34a00", "triangle-down"),
    "undecided": (_QUIET, "circle-open"),
}
_WAY = {"higher": "higher is better", "lower": "lower is better"}
_TITLES = {
    "fid": "FID",
    "fid_infinity": "FID∞",
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
# The page may run and draw what stands in it, and fetch nothing: no library, no font, no map.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<style>body {{ margin: 0 }} main {{ box-sizing: border-box; min-width: {least_px}px; padding: 0 16px }}</style>
</head>
<body><main>{figure}</main></body>
</html>
"""


class FigureFileError(CanvasError):
    """A figure that cannot be written."""


def title_of(metric: str) -> str:
    """A metric's name as people write it."""
    return _TITLES.get(metric, metric.replace("_", " "))


def score_figure(scores: Sequence[Score], prompts: str) -> go.Figure:
    """A panel per metric: each entrant's value with its interval, one below the other. `prompts` names their set."""
    metrics = list(dict.fromkeys(one.metric for one in scores))
    entrants = list(dict.fromkeys(one.entrant for one in scores))
    better = {one.metric: one.details["better"] for one in scores}
    columns = min(len(metrics), _MOST_COLUMNS)
    grid = [[title_of(one) for one in metrics[start : start + columns]] for start in range(0, len(metrics), columns)]
    tall = [_folded(entrant).count("<br>") for entrant in entrants]
    row_px = 40 + sum(_ENTRANT_PX + _NAME_LINE_PX * lines for lines in tall)
    figure = _panels(grid, row_px=row_px, shared_yaxes=True)
    for number, metric in enumerate(metrics):
        row, column = number // columns + 1, number % columns + 1
        for look, entrant in zip(_looks(), entrants, strict=False):
            found = [one for one in scores if (one.metric, one.entrant) == (metric, entrant)]
            drawn = go.Scatter(
                x=[one.value for one in found],
                y=[_folded(entrant)] * len(found),
                error_x=_bars(found),
                mode="markers",
                showlegend=False,
                hovertext=[f"{_folded(entrant)}<br>{_told(one)}" for one in found],
                hoverinfo="text",
                **look,
            )
            figure.add_trace(drawn, row=row, col=column)
        figure.update_xaxes(title_text=_WAY[better[metric]], row=row, col=column)
    figure.update_yaxes(
        categoryorder="array", categoryarray=[_folded(entrant) for entrant in reversed(entrants)], automargin=True
    )
    figure.update_yaxes(range=[-0.6, len(entrants) - 0.4])
    width, height = columns * _PANEL_PX, len(grid) * (row_px + _GAP_PX) - _GAP_PX
    title = f"Scores of the galleries of {prompts}, with 95% intervals"
    return plain(figure, title=title, width=width, height=height)


def compare_figure(first: str, second: str, compared: Sequence[Comparison]) -> go.Figure:
    """A panel per metric: the first entrant's value less the second's with its interval, and the verdict in words."""
    row_px = 64
    grid = [[_in_words(first, one)] for one in compared]
    figure = _panels(grid, row_px=row_px, gap_px=88)
    for row, one in enumerate(compared, 1):
        colour, sign = _VERDICTS[one.verdict]
        found = one.difference
        drawn = go.Scatter(
            x=[found.value],
            y=[0],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [found.high - found.value],
                "arrayminus": [found.value - found.low],
                "thickness": 2,
                "width": 5,
            },
            mode="markers",
            marker={"symbol": sign, "size": 12, "color": colour},
            showlegend=False,
            hovertext=[f"{found.value:+.4g}, {found.low:+.4g} to {found.high:+.4g}"],
            hoverinfo="text",
        )
        figure.add_trace(drawn, row=row, col=1)
        figure.add_vline(x=0, line={"color": _INK, "dash": "dot", "width": 1}, row=row, col=1)
        ends = min(found.low, 0.0), max(found.high, 0.0)
        room = 0.08 * (ends[1] - ends[0]) or 1.0
        figure.update_xaxes(range=[ends[0] - room, ends[1] + room], row=row, col=1)
    figure.update_yaxes(visible=False, range=[-1, 1])
    last = {"row": len(compared), "col": 1}
    figure.update_xaxes(title_text=f"{_folded(first)} less {_folded(second)}", **last)
    # Titles of panels stand at the left, as sentences do.
    figure.update_annotations(x=0, xanchor="left", align="left")
    height = len(compared) * (row_px + 88) - 88
    title = f"{_short(first)} beside {_short(second)}, with 95% intervals"
    return plain(figure, title=title, width=720, height=height)


def sweep_figure(sweep: Sweep) -> go.Figure:
    """Above, each metric over the guidance scale; below, each distance against the text score (figures 7 and 8).

    The shaded line of a lower panel is the frontier: no other point is better in both.
    """
    text = sweep.text_metric
    distances = sweep.distances if text is not None else ()
    columns = min(_MOST_COLUMNS, max(len(sweep.metrics), len(distances), 1))
    over = [sweep.metrics[start : start + columns] for start in range(0, len(sweep.metrics), columns)]
    against = [distances[start : start + columns] for start in range(0, len(distances), columns)]
    grid = [[title_of(metric) for metric in row] for row in over]
    grid += [[f"{title_of(distance)} against {title_of(text or '')}" for distance in row] for row in against]
    figure = _panels(grid, row_px=_ROW_PX)
    for number, metric in enumerate(sweep.metrics):
        _add_curves(figure, sweep, metric, legend=number == 0, row=number // columns + 1, col=number % columns + 1)
    for number, distance in enumerate(distances):
        place = {"row": len(over) + number // columns + 1, "col": number % columns + 1}
        _add_frontier(figure, sweep, distance, text or "", legend=number == 0, **place)
    height = len(grid) * (_ROW_PX + _GAP_PX) - _GAP_PX
    title = "Scores over guidance scales, with 95% intervals"
    return plain(figure, title=title, width=columns * _PANEL_PX, height=height)


def people_figure(board: MetricsBoard) -> go.Figure:
    """Each metric's agreement with people's votes and its interval, over all prompts and in each category."""
    categories = list(dict.fromkeys(row.category for row in board.rows))
    metrics = [row.metric for row in board.rows if row.category is None and row.agreement.rate is not None]
    figure = go.Figure()
    for look, category in zip(_looks(), categories, strict=False):
        rows = {row.metric: row.agreement for row in board.rows if row.category == category}
        kept = [metric for metric in metrics if metric in rows and rows[metric].rate is not None]
        ends = [(rows[metric].interval, rows[metric].rate or 0.0) for metric in kept]
        marker = {**look["marker"], "size": 11 if category is None else 8}
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
            marker=marker,
            name="all prompts" if category is None else _short(category),
        )
        figure.add_trace(drawn)
    figure.add_vline(x=0.5, line={"color": _INK, "dash": "dot", "width": 1})
    figure.update_xaxes(title_text="share of decisive votes that agree", tickformat=".0%")
    figure.update_yaxes(automargin=True)
    marked = " (simulated raters)" if board.raters_kind == "simulated" else ""
    title = f"Metrics against people: {_short(board.title)}{marked}"
    return plain(figure, title=title, width=2 * _PANEL_PX, height=48 * len(metrics) + 24)


def plain(figure: go.Figure, *, title: str, width: int, height: int) -> go.Figure:
    """`figure` in the house's look: ink on white, quiet lines, the legend below the title.

    `width` is that of the whole figure, `height` that of its panels, both in px.
    """
    width = max(width, 560)
    named = [trace.name for trace in figure.data if trace.name and trace.showlegend is not False]
    head = _TITLE_PX + _ABOVE_PX
    # Plotly shows no legend of a single trace unless it is told to.
    if len(named) > 1:
        head += _LEGEND_LINE_PX * _legend_lines(named, width - _LEFT_PX - _RIGHT_PX)
    whole = height + head + _FOOT_PX
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "xref": "paper", "y": 1, "yanchor": "top", "pad": {"t": 18}},
        title_font_size=17,
        template="plotly_white",
        font={"family": _FONT, "size": 13, "color": _INK},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "yref": "container",
            "y": 1 - _TITLE_PX / whole,
            "yanchor": "top",
        },
        width=width,
        height=whole,
        margin={"l": _LEFT_PX, "r": _RIGHT_PX, "t": head, "b": _FOOT_PX},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=_LINE, zeroline=False, title_standoff=8, title_font_size=13)
    figure.update_yaxes(gridcolor=_LINE, zeroline=False, title_standoff=8, title_font_size=13)
    return figure


def write(figure: go.Figure, out: Path) -> list[Path]:
    """Write `figure` as `out`.html, as wide as its window and without a need for any network, and as `out`.svg.

    Out: the files that were written. Raises FigureFileError where a file cannot be written, or no Chromium or Chrome is
    there to draw the SVG; the HTML is written before.
    """
    stem = out.with_suffix("") if out.suffix.lower() in {".html", ".svg"} else out
    page, drawing = stem.with_name(f"{stem.name}.html"), stem.with_name(f"{stem.name}.svg")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(page_of(figure), encoding="utf-8")
    except OSError as error:
        raise FigureFileError(f"{page} cannot be written ({error.strerror}): name another file.") from error
    try:
        drawing.write_bytes(figure.to_image(format="svg"))
    except Exception as error:  # kaleido has errors of its own for every way a browser can be missing
        raise FigureFileError(
            f"{page} is written, but {drawing.name} is not: plotly draws SVG with the kaleido package and a Chrome or "
            f"Chromium, and that failed ({str(error).strip().splitlines()[0] if str(error).strip() else error!r}). "
            "Install one, or save the SVG from the page's own menu."
        ) from error
    return [page, drawing]


def write_and_tell(figure: go.Figure, out: Path, what: str) -> None:
    """Write `figure` and say where it is; `what` is what it shows."""
    for file in write(figure, out):
        say(f"{file} shows {what}.")


def page_of(figure: go.Figure) -> str:
    """An HTML page that holds `figure` and all that draws it, as wide as its window and as tall as the figure is."""
    height, width = figure.layout.height, figure.layout.width
    wide = go.Figure(figure)
    wide.update_layout(width=None, autosize=True)
    drawn = wide.to_html(
        full_html=False,
        include_plotlyjs=True,
        default_width="100%",
        default_height=f"{height}px",
        config={"responsive": True, "displaylogo": False},
    )
    title = escape(str(figure.layout.title.text))
    # Below half its size panels would be too narrow to be read: then the page is moved sideways.
    return _PAGE.format(title=title, least_px=max(width // 2, 320), figure=drawn)


def _add_curves(figure: go.Figure, sweep: Sweep, metric: str, *, legend: bool, row: int, col: int) -> None:
    for look, entrant in zip(_looks(), sweep.entrants, strict=False):
        points = sweep.of(entrant)
        drawn = go.Scatter(
            x=[point.guidance for point in points],
            y=[point.scores[metric].value for point in points],
            error_y=_bars([point.scores[metric] for point in points]),
            mode="lines+markers",
            name=_short(entrant),
            legendgroup=entrant,
            showlegend=legend,
            hovertext=[_point_told(point, (metric,)) for point in points],
            hoverinfo="text",
            **look,
        )
        figure.add_trace(drawn, row=row, col=col)
    scales = sorted({point.guidance for point in sweep.points})
    figure.update_xaxes(title_text="guidance scale", **_ticks(scales), row=row, col=col)


def _add_frontier(
    figure: go.Figure, sweep: Sweep, distance: str, text: str, *, legend: bool, row: int, col: int
) -> None:
    best = sweep.frontier(distance)
    shade = go.Scatter(
        x=[point.scores[text].value for point in best],
        y=[point.scores[distance].value for point in best],
        mode="lines" if len(best) > 1 else "markers",
        line={"color": _SHADE, "width": 14},
        marker={"color": _SHADE, "size": 22},
        name="frontier: none is better in both",
        legendgroup="frontier",
        showlegend=legend,
        hoverinfo="skip",
    )
    figure.add_trace(shade, row=row, col=col)
    for look, entrant in zip(_looks(), sweep.entrants, strict=False):
        points = sweep.of(entrant)
        drawn = go.Scatter(
            x=[point.scores[text].value for point in points],
            y=[point.scores[distance].value for point in points],
            error_x=_bars([point.scores[text] for point in points]),
            error_y=_bars([point.scores[distance] for point in points]),
            text=[f"{point.guidance:g}" for point in points],
            textposition="top right",
            textfont={"size": 11, "color": look["marker"]["color"]},
            mode="lines+markers+text",
            name=_short(entrant),
            legendgroup=entrant,
            showlegend=False,
            hovertext=[_point_told(point, (distance, text)) for point in points],
            hoverinfo="text",
            # From scale to scale: a path, and no frontier.
            **{**look, "line": {**look["line"], "width": 1, "dash": "dot"}},
        )
        figure.add_trace(drawn, row=row, col=col)
    figure.update_xaxes(title_text=title_of(text), row=row, col=col)
    figure.update_yaxes(title_text=title_of(distance), row=row, col=col)


def _panels(
    grid: Sequence[Sequence[str]], *, row_px: int, gap_px: int = _GAP_PX, shared_yaxes: bool | str = False
) -> go.Figure:
    """Panels with these titles, row by row; gaps are of the same px however many there are."""
    columns, rows = max(len(row) for row in grid), len(grid)
    height = rows * (row_px + gap_px) - gap_px
    inner = columns * _PANEL_PX - _LEFT_PX - _RIGHT_PX
    figure = make_subplots(
        rows=rows,
        cols=columns,
        specs=[[{}] * len(row) + [None] * (columns - len(row)) for row in grid],
        subplot_titles=[title for row in grid for title in row],
        vertical_spacing=gap_px / height if rows > 1 else 0,
        horizontal_spacing=(_BESIDE_PX if not shared_yaxes else 32) / inner if columns > 1 else 0,
        shared_yaxes=shared_yaxes,
    )
    figure.update_annotations(font_size=14, yshift=4)
    return figure


def _looks() -> Iterator[dict[str, Any]]:
    """Colours and signs, no pair of them twice before all pairs have come."""
    number = 0
    while True:
        turn = number // len(_COLOURS)
        colour, sign = _COLOURS[number % len(_COLOURS)], _SIGNS[(number + turn) % len(_SIGNS)]
        yield {"line": {"color": colour, "width": 2}, "marker": {"symbol": sign, "size": 9, "color": colour}}
        number += 1


def _bars(scores: Sequence[Score]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [one.high - one.value for one in scores],
        "arrayminus": [one.value - one.low for one in scores],
        "thickness": 1,
        "width": 3,
    }


def _ticks(scales: Sequence[float]) -> dict[str, Any]:
    """A tick at each measured scale and nowhere else; where they are close, not all are labelled."""
    near = 0.06 * (scales[-1] - scales[0])
    labels, last = [], None
    for scale in scales:
        shown = last is None or scale - last > near
        labels.append(f"{scale:g}" if shown else "")
        last = scale if shown else last
    room = near or 1.0
    return {"tickvals": list(scales), "ticktext": labels, "range": [scales[0] - room, scales[-1] + room]}


def _in_words(first: str, one: Comparison) -> str:
    """What a panel of a comparison says above its interval."""
    found = one.difference
    told = f"{found.value:+.4g} ({found.low:+.4g} to {found.high:+.4g})"
    verdict = "undecided" if one.verdict == "undecided" else f"{_short(first)} is {one.verdict}"
    return f"<b>{title_of(one.metric)}</b>, {_WAY[one.better]}: {told}, {verdict}, p = {one.p_holm:.2g}"


def _told(one: Score) -> str:
    return f"{title_of(one.metric)} {one.value:.4g}, {one.low:.4g} to {one.high:.4g}"


def _point_told(point: Point, metrics: Sequence[str]) -> str:
    told = [_told(point.scores[metric]) for metric in metrics]
    return "<br>".join([f"{_short(point.entrant)} at {point.guidance:g}", *told])


def _folded(name: str) -> str:
    """`name` over several lines where it is long, as text: Plotly reads tags in names."""
    return "<br>".join(escape(line) for line in wrap(name, _NAME_LETTERS)) or " "


def _short(name: str) -> str:
    return escape(name if len(name) <= 2 * _NAME_LETTERS else f"{name[: 2 * _NAME_LETTERS - 1]}…")


def _legend_lines(names: Sequence[str], width_px: int) -> int:
    """In how many lines a legend of these names is set: each name takes as much room as the longest."""
    each = _SIGN_PX + _LETTER_PX * max(len(name) for name in names)
    return -(-len(names) // max(1, int(width_px // each)))
