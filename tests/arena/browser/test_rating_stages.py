"""Every state of the rating page in a real browser, from consent to the completion code.

The page, its script and the browser are real; the site's answers are written here in the words of its protocol, so
that each state can be had at once, whatever a study has to declare for it.
"""

import io
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

pytestmark = pytest.mark.browser

CONSENT = {
    "text": "Your choices are kept under a random number.\n\nTaking part is voluntary.",
    "instructions": "You see a prompt and two images. Say which one you prefer.",
}
CHECK = {
    "questions": [
        {"text": "What do you compare?", "answers": ["Two prompts", "Two images", "Two models"]},
        {"text": "When both are equally good?", "answers": ["Tie", "I close the page"]},
    ],
    "tries_left": 2,
}
ONE = [{"key": "overall", "text": "Which image do you prefer?"}]
TWO = [{"key": "quality", "text": "Which is of better quality?"}, {"key": "alignment", "text": "Which fits better?"}]
PHONE = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}
SETTLED = "!['', 'loading', 'waiting'].includes(document.querySelector('.rate')?.dataset.phase ?? '')"


def picture(number: int) -> bytes:
    """A WebP in a colour of its own."""
    encoded = io.BytesIO()
    colour = tuple(60 + (number * step) % 190 for step in (37, 83, 131))
    Image.new("RGB", (320, 320), colour).save(encoded, "WEBP")
    return encoded.getvalue()


def pair(number: int, prompt: str = "") -> dict[str, Any]:
    return {
        "pair": f"pair-{number}",
        "prompt": prompt or f"thing number {number} on a plain table",
        "left": f"/rate/image/{number}.left",
        "right": f"/rate/image/{number}.right",
        "round": 1,
    }


def joined(stage: str, *, questions: list[dict[str, str]] = ONE, **answer: Any) -> dict[str, Any]:
    """The answer to join; `language`, `idle_s`, `crowd` and `title` are the study's, everything else is its own."""
    study = {
        "name": "shapes",
        "title": answer.pop("title", "Shapes"),
        "language": answer.pop("language", "en"),
        "questions": questions,
        "ties": True,
        "both_bad": True,
        "votes_per_rater": 5,
        "guard_ms": 300,
        "idle_s": answer.pop("idle_s", 300),
        "crowd": answer.pop("crowd", None),
    }
    empty: dict[str, Any] = {"consent": None, "practice": None, "check": None, "done": 0, "pairs": [], "end": None}
    return {"study": study, "stage": stage, **empty, **answer}


def rating(**answer: Any) -> dict[str, Any]:
    return joined("rating", pairs=[pair(1), pair(2)], **answer)


class Room:
    """Answers the page's requests: `answers` maps a route's name to one answer, or to a list that it gives in turn.

    None is a lost connection; an answer with an "error" is a refusal, with the "status" 409 unless it has another.
    Whatever it is not told it answers as a study with pairs without end.
    """

    def __init__(self, page: Any, answers: dict[str, Any]) -> None:
        self.page = page
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers = answers
        self._handed = 2
        page.route("**/rate/image/*", self._image)
        page.route("**/rate/api/*", self._answer)

    def bodies(self, name: str) -> list[dict[str, Any]]:
        return [body for asked, body in self.asked if asked == name]

    def wait_for(self, name: str) -> dict[str, Any]:
        """The body of the first request of that name, once it has come."""
        for _ in range(100):
            if found := self.bodies(name):
                return found[0]
            self.page.wait_for_timeout(50)
        raise AssertionError(f"no request {name}: {self.asked}")

    def _image(self, route: Any) -> None:
        number, _, side = route.request.url.rsplit("/", 1)[1].partition(".")
        route.fulfill(body=picture(2 * int(number) + (side == "left")), content_type="image/webp")

    def _answer(self, route: Any) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        self.asked.append((name, route.request.post_data_json))
        answer = self.answers.get(name, {})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            route.abort()
        elif answer.get("error"):
            wait = {"retry-after": str(answer["wait_s"])} if "wait_s" in answer else {}
            route.fulfill(status=answer.get("status", 409), json=answer, headers=wait)
        else:
            route.fulfill(json=answer or self._next())

    def _next(self) -> dict[str, Any]:
        self._handed += 1
        return {"done": len(self.bodies("vote")), "next": pair(self._handed), "end": None}


@pytest.fixture
def enter(site: Any, visit: Any) -> Callable[..., Room]:
    """Opens the page over a Room and waits until it shows something to act on."""

    def opened(join: Any, *, window: dict[str, Any] | None = None, query: str = "", **answers: Any) -> Room:
        found = visit("about:blank", **(window or {}))
        room = Room(found.page, {"join": join, **answers})
        found.page.goto(f"{site.address}/rate/?study=shapes{query}")
        found.page.wait_for_function(SETTLED)
        return room

    return opened


def phase(page: Any, name: str) -> None:
    page.wait_for_selector(f".rate[data-phase={name}]")


def settle(page: Any) -> None:
    """Wait until a pair is on show and takes choices."""
    phase(page, "voting")
    page.wait_for_timeout(350)


# ---- consent, practice, check ------------------------------------------------------------------------------------


def test_consent_is_asked_first_and_agreeing_leads_on(enter: Any) -> None:
    room = enter(joined("consent", consent=CONSENT), consent=rating(), query="&PROLIFIC_PID=p1&STUDY_ID=s1")
    page = room.page
    shown = page.inner_text(".consent")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    settle(page)
    assert "Taking part is voluntary." in shown
    assert CONSENT["instructions"] in shown
    assert room.bodies("join") == [{"study": "shapes", "arrival": {"PROLIFIC_PID": "p1", "STUDY_ID": "s1"}}]
    assert room.bodies("consent") == [{"study": "shapes"}]
    assert page.evaluate("document.activeElement.id") == "rate-question", "the new stage's heading has the focus"


@pytest.mark.parametrize("answer", [{"declined": True}, None, {"error": "No."}])
def test_declining_is_said_at_once_whatever_the_server_answers_and_can_be_thought_over(
    enter: Any, answer: dict[str, Any] | None
) -> None:
    room = enter(joined("consent", consent=CONSENT), decline=answer)

    room.page.click(".decline")
    declined = room.page.inner_text(".card")
    room.wait_for("decline")
    room.page.click(".back")

    assert "You are not taking part" in declined
    assert "You gave no consent and no vote. You may close this page." in declined
    assert room.page.is_visible(".agree")
    assert room.page.inner_text(".notice .text") == ""
    assert room.asked[1:] == [("decline", {"study": "shapes"})]


def test_practice_gives_feedback_and_counts_nothing(enter: Any) -> None:
    room = enter(
        joined("practice", practice=[pair(1), pair(2)]),
        practice=[
            {"good": False, "feedback": "Look at the <b>hands</b>.", "join": None},
            {"good": True, "feedback": "", "join": rating()},
        ],
    )
    page = room.page
    settle(page)
    label = page.inner_text(".practising")

    page.keyboard.press("ArrowLeft")
    phase(page, "feedback")
    first = page.inner_text(".feedback")
    focused = page.evaluate("document.activeElement.className")
    page.keyboard.press("Enter")
    settle(page)
    page.keyboard.press("ArrowRight")
    phase(page, "feedback")
    second = page.inner_text(".judged")
    page.keyboard.press("Enter")
    settle(page)

    assert label == "Practice 1 of 2: does not count"
    assert "Not quite" in first
    assert "Look at the <b>hands</b>." in first
    assert "go" in focused.split()
    assert second == "That is right"
    assert [body["choices"] for body in room.bodies("practice")] == [{"overall": "left"}, {"overall": "right"}]
    assert room.bodies("vote") == []
    assert page.inner_text(".count") == "0 of 5"


def answer_check(page: Any, *chosen: int) -> None:
    for number, answer in enumerate(chosen):
        page.check(f".check input[name=question-{number}][value='{answer}']")
    page.click(".check [type=submit]")


def test_the_check_waits_for_every_answer_and_passes(enter: Any) -> None:
    room = enter(joined("check", check=CHECK), check={"passed": True, "tries_left": 2, "join": rating()})
    page = room.page

    answer_check(page, 1)
    missing = page.inner_text(".fault")
    focused = page.evaluate("document.activeElement.name")
    answer_check(page, 1, 0)
    settle(page)

    assert missing == "Please answer every question."
    assert focused == "question-1"
    assert room.bodies("check") == [{"study": "shapes", "answers": [1, 0], "tries_left": 2}]


def test_a_failed_check_has_a_second_try_and_then_ends(enter: Any) -> None:
    again = joined("check", check=CHECK | {"tries_left": 1})
    out = joined("screened_out", end={"code": "OUT7", "redirect": ""})
    room = enter(
        joined("check", check=CHECK),
        check=[{"passed": False, "tries_left": 1, "join": again}, {"passed": False, "tries_left": 0, "join": out}],
    )
    page = room.page

    answer_check(page, 0, 0)
    page.wait_for_selector(".fault:not([hidden])")
    fault = page.inner_text(".fault")
    focused = page.evaluate("document.activeElement.className")
    answer_check(page, 0, 1)
    phase(page, "screened_out")

    assert fault == "Not every answer was right. You have one more try."
    assert focused == "fault"
    assert page.inner_text(".code") == "OUT7"


# ---- voting ------------------------------------------------------------------------------------------------------


def test_keys_answer_several_questions_in_order_and_the_pair_is_sent_with_the_last(enter: Any) -> None:
    room = enter(rating(questions=TWO))
    page = room.page
    settle(page)

    active = [page.inner_text(".row.active .ask")]
    page.keyboard.press("1")
    active.append(page.inner_text(".row.active .ask"))
    pressed = page.get_attribute("[data-question=quality] [data-choice=left]", "aria-pressed")
    before = room.bodies("vote")
    page.keyboard.press("0")
    body = room.wait_for("vote")

    assert active == [TWO[0]["text"], TWO[1]["text"]]
    assert pressed == "true"
    assert before == []
    assert body["choices"] == {"quality": "left", "alignment": "tie"}
    assert set(body) == {"study", "pair", "round", "choices", "key", "latency_ms", "session"}


def test_undo_first_takes_back_the_answer_of_a_half_answered_pair(enter: Any) -> None:
    room = enter(rating(questions=TWO))
    page = room.page
    settle(page)
    page.keyboard.press("1")

    page.keyboard.press("u")
    page.keyboard.press("2")
    page.keyboard.press("b")

    assert room.wait_for("vote")["choices"] == {"quality": "right", "alignment": "both_bad"}
    assert room.bodies("undo") == []


def test_a_choice_in_the_first_moment_of_a_pair_is_refused_politely(enter: Any) -> None:
    room = enter(rating())
    page = room.page
    settle(page)
    page.keyboard.press("1")
    page.wait_for_function("document.querySelector('.prompt').textContent.includes('number 2')")

    page.evaluate("document.querySelector('[data-choice=right]').click()")

    assert page.inner_text(".notice .text") == "Too quick to count. Look at both images first."
    page.wait_for_function("document.querySelector('.notice .text').textContent === ''")
    assert [body["choices"] for body in room.bodies("vote")] == [{"overall": "left"}]


def test_zoom_shows_both_images_and_gives_the_focus_back(enter: Any) -> None:
    room = enter(rating())
    page = room.page
    settle(page)
    page.focus("[data-choice=tie]")

    page.keyboard.press("z")
    both = [box.bounding_box()["width"] for box in page.query_selector_all(".pane img")]
    page.keyboard.press("ArrowRight")
    single = [image.is_visible() for image in page.query_selector_all(".pane img")]
    page.keyboard.press("+")
    width = page.query_selector(".pane:last-child img").bounding_box()["width"]
    page.keyboard.press("Escape")

    assert both[0] == both[1] > 500
    assert single == [False, True]
    assert width > 2 * both[0]
    assert not page.is_visible("dialog.zoom")
    assert page.evaluate("document.activeElement.dataset.choice") == "tie"
    assert room.bodies("vote") == []


def test_enlarged_images_move_together(enter: Any) -> None:
    page = enter(rating()).page
    settle(page)
    page.click(".pair img")
    page.click(".larger")

    page.evaluate("document.querySelector('.pane').scrollTo(40, 90)")

    page.wait_for_function("document.querySelectorAll('.pane')[1].scrollTop === 90")
    assert page.evaluate("document.querySelectorAll('.pane')[1].scrollLeft") == 40


def test_a_tap_opens_the_zoom_and_taps_turn_from_image_to_image(enter: Any) -> None:
    page = enter(rating(), window=PHONE).page
    settle(page)

    page.tap(".pair img")
    seen = [[image.is_visible() for image in page.query_selector_all(".pane img")]]
    page.tap(".pane:first-child img")
    seen.append([image.is_visible() for image in page.query_selector_all(".pane img")])
    page.tap(".zoom .close")

    assert seen == [[True, False], [False, True]]
    assert not page.is_visible("dialog.zoom")


def test_skipping_needs_two_keys_and_shows_the_next_pair(enter: Any) -> None:
    room = enter(rating())
    page = room.page
    settle(page)

    page.keyboard.press("s")
    page.keyboard.press("Enter")
    body = room.wait_for("report")

    page.wait_for_function("document.querySelector('.prompt').textContent.includes('number 2')")
    assert (body["pair"], body["kind"], body["comment"]) == ("pair-1", "skip", "")
    assert page.inner_text(".count") == "0 of 5"


def test_a_report_carries_its_kind_and_reason(enter: Any) -> None:
    room = enter(rating())
    page = room.page
    settle(page)

    page.keyboard.press("r")
    page.keyboard.press("Escape")
    cancelled = room.bodies("report")
    page.click(".flag")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("blood, 1 u z")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    body = room.wait_for("report")

    assert cancelled == []
    assert (body["kind"], body["comment"]) == ("offensive", "blood, 1 u z")
    assert room.bodies("vote") == []


def test_a_report_is_kept_while_the_connection_is_lost_and_sent_once(enter: Any) -> None:
    room = enter(rating(), report=[None, {"done": 0, "next": pair(3), "end": None}])
    page = room.page
    settle(page)

    page.keyboard.press("s")
    page.keyboard.press("Enter")
    page.wait_for_selector(".retry:not([hidden])")
    page.click(".retry")

    page.wait_for_function("document.querySelector('.retry').hidden")
    keys = [body["key"] for body in room.bodies("report")]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert page.evaluate("Object.keys(localStorage).filter(name => name.includes('outbox'))") == []


def test_idle_time_covers_the_images_and_the_clock_starts_anew(enter: Any) -> None:
    room = enter(rating(idle_s=1))
    page = room.page
    phase(page, "paused")
    covered = not page.is_visible(".pair img")
    page.wait_for_timeout(800)

    page.keyboard.press("Enter")
    settle(page)
    page.keyboard.press("1")

    assert covered
    assert 300 <= room.wait_for("vote")["latency_ms"] < 800


def test_keys_can_be_turned_off_for_people_whose_software_types_them(enter: Any) -> None:
    room = enter(rating())
    page = room.page
    settle(page)

    page.click(".keys-switch")
    for key in ("1", "z", "s", "b"):
        page.keyboard.press(key)
    quiet = [room.bodies("vote"), page.query_selector("dialog[open]")]
    page.reload()
    settle(page)
    kept = page.get_attribute(".keys-switch", "aria-pressed")
    page.keyboard.press("ArrowLeft")

    assert quiet == [[], None]
    assert kept == "false"
    assert room.wait_for("vote")["choices"] == {"overall": "left"}


# ---- withdrawal and the end --------------------------------------------------------------------------------------


def test_withdrawing_asks_first_and_forgets_what_was_not_sent(enter: Any) -> None:
    room = enter(rating(), vote=None, withdraw={"withdrawn": True})
    page = room.page
    settle(page)
    page.keyboard.press("1")
    page.wait_for_selector(".retry:not([hidden])")
    page.evaluate("document.querySelector('.leave').click()")
    page.keyboard.press("Enter")  # the focus is on "Cancel"
    cancelled = room.bodies("withdraw")

    page.evaluate("document.querySelector('.leave').click()")
    page.click("dialog.withdraw [type=submit]")
    phase(page, "withdrawn")
    sent = len(room.bodies("vote"))
    page.wait_for_timeout(1500)

    assert cancelled == []
    assert room.bodies("withdraw") == [{"study": "shapes"}]
    assert page.inner_text(".card h1") == "Your consent is withdrawn"
    assert len(room.bodies("vote")) == sent
    assert page.evaluate("Object.keys(localStorage).filter(name => name.includes('outbox'))") == []


def test_the_end_thanks_and_gives_a_code_to_copy_and_a_way_back(enter: Any) -> None:
    end = {"code": "C1A9K2QX", "redirect": "https://crowd.example/complete?cc=C1A9K2QX"}
    room = enter(joined("rating", pairs=[pair(1)], done=4), vote={"done": 5, "next": None, "end": end})
    page = room.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    settle(page)

    page.keyboard.press("1")
    phase(page, "ended")
    page.click(".copy")
    page.wait_for_function("document.querySelector('.copy').textContent === 'Copied'")

    assert page.inner_text(".card h1") == "Thank you"
    assert "5 votes are counted" in page.inner_text(".card .text")
    assert page.evaluate("navigator.clipboard.readText()") == "C1A9K2QX"
    assert page.get_attribute(".redirect", "href") == end["redirect"]
    assert page.inner_text(".redirect") == "Go to crowd.example"
    assert page.inner_text(".count") == "5 of 5"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "not an address", ""])
def test_an_address_that_is_no_web_address_is_no_link(enter: Any, address: str) -> None:
    page = enter(joined("ended", done=5, end={"code": "C1", "redirect": address})).page

    assert not page.is_visible(".redirect")
    assert page.inner_text(".code") == "C1"


def test_a_full_study_says_so(enter: Any) -> None:
    page = enter(joined("full")).page

    assert page.inner_text(".card h1") == "All places are taken"


# ---- words -------------------------------------------------------------------------------------------------------


def test_whatever_a_study_declares_is_text_and_never_markup(enter: Any) -> None:
    evil = "<img src=x onerror='window.hacked = 1'>"
    consent = {"text": evil, "instructions": evil}
    check = {"questions": [{"text": evil, "answers": [evil, "b"]}], "tries_left": 2}
    questions = [{"key": "a", "text": evil}, {"key": "b", "text": evil + "?"}]
    last = joined("ended", done=1, end={"code": evil, "redirect": "", "text": evil}, title=evil)
    room = enter(
        joined("consent", consent=consent, title=evil),
        consent=joined("check", check=check),
        check={
            "passed": True,
            "tries_left": 2,
            "join": joined("practice", practice=[pair(1, evil)], questions=questions),
        },
        practice={"good": True, "feedback": evil, "join": last},
    )
    page = room.page
    seen = [page.inner_text(".consent")]
    page.click(".agree")
    phase(page, "check")
    seen.append(page.inner_text(".check"))
    answer_check(page, 0)
    settle(page)
    seen += [page.inner_text(".prompt"), page.inner_text(".rows")]
    page.keyboard.press("1")
    page.keyboard.press("1")
    phase(page, "feedback")
    seen.append(page.inner_text(".why"))
    page.click(".go")
    phase(page, "ended")
    seen += [page.inner_text(".more"), page.inner_text(".code"), page.inner_text(".study")]

    assert [evil in words for words in seen] == [True] * len(seen)
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    ("declared", "browser", "spoken", "button"),
    [
        ("de", "en-GB", "de", "Links"),
        ("en", "de-DE", "en", "Left"),
        ("", "de-AT", "de", "Links"),
        ("", "fr-FR", "en", "Left"),
        ("fr", "de-DE", "de", "Links"),
    ],
)
def test_the_page_speaks_the_studys_language_else_the_browsers(
    enter: Any, declared: str, browser: str, spoken: str, button: str
) -> None:
    page = enter(rating(language=declared), window={"locale": browser}).page
    settle(page)

    assert page.evaluate("document.documentElement.lang") == spoken
    assert page.inner_text("[data-choice=left] .name") == button
    # The study's own words keep their language where the page cannot follow it.
    assert page.get_attribute(".question", "lang") == ("fr" if declared == "fr" else None)


def test_one_vote_is_not_votes(enter: Any) -> None:
    english = enter(joined("ended", done=1)).page
    german = enter(joined("ended", done=1, language="de")).page

    assert english.inner_text(".card .text") == "Your vote is counted. You may close this page."
    assert german.inner_text(".card .text").startswith("Ihre Stimme ist gezählt.")


@pytest.mark.parametrize(
    ("refused", "said", "spoken"),
    [
        ({"error": "Round 2 is not open.", "code": "round_not_open"}, "Dieses Bildpaar haben Sie schon bewertet", "de"),
        # A server that is newer than the page: better English than nothing.
        ({"error": "The moon is full.", "code": "full_moon"}, "The moon is full.", "en"),
        ({"error": "The moon is full."}, "The moon is full.", "en"),
    ],
)
def test_a_refusal_is_told_in_the_pages_words_for_its_code(
    enter: Any, refused: dict[str, str], said: str, spoken: str
) -> None:
    page = enter(rating(language="de"), vote=refused).page
    settle(page)

    page.keyboard.press("1")

    page.wait_for_selector(".notice .text:not(:empty)")
    assert page.inner_text(".notice .text").startswith(said)
    assert page.get_attribute(".notice .text", "lang") == spoken


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (429, "too_many_requests", "Von hier kamen zu viele Anfragen."),
        (503, "not_now", "Das kann gerade nicht angenommen werden."),
        (502, "", "Keine Verbindung. Ihre Stimme bleibt hier"),
    ],
)
def test_a_server_that_has_to_be_waited_for_says_why_and_then_takes_the_vote(
    enter: Any, status: int, code: str, said: str
) -> None:
    later = {"status": status, "error": "Try again.", "code": code}
    room = enter(rating(language="de"), vote=[later, {"done": 1, "next": pair(3), "end": None}])
    settle(room.page)

    room.page.keyboard.press("1")

    room.page.wait_for_selector(".retry:not([hidden])")
    assert room.page.inner_text(".notice .text").startswith(said)
    room.page.click(".retry")
    room.page.wait_for_function("document.querySelector('.count').textContent === '1 von 5'")
    room.page.wait_for_function("document.querySelector('.notice .text').textContent === ''")
    assert len({body["key"] for body in room.bodies("vote")}) == 1


def test_a_page_that_has_to_wait_says_why_and_until_when_and_asks_no_sooner(enter: Any, visit: Any, site: Any) -> None:
    busy = {"status": 429, "error": "Try again in 48 minutes.", "code": "too_many_requests", "wait_s": 2880}
    page = visit("about:blank").page
    room = Room(page, {"join": [busy, rating()]})
    page.goto(f"{site.address}/rate/?study=shapes")
    page.wait_for_selector(".notice .text:not(:empty)")
    said = page.inner_text(".notice .text")
    page.wait_for_timeout(1500)
    asked = len(room.bodies("join"))

    page.click(".retry")

    settle(page)
    told = r"Too many requests came from here\. .* by itself\. It tries again at \d?\d:\d\d:\d\d.*\."
    assert re.fullmatch(told, said), said
    assert "connection" not in said
    assert asked == 1, "the page would have tried three times by now"
    assert page.inner_text(".notice .text") == ""


# ---- for everyone ------------------------------------------------------------------------------------------------


def fail_check(page: Any) -> None:
    answer_check(page, 0, 0)
    page.wait_for_selector(".fault:not([hidden])")


def press(*keys: str, until: str = ".rate") -> Callable[[Any], None]:
    """What brings a state about: these keys, and then the wait for what they show."""

    def act(page: Any) -> None:
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_selector(until)

    return act


def click(selector: str) -> Callable[[Any], None]:
    return lambda page: page.click(selector)


FAILED = {"passed": False, "tries_left": 1, "join": joined("check", check=CHECK | {"tries_left": 1})}
JUDGED = {"good": False, "right": "right", "feedback": "Look again.", "join": None}
CROWD = {"site": "Prolific", "address": "https://crowd.example/"}

#: Name -> the answer to join, the other answers, and what the rater does.
STATES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Any], None] | None]] = {
    "consent": (joined("consent", consent=CONSENT), {}, None),
    "declined": (joined("consent", consent=CONSENT), {}, click(".decline")),
    "practice": (joined("practice", practice=[pair(1)]), {}, None),
    "feedback": (joined("practice", practice=[pair(1)]), {"practice": JUDGED}, press("1", until=".feedback")),
    "check": (joined("check", check=CHECK), {}, None),
    "check-failed": (joined("check", check=CHECK), {"check": FAILED}, fail_check),
    "voting": (rating(), {}, None),
    "several": (rating(questions=TWO), {}, press("1")),
    "offline": (rating(), {"vote": None}, press("1", until=".retry")),
    "zoom": (rating(), {}, press("z", "+")),
    "report": (rating(), {}, press("r", until="dialog.report")),
    "skip": (rating(), {}, press("s", until="dialog.report")),
    "withdraw": (rating(), {}, click(".leave")),
    "paused": (rating(idle_s=1), {}, press(until=".rate[data-phase=paused]")),
    "ended": (joined("ended", done=5, end={"code": "C1A9", "redirect": "https://crowd.example/"}), {}, None),
    "screened_out": (joined("screened_out"), {}, None),
    "full": (joined("full", crowd=CROWD), {}, None),
    "closed": (joined("closed", done=3, crowd=CROWD), {}, None),
    "preview": (joined("preview", crowd=CROWD), {}, None),
    "withdrawn": (joined("withdrawn", crowd=CROWD), {}, None),
    "error": ({"error": "The study 'shapes' is closed."}, {}, None),
}


@pytest.fixture(params=list(STATES))
def state(request: pytest.FixtureRequest, enter: Any) -> Any:
    """The page in one of its states, on a wide screen."""
    join, answers, act = STATES[request.param]
    page = enter(join, **answers).page
    if act is not None:
        page.wait_for_timeout(350)
        act(page)
    return page


def test_axe_finds_nothing_light_or_dark_wide_or_narrow(state: Any) -> None:
    faults = {}

    for width, height in ((1280, 900), (390, 844)):
        for scheme in ("light", "dark"):
            state.set_viewport_size({"width": width, "height": height})
            state.emulate_media(color_scheme=scheme)
            state.wait_for_timeout(100)
            faults[width, scheme] = [
                f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in Axe().run(state).response["violations"]
            ]

    assert [key for key, found in faults.items() if found] == [], faults


CUT_OFF = """() => {
  const open = document.querySelector("dialog[open]") || document.querySelector(".rate");
  const wide = document.documentElement.clientWidth;
  return [...open.querySelectorAll("h1, h2, p, button, a, label, legend, code, .count, .name")]
    .filter((part) => part.checkVisibility({ visibilityProperty: true }) && !part.closest(".spoken"))
    .filter((part) => { const box = part.getBoundingClientRect(); return box.right > wide + 1 || box.left < -1; })
    .map((part) => part.outerHTML.slice(0, 120));
}"""
SMALL_TARGETS = """() => {
  const open = document.querySelector("dialog[open]") || document.querySelector(".rate");
  return [...open.querySelectorAll("button, a, textarea, fieldset label")]
    .filter((part) => part.checkVisibility({ visibilityProperty: true }))
    .filter((part) => { const box = part.getBoundingClientRect(); return box.width < 24 || box.height < 24; })
    .map((part) => part.outerHTML.slice(0, 120));
}"""


def test_everything_fits_into_320_px_and_into_letters_of_twice_the_size(state: Any) -> None:
    state.set_viewport_size({"width": 320, "height": 568})
    state.wait_for_timeout(100)
    narrow = state.evaluate(CUT_OFF)
    sideways = state.evaluate("document.querySelector('.rate').scrollWidth")
    small = state.evaluate(SMALL_TARGETS)

    state.set_viewport_size({"width": 1280, "height": 900})
    state.evaluate("document.documentElement.style.fontSize = '200%'")
    state.wait_for_timeout(100)

    assert narrow == []
    assert sideways <= 320
    assert small == []
    assert state.evaluate(CUT_OFF) == []


def test_large_letters_do_not_lie_on_each_other(enter: Any) -> None:
    page = enter(rating(questions=TWO, language="de")).page
    settle(page)

    page.evaluate("document.documentElement.style.fontSize = '200%'")
    page.wait_for_timeout(200)

    parts = [page.query_selector(part).bounding_box() for part in (".words", ".pair", ".below", ".foot")]
    for above, under in pairwise(parts):
        assert above["y"] + above["height"] <= under["y"] + 1
    assert parts[1]["height"] > 100


def test_tab_reaches_every_control_and_leaves_again(enter: Any) -> None:
    page = enter(rating(questions=TWO)).page
    settle(page)
    wanted = page.evaluate(
        "[...document.querySelectorAll('.rate button, .rate a')].filter(part => part.checkVisibility()).length"
    )

    reached = set()
    for _ in range(wanted + 4):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.querySelectorAll('button, a')].indexOf(document.activeElement)"))

    assert len(reached - {-1}) == wanted
    assert -1 in reached, "the focus leaves the page's controls again"


def test_dialogs_keep_the_focus_until_they_close(enter: Any) -> None:
    page = enter(rating()).page
    settle(page)
    page.focus(".flag")

    page.keyboard.press("Enter")
    inside = []
    for _ in range(8):
        page.keyboard.press("Tab")
        inside.append(
            page.evaluate("document.activeElement.closest('dialog, .rate') === document.querySelector('.rate')")
        )
    page.keyboard.press("Escape")

    assert not any(inside)
    assert "flag" in page.evaluate("document.activeElement.className")


def test_a_screen_reader_hears_the_pair_and_what_happens(enter: Any) -> None:
    page = enter(rating()).page
    settle(page)

    assert page.inner_text(".spoken") == "Pair 1 of 5. thing number 1 on a plain table"
    assert page.get_by_role("group", name="thing number 1 on a plain table").is_visible()
    assert page.get_by_role("img", name="left image").is_visible()
    assert page.get_by_role("group", name="Which image do you prefer?").get_by_role("button", name="Tie").is_visible()
    page.keyboard.press("1")
    settle(page)
    assert page.inner_text(".spoken") == "Pair 2 of 5. thing number 2 on a plain table"
