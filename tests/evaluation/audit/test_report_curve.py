"""The report's drawing: where its points lie, what it says to those who do not see it; and names in the report."""

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from evaluation.audit.analysis import analyse
from evaluation.audit.differences import AuditSettings
from evaluation.audit.dose_response import DoseResponse, Step
from evaluation.audit.labels import Label, labels_of
from evaluation.audit.report import write_report
from evaluation.audit.report_figure import NARROW_PX, WIDE_PX, dose_svg
from evaluation.audit.report_images import Pictures
from evaluation.audit.report_source import Source
from prompts.probes import LADDER

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("x")</script>\x07'


def curve(model: str, *rates: float, interval: bool = True) -> DoseResponse:
    """A curve over the ladder's first steps."""
    steps = tuple(
        Step(
            kind=str(kind),
            rate=rate,
            se=0.05,
            interval=(max(0.0, rate - 0.1), min(1.0, rate + 0.1)) if interval else None,
            characters=12,
        )
        for kind, rate in zip(LADDER, rates, strict=False)
    )
    return DoseResponse(model=model, steps=steps, slope=None, slope_se=None)


def test_points_lie_in_proportion_to_their_rates_and_a_step_apart() -> None:
    drawing = ElementTree.fromstring(dose_svg((curve("mine", 0.0, 0.5, 1.0), curve("sd2", 0.2, 0.2, 0.2)), "sd2"))

    lines = [one.attrib["points"] for one in drawing.iter(f"{SVG}polyline")]
    (first, second) = [[tuple(map(float, point.split(","))) for point in line.split()] for line in lines]
    heights = [y for _, y in first]
    places = [x for x, _ in first]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert [y for _, y in second] == pytest.approx([heights[0] - 0.2 * (heights[0] - heights[2])] * 3, abs=0.2)
    assert second[0][0] > first[0][0], "whiskers of one step stand beside each other"


@pytest.mark.parametrize("width", [NARROW_PX, WIDE_PX])
def test_everything_lies_inside_the_drawing_and_it_says_its_numbers(width: int) -> None:
    models = [curve(f"model {number} of a long name that goes on", *[0.1 * number] * 7) for number in range(7)]

    drawing = ElementTree.fromstring(dose_svg((*models, curve("sd2", *[1.0] * 7)), "sd2", width_px=width))

    bottom = float(drawing.attrib["height"])
    assert drawing.attrib["role"] == "img"
    assert "sd2: generic 100.0\N{NO-BREAK SPACE}%, 3 keywords" in drawing.attrib["aria-label"]
    for text in drawing.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= bottom
    for sign in drawing.findall(f".//{SVG}path[@class='sign']"):
        x, y = map(float, re.findall(r"[\d.]+", sign.attrib["transform"]))
        assert 0 < x < width
        assert 0 < y < bottom
    names = [one.text for one in drawing.iter(f"{SVG}text") if one.attrib["class"] == "name"]
    assert names[-1] == "sd2"
    assert len(names) == 8


def test_a_hostile_name_stays_text_in_the_page_and_in_the_file() -> None:
    for on_page in (True, False):
        text = dose_svg((curve(HOSTILE, 0.1, 0.2), curve("sd2", 0.1, 0.2, interval=False)), "sd2", on_page=on_page)

        assert "<script" not in text
        assert ElementTree.fromstring(text) is not None


def report_of(tmp_path: Path) -> Path:
    """A report in which `elsa` is copied less and `puff` more."""
    shown = {"elsa": ([0, 0], [1, 1]), "puff": ([1, 1], [0, 0]), "anna": ([1, 0], [1, 0])}
    rows = [
        Label(
            character=key,
            prompt=f"{kind} of {key}",
            seed=seed,
            kind=kind,
            model=model,
            detected=bool(call),
            consistent=False,
        )
        for key, models in shown.items()
        for kind in ("suggestive", "name", "keywords_3", "generic")
        for model, calls in zip(("mine", "sd2"), models, strict=True)
        for seed, call in enumerate(calls)
    ]
    names = {"elsa": "Elsa", "puff": "Stay Puft <b>Marshmallow</b> Man"}
    source = Source(labels=labels_of(rows), hashes={"labels": "0" * 64}, names=names)
    settings = AuditSettings(resamples=200, draws=500)
    audit = analyse(source.labels, "sd2", controls=("generic",), settings=settings)
    pictures = Pictures(open=lambda _: Image.new("RGB", (8, 8)), identity="plain")
    write_report(source, audit, out=tmp_path / "report", pictures=pictures, now=NOW)
    return tmp_path / "report"


def test_characters_go_by_their_names_and_stand_by_how_much_more_they_are_copied(tmp_path: Path) -> None:
    page = (report_of(tmp_path) / "index.html").read_text(encoding="utf-8")

    table = page[page.index("data-sortable") :]
    found = re.findall(r'<th scope="row"><a href="(.*?)">(.*?)</a></th>', table)
    assert found == [
        ("images/puff.html", "Stay Puft &lt;b&gt;Marshmallow&lt;/b&gt; Man"),
        ("images/anna.html", "anna"),
        ("images/elsa.html", "Elsa"),
    ]


def test_a_characters_page_goes_up_the_ladder_and_does_not_shout_what_is_lacking(tmp_path: Path) -> None:
    page = (report_of(tmp_path) / "images" / "elsa.html").read_text(encoding="utf-8")

    kinds = re.findall(r'<h2 id="kind-\d+">(.*?)(?: <span|</h2>)', page)
    assert kinds == ["generic", "3 keywords", "suggestive", "name"]
    assert "<h1>Elsa</h1>" in page
    assert 'class="call gate">lacks what was asked' in page


def test_the_first_page_is_small_and_holds_the_drawing_twice_and_no_library(tmp_path: Path) -> None:
    page = (report_of(tmp_path) / "index.html").read_text(encoding="utf-8")

    assert len(page) < 100_000
    assert page.count('<svg class="dose"') == 2
    assert "plotly" not in page.lower()
