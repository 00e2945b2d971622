"""The ways out of a study in a real browser: the end, a closed study, no consent, consent taken back, a preview.

Nobody ends without what is theirs, nobody begins unasked, and whom a crowd site pays learns what to do there.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from arena.study_parts import Crowd, KnownPair

pytestmark = pytest.mark.browser

SETTLED_MS = 350  # the page takes no choice in the first 300 ms of a pair
COUNT = "(count) => document.querySelector('.count').textContent === count"
BETTER, WORSE = "zebra-candidate", "aardvark-reference"


def crowd(**declared: Any) -> Crowd:
    values: dict[str, Any] = {
        "slots": 5,
        "completion_code": "DONE1",
        "return_url": "https://crowd.example/done?cc={code}",
    }
    return Crowd(**({"site": "prolific"} | values | declared))


@pytest.fixture
def come(site: Any, visit: Any) -> Callable[..., Any]:
    """Opens the page of a study, with what a crowd site adds to its address."""

    def opened(study: str, query: str = "", **window: Any) -> Any:
        return visit(f"{site.address}/rate/?study={study}{query}", **window).page

    return opened


def until(page: Any, phase: str) -> None:
    page.wait_for_selector(f".rate[data-phase={phase}]")


def settled(page: Any) -> None:
    until(page, "voting")
    page.wait_for_timeout(SETTLED_MS)


def rate(page: Any, *counts: str) -> None:
    """Judge one pair after another; after each the progress says what is given here, and the server has the vote."""
    for count in counts:
        settled(page)
        page.keyboard.press("1")
        page.wait_for_function(COUNT, arg=count)
        sent(page)


def sent(page: Any) -> None:
    page.wait_for_function("Object.keys(localStorage).every((name) => !name.includes('outbox'))")


def stored(site: Any, study: str) -> int:
    return len(site.ledger.votes(study, raters="people"))


# ---- the end -----------------------------------------------------------------------------------------------------


def test_an_undo_and_a_reload_strand_no_pair_and_the_code_comes_with_the_last_vote(site: Any, come: Any) -> None:
    study = site.open_study("out-undo", crowd=crowd(), votes_per_rater=6)
    page = come(study, "&PROLIFIC_PID=anna")
    rate(page, "1 of 6")
    settled(page)
    page.keyboard.press("u")
    page.wait_for_function(COUNT, arg="0 of 6")
    rate(page, "1 of 6")

    page.reload()
    rate(page, *(f"{count} of 6" for count in range(2, 7)))
    until(page, "ended")

    assert page.inner_text(".code") == "DONE1"
    assert "6 votes are counted" in page.inner_text(".card .text")


def test_without_an_end_from_the_server_the_page_asks_for_more_and_thanks_nobody(site: Any, come: Any) -> None:
    study = site.open_study("out-believe", crowd=crowd(), votes_per_rater=4)
    page = come(study, "&PROLIFIC_PID=anna")
    settled(page)
    # Answers that lost the next pair on their way, as a page of yesterday's server would see them.
    page.route("**/rate/api/vote", lambda route: route.fulfill(json=route.fetch().json() | {"next": None}))

    rate(page, *(f"{count} of 4" for count in range(1, 5)))
    until(page, "ended")

    assert page.inner_text(".code") == "DONE1"
    assert stored(site, study) == 4


def test_the_end_offers_results_to_those_only_who_may_read_them(site: Any, come: Any) -> None:
    study = site.open_study("out-results", votes_per_rater=1)
    reader = come(study)
    rate(reader, "1 of 1")
    until(reader, "ended")
    stranger = come("out-results", extra_http_headers={"x-forwarded-for": "198.51.100.7"})
    rate(stranger, "1 of 1")
    until(stranger, "ended")

    assert reader.is_visible(".results")
    # Results are open on this machine alone, and this one comes from another.
    assert not stranger.is_visible(".results")
    assert stranger.is_visible(".home")


def test_who_returned_the_slot_and_judged_on_is_told_how_to_go_back(site: Any, come: Any) -> None:
    study = site.open_study("out-returned", crowd=crowd(), votes_per_rater=2)
    page = come(study, "&PROLIFIC_PID=anna")
    rate(page, "1 of 2")
    place = site.ledger.study(study).id
    site.ledger.take_step(place, _newest_rater(site, study), "returned", now=datetime.now(UTC))

    rate(page, "2 of 2")
    until(page, "ended")

    assert "Your 2 votes are counted. There is no code for this: please return" in page.inner_text(".card .text")
    assert page.get_attribute(".redirect", "href") == "https://crowd.example/"
    assert not page.is_visible(".completion")


# ---- a closed study ----------------------------------------------------------------------------------------------


def test_closing_takes_no_code_from_who_finished_and_tells_who_did_not_what_to_do(site: Any, come: Any) -> None:
    study = site.open_study("out-closed", crowd=crowd(), votes_per_rater=3)
    through, middle = come(study, "&PROLIFIC_PID=anna"), come(study, "&PROLIFIC_PID=bert")
    rate(through, "1 of 3", "2 of 3", "3 of 3")
    until(through, "ended")
    rate(middle, "1 of 3")
    site.ledger.close_study(study, now=datetime.now(UTC))

    through.reload()
    until(through, "ended")
    settled(middle)
    middle.keyboard.press("1")
    until(middle, "closed")
    late = come(study, "&PROLIFIC_PID=carl")
    until(late, "closed")

    assert through.inner_text(".code") == "DONE1"
    assert through.get_attribute(".redirect", "href") == "https://crowd.example/done?cc=DONE1"
    words = middle.inner_text(".card .text")
    assert "Your vote is kept and counts." in words
    assert "please return your submission on Prolific, or ask" in words
    assert middle.inner_text(".notice .text") == ""
    assert not middle.is_visible(".completion")
    assert "please return your submission on Prolific" in late.inner_text(".card .text")
    for page in (middle, late):
        assert page.get_attribute(".redirect", "href") == "https://crowd.example/"
        assert page.inner_text(".redirect") == "Go to crowd.example"


# ---- consent that is not given, and consent that is taken back -----------------------------------------------------


def test_declining_gives_the_slot_back_and_says_how_to_go_back(site: Any, come: Any) -> None:
    study = site.open_study("out-declined", crowd=crowd(slots=1), consent="I take part.")
    page = come(study, "&PROLIFIC_PID=anna")
    until(page, "consent")
    full = come(study, "&PROLIFIC_PID=bert")
    until(full, "full")

    with page.expect_response("**/rate/api/decline") as answer:
        page.click(".decline")
    full.reload()
    until(full, "consent")

    assert answer.value.ok
    assert "please return your submission on Prolific" in page.inner_text(".card .text")
    assert page.get_attribute(".redirect", "href") == "https://crowd.example/"
    page.click(".back")
    page.click(".agree")
    until(page, "full")
    assert "please return your submission on Prolific" in page.inner_text(".card .text")
    assert page.get_attribute(".redirect", "href") == "https://crowd.example/"


def test_who_took_consent_back_is_told_so_in_every_tab_and_begins_anew_only_deliberately(site: Any, come: Any) -> None:
    study = site.open_study("out-withdrawn")
    page = come(study)
    rate(page, "1 of 5")
    other = page.context.new_page()
    other.goto(page.url)
    settled(other)
    page.click(".leave")
    page.click("dialog.withdraw [type=submit]")
    until(page, "withdrawn")

    page.reload()
    until(page, "withdrawn")
    other.keyboard.press("1")
    until(other, "withdrawn")
    before = len(site.ledger.events(study))

    assert "withdrawn in this browser before" in page.inner_text(".card .text")
    page.click(".anew")
    settled(page)
    assert page.inner_text(".count") == "0 of 5"
    assert stored(site, study) == 0
    assert len(site.ledger.events(study)) == before
    page.reload()
    settled(page)


def test_a_crowd_rater_who_took_consent_back_is_not_a_new_one_by_loading_the_page(site: Any, come: Any) -> None:
    study = site.open_study("out-crowd-withdrawn", crowd=crowd(slots=1))
    page = come(study, "&PROLIFIC_PID=anna")
    settled(page)
    page.click(".leave")
    page.click("dialog.withdraw [type=submit]")
    until(page, "withdrawn")
    said = page.inner_text(".card .text")

    page.reload()
    until(page, "withdrawn")

    for words in (said, page.inner_text(".card .text")):
        assert "If you have not handed in your submission on Prolific yet, please return it." in words
    assert page.get_attribute(".redirect", "href") == "https://crowd.example/"
    settled(come(study, "&PROLIFIC_PID=bert"))  # the one slot is free


# ---- the crowd site's link -----------------------------------------------------------------------------------------


def test_an_mturk_preview_shows_the_instructions_and_starts_nothing(site: Any, come: Any) -> None:
    study = site.open_study(
        "out-preview", instructions="Look at both images.", crowd=crowd(site="mturk", slots=1, return_url="")
    )

    page = come(study, "&assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=H&workerId=W")
    until(page, "preview")

    assert "accept the task on MTurk" in page.inner_text(".card .text")
    assert page.inner_text(".card .more") == "Look at both images."
    assert page.context.cookies() == []
    assert not page.is_visible(".leave")
    accepted = come(study, "&assignmentId=A&hitId=H&workerId=W2")
    until(accepted, "consent")  # the one slot is free


def test_a_placeholder_in_the_link_is_refused_in_the_studys_language(site: Any, come: Any) -> None:
    study = site.open_study("out-placeholder", crowd=crowd(), language="de")

    page = come(study, "&PROLIFIC_PID={{%25PROLIFIC_PID%25}}", locale="en-GB")
    until(page, "message")

    assert "An ihrer Stelle steht ein Platzhalter." in page.inner_text(".card .text")
    answer = httpx.post(
        f"{site.address}/rate/api/join", json={"study": study, "arrival": {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"}}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "link_not_filled")
    assert "Prolific did not fill in PROLIFIC_PID" in answer.json()["error"]


# ---- on the way ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "places"), [(1280, {"left", "right"}), (390, {"top", "bottom"})])
def test_practice_shows_and_says_which_image_was_right_when_the_answer_was_not(
    site: Any, come: Any, width: int, places: set[str]
) -> None:
    pair = KnownPair(prompt="thing number 0 on a plain table", better=BETTER, worse=WORSE)
    study = site.open_study(f"out-practice-{width}", practice=(pair,))
    page = come(study, width=width)
    settled(page)

    page.keyboard.press("0")
    until(page, "feedback")

    rater = _newest_rater(site, study)
    (shown,) = [one for one in site.ledger.handed_pairs(site.ledger.study(study).id, rater) if one.kind == "practice"]
    right = page.evaluate(
        "[...document.querySelectorAll('.pair img')].map((image) => image.className.includes('better'))"
    )
    assert right == [shown.first_left, not shown.first_left]
    first, second = ("left", "right") if width > 640 else ("top", "bottom")
    assert (
        page.inner_text(".better:not(img)") == f"The {first if shown.first_left else second} image is the better one."
    )
    assert {first, second} == places
    assert "is the better one." in page.inner_text(".spoken")


def test_a_right_answer_in_practice_marks_nothing(site: Any, come: Any) -> None:
    pair = KnownPair(prompt="thing number 0 on a plain table", better=BETTER, worse=WORSE)
    study = site.open_study("out-practice-good", practice=(pair,))
    page = come(study)
    settled(page)
    (shown,) = site.ledger.handed_pairs(site.ledger.study(study).id, _newest_rater(site, study))

    page.keyboard.press("1" if shown.first_left else "2")
    until(page, "feedback")

    assert page.inner_text(".judged") == "That is right"
    assert page.query_selector("img.better") is None
    assert not page.is_visible("p.better")


def test_what_is_agreed_to_is_written_no_smaller_than_what_stands_around_it(site: Any, come: Any) -> None:
    study = site.open_study("out-letters", consent="I take part.", instructions="Look at both images.")
    for width in (1280, 390):
        page = come(study, width=width, height=844)
        until(page, "consent")

        sizes = page.evaluate(
            "[...document.querySelectorAll('.consent-text p, .instructions p')]"
            ".map((part) => parseFloat(getComputedStyle(part).fontSize))"
        )

        assert len(sizes) == 2
        assert min(sizes) >= 16


LONG = (
    "an old lighthouse keeper with a white beard who reads a letter by candlelight while a storm rages outside and {}"
)


@pytest.mark.parametrize(("height", "prompt", "least_px"), [(664, 0, 225), (844, 0, 310), (664, 1, 220), (844, 1, 270)])
def test_on_a_phone_stacked_images_are_larger_than_side_by_side_and_the_choices_stay_in_reach(
    site: Any, come: Any, height: int, prompt: int, least_px: int
) -> None:
    from prompts.prompt import Prompt, PromptSet

    prompts: Any = 4
    if prompt:
        texts = tuple(Prompt(text=LONG.format(pet)) for pet in ("two cats sleep", "a dog barks"))
        prompts = PromptSet(name="long", licence="CC0-1.0", source="made up", prompts=texts)
    study = site.open_study(f"out-phone-{height}-{prompt}", prompts=prompts)
    page = come(study, width=390, height=height, has_touch=True, is_mobile=True)
    settled(page)

    images = [image.bounding_box() for image in page.query_selector_all(".pair img")]
    buttons = [button.bounding_box() for button in page.query_selector_all(".choices button")]

    side_by_side_px = (390 - 2 * 14 - 8) / 2
    assert min(image["width"] for image in images) >= least_px > side_by_side_px
    assert max(button["y"] + button["height"] for button in buttons) <= height
    # Both are seen together, if need be after a short way down.
    page.query_selector_all(".pair img")[1].scroll_into_view_if_needed()
    assert images[1]["y"] + images[1]["height"] - images[0]["y"] <= min(button["y"] for button in buttons)
    assert page.evaluate("document.querySelector('.rate').scrollWidth") <= 390


def _newest_rater(site: Any, study: str) -> int:
    """Who was handed a pair of this study last."""
    from sqlalchemy import select

    from arena.ledger.tables import PAIRS

    with site.ledger.reading() as connection:
        wanted = select(PAIRS.c.rater).where(PAIRS.c.study_id == site.ledger.study(study).id)
        return int(connection.execute(wanted.order_by(PAIRS.c.id.desc()).limit(1)).scalar_one())
