"""Our own HTML: the first page and the gallery, escaped, paged and linked; and the dashboard's tables."""

import html
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from arena.board import board_from_votes
from arena.ledger.records import Score
from arena.pages.gallery import ROWS_PER_PAGE
from arena.pages.results import results_html, scores_html
from arena.study_parts import Crowd, Question
from prompts.prompt import Prompt, PromptSet

EVIL = "<script>alert('x')</script> & <img src=x onerror=alert(1)>"


def sentences(*texts: str) -> PromptSet:
    """A prompt set of exactly these texts."""
    return PromptSet(name="sentences", licence="CC0-1.0", source="here", prompts=tuple(Prompt(text=t) for t in texts))


@pytest.fixture
def get(site: Any) -> Any:
    with httpx.Client(base_url=site.address) as client:
        yield client.get


def test_the_first_page_offers_open_studies_and_shows_closed_ones(site: Any, get: Any) -> None:
    site.open_study("open-one", title="An open one")
    site.open_study("shut-one", title="A shut one")
    site.ledger.close_study("shut-one", now=datetime.now(UTC))

    page = get("/").text

    assert 'href="/rate/?study=open-one"' in page
    assert 'href="/dashboard/?study=open-one"' in page
    assert 'href="/rate/?study=shut-one"' not in page
    assert 'href="/dashboard/?study=shut-one"' in page


def test_studies_of_crowd_sites_name_the_site_and_offer_no_button_that_would_be_refused(site: Any, get: Any) -> None:
    for name, place in (("crowd-one", "prolific"), ("crowd-two", "mturk")):
        crowd = Crowd(site=place, slots=1, completion_code="C")  # type: ignore[arg-type]
        site.open_study(name, title=name, crowd=crowd)

    page = get("/").text

    assert '<span class="tag">by Prolific</span>' in page
    assert '<span class="tag">by MTurk</span>' in page
    assert "/rate/?study=crowd-" not in page
    assert 'href="/dashboard/?study=crowd-one"' in page


@pytest.mark.parametrize("path", ["/", "/gallery/", "/login", "/rate/", "/dashboard/", "/healthz", "/favicon.svg"])
def test_head_is_answered_like_get_without_the_body(site: Any, path: str) -> None:
    site.open_study("any-head")

    with httpx.Client(base_url=site.address) as client:
        head, get = client.head(path), client.get(path)

    assert (head.status_code, get.status_code) == (200, 200)
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_of_nothing_is_nothing(site: Any) -> None:
    assert httpx.head(f"{site.address}/nowhere").status_code == 404


def test_the_first_page_names_no_entrant(site: Any, get: Any) -> None:
    site.open_study("quiet-one")

    page = get("/").text

    assert not any(entrant.name in page for entrant in site.ledger.entrants())


def test_titles_and_prompts_are_text_and_not_markup(site: Any, get: Any) -> None:
    site.open_study("evil", prompts=sentences(EVIL, "harmless"), title=EVIL, question=EVIL)

    pages = get("/").text + get("/gallery/?study=evil").text

    assert "<script>" not in pages
    assert "<img src=x" not in pages
    assert "&lt;script&gt;" in pages


def test_the_gallery_shows_every_entrants_image_of_every_prompt(site: Any, get: Any) -> None:
    site.open_study("gallery-one", prompts=3)
    record = site.ledger.study("gallery-one")

    page = get("/gallery/?study=gallery-one").text

    for entrant in record.study.entrants:
        for image in site.ledger.gallery(entrant, record.study.prompts, (0,)):
            assert f"/gallery/image/{image.id}" in page
    assert page.count('loading="lazy"') == 9
    assert "1–3 of 3" in page


def test_the_gallery_is_paged(site: Any, get: Any) -> None:
    site.open_study("gallery-long", prompts=ROWS_PER_PAGE + 2)

    first, second, beyond = (get(f"/gallery/?study=gallery-long&page={number}").text for number in (1, 2, 99))

    assert f"1–{ROWS_PER_PAGE} of {ROWS_PER_PAGE + 2}" in first
    assert 'rel="next"' in first
    assert f"{ROWS_PER_PAGE + 1}–{ROWS_PER_PAGE + 2} of {ROWS_PER_PAGE + 2}" in second
    assert 'rel="prev"' in second
    assert 'rel="next"' not in second
    assert beyond == second


def test_the_gallery_of_no_study_says_so(get: Any) -> None:
    answer = get("/gallery/?study=nothing-here")

    assert answer.status_code == 404
    assert "No such study" in answer.text


def test_gallery_images_are_webp_and_unknown_ones_are_missing(site: Any, get: Any) -> None:
    site.open_study("gallery-image")
    record = site.ledger.study("gallery-image")
    image = site.ledger.gallery(record.study.reference, record.study.prompts, (0,))[0]

    found = get(f"/gallery/image/{image.id}")

    assert found.headers["content-type"] == "image/webp"
    assert get("/gallery/image/999999").status_code == 404
    assert get("/gallery/image/x").status_code == 422


def test_an_empty_arena_says_how_to_open_a_study() -> None:
    from arena.pages.html import render

    page = render("home.html", studies=[])

    assert "canvas arena study open" in page


def test_the_results_name_the_numbers_and_escape_the_names(site: Any) -> None:
    site.open_study("results-one", title=EVIL)
    study = site.ledger.study("results-one").study

    page = results_html(board_from_votes(study, [], "simulated"), key="results-one", shows_both_bad=True, is_open=True)

    assert "<script>" not in page
    assert "Simulated raters." in page
    assert page.count("inconclusive") == 3
    assert "0 simulated raters" in page


def test_scores_have_a_row_per_entrant_and_a_column_per_metric(site: Any) -> None:
    site.open_study("scores-one")
    study = site.ledger.study("scores-one").study
    scores = [
        Score(entrant=name, prompt_set_id=study.prompts.id, metric=metric, value=value, low=0.5, high=30.0, n=4)
        for name, metric, value in (("yak-candidate", "clip_score", 21.5), ("zebra-candidate", "clip_fid", 3.25))
    ]

    page = scores_html(study, scores, against="/metrics/?study=scores-one&raters=people")

    assert page.index("clip_fid") < page.index("clip_score")
    assert "21.50" in page
    assert "0.5000 to 30.00" in page
    assert '<a href="/metrics/?study=scores-one&amp;raters=people">Hold these metrics against the votes</a>' in page
    assert scores_html(study, [], against="/metrics/") == ""


def test_votes_between_candidates_are_said_to_be_in_the_headline_and_in_no_row(arena: Any) -> None:
    study = arena.open(links=(("ant", "bee"),))
    arena.rate_all(arena.join())
    board = board_from_votes(study, arena.ledger.votes("shapes", raters="people"), "people")

    page = results_html(board, key="shapes", shows_both_bad=True, is_open=True)

    assert "<strong>12 votes</strong>" in page
    assert "4 votes of these are between candidates, and in no row below." in page
    assert sum(row.wins + row.losses + row.ties + row.both_bad for row in board.rows) == 8


def test_without_votes_between_candidates_nothing_is_said_of_them(arena: Any) -> None:
    study = arena.open()
    arena.rate_all(arena.join())
    board = board_from_votes(study, arena.ledger.votes("shapes", raters="people"), "people")

    assert "between candidates" not in results_html(board, key="shapes", shows_both_bad=True, is_open=True)


def test_the_boards_json_is_that_of_the_question_shown(site: Any, get: Any) -> None:
    questions = (Question(key="fit", text="Which fits?"), Question(key="looks", text="Which looks better?"))
    site.open_study("json-asked", question="", questions=questions)
    study = site.ledger.study("json-asked").study
    board = board_from_votes(study, [], "people", question="looks")

    page = results_html(board, key="json-asked", shows_both_bad=True, is_open=True)

    [address] = re.findall(r'href="(/api/board/[^"]*)"', page)
    assert get(html.unescape(address)).json()["question_key"] == "looks"
