"""The rating page in a real browser: keys and buttons, one vote per choice, undo, lost connections, and calm looks."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from arena.study_parts import Check, Crowd, KnownPair, Question
from prompts.prompt import Prompt, PromptSet

pytestmark = pytest.mark.browser

VOTING = ".rate[data-phase=voting]"
SETTLED_MS = 350  # the page takes no choice in the first 300 ms of a pair
# Two of the entrants that the site's studies are about.
BETTER, WORSE = "zebra-candidate", "aardvark-reference"
PAIR_ADDRESSES = "[...document.querySelectorAll('.pair img')].map(image => image.src)"


@pytest.fixture
def rate(site: Any, visit: Any) -> Callable[..., Any]:
    """Opens the rating page of a study and waits until its first pair may be voted on."""

    def opened(study: str, **window: Any) -> Any:
        found = visit(f"{site.address}/rate/?study={study}", **window)
        ready(found.page)
        return found

    return opened


def ready(page: Any) -> None:
    """Wait until a pair is on show and takes choices."""
    page.wait_for_selector(VOTING)
    page.wait_for_timeout(SETTLED_MS)


def wait_for_votes(site: Any, study: str, count: int) -> list[Any]:
    """The study's votes, once there are as many."""
    deadline = time.monotonic() + 40
    while len(votes := site.ledger.votes(study, raters="people")) != count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(votes) == count
    found: list[Any] = votes
    return found


def test_a_key_votes_and_shows_the_pair_that_was_already_loaded(site: Any, rate: Any) -> None:
    found = rate(site.open_study("by-key"))
    page = found.page
    before = page.evaluate(PAIR_ADDRESSES)
    loaded = {response.url for response in found.responses if "/rate/image/" in response.url}

    page.keyboard.press("ArrowLeft")

    page.wait_for_function(f"({PAIR_ADDRESSES})[0] !== '{before[0]}'")
    after = page.evaluate(PAIR_ADDRESSES)
    assert len(loaded) == 4, "two pairs were loaded before the vote"
    assert set(after) <= loaded
    assert [vote.choice.value for vote in wait_for_votes(site, "by-key", 1)] == ["left"]


def test_the_next_pair_shows_without_waiting_for_the_server(site: Any, rate: Any) -> None:
    found = rate(site.open_study("instant"))
    found.page.route("**/rate/api/vote", lambda route: None)  # the server never answers

    waited = found.page.evaluate(
        """async () => {
            const pair = document.querySelector(".pair");
            const shown = new Promise((done) => new MutationObserver(done).observe(pair, { childList: true }));
            const start = performance.now();
            document.querySelector("[data-choice=left]").click();
            await shown;
            return performance.now() - start;
        }"""
    )

    assert waited < 200, f"{waited} ms from the click to the next pair"


@pytest.mark.parametrize(
    ("key", "choice"),
    [("1", "left"), ("ArrowRight", "right"), ("2", "right"), ("ArrowDown", "tie"), ("0", "tie"), ("b", "both_bad")],
)
def test_every_shown_key_votes(site: Any, rate: Any, key: str, choice: str) -> None:
    study = site.open_study(f"key-{key.lower()}")
    found = rate(study)

    found.page.keyboard.press(key)

    assert [vote.choice.value for vote in wait_for_votes(site, study, 1)] == [choice]
    assert found.errors == []


def test_a_button_votes_once_even_when_it_is_clicked_twice(site: Any, rate: Any) -> None:
    found = rate(site.open_study("double-click"))

    found.page.dblclick("[data-choice=right]")

    found.page.wait_for_function("document.querySelector('.count').textContent === '1 of 5'")
    found.page.wait_for_timeout(800)
    assert [vote.choice.value for vote in wait_for_votes(site, "double-click", 1)] == ["right"]


def test_a_held_key_is_one_vote(site: Any, rate: Any) -> None:
    found = rate(site.open_study("held-key"))

    for _ in range(5):
        found.page.keyboard.down("ArrowLeft")
        found.page.wait_for_timeout(200)
    found.page.keyboard.up("ArrowLeft")

    assert len(wait_for_votes(site, "held-key", 1)) == 1


def test_keys_of_choices_that_the_study_does_not_offer_do_nothing(site: Any, rate: Any) -> None:
    found = rate(site.open_study("no-ties", ties=False, both_bad=False))

    found.page.keyboard.press("0")
    found.page.keyboard.press("b")
    found.page.wait_for_timeout(300)

    assert not found.page.is_visible("[data-choice=tie]")
    assert not found.page.is_visible("[data-choice=both_bad]")
    assert site.ledger.votes("no-ties", raters="people") == []


def test_the_page_works_with_the_keyboard_alone_and_shows_where_the_focus_is(site: Any, rate: Any) -> None:
    found = rate(site.open_study("focus"))
    page = found.page

    while page.evaluate("document.activeElement.dataset.choice") != "left":
        page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")

    assert outline == "solid"
    assert [vote.choice.value for vote in wait_for_votes(site, "focus", 1)] == ["left"]
    assert page.evaluate("document.activeElement.dataset.choice") == "left"


def test_undo_takes_the_last_vote_back_and_shows_its_pair_again(site: Any, rate: Any) -> None:
    found = rate(site.open_study("undone"))
    page = found.page
    first = page.evaluate(PAIR_ADDRESSES)
    page.keyboard.press("1")
    ready(page)

    page.keyboard.press("Control+z")

    page.wait_for_function(f"({PAIR_ADDRESSES})[0] === '{first[0]}'")
    ready(page)
    assert page.inner_text(".count") == "0 of 5"
    assert site.ledger.votes("undone", raters="people") == []
    page.keyboard.press("2")
    assert [vote.choice.value for vote in wait_for_votes(site, "undone", 1)] == ["right"]


def test_after_the_last_vote_comes_a_thank_you_that_can_still_be_undone(site: Any, rate: Any) -> None:
    found = rate(site.open_study("whole-way", votes_per_rater=3))
    page = found.page
    for _ in range(3):
        ready(page)
        page.keyboard.press("ArrowLeft")

    page.wait_for_selector(".rate[data-phase=ended]")

    assert page.inner_text(".card h1") == "Thank you"
    assert "3 votes are counted" in page.inner_text(".card .text")
    assert len(site.ledger.votes("whole-way", raters="people")) == 3
    page.click(".undo")
    ready(page)
    assert page.inner_text(".count") == "2 of 3"
    assert found.errors == []


def test_coming_back_goes_on_where_it_was_left(site: Any, rate: Any) -> None:
    found = rate(site.open_study("come-back"))
    found.page.keyboard.press("1")
    wait_for_votes(site, "come-back", 1)
    ready(found.page)
    waiting = found.page.evaluate(PAIR_ADDRESSES)

    found.page.reload()
    ready(found.page)

    assert found.page.inner_text(".count") == "1 of 5"
    assert found.page.evaluate(PAIR_ADDRESSES) == waiting


def test_a_vote_cast_while_the_connection_is_lost_is_sent_once_it_is_back(site: Any, rate: Any) -> None:
    found = rate(site.open_study("offline"))
    page = found.page
    page.context.set_offline(True)

    page.keyboard.press("1")
    page.wait_for_selector(".notice .text:not(:empty)")
    notice = page.inner_text(".notice .text")
    lost = site.ledger.votes("offline", raters="people")
    page.context.set_offline(False)

    assert "kept here" in notice
    assert lost == []
    assert len(wait_for_votes(site, "offline", 1)) == 1
    page.wait_for_function("document.querySelector('.notice .text').textContent === ''")


def test_a_vote_whose_answer_was_lost_counts_once(site: Any, rate: Any) -> None:
    found = rate(site.open_study("lost-answer"))
    lost: list[int] = []

    def lose_the_first(route: Any) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    found.page.route("**/rate/api/vote", lose_the_first)
    found.page.keyboard.press("1")
    found.page.wait_for_selector(".notice .text:not(:empty)")
    found.page.click(".retry")

    found.page.wait_for_function("document.querySelector('.notice .text').textContent === ''")
    assert lost == [200]
    assert len(wait_for_votes(site, "lost-answer", 1)) == 1
    ready(found.page)
    assert found.page.inner_text(".count") == "1 of 5"


def test_a_vote_that_was_not_sent_when_the_page_closed_is_sent_on_the_next_visit(site: Any, rate: Any) -> None:
    found = rate(site.open_study("closed-tab"))
    found.page.route("**/rate/api/vote", lambda route: route.abort())
    found.page.keyboard.press("2")
    found.page.wait_for_selector(".notice .text:not(:empty)")
    found.page.unroute("**/rate/api/vote")

    found.page.goto(f"{site.address}/rate/?study=closed-tab")
    ready(found.page)

    assert [vote.choice.value for vote in wait_for_votes(site, "closed-tab", 1)] == ["right"]
    assert found.page.inner_text(".count") == "1 of 5"


def test_a_vote_on_a_pair_that_another_tab_decided_lets_the_page_go_on(site: Any, rate: Any) -> None:
    found = rate(site.open_study("two-tabs"))
    other = found.page.context.new_page()
    other.goto(f"{site.address}/rate/?study=two-tabs")
    ready(other)
    other.keyboard.press("1")
    wait_for_votes(site, "two-tabs", 1)

    found.page.keyboard.press("2")

    found.page.wait_for_selector(".notice.calm .text:not(:empty)")
    ready(found.page)
    assert "That vote stands; here you go on." in found.page.inner_text(".notice .text")
    assert found.page.inner_text(".count") == "1 of 5"
    assert [vote.choice.value for vote in site.ledger.votes("two-tabs", raters="people")] == ["left"]
    found.page.keyboard.press("2")
    assert found.page.inner_text(".notice .text") == "", "a new choice clears what was said about the last"


def test_a_refused_vote_does_not_take_the_votes_behind_it_along(site: Any, rate: Any) -> None:
    found = rate(site.open_study("behind"))
    other = found.page.context.new_page()
    other.goto(f"{site.address}/rate/?study=behind")
    ready(other)
    found.page.route("**/rate/api/vote", lambda route: route.abort())
    found.page.keyboard.press("2")
    ready(found.page)
    found.page.keyboard.press("2")
    other.keyboard.press("1")
    wait_for_votes(site, "behind", 1)

    found.page.unroute("**/rate/api/vote")

    votes = wait_for_votes(site, "behind", 2)
    assert [vote.choice.value for vote in votes] == ["left", "right"]


def test_a_study_that_closes_while_a_rater_votes_says_so(site: Any, rate: Any) -> None:
    found = rate(site.open_study("closes"))
    site.ledger.close_study("closes", now=datetime.now(UTC))

    found.page.keyboard.press("1")

    found.page.wait_for_selector(".rate[data-phase=message]")
    assert "closed" in found.page.inner_text(".card .text")


def test_on_a_german_studys_page_a_refused_vote_is_refused_in_german(site: Any, rate: Any) -> None:
    found = rate(site.open_study("german-tabs", language="de"), locale="en-GB")
    other = found.page.context.new_page()
    other.goto(f"{site.address}/rate/?study=german-tabs")
    ready(other)
    other.keyboard.press("1")
    wait_for_votes(site, "german-tabs", 1)

    found.page.keyboard.press("2")

    found.page.wait_for_selector(".notice .text:not(:empty)")
    assert found.page.inner_text(".notice .text").startswith("Dieses Bildpaar haben Sie schon bewertet")
    assert found.page.get_attribute(".notice .text", "lang") == "de"


def test_a_german_study_that_closes_says_so_in_german_to_those_inside_and_to_those_who_come(
    site: Any, rate: Any, visit: Any
) -> None:
    inside = rate(site.open_study("german-closes", language="de"), locale="en-GB").page
    site.ledger.close_study("german-closes", now=datetime.now(UTC))
    inside.keyboard.press("1")
    outside = visit(f"{site.address}/rate/?study=german-closes", locale="en-GB").page

    for page in (inside, outside):
        page.wait_for_selector(".rate[data-phase=message]")
        assert page.inner_text(".card h1") == "Hier gibt es keine Bildpaare"
        assert page.inner_text(".card .text").startswith("Die Studie ist geschlossen und nimmt keine Stimmen mehr an.")
        assert page.get_attribute(".card .text", "lang") == "de"
        assert page.inner_text(".card .home") == "Alle Studien"
        assert page.evaluate("document.documentElement.lang") == "de"


@pytest.mark.parametrize("address", ["/rate/?study=no-such-study", "/rate/"])
def test_an_address_without_a_study_says_what_to_do(site: Any, visit: Any, address: str) -> None:
    found = visit(site.address + address)

    found.page.wait_for_selector(".rate[data-phase=message]")

    assert found.page.inner_text(".card h1") in ("No pairs here", "Which study?")
    assert found.page.is_visible(".card .home")


def test_a_crowd_rater_walks_the_whole_way_from_consent_to_the_code(site: Any, visit: Any) -> None:
    study = site.open_study(
        "whole-road",
        question="",
        questions=(
            Question(key="quality", text="Which is of better quality?"),
            Question(key="alignment", text="Which fits the prompt better?"),
        ),
        consent="I take part.",
        instructions="Look at both images.",
        practice=(
            KnownPair(prompt="thing number 0 on a plain table", better=BETTER, worse=WORSE, feedback="That is zebra."),
        ),
        checks=(Check(text="What do you compare?", answers=("Prompts", "Images"), right=1),),
        crowd=Crowd(site="prolific", slots=3, completion_code="DONE1", return_url="https://crowd.example/?cc={code}"),
        votes_per_rater=2,
    )
    found = visit(f"{site.address}/rate/?study={study}&PROLIFIC_PID=person-1")
    page = found.page
    page.click(".agree")
    ready(page)
    assert page.inner_text(".practising") == "Practice 1 of 1: does not count"
    page.keyboard.press("1")
    page.keyboard.press("1")
    page.wait_for_selector(".rate[data-phase=feedback]")
    assert page.inner_text(".why") == "That is zebra."
    page.keyboard.press("Enter")
    page.check(".check [value='0']")
    page.click(".check [type=submit]")
    page.wait_for_selector(".fault:not([hidden])")
    page.check(".check [value='1']")
    page.click(".check [type=submit]")
    for _ in range(2):
        ready(page)
        page.keyboard.press("1")
        page.keyboard.press("2")

    page.wait_for_selector(".rate[data-phase=ended]")

    assert page.inner_text(".code") == "DONE1"
    assert page.get_attribute(".redirect", "href") == "https://crowd.example/?cc=DONE1"
    assert found.errors == []
    page.reload()
    page.wait_for_selector(".rate[data-phase=ended]")
    assert page.inner_text(".code") == "DONE1"


def test_failing_the_check_twice_ends_with_the_screen_out_code(site: Any, visit: Any) -> None:
    study = site.open_study(
        "screened",
        checks=(Check(text="What do you compare?", answers=("Prompts", "Images"), right=1),),
        crowd=Crowd(site="prolific", slots=3, completion_code="DONE1", screen_out_code="OUT1"),
    )
    page = visit(f"{site.address}/rate/?study={study}&PROLIFIC_PID=person-2").page

    for selector in (".fault:not([hidden])", ".rate[data-phase=screened_out]"):
        page.check(".check [value='0']")
        page.click(".check [type=submit]")
        page.wait_for_selector(selector)

    assert page.inner_text(".code") == "OUT1"


def test_a_skipped_pair_is_replaced_by_another_and_counts_nothing(site: Any, rate: Any) -> None:
    found = rate(site.open_study("skipped"))
    page = found.page
    before = page.evaluate(PAIR_ADDRESSES)

    page.keyboard.press("s")
    page.keyboard.press("Enter")
    page.wait_for_function(f"({PAIR_ADDRESSES})[0] !== '{before[0]}'")
    ready(page)
    page.keyboard.press("1")

    wait_for_votes(site, "skipped", 1)
    page.wait_for_function("document.querySelector('.count').textContent === '1 of 5'")
    page.reload()
    ready(page)
    assert before[0] not in page.evaluate(PAIR_ADDRESSES)


def test_withdrawing_consent_takes_the_votes_out(site: Any, rate: Any) -> None:
    found = rate(site.open_study("withdrawn"))
    page = found.page
    page.keyboard.press("1")
    wait_for_votes(site, "withdrawn", 1)

    page.click(".leave")
    page.click("dialog.withdraw [type=submit]")

    page.wait_for_selector(".rate[data-phase=withdrawn]")
    assert site.ledger.votes("withdrawn", raters="people") == []
    assert site.ledger.events("withdrawn")[-1].kind == "withdrawn"
    assert not page.is_visible(".pair")
    assert page.inner_text(".card h1") == "Your consent is withdrawn"


def test_a_prompt_with_script_tags_is_shown_as_text(site: Any, rate: Any) -> None:
    text = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> ${1+1} {{x}}"
    prompts = PromptSet(
        name="evil", licence="CC0-1.0", source="here", prompts=(Prompt(text=text), Prompt(text=text + "."))
    )
    found = rate(site.open_study("evil-prompt", prompts=prompts, title="<b>bold</b>", question="<i>why</i>?"))

    assert text in found.page.inner_text(".prompt")
    assert found.page.inner_text(".question") == "<i>why</i>?"
    assert found.page.evaluate("window.hacked") is None
    assert found.errors == []


def test_nothing_that_the_browser_receives_before_the_vote_tells_who_painted_what(site: Any, rate: Any) -> None:
    found = rate(site.open_study("blind-page"))
    found.page.keyboard.press("1")
    ready(found.page)
    study = site.ledger.study("blind-page").study
    secrets = {entrant.name for entrant in site.ledger.entrants()} | {str(site.home)}
    for entrant in study.entrants:
        secrets |= {image.image_hash for image in site.ledger.gallery(entrant, study.prompts, (0,))}

    for response in found.responses:
        seen = f"{response.url} {response.all_headers()} {response.body().decode('latin-1')}"
        assert not any(secret in seen for secret in secrets), response.url
    assert found.page.evaluate("[...document.querySelectorAll('.pair img')].map(image => image.alt)") == [
        "left image",
        "right image",
    ]


def test_small_images_are_shown_large_and_crisp_and_all_fits_without_scrolling(site: Any, rate: Any) -> None:
    found = rate(site.open_study("large"), width=1280, height=900)

    boxes = [image.bounding_box() for image in found.page.query_selector_all(".pair img")]
    rendering = found.page.evaluate("getComputedStyle(document.querySelector('.pair img')).imageRendering")

    assert rendering == "pixelated"
    assert boxes[0]["width"] >= 500
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["width"] == boxes[1]["width"]
    assert found.page.query_selector("[data-choice=right]").bounding_box()["y"] < 850
    assert found.page.evaluate("document.querySelector('.rate').scrollHeight") <= 900


def test_on_a_phone_both_images_and_the_buttons_are_visible_at_once(site: Any, rate: Any) -> None:
    phone = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    found = rate(site.open_study("phone"), **phone)
    page = found.page

    first, second = (image.bounding_box() for image in page.query_selector_all(".pair img"))
    buttons = [button.bounding_box() for button in page.query_selector_all(".choices button")]
    page.tap("[data-choice=left]")

    assert first["y"] + first["height"] <= second["y"]
    assert second["y"] + second["height"] <= min(button["y"] for button in buttons)
    assert max(button["y"] + button["height"] for button in buttons) <= 844
    assert min(button["height"] for button in buttons) >= 44
    assert page.inner_text("[data-choice=left] .name") == "Top"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert len(wait_for_votes(site, "phone", 1)) == 1


def test_dark_mode_and_reduced_motion_are_respected(site: Any, rate: Any) -> None:
    study = site.open_study("dark")

    light = rate(study).page.evaluate("getComputedStyle(document.querySelector('.rate')).backgroundColor")
    found = rate(study, color_scheme="dark", reduced_motion="reduce")

    assert light == "rgb(247, 247, 245)"
    assert found.page.evaluate("getComputedStyle(document.querySelector('.rate')).backgroundColor") == "rgb(23, 23, 22)"
    found.page.keyboard.press("1")
    assert found.page.evaluate("getComputedStyle(document.querySelector('[data-choice=left]')).animationDuration") in (
        "0s",
        "1e-05s",
    )


def test_the_page_asks_no_other_host_and_logs_no_error(site: Any, rate: Any) -> None:
    found = rate(site.open_study("quiet"))
    found.page.keyboard.press("1")
    ready(found.page)

    assert found.hosts == {site.address.removeprefix("http://")}
    assert found.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_rating_page(site: Any, rate: Any, scheme: Any) -> None:
    found = rate(site.open_study(f"axe-{scheme}"), color_scheme=scheme)
    found.page.keyboard.press("1")
    ready(found.page)

    assert axe_faults(found.page) == []


def axe_faults(page: Any) -> list[str]:
    """axe-core's faults, of any weight, each with its first place."""
    results = Axe().run(page)
    return [
        f"{fault['id']} ({fault['impact']}): {fault['nodes'][0]['html']}" for fault in results.response["violations"]
    ]
