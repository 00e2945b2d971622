"""The metrics page and the admin page's reports in a real browser, wide and on a phone, in light and in the dark."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from arena.ledger.records import Score
from arena.votes import Choice

# Gradio 6.17 uses a name that Starlette has renamed; see gradio/routes.py, queue_join.
STALE_NAME = "ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated"
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings(STALE_NAME)]


def hold_against(site: Any, name: str) -> str:
    """A study of people's votes that lean to one candidate, and metrics that see it, that do not, and of whole sets."""
    if name in {record.name for record in site.ledger.studies()}:
        return name
    site.open_study(name, prompts=9, votes_per_rater=9)
    prompts = site.ledger.study(name).study.prompts
    rng, now = np.random.default_rng(5), datetime.now(UTC)
    for metric in ("image_reward", "clip_score", "cmmd"):
        for entrant in site.ledger.study(name).study.entrants:
            lead = 1.5 * (entrant == "yak-candidate") if metric == "image_reward" else 0.0
            values = {prompt.id: float(rng.normal(lead)) for prompt in prompts}
            details = {} if metric == "cmmd" else {"per_prompt": values}
            site.ledger.keep_score(
                Score(
                    entrant=entrant,
                    prompt_set_id=prompts.id,
                    metric=metric,
                    value=lead,
                    low=lead - 1,
                    high=lead + 1,
                    n=9,
                    details=details,
                )
            )
    for _ in range(6):
        rater = site.room.join(name, now=now)
        waiting = site.room.next_pairs(rater=rater, study=name, count=9, rng=rng, now=now)
        seats = {pair.token: pair for pair in site.ledger.handed_pairs(site.ledger.study(name).id, rater)}
        for pair in waiting:
            seat = seats[pair.pair]
            likes = rng.random() < (0.8 if seat.first == "yak-candidate" else 0.4)
            site.room.vote(
                rater=rater,
                study=name,
                pair=pair.pair,
                round=1,
                choice=Choice.LEFT if seat.first_left == likes else Choice.RIGHT,
                key=str(uuid4()),
                latency_ms=900,
                rng=rng,
                now=now,
            )
    return name


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_cut_off(site: Any, visit: Any, scheme: str, width: int) -> None:
    study = hold_against(site, "browser-metrics")

    found = visit(f"{site.address}/metrics/?study={study}", color_scheme=scheme, width=width)
    for summary in found.page.query_selector_all("summary"):
        summary.click()

    faults = Axe().run(found.page).response["violations"]
    assert [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in faults] == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    assert found.errors == []
    assert found.hosts == {site.address.removeprefix("http://")}


def test_the_strip_draws_rule_middle_interval_and_value_in_the_houses_colours(site: Any, visit: Any) -> None:
    study = hold_against(site, "browser-metrics")
    colours = {}

    for scheme in ("light", "dark"):
        page = visit(f"{site.address}/metrics/?study={study}", color_scheme=scheme).page
        strip = page.locator(".strip").first
        frame = strip.bounding_box()
        rule, middle, point = (strip.locator(f".{part}").bounding_box() for part in ("rule", "middle", "point"))
        assert frame["width"] >= 100
        assert rule["width"] == pytest.approx(frame["width"], abs=2)
        assert middle["x"] - frame["x"] == pytest.approx(frame["width"] / 2, abs=2)
        value = float(page.locator("td .rate").first.inner_text().rstrip(" %"))
        assert point["x"] - frame["x"] == pytest.approx(frame["width"] * value / 100, abs=3)
        assert strip.locator(".span").bounding_box()["width"] > 5
        colours[scheme] = strip.locator(".point").evaluate("one => getComputedStyle(one).stroke")

    assert colours["light"] != colours["dark"]


def test_the_dashboards_scores_lead_to_the_metrics_and_back(site: Any, visit: Any) -> None:
    study = hold_against(site, "browser-metrics")
    found = visit(f"{site.address}/dashboard/?study={study}")
    found.page.wait_for_selector("#scores table")

    found.page.get_by_role("link", name="Hold these metrics against the votes").click()
    found.page.wait_for_selector("table")
    there = found.page.inner_text("main")
    found.page.get_by_text("How to read this").click()
    found.page.get_by_role("link", name="The results", exact=True).click()

    found.page.wait_for_selector("#results h1")
    assert "54 votes of people" in there
    assert study in found.page.url


def test_the_dashboard_says_that_it_reads_until_it_has_read(site: Any, visit: Any) -> None:
    study = hold_against(site, "browser-metrics")
    found = visit(f"{site.address}/healthz")
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    found.page.route("**/gradio_api/queue/join*", hold_the_first)
    found.page.goto(f"{site.address}/dashboard/?study={study}")
    said = found.page.inner_text("#results .lead")
    with found.page.expect_response("**/gradio_api/queue/join*"):
        found.page.get_by_role("button", name="Refresh").click()
    found.page.wait_for_timeout(1000)
    still = found.page.inner_text("#results .lead")
    held[0].continue_()
    found.page.wait_for_selector("#results h1")

    assert (said, still) == ("Reading the votes …", "Reading the votes …")
    assert "54 votes" in found.page.inner_text("#results")


@pytest.fixture
def administration(arena: Any, now: datetime) -> Any:
    """Reports of every kind, and the app that shows them with their images."""
    from fastapi import FastAPI
    from starlette.staticfiles import StaticFiles

    from arena.api import research_routes
    from arena.guard import Guard
    from arena.pages.admin import admin_routes, no_gates
    from arena.pages.html import ASSETS
    from arena.pages.reports import reports_routes

    arena.open(title="Shapes and colours")
    for kind, comment in (
        ("skip", ""),
        ("broken", "The left one is grey all over, with-a-very-long-word-that-does-not-end-" * 3),
        ("offensive", "<b>Not nice.</b>\nReally not."),
    ):
        rater = arena.join()
        [pair] = arena.pairs(rater, count=1)
        given = {"rater": rater, "study": "shapes", "pair": pair.pair, "round": 1, "key": str(uuid4())}
        arena.room.report(**given, kind=kind, comment=comment, rng=arena.rng, now=now)
    app = FastAPI()
    app.add_middleware(Guard, mounts={}, ours={})
    app.include_router(admin_routes(arena.ledger, quality=no_gates, clock=lambda: now))
    app.include_router(reports_routes(arena.ledger))
    app.include_router(research_routes(arena.ledger, arena.images))
    app.mount("/assets", StaticFiles(directory=ASSETS), name="assets")
    return app


@pytest.fixture
def serve() -> Any:
    """Serves an app on a port of its own until the test ends; returns its address."""
    import socket
    import threading
    import time

    import uvicorn

    running: list[tuple[Any, threading.Thread, socket.socket]] = []

    def start(app: Any) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread, listener))
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("path", ["/admin/", "/admin/reports/?study=shapes"])
def test_reports_are_open_to_everybody_who_may_see_them_and_fit_a_phone(
    administration: Any, serve: Callable[[Any], str], visit: Any, path: str, scheme: str, width: int
) -> None:
    found = visit(f"{serve(administration)}{path}", color_scheme=scheme, width=width)
    page = found.page

    assert page.locator(".reports li").count() == 3
    assert page.locator(".reports li").first.locator("img").first.is_hidden()
    page.get_by_text("Show the images").click()
    for image in page.locator(".reports img").all():
        image.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("[...document.querySelectorAll('.reports img')].every(one => one.naturalWidth > 0)")
    faults = Axe().run(page).response["violations"]
    assert [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in faults] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "<b>Not nice.</b>" in page.inner_text(".reports")
    # The icons are the whole site's, which this small one lacks.
    assert [error for error in found.errors if "404" not in error] == []
