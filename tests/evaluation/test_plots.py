"""Figures of scores: what is drawn, how it is told apart, and that the page needs nothing but itself."""

from pathlib import Path
from typing import Any

import pytest

from arena.ledger.records import Score
from evaluation.compare import Comparison
from evaluation.metrics.intervals import PairedDifference
from evaluation.plots import FigureFileError, compare_figure, page_of, score_figure, sweep_figure, write
from evaluation.sweep import Point, Sweep

SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)


def scored(entrant: str, metric: str, value: float, better: str) -> Score:
    return Score(
        entrant=entrant,
        prompt_set_id="p",
        metric=metric,
        value=value,
        low=value - 1,
        high=value + 2,
        n=4,
        details={"better": better},
    )


def swept(entrants: int, metrics: tuple[str, ...] = ("fid", "clip_score")) -> Sweep:
    """The distance of entrant i is least at scale 3; the text score rises with the scale."""

    def scores(name: str, number: int, scale: float) -> dict[str, Score]:
        distance, text = 10 + number + (scale - 3) ** 2, 30 - number - 6 / scale
        return {
            metric: scored(name, metric, text, "higher")
            if metric == "clip_score"
            else scored(name, metric, distance, "lower")
            for metric in metrics
        }

    return Sweep(
        metrics=metrics,
        points=tuple(
            Point(entrant=f"e{number}", guidance=scale, scores=scores(f"e{number}", number, scale))
            for number in range(entrants)
            for scale in SCALES
        ),
    )


def compared(metric: str, value: float, better: Any, p_holm: float) -> Comparison:
    return Comparison(
        metric=metric,
        better=better,
        values=(value, 0.0),
        difference=PairedDifference(
            value=value,
            low=value - 0.5,
            high=value + 0.5,
            level=0.95,
            method="linear",
            prompts=10,
            resamples=0,
            standard_error=0.2,
            p_value=p_holm,
            test="t",
        ),
        p_holm=p_holm,
        images=10,
        details={},
    )


def test_ticks_stand_at_the_measured_scales_and_nowhere_else() -> None:
    figure = sweep_figure(swept(2))

    for axis in (figure.layout.xaxis, figure.layout.xaxis2):
        assert axis.tickvals == SCALES
        assert axis.ticktext == ("1", "1.5", "2", "3", "4", "5", "6", "7", "8")


def test_entrants_differ_in_colour_and_in_sign_and_no_pair_comes_twice() -> None:
    figure = sweep_figure(swept(16))

    looks = {
        trace.name: (trace.marker.color, trace.marker.symbol)
        for trace in figure.data
        if trace.name and trace.marker.symbol
    }
    assert len(looks) == 16
    assert len(set(looks.values())) == 16
    assert len({colour for colour, _ in list(looks.values())[:7]}) == 7
    assert len({sign for _, sign in list(looks.values())[:7]}) == 7


def test_the_panel_of_both_metrics_has_intervals_both_ways_and_the_frontier_apart() -> None:
    sweep = swept(2)

    figure = sweep_figure(sweep)

    [shade] = [trace for trace in figure.data if trace.name and trace.name.startswith("frontier")]
    assert list(shade.x) == [point.scores["clip_score"].value for point in sweep.frontier("fid")]
    paths = [trace for trace in figure.data if trace.mode == "lines+markers+text"]
    assert [trace.name for trace in paths] == ["e0", "e1"]
    for trace in paths:
        for bars in (trace.error_x, trace.error_y):
            assert (list(bars.arrayminus), list(bars.array)) == ([1.0] * 9, [2.0] * 9)


def test_the_legend_lies_between_the_title_and_the_panels_and_rows_of_panels_close_by() -> None:
    """In px from the top: the title ends above 52, the legend begins there, and panels begin below its last line."""
    figure = sweep_figure(swept(3))

    height, head = figure.layout.height, figure.layout.margin.t
    assert (1 - figure.layout.legend.y) * height == pytest.approx(52)
    assert head >= 52 + 2 * 30
    inner = height - head - figure.layout.margin.b
    gap = (figure.layout.yaxis.domain[0] - figure.layout.yaxis3.domain[1]) * inner
    assert gap == pytest.approx(96)


def test_many_metrics_take_more_rows_and_not_more_columns() -> None:
    figure = sweep_figure(swept(1, ("fid", "clip_fid", "kid", "cmmd", "clip_score")))

    assert figure.layout.width == 3 * 400
    assert len({round(axis.domain[1], 6) for axis in figure.select_yaxes()}) == 4


def test_each_score_stands_in_its_metrics_panel_with_its_interval_and_names_are_text() -> None:
    named = "<b>teal</b>"
    found = [
        scored(entrant, metric, value, better)
        for metric, value, better in (("fid", 12.0, "lower"), ("clip_score", 30.0, "higher"))
        for entrant in (named, "rose")
    ]

    figure = score_figure(found, "demo")

    assert [trace.x for trace in figure.data] == [(12.0,), (12.0,), (30.0,), (30.0,)]
    assert [trace.y for trace in figure.data] == [("&lt;b&gt;teal&lt;/b&gt;",), ("rose",)] * 2
    assert all((trace.error_x.arrayminus, trace.error_x.array) == ((1.0,), (2.0,)) for trace in figure.data)
    assert figure.layout.yaxis.categoryarray == ("rose", "&lt;b&gt;teal&lt;/b&gt;")
    assert [axis.title.text for axis in figure.select_xaxes()] == ["lower is better", "higher is better"]


def test_a_difference_is_drawn_beside_none_and_its_verdict_is_said() -> None:
    figure = compare_figure(
        "teal",
        "rose",
        [
            compared("fid", -2.0, "lower", 0.01),
            compared("clip_score", -2.0, "higher", 0.01),
            compared("kid", 0.1, "lower", 0.8),
        ],
    )

    said = [one.text for one in figure.layout.annotations]
    assert said == [
        "<b>FID</b>, lower is better: -2 (-2.5 to -1.5), teal is better, p = 0.01",
        "<b>CLIP-Score</b>, higher is better: -2 (-2.5 to -1.5), teal is worse, p = 0.01",
        "<b>KID</b>, lower is better: +0.1 (-0.4 to +0.6), undecided, p = 0.8",
    ]
    assert [trace.marker.symbol for trace in figure.data] == ["triangle-up", "triangle-down", "circle-open"]
    for axis in figure.select_xaxes():
        assert axis.range[0] < 0 < axis.range[1]


def test_the_page_takes_the_windows_width_and_the_svg_has_its_own() -> None:
    figure = sweep_figure(swept(2))

    page = page_of(figure)

    assert figure.layout.width == 800
    assert '"responsive": true' in page
    assert '"width":800' not in page.replace(" ", "")
    assert f"height:{figure.layout.height}px; width:100%" in page


@pytest.mark.browser
def test_the_svg_has_a_size_of_its_own(tmp_path: Path) -> None:
    _, drawing = write(sweep_figure(swept(2)), tmp_path / "plots" / "figure7")

    text = drawing.read_text("utf-8")
    assert text.startswith("<svg")
    assert 'width="800"' in text
    assert "FID against CLIP-Score" in text


def test_a_figure_that_cannot_be_written_is_refused_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FigureFileError, match="cannot be written"):
        write(sweep_figure(swept(1)), tmp_path / "file" / "figure")
