"""The resemblance page in a real browser: keys and buttons, one label per answer, undo, no connection, calm looks."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw

from arena.labelling.drawing import draw_items
from arena.labelling.label_study import LabelStudy, groups_of
from arena.labelling.matching import Target
from arena.ledger.label_book import LabelBook
from arena.study_parts import Crowd
from prompts.prompt import Prompt, PromptSet

pytestmark = pytest.mark.browser

READY = ".resemblance[data-phase=voting]"
SETTLED_MS = 350  # the page takes no answer in the first 300 ms of an image
ENTRANTS = ("aardvark-reference", "zebra-candidate")
SHOWN = "[...document.querySelectorAll('.pair img')].map(image => image.src)"
PROMPTS = PromptSet(
    name="secret-probes",
    licence="CC0-1.0",
    source="made up",
    prompts=tuple(
        Prompt(text=f"hidden {key} prompt {number}", category=key, challenge="suggestive")
        for key in ("elsa", "snoopy", "pikachu")
        for number in range(3)
    ),
)
TARGETS = (
    Target(key="snoopy", names=("Snoopy",)),
    Target(key="elsa", names=("Elsa", "Queen Elsa")),
    Target(key="pikachu", names=("Pikachu",)),
)


def picture(seed: str, size_px: int) -> Any:
    """A disc and a bar in colours that follow from the words."""
    rng = np.random.default_rng(crc32(seed.encode()))
    soft, deep = (tuple(int(part) for part in rng.integers(low, low + 90, 3)) for low in (160, 20))
    image = Image.new("RGB", (size_px, size_px), soft)
    draw = ImageDraw.Draw(image)
    draw.ellipse([size_px // 5, size_px // 5, 4 * size_px // 5, 4 * size_px // 5], fill=deep)
    draw.rectangle([size_px // 3, 2 * size_px // 3, 2 * size_px // 3, size_px - 1], fill=deep)
    return image


@pytest.fixture
def open_labels(site: Any) -> Callable[..., str]:
    """Opens a label study of a name over the site's entrants, with whole galleries."""

    def opened(name: str, *, mode: str = "single", size_px: int = 256, sample: int = 9, **declared: Any) -> str:
        site.ledger.keep_prompts(PROMPTS)
        now = datetime.now(UTC)
        for entrant in ENTRANTS:
            for wanted in site.ledger.missing_images(entrant, PROMPTS, (0,)):
                stored = site.images.put(picture(f"{entrant} {wanted.prompt.text}", size_px))
                site.ledger.keep_image(entrant, wanted.prompt.id, 0, stored, seconds=0.1, now=now)
        groups = groups_of("pair" if mode == "pair" else "single", ENTRANTS)
        items = draw_items(PROMPTS.prompts, groups, (0,), count=sample, rng=np.random.default_rng(1))
        name = f"labels-{name}"  # the site is shared with tests of other studies
        values: dict[str, Any] = {"title": "Do you know them?", "labels_per_rater": 4, "labels_per_image": 20}
        study = LabelStudy(
            name=name,
            mode="pair" if mode == "pair" else "single",
            entrants=ENTRANTS,
            prompts=PROMPTS,
            targets=TARGETS,
            items=items,
            **(values | declared),
        )
        LabelBook(site.ledger).open_study(study, now=now)
        return name

    return opened


@pytest.fixture
def label(site: Any, visit: Any) -> Callable[..., Any]:
    """Opens the page of a label study and waits until its first image takes an answer."""

    def opened(study: str, **window: Any) -> Any:
        found = visit(f"{site.address}/resemblance/?study={study}", **window)
        ready(found.page)
        return found

    return opened


def ready(page: Any) -> None:
    """Wait until an image is on show and takes answers."""
    page.wait_for_selector(READY)
    page.wait_for_timeout(SETTLED_MS)


def wait_for_image(page: Any, is_it: Callable[[str], bool]) -> None:
    """Wait for an address of the first image. Asked from here: the page's policy lets nobody evaluate a text in it."""
    deadline = time.monotonic() + 15
    while not is_it(page.evaluate(SHOWN)[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_it(page.evaluate(SHOWN)[0])


def wait_for_labels(site: Any, study: str, count: int) -> list[Any]:
    """The study's labels, once there are as many."""
    deadline = time.monotonic() + 15
    while len(kept := LabelBook(site.ledger).labels(study)) != count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(kept) == count
    return kept


def name_somebody(page: Any, name: str, closeness: str = "2") -> None:
    """Answer yes, and both questions behind it."""
    page.keyboard.press("y")
    page.keyboard.type(name)
    page.check(f".close [value='{closeness}']")
    page.keyboard.press("Enter")


def picture_of(page: Any, name: str) -> None:
    """Keep a picture of the page for a person to look at, where PICTURES names a folder."""
    if os.environ.get("PICTURES"):
        page.screenshot(path=str(Path(os.environ["PICTURES"]) / f"{name}.png"))


def test_a_rater_walks_from_consent_to_the_code_by_keys_alone(site: Any, open_labels: Any, visit: Any) -> None:
    study = open_labels(
        "walk",
        consent="We keep what you answer.",
        instructions="Look at each image.",
        crowd=Crowd(site="prolific", slots=3, completion_code="SEEN-1", return_url="https://crowd.example/?cc={code}"),
    )
    found = visit(f"{site.address}/resemblance/?study={study}&PROLIFIC_PID=person-1")
    page = found.page
    page.wait_for_selector("[data-phase=consent]")
    page.focus(".agree")
    page.keyboard.press("Enter")
    ready(page)

    page.keyboard.press("y")
    page.keyboard.type("Queen Elsa")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    for key in ("n", "2", "3"):
        ready(page)
        page.keyboard.press(key)
    page.wait_for_selector("[data-phase=ended]")

    kept = wait_for_labels(site, study, 4)
    assert [label.answer for label in kept] == ["yes", "no", "not_sure", "no"]
    assert (kept[0].which, kept[0].closeness, kept[0].target) == ("Queen Elsa", 3, "elsa")
    assert page.inner_text(".code") == "SEEN-1"
    assert page.get_attribute(".redirect", "href") == "https://crowd.example/?cc=SEEN-1"
    assert found.errors == []
    assert found.hosts == {site.address.removeprefix("http://")}
    site.ledger.verify(study)


def test_the_next_image_was_loaded_before_the_answer(open_labels: Any, label: Any) -> None:
    found = label(open_labels("loaded"))
    before = found.page.evaluate(SHOWN)
    loaded = {response.url for response in found.responses if "/resemblance/image/" in response.url}

    found.page.keyboard.press("n")

    wait_for_image(found.page, lambda shown: shown != before[0])
    assert len(loaded) == 2
    assert set(found.page.evaluate(SHOWN)) <= loaded


@pytest.mark.parametrize(
    ("key", "answer"), [("ArrowLeft", "left"), ("2", "right"), ("ArrowDown", "equally"), ("n", "neither")]
)
def test_every_shown_key_answers_for_a_pair(site: Any, open_labels: Any, label: Any, key: str, answer: str) -> None:
    study = open_labels(f"pair-{answer}", mode="pair")
    page = label(study).page
    question = page.inner_text("h1.question")

    page.keyboard.press(key)

    [kept] = wait_for_labels(site, study, 1)
    named = {"elsa": "Elsa", "snoopy": "Snoopy", "pikachu": "Pikachu"}
    asked = {prompt.id: prompt.category for prompt in PROMPTS}[kept.prompt_id]
    assert kept.answer == answer
    assert question == f"Which image resembles {named[asked]} more?"


def test_a_yes_without_a_name_or_a_closeness_says_what_is_missing(site: Any, open_labels: Any, label: Any) -> None:
    study = open_labels("missing")
    page = label(study).page

    page.click("[data-choice=yes]")
    page.keyboard.press("Enter")
    first = page.inner_text(".details .fault")
    page.keyboard.type("Snoopy")
    page.click(".details [type=submit]")
    second = page.inner_text(".details .fault")
    page.check(".close [value='1']")
    page.click(".details [type=submit]")

    assert (first, second) == ("Please type whom or what you recognise.", "Please say how close it is.")
    assert [label.which for label in wait_for_labels(site, study, 1)] == ["Snoopy"]


def test_the_names_to_choose_from_stand_in_the_alphabets_order(open_labels: Any, label: Any) -> None:
    page = label(open_labels("names", suggest=True)).page

    names = page.evaluate("[...document.querySelector('#label-which').list.options].map(option => option.value)")

    assert names == ["Elsa", "Pikachu", "Snoopy"]


def test_without_a_word_in_the_declaration_the_name_is_free_text(open_labels: Any, label: Any) -> None:
    page = label(open_labels("free")).page

    assert page.evaluate("document.querySelector('#label-which').list") is None
    assert "Pikachu" not in page.content()


def test_the_counter_and_the_bar_fill_up_with_what_there_is(site: Any, open_labels: Any, label: Any) -> None:
    study = open_labels("counted", sample=3, labels_per_rater=20)
    page = label(study).page
    counts = [page.inner_text(".count")]

    for number in range(3):
        page.keyboard.press("n")
        wait_for_labels(site, study, number + 1)
        if number < 2:
            ready(page)
        counts.append(page.inner_text(".count"))
    page.wait_for_selector(".resemblance[data-phase=ended]")

    assert counts == ["0 of 3", "1 of 3", "2 of 3", "3 of 3"]
    assert page.evaluate("document.querySelector('progress').position") == 1


def test_who_names_no_study_chooses_one_that_is_open(site: Any, open_labels: Any, visit: Any) -> None:
    study = open_labels("offered", title="Choose me")
    page = visit(f"{site.address}/resemblance/").page

    page.click("text=Choose me")
    page.wait_for_selector(READY)

    assert page.url.endswith(f"?study={study}")


def test_letters_typed_as_a_name_are_no_shortcuts(site: Any, open_labels: Any, label: Any) -> None:
    study = open_labels("typing")
    page = label(study).page

    name_somebody(page, "nurse u 123", "1")

    assert [label.which for label in wait_for_labels(site, study, 1)] == ["nurse u 123"]


def test_undo_takes_the_last_answer_back_and_first_a_half_answered_yes(site: Any, open_labels: Any, label: Any) -> None:
    study = open_labels("undone")
    page = label(study).page
    first = page.evaluate(SHOWN)
    page.keyboard.press("n")
    wait_for_labels(site, study, 1)
    ready(page)
    page.keyboard.press("y")

    page.click(".undo")
    half_open = page.is_visible(".details")
    page.click(".undo")
    wait_for_image(page, lambda shown: shown == first[0])
    ready(page)
    name_somebody(page, "Pikachu")

    assert not half_open
    assert [label.answer for label in wait_for_labels(site, study, 1)] == ["yes"]
    site.ledger.verify(study)


def test_a_double_click_is_one_label_and_too_quick_an_answer_none(site: Any, open_labels: Any, visit: Any) -> None:
    study = open_labels("double")
    page = visit(f"{site.address}/resemblance/?study={study}").page
    page.wait_for_selector(READY)
    page.evaluate("document.querySelector('[data-choice=no]').click()")
    page.wait_for_timeout(SETTLED_MS)

    page.dblclick("[data-choice=no]")
    page.wait_for_timeout(800)

    assert len(wait_for_labels(site, study, 1)) == 1
    assert page.inner_text(".count") == "1 of 4"


def test_an_answer_given_without_a_connection_is_sent_later_and_counts_once(
    site: Any, open_labels: Any, label: Any
) -> None:
    study = open_labels("offline")
    page = label(study).page
    page.route("**/resemblance/api/label", lambda route: route.abort())
    page.keyboard.press("n")
    page.wait_for_selector(".retry:not([hidden])")
    before = LabelBook(site.ledger).labels(study)

    page.unroute("**/resemblance/api/label")
    page.click(".retry")

    assert before == []
    assert len(wait_for_labels(site, study, 1)) == 1


def test_a_skipped_image_is_replaced_and_a_withdrawal_takes_all_out(site: Any, open_labels: Any, label: Any) -> None:
    study = open_labels("aside")
    page = label(study).page
    before = page.evaluate(SHOWN)
    page.keyboard.press("s")
    page.keyboard.press("Enter")
    wait_for_image(page, lambda shown: shown != before[0])
    ready(page)
    page.keyboard.press("n")
    wait_for_labels(site, study, 1)

    page.click(".leave")
    page.click("dialog.withdraw .danger")
    page.wait_for_selector("[data-phase=withdrawn]")
    page.reload()
    page.wait_for_selector("[data-phase=withdrawn]")

    assert wait_for_labels(site, study, 0) == []
    assert [report.why for report in LabelBook(site.ledger).reports(study)] == ["skip"]


def test_a_german_study_is_german_whatever_the_browser_speaks(open_labels: Any, label: Any) -> None:
    page = label(open_labels("german", language="de"), locale="en-GB").page

    assert page.inner_text("h1.question").startswith("Zeigt dieses Bild")
    assert page.evaluate("document.documentElement.lang") == "de"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 667)], ids=["wide", "phone"])
@pytest.mark.parametrize("mode", ["single", "pair"])
def test_the_page_has_no_faults_that_axe_finds_and_fits_its_window(
    site: Any, open_labels: Any, visit: Any, mode: str, width: int, height: int, scheme: str
) -> None:
    name = f"axe-{mode}-{width}-{scheme}"
    study = open_labels(name, mode=mode, consent="We keep your answers.", labels_per_rater=1)
    found = visit(f"{site.address}/resemblance/?study={study}", width=width, height=height, color_scheme=scheme)
    page, axe, faults = found.page, Axe(), {}

    def look(state: str) -> None:
        page.wait_for_timeout(450)
        faults.update({f"{state} {one['id']}": one["nodes"] for one in axe.run(page).response["violations"]})
        picture_of(page, f"{name}-{state}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.wait_for_selector("[data-phase=consent]")
    look("consent")
    page.click(".agree")
    ready(page)
    look("image")
    assert page.evaluate("document.querySelector('.rate').scrollHeight") <= height
    if mode == "single":
        page.click("[data-choice=yes]")
        look("yes")
        page.click(".details [type=submit]")
        look("fault")
        page.keyboard.press("Escape")
    page.click(".flag")
    look("report")
    page.keyboard.press("Escape")
    page.click("[data-choice=no]" if mode == "single" else "[data-choice=left]")
    page.wait_for_selector("[data-phase=ended]")
    look("ended")

    assert faults == {}
    assert found.errors == []


@pytest.mark.parametrize("address", ["/resemblance/?study=no-such-study", "/resemblance/"])
def test_an_address_without_a_study_says_what_to_do(site: Any, visit: Any, address: str) -> None:
    page = visit(site.address + address).page

    page.wait_for_selector("[data-phase=message]")

    assert page.inner_text(".card h1") in ("No images here", "Which study?")
    assert page.is_visible(".card .home")
