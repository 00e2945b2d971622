"""A figure's page in a real browser: it fills the window, keeps its parts apart and asks nobody for anything."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arena.ledger.records import Score
from evaluation.plots import page_of, sweep_figure
from evaluation.sweep import Point, Sweep

if TYPE_CHECKING:
    from tests.conftest import Visit

pytestmark = pytest.mark.browser


def swept() -> Sweep:
    """Three entrants at three scales."""

    def one(entrant: str, metric: str, value: float, better: str) -> Score:
        return Score(
            entrant=entrant,
            prompt_set_id="p",
            metric=metric,
            value=value,
            low=value - 0.5,
            high=value + 0.5,
            n=4,
            details={"better": better},
        )

    return Sweep(
        metrics=("fid", "clip_score"),
        points=tuple(
            Point(
                entrant=name,
                guidance=scale,
                scores={
                    "fid": one(name, "fid", 10 + number + (scale - 2) ** 2, "lower"),
                    "clip_score": one(name, "clip_score", 30 - number - 6 / scale, "higher"),
                },
            )
            for number, name in enumerate(("teal", "rose", "slate"))
            for scale in (1.0, 2.0, 4.0)
        ),
    )


@pytest.mark.parametrize("width_px", [1300, 700])
def test_it_fills_its_window_keeps_its_parts_apart_and_asks_for_nothing(
    visit: "Callable[..., Visit]", tmp_path: Path, width_px: int
) -> None:
    page = tmp_path / "figure7.html"
    page.write_text(page_of(sweep_figure(swept())), encoding="utf-8")

    seen = visit(page.as_uri(), width=width_px, height=1000)

    seen.page.wait_for_selector(".main-svg .legend")
    title, legend, panel, drawing = (
        seen.page.evaluate(f"document.querySelector('{part}').getBoundingClientRect().toJSON()")
        for part in (".gtitle", ".legend", ".cartesianlayer .subplot.xy .gridlayer", ".main-svg")
    )
    assert drawing["width"] == pytest.approx(width_px - 32, abs=20)
    assert title["bottom"] <= legend["top"] + 12  # an empty rim of the legend may begin beside the title's last px
    assert legend["bottom"] <= panel["top"]
    assert [one.url for one in seen.responses] in ([page.as_uri()], [])
    assert seen.errors == []
    assert seen.hosts <= {""}
