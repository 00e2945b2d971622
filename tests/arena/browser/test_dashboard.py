"""The dashboard and our other pages in a real browser: the numbers, the banner, staying up to date, and phones."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from arena.ledger.records import Score
from arena.simulation import simulate

# Gradio 6.17 uses a name that Starlette has renamed; see gradio/routes.py, queue_join.
STALE_NAME = "ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated"
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings(STALE_NAME)]


@pytest.fixture
def results(site: Any, visit: Any) -> Callable[..., Any]:
    """Opens the dashboard at a study and waits until it shows something."""

    def opened(query: str, **window: Any) -> Any:
        found = visit(f"{site.address}/dashboard/{query}", **window)
        found.page.wait_for_selector("#results h1")
        return found

    return opened


def vote_as_simulated_raters(site: Any, study: str, *, raters: int = 8, votes_each: int = 4) -> int:
    """Raters who like the brighter image a little more."""

    def brighter(_: str, left: Any, right: Any, rng: np.random.Generator) -> str:
        difference = float(np.asarray(left).mean() - np.asarray(right).mean())
        return "left" if difference + rng.normal(0, 20) > 0 else "right"

    return simulate(
        site.room,
        study,
        raters=raters,
        votes_each=votes_each,
        judge=brighter,
        rng=np.random.default_rng(1),
        now=datetime.now(UTC),
    )


def vote_as_person(site: Any, study: str, count: int) -> None:
    """One person, who always takes the left image."""
    rng, now = np.random.default_rng(2), datetime.now(UTC)
    rater = site.room.join(study, now=now)
    for _ in range(count):
        pair = site.room.next_pairs(rater=rater, study=study, count=1, rng=rng, now=now)[0]
        site.room.vote(
            rater=rater,
            study=study,
            pair=pair.pair,
            round=pair.round,
            choice="left",
            key=str(uuid4()),
            latency_ms=700,
            rng=rng,
            now=now,
        )


def test_the_board_shows_rate_interval_votes_raters_and_verdict(site: Any, results: Any) -> None:
    study = site.open_study("dash-board", votes_per_rater=4)
    cast = vote_as_simulated_raters(site, study)

    found = results(f"?study={study}")

    found.page.wait_for_selector("#chart .main-svg")
    text = found.page.inner_text("#results")
    assert f"{cast} votes" in text
    assert "8 simulated raters" in text
    assert "zebra-candidate" in text
    rows = found.page.query_selector_all("#results tbody tr")
    for row in rows:
        cells = [cell.inner_text() for cell in row.query_selector_all("td")]
        assert cells[0].endswith("%")
        assert " to " in cells[1]
        assert int(cells[2]) > 0
        assert int(cells[3]) > 0
        assert any(word in cells[-1] for word in ("preferred", "equivalent", "inconclusive"))
    assert len(rows) == 2
    assert "Simulated raters" in found.page.inner_text("#chart")
    assert found.errors == []
    assert found.hosts == {site.address.removeprefix("http://")}


def test_the_four_verdicts_and_the_clustering_are_explained(site: Any, results: Any) -> None:
    study = site.open_study("dash-words")
    vote_as_simulated_raters(site, study)

    found = results(f"?study={study}")
    found.page.click("summary")

    words = found.page.inner_text("#results details")
    assert all(word in words for word in ("preferred", "not preferred", "equivalent", "inconclusive"))
    assert "clustered by rater and by prompt" in words


def test_simulated_votes_stand_under_a_banner_and_never_among_peoples(site: Any, results: Any) -> None:
    study = site.open_study("dash-both", votes_per_rater=4)
    cast = vote_as_simulated_raters(site, study)
    vote_as_person(site, study, 3)

    found = results(f"?study={study}")
    people = found.page.inner_text("#results")
    found.page.get_by_label("Simulated raters").check()
    found.page.wait_for_selector(".simulated")
    simulated = found.page.inner_text("#results")

    assert "3 votes by 1 rater" in people
    assert "Simulated" not in people
    assert f"{cast} votes by 8 simulated raters" in simulated
    assert "made by a program, not by people" in simulated


def test_a_vote_shows_up_by_itself(site: Any, results: Any) -> None:
    study = site.open_study("dash-live", votes_per_rater=5)
    vote_as_person(site, study, 2)
    found = results(f"?study={study}")
    before = found.page.inner_text("#results .lead")

    vote_as_person(site, study, 3)

    found.page.wait_for_function("document.querySelector('#results .lead').innerText.includes('5 votes by 2 raters')")
    assert "2 votes by 1 rater" in before


def test_a_study_without_votes_offers_to_rate(site: Any, results: Any) -> None:
    study = site.open_study("dash-empty")

    found = results(f"?study={study}")

    assert "no votes by people yet" in found.page.inner_text("#results")
    assert found.page.get_attribute("#results .button", "href") == f"/rate/?study={study}"
    assert not found.page.is_visible("#chart")


def test_another_study_can_be_chosen_and_brings_its_own_chart(site: Any, results: Any) -> None:
    empty, full = site.open_study("dash-from", title="From here"), site.open_study("dash-to", title="To there")
    vote_as_simulated_raters(site, full)
    found = results(f"?study={empty}")

    found.page.click("#controls input[role=listbox]")
    found.page.get_by_role("option", name="To there").click()

    found.page.wait_for_selector("#chart .main-svg")
    assert found.page.inner_text("#results h1") == "To there"
    assert found.page.is_visible(".simulated")


@pytest.mark.parametrize("raters", ["", "&raters=people", "&raters=nobody"])
def test_an_unknown_study_says_so(results: Any, site: Any, raters: str) -> None:
    if not site.ledger.studies():
        site.open_study("dash-any")

    found = results(f"?study=<b>nothing</b>{raters}")

    assert "There is no study named “<b>nothing</b>”" in found.page.inner_text("#results")


def test_automatic_scores_stand_below_the_board(site: Any, results: Any) -> None:
    study = site.open_study("dash-scores", prompts=7)
    prompts = site.ledger.study(study).study.prompts
    score = Score(
        entrant="yak-candidate", prompt_set_id=prompts.id, metric="clip_score", value=24.5, low=23.9, high=25.1, n=7
    )
    site.ledger.keep_score(score)

    found = results(f"?study={study}")

    found.page.wait_for_selector("#scores table")
    assert all(
        text in found.page.inner_text("#scores") for text in ("clip_score", "yak-candidate", "24.50", "23.90 to 25.10")
    )


def test_on_a_phone_the_board_needs_no_sideways_scrolling(site: Any, results: Any) -> None:
    study = site.open_study("dash-phone")
    vote_as_simulated_raters(site, study)

    found = results(f"?study={study}", width=390, height=844, is_mobile=True, has_touch=True)
    found.page.wait_for_selector("#chart .main-svg")

    assert found.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert found.page.query_selector("#chart .main-svg").bounding_box()["width"] <= 390


@pytest.mark.parametrize("path", ["/", "/gallery/?study=axe-pages", "/nowhere"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_our_own_pages(site: Any, visit: Any, path: str, scheme: Any) -> None:
    if "axe-pages" not in {record.name for record in site.ledger.studies()}:
        site.open_study("axe-pages")

    found = visit(site.address + path, color_scheme=scheme)

    faults = Axe().run(found.page).response["violations"]
    assert [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in faults] == []
    assert found.hosts == {site.address.removeprefix("http://")}


def test_axe_finds_nothing_serious_on_the_dashboard(site: Any, results: Any) -> None:
    study = site.open_study("axe-dash")
    vote_as_simulated_raters(site, study)
    found = results(f"?study={study}")
    found.page.wait_for_selector("#chart .main-svg")

    faults = Axe().run(found.page).response["violations"]

    assert [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")] == []


def test_the_first_page_and_the_gallery_fit_a_phone(site: Any, visit: Any) -> None:
    study = site.open_study("phone-pages")

    for path in ("/", f"/gallery/?study={study}"):
        found = visit(site.address + path, width=390, height=844, is_mobile=True)
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert found.errors == []
