"""A report in a real browser: wide and on a phone, in light and in the dark, by keyboard, without scripts, on paper."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw

from evaluation.audit.analysis import analyse
from evaluation.audit.differences import AuditSettings
from evaluation.audit.labels import Label, labels_of
from evaluation.audit.report import write_report
from evaluation.audit.report_images import Asked, Pictures
from evaluation.audit.report_source import Source

pytestmark = pytest.mark.browser

KINDS = {"generic": 0.05, "misspelled": 0.1, "suggestive": 0.3, "keywords_5": 0.2, "description": 0.5, "name": 0.9}
LONG = "a-model-with-a-very-long-name-that-goes-on-and-on-and-has_no_end_of_it"
NAMES = (
    "elsa",
    "<b onmouseover=alert(1)>bold</b>",
    "indiana-jones",
    "a-character-with-an-exceedingly-long-name",
    "yoda",
)
PAGES = ("index.html", "images.html", "images/elsa.html")


def paint(asked: Asked) -> Image.Image | None:
    """A disc on a plain ground; no image for one seed of one kind."""
    if (asked.kind, asked.seed) == ("name", 1):
        return None
    image = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(image).ellipse((90, 90, 210, 210), fill="black")
    return image


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report of three models, with labels of all sorts."""
    rng = np.random.default_rng(0)
    rows = [
        Label(
            character=name,
            prompt=f"{kind} prompt for {name}, <i>with markup</i> and a-word-that-never-ends-{'x' * 60}",
            seed=seed,
            kind=kind,
            model=model,
            detected=bool(rng.random() < rate * lift),
            consistent=bool(rng.random() < 0.9),
            human=bool(rng.random() < rate * lift) if rng.random() < 0.5 else None,
        )
        for name in NAMES
        for kind, rate in KINDS.items()
        for seed in (0, 1)
        for model, lift in (("mine", 0.2), (LONG, 1.0), ("sd2", 1.0))
    ]
    source = Source(
        labels=labels_of(rows),
        hashes={"labels": "0" * 64},
        run={
            "made_at": "2026-01-02T00:00:00+00:00",
            "commit": "canvas-arena 0.1.0",
            "details": {"judges": {"clip_divergence": {"details": {"weights": "somewhere/" + "x" * 200}}}},
        },
        points={
            "detects": "clip_divergence",
            "consistency": None,
            "lines": {"clip_divergence": {"threshold": 0.05, "drawn_by": "default", "rule": ""}},
        },
    )
    audit = analyse(
        source.labels, "sd2", controls=("generic", "misspelled"), settings=AuditSettings(resamples=200, draws=500)
    )
    out = tmp_path_factory.mktemp("published") / "report"
    write_report(
        source,
        audit,
        out=out,
        pictures=Pictures(open=paint, identity="discs"),
        now=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return Path(out).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off_or_fetched(
    published: str, visit: Any, page: str, width: int, scheme: str
) -> None:
    found = visit(f"{published}/{page}", color_scheme=scheme, width=width)
    for summary in found.page.query_selector_all("summary"):
        summary.click()
    # Before axe, which fetches style sheets by itself.
    errors, hosts = list(found.errors), set(found.hosts)

    faults = Axe().run(found.page).response["violations"]

    assert [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in faults] == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []
    assert hosts == {""}


def test_the_pages_own_policy_lets_its_figure_draw_and_nothing_else_run(published: str, visit: Any) -> None:
    found = visit(f"{published}/index.html")

    assert found.page.locator("svg.dose:visible").count() == 1
    assert found.errors == []
    names = [one.text_content() for one in found.page.locator("svg.dose:visible .name").all()]
    assert names == [f"{LONG[:39]}…", "mine", "sd2"]
    found.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.bad = 1'}))"
    )
    assert found.page.evaluate("window.bad") is None
    assert any("Content Security Policy" in error for error in found.errors)


def test_the_figure_follows_light_dark_and_paper(published: str, visit: Any) -> None:
    inks = {}
    for scheme in ("light", "dark"):
        page = visit(f"{published}/index.html", color_scheme=scheme).page
        tick = page.locator("svg.dose:visible .title").first
        inks[scheme] = tick.evaluate("one => getComputedStyle(one).fill")
        page.emulate_media(media="print", color_scheme=scheme)
        inks[f"{scheme} on paper"] = tick.evaluate("one => getComputedStyle(one).fill")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".page-top nav").is_visible()

    assert inks == {
        "light": "rgb(28, 28, 26)",
        "dark": "rgb(237, 236, 232)",
        "light on paper": "rgb(0, 0, 0)",
        "dark on paper": "rgb(0, 0, 0)",
    }


def test_characters_are_sorted_by_a_click_or_a_key_and_back(published: str, visit: Any) -> None:
    page = visit(f"{published}/index.html").page
    table = page.locator("table[data-sortable]").first
    column = table.get_by_role("columnheader", name="Difference")

    def values() -> list[float]:
        return [float(cell.get_attribute("data-value")) for cell in table.locator("tbody tr td:nth-child(4)").all()]

    before, states = values(), [column.get_attribute("aria-sort")]
    table.get_by_role("button", name="Difference").click()
    rising = values()
    states.append(column.get_attribute("aria-sort"))
    page.keyboard.press("Enter")
    falling = values()
    states.append(column.get_attribute("aria-sort"))

    assert before == falling == sorted(before, reverse=True)
    assert rising == sorted(before)
    assert states == ["descending", "ascending", "descending"]
    table.get_by_role("button", name="Character").click()
    names = table.locator("tbody th").all_inner_texts()
    assert names == sorted(names, key=str.casefold)


@pytest.mark.parametrize("scripts", [True, False])
def test_images_are_blurred_until_their_box_or_the_pages_is_ticked_by_keyboard(
    published: str, visit: Any, scripts: bool
) -> None:
    page = visit(f"{published}/images/elsa.html", java_script_enabled=scripts).page
    images = page.locator(".frame img")

    def blurred() -> list[bool]:
        return ["blur" in one.evaluate("one => getComputedStyle(one).filter") for one in images.all()]

    assert images.count() == 6 * 2 * 3 - 3
    assert all(blurred())

    page.get_by_role("checkbox", name="Show what mine painted with seed 0").first.focus()
    page.keyboard.press("Space")
    assert blurred().count(False) == 1
    page.keyboard.press("Space")
    assert all(blurred())

    page.get_by_role("checkbox", name="Show all images on this page").focus()
    page.keyboard.press("Space")
    assert not any(blurred())
    assert not page.locator(".frame label").first.is_visible()
    page.keyboard.press("Space")
    assert all(blurred())


def test_a_blurred_image_shows_no_edge_and_the_same_one_does_when_asked(published: str, visit: Any) -> None:
    import io

    page = visit(f"{published}/images/elsa.html").page
    frame = page.locator(".frame").first
    page.wait_for_function("document.querySelector('.frame img').complete")

    def steepest() -> int:
        with Image.open(io.BytesIO(frame.screenshot())) as shot:
            # A row above the label, through the middle of the disc.
            row = np.asarray(shot.convert("L"), dtype=int)[shot.height // 2]
        return int(np.abs(np.diff(row)).max())

    hidden = steepest()
    frame.locator("label").click()
    page.mouse.move(0, 0)

    assert hidden < 12
    assert steepest() > 100


def test_a_reload_blurs_again(published: str, visit: Any) -> None:
    page = visit(f"{published}/images/elsa.html").page
    page.get_by_label("Show all images on this page").check()

    page.reload()

    assert "blur" in page.locator(".frame img").first.evaluate("one => getComputedStyle(one).filter")


def test_from_the_findings_to_a_characters_images_and_on(published: str, visit: Any) -> None:
    page = visit(f"{published}/index.html").page

    page.get_by_role("link", name="indiana-jones").first.click()
    assert page.locator("h1").inner_text() == "indiana-jones"
    page.get_by_role("link", name="yoda →").first.click()
    assert page.locator("h1").inner_text() == "yoda"
    page.get_by_role("link", name="Images").click()
    page.get_by_role("link", name=NAMES[1]).click()

    assert page.locator("h1").inner_text() == NAMES[1]
    assert page.locator("main b, main i").count() == 0


def test_without_scripts_the_findings_are_whole_and_the_figure_is_a_drawing(published: str, visit: Any) -> None:
    page = visit(f"{published}/index.html", java_script_enabled=False).page

    drawing = page.locator("svg.dose:visible")

    assert (drawing.get_attribute("aria-label") or "").startswith("Detection rate by how much the prompt says. ")
    assert page.locator("table[data-sortable] tbody tr").count() == 2 * len(NAMES)
    assert page.locator("thead button").count() == 0
