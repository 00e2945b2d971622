"""The dashboard of a study with several questions and with gates, in a real browser."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from arena.quality import Gates
from arena.study_parts import Question
from arena.votes import Choice

# Gradio 6.17 uses a name that Starlette has renamed; see gradio/routes.py, queue_join.
STALE_NAME = "ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated"
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings(STALE_NAME)]

GATES = Gates(latency_floor_ms=600, left_share_p=0.05)
QUESTIONS = (
    Question(key="alignment", text="Which image fits the prompt better?"),
    Question(key="looks", text="Which image looks better?"),
)


@pytest.fixture
def results(site: Any, visit: Any) -> Callable[..., Any]:
    """Opens the dashboard at a study and waits until it shows something."""

    def opened(query: str, **window: Any) -> Any:
        found = visit(f"{site.address}/dashboard/{query}", **window)
        found.page.wait_for_selector("#results h1")
        return found

    return opened


def rate_six(site: Any, study: str, *, hurried: int = 2, keys: tuple[str, ...] = ("overall",)) -> int:
    """Six people judge eight pairs each, of whom `hurried` take no time; how many votes on one question that are.

    Who takes time prefers the candidate on the first question and the reference on any other.
    """
    rng, now = np.random.default_rng(3), datetime.now(UTC)
    votes = 0
    for number in range(6):
        rater = site.room.join(study, now=now)
        waiting = site.room.next_pairs(rater=rater, study=study, count=8, rng=rng, now=now)
        seated = {pair.token: pair for pair in site.ledger.handed_pairs(site.ledger.study(study).id, rater)}
        for pair in waiting:
            first_left = seated[pair.pair].first_left
            sides = [Choice.LEFT if first_left == (place == 0) else Choice.RIGHT for place in range(len(keys))]
            if number < hurried:
                sides = [Choice.LEFT if rng.random() < 0.5 else Choice.RIGHT] * len(keys)
            site.room.vote(
                rater=rater,
                study=study,
                pair=pair.pair,
                round=pair.round,
                choice=dict(zip(keys, sides, strict=True)),
                key=str(uuid4()),
                latency_ms=350 if number < hurried else 2400,
                rng=rng,
                now=now,
            )
            votes += 1
    return votes


def test_a_study_with_one_question_and_no_gates_offers_neither_choice(site: Any, results: Any) -> None:
    study = site.open_study("gates-none")

    found = results(f"?study={study}")

    labels = found.page.inner_text("#controls")
    assert "Votes by" in labels
    assert "Question" not in labels
    assert "gates" not in labels


def test_each_question_has_its_own_results_and_is_reached_by_its_address(site: Any, results: Any) -> None:
    study = site.open_study("gates-asked", prompts=8, question="", questions=QUESTIONS, votes_per_rater=8)
    rate_six(site, study, hurried=0, keys=("alignment", "looks"))
    found = results(f"?study={study}")
    found.page.wait_for_selector("#chart .main-svg")
    first = found.page.inner_text("#results")

    found.page.get_by_label("Question").click()
    found.page.get_by_role("option", name=QUESTIONS[1].text).click()

    found.page.wait_for_function("document.querySelector('#results .lead').innerText.includes('looks better')")
    second = found.page.inner_text("#results")
    assert QUESTIONS[0].text in first
    assert "100.0 %" in first
    assert "48 votes by 6 raters" in second
    assert "100.0 %" not in second
    linked = results(f"?study={study}&question=looks")
    assert linked.page.inner_text("#results") == second
    assert linked.page.get_by_label("Question").input_value() == QUESTIONS[1].text


def test_the_results_are_shown_without_the_gates_and_with_them_and_say_whom_these_leave_out(
    site: Any, results: Any
) -> None:
    study = site.open_study("gates-two", prompts=8, votes_per_rater=8, gates=GATES)
    rate_six(site, study)
    found = results(f"?study={study}")
    found.page.wait_for_selector("#chart .main-svg")
    without = found.page.inner_text("#results")

    found.page.get_by_label("With the gates").check()

    found.page.wait_for_function("document.querySelector('#results').innerText.includes('32 votes by 4 raters')")
    found.page.wait_for_function("document.querySelector('#chart').innerText.includes('2 raters left out')")
    with_gates = found.page.inner_text("#results")
    assert "Without the gates: every vote counts." in without
    assert "48 votes by 6 raters" in without
    assert "With the gates." in with_gates
    for shown in (without, with_gates):
        assert "leave out 2 of 6 raters, and with them 16 of 48 votes" in shown
        assert "So many failed each gate: Latency 2." in shown
        assert "No vote is deleted." in shown
    board = httpx.get(f"{site.address}/api/board/{study}", params={"raters": "people"}).json()["with_gates"]
    for entrant, said in board["entrants"].items():
        row = found.page.locator("#results tbody tr", has_text=entrant)
        assert f"{100 * said['half_tie']['rate']:.1f} %" in row.inner_text()
    assert found.errors == []


def test_the_choice_of_the_gates_outlives_a_new_vote_and_ends_with_another_study(site: Any, results: Any) -> None:
    plain = site.open_study("gates-plain", title="Nothing declared", prompts=8)
    study = site.open_study("gates-stay", title="Gates declared", prompts=8, votes_per_rater=8, gates=GATES)
    rate_six(site, study)
    found = results(f"?study={study}&gates=with")
    found.page.wait_for_selector("#chart .main-svg")
    before = found.page.inner_text("#results")

    rate_six(site, study, hurried=0)
    found.page.wait_for_function("document.querySelector('#results').innerText.includes('80 votes by 10 raters')")
    after = found.page.inner_text("#results")
    found.page.get_by_label("Study").click()
    found.page.get_by_role("option", name="Nothing declared").click()
    found.page.wait_for_function("document.querySelector('#results h1').innerText === 'Nothing declared'")

    assert "32 votes by 4 raters" in before
    assert "leave out 2 of 12 raters, and with them 16 of 96 votes" in after
    assert not found.page.get_by_label("With the gates").is_visible()
    assert plain in found.page.get_attribute("#results .button", "href")


def test_the_page_comes_to_rest_after_every_choice(site: Any, results: Any) -> None:
    """A chart that Gradio 6.17 is told to show can redraw itself for ever."""
    study = site.open_study("gates-rest", prompts=8, question="", questions=QUESTIONS, votes_per_rater=8, gates=GATES)
    rate_six(site, study, keys=("alignment", "looks"))
    found = results(f"?study={study}")
    found.page.wait_for_selector("#chart .main-svg")

    found.page.get_by_label("With the gates").check()
    found.page.get_by_label("Question").click()
    found.page.get_by_role("option", name=QUESTIONS[1].text).click()
    found.page.wait_for_function("document.querySelector('#results').innerText.includes('looks better')")
    found.page.evaluate(
        "window.changed = performance.now(); new MutationObserver(() => { window.changed = performance.now(); })"
        ".observe(document.body, { childList: true, subtree: true, attributes: true })"
    )

    found.page.wait_for_function("performance.now() - window.changed > 1000")
    assert "32 votes by 4 raters" in found.page.inner_text("#results")
    assert found.errors == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_choices_are_open_to_everybody_and_fit_a_phone(site: Any, results: Any, scheme: str, width: int) -> None:
    study = f"gates-axe-{scheme}"
    site.open_study(study, prompts=8, question="", questions=QUESTIONS, votes_per_rater=8, gates=GATES)
    rate_six(site, study, keys=("alignment", "looks"))

    found = results(f"?study={study}&gates=with", width=width, color_scheme=scheme)
    found.page.wait_for_selector("#chart .main-svg")

    faults = Axe().run(found.page).response["violations"]
    assert [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")] == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    for label in ("Question", "With the gates"):
        box = found.page.get_by_label(label).bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= width
