"""The page that holds automatic metrics against votes: its figures, its empty states, its questions, and its cache."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from arena.ledger.records import Entrant, Score
from arena.metrics_board import metrics_board
from arena.pages.metrics import MetricsBoards, _signed, metric_rows
from arena.study_parts import Question
from arena.votes import Choice

EVIL = "<script>alert('x')</script>"
REFERENCE, ZEBRA, YAK = "aardvark-reference", "zebra-candidate", "yak-candidate"
QUESTIONS = (
    Question(key="fit", text="Which image fits the prompt better?"),
    Question(key="looks", text="Which looks?"),
)


@pytest.fixture
def get(site: Any) -> Any:
    with httpx.Client(base_url=site.address) as client:
        yield client.get


def measure(
    site: Any, study: str, metric: str = "clip_score", *, per_prompt: Callable[[str, int], float] | None = None
) -> None:
    """Give every entrant of the study a score; `per_prompt` says the value of an entrant on the prompt of a number."""
    prompts = site.ledger.study(study).study.prompts
    for place, name in enumerate((REFERENCE, YAK, ZEBRA)):
        values = {} if per_prompt is None else {one.id: per_prompt(name, n) for n, one in enumerate(prompts)}
        site.ledger.keep_score(
            Score(
                entrant=name,
                prompt_set_id=prompts.id,
                metric=metric,
                value=float(place),
                low=place - 0.5,
                high=place + 0.5,
                n=len(prompts),
                details={"better": "higher", **({"per_prompt": values} if values else {})},
            )
        )


def vote(
    site: Any, study: str, *, raters: int = 4, simulated: bool = False, first: bool = True, keys: tuple[str, ...] = ()
) -> None:
    """Raters who always take the candidate on the first question, and the reference on any other; or never it."""
    rng, now = np.random.default_rng(3), datetime.now(UTC)
    for _ in range(raters):
        rater = site.room.join(study, now=now, simulated=simulated)
        waiting = site.room.next_pairs(rater=rater, study=study, count=6, rng=rng, now=now)
        seats = {pair.token: pair for pair in site.ledger.handed_pairs(site.ledger.study(study).id, rater)}
        for pair in waiting:
            sides = [
                Choice.LEFT if seats[pair.pair].first_left == (first == (place == 0)) else Choice.RIGHT
                for place in range(len(keys) or 1)
            ]
            site.room.vote(
                rater=rater,
                study=study,
                pair=pair.pair,
                round=pair.round,
                choice=dict(zip(keys, sides, strict=True)) if keys else sides[0],
                key=str(uuid4()),
                latency_ms=900,
                rng=rng,
                now=now,
            )


def candidates_ahead(name: str, number: int) -> float:
    """A metric that puts every candidate above the reference, most clearly on the first prompts."""
    return 20.0 if name == REFERENCE else 30.0 - number + 0.1 * (name == YAK)


def test_the_page_shows_how_often_each_metric_agrees_and_the_best_comes_first(site: Any, get: Any) -> None:
    study = site.open_study("metrics-page", prompts=6, votes_per_rater=6)
    measure(site, study, "clip_score", per_prompt=candidates_ahead)
    measure(site, study, "a_backward_one", per_prompt=lambda name, number: -candidates_ahead(name, number))
    measure(site, study, "fid")
    vote(site, study)

    text = get(f"/metrics/?study={study}").text
    board = get(f"/api/metrics/{study}", params={"raters": "people"}).json()

    assert "24 votes of people" in text
    assert re.findall(r'<th scope="row">([^<]+)</th>', text)[:3] == ["clip_score", "a_backward_one", "fid"]
    assert '<span class="rate">100.0 %</span>' in text
    assert '<span class="rate">0.0 %</span>' in text
    assert "It has no value per image" in text
    assert {row["metric"]: row["agreement"]["rate"] for row in board["metrics"] if row["category"] is None} == {
        "clip_score": 1.0,
        "a_backward_one": 0.0,
        "fid": None,
    }
    assert (board["study"], board["votes"], board["simulated"]) == (study, 24, False)
    assert f"/api/metrics/{study}?raters=people&amp;question=overall" in text


def test_the_strip_stands_where_the_figures_say(arena: Any, now: datetime) -> None:
    study = arena.open(prompts=4, votes_per_rater=8)
    rng = np.random.default_rng(0)
    for name in study.entrants:
        values = {prompt.id: float(rng.normal()) for prompt in study.prompts}
        score = Score(
            entrant=name,
            prompt_set_id=study.prompts.id,
            metric="m",
            value=1.0,
            low=0.0,
            high=2.0,
            n=4,
            details={"per_prompt": values},
        )
        arena.ledger.keep_score(score)
    for _ in range(6):
        arena.rate_all(arena.join(), lambda _: Choice.LEFT if rng.random() < 0.5 else Choice.RIGHT)

    board = metrics_board(arena.ledger, "shapes", raters="people")
    [row] = metric_rows(board)

    found = board.rows[0].agreement
    assert found.rate is not None
    assert found.interval is not None
    assert row.agreement.value == f"{100 * found.rate:.1f} %"
    assert row.agreement.point == pytest.approx(100 * found.rate)
    assert row.agreement.left == pytest.approx(100 * found.interval.low)
    assert row.agreement.width == pytest.approx(100 * (found.interval.high - found.interval.low))
    over_prompts = board.rows[0].prompt_correlation
    assert over_prompts.value is not None
    assert row.prompts.point == pytest.approx(50 + 50 * over_prompts.value)
    assert row.entrants.note == "2 candidates with votes and a score are too few, 4 are wanted."
    assert [category for category, _, _ in row.categories] == ["even", "odd"]


@pytest.mark.parametrize(
    ("correlation", "figure"),
    [(0.2849, "+0.28"), (-0.004, "0.00"), (0.004, "0.00"), (-0.4, "−0.40"), (1.0, "+1.00"), (-1.0, "−1.00")],
)
def test_correlations_carry_their_sign_and_nothing_is_minus_zero(correlation: float, figure: str) -> None:
    assert _signed(correlation) == figure


def test_without_scores_the_page_says_how_to_measure(site: Any, get: Any) -> None:
    study = site.open_study("metrics-none", prompts=2)

    text = get(f"/metrics/?study={study}").text

    # Other tests measure galleries of other prompt sets.
    assert "have no automatic scores yet" in text
    assert "canvas evaluate score --prompts things-2" in text
    assert "<table" not in text


def test_without_votes_no_metric_is_called_blind(site: Any, get: Any) -> None:
    study = site.open_study("metrics-unvoted", prompts=3)
    measure(site, study, per_prompt=candidates_ahead)

    people = get(f"/metrics/?study={study}").text
    simulated = get(f"/metrics/?study={study}&raters=simulated").text

    assert "There are no votes by people yet to hold the one metric against." in people
    assert "There are no votes by simulated raters yet" in simulated
    assert "<table" not in people


def test_simulated_votes_are_marked_and_shown_by_themselves_only_where_nobody_voted(site: Any, get: Any) -> None:
    study = site.open_study("metrics-simulated", prompts=6, votes_per_rater=6)
    measure(site, study, per_prompt=candidates_ahead)
    vote(site, study, simulated=True)
    alone = get(f"/metrics/?study={study}").text
    vote(site, study, raters=2, first=False)

    both = get(f"/metrics/?study={study}").text
    board = get(f"/api/metrics/{study}", params={"raters": "simulated"}).json()

    assert "24 votes of simulated raters" in alone
    assert "made by a program, not by people" in alone
    assert "12 votes of people" in both
    assert "made by a program" not in both
    assert '<span class="rate">0.0 %</span>' in both
    assert (board["simulated"], board["votes"]) == (True, 24)


def test_each_question_is_held_against_its_own_votes(site: Any, get: Any) -> None:
    study = site.open_study("metrics-asked", prompts=6, question="", questions=QUESTIONS, votes_per_rater=6)
    measure(site, study, per_prompt=candidates_ahead)
    vote(site, study, keys=("fit", "looks"))

    first = get(f"/metrics/?study={study}").text
    second = get(f"/metrics/?study={study}&question=looks").text

    assert '<span class="rate">100.0 %</span>' in first
    assert '<span class="rate">0.0 %</span>' in second
    assert "“Which looks?”" in second
    for text in (first, second):
        addresses = [html.unescape(found) for found in re.findall(r'href="(/metrics/[^"]+question=[^"]+)"', text)]
        assert f"/metrics/?study={study}&raters=people&question=looks" in addresses
    assert [
        row["agreement"]["rate"] for row in get(f"/api/metrics/{study}?raters=people&question=looks").json()["metrics"]
    ]


def test_what_is_not_there_is_said(site: Any, get: Any) -> None:
    study = site.open_study("metrics-missing")

    pages = [get(f"/metrics/?study={name}&question={key}") for name, key in (("no<b>thing", ""), (study, "no<b>ne"))]
    data = [get(f"/api/metrics/{name}?raters=people{rest}") for name, rest in (("nothing", ""), (study, "&question=x"))]

    assert [page.status_code for page in pages] == [404, 404]
    assert "There is no study" in pages[0].text
    assert "asks no question" in pages[1].text
    assert not any("<b>" in page.text for page in pages)
    assert [answer.status_code for answer in data] == [404, 422]
    assert data[1].json() == {"error": f"The study '{study}@1' asks no question 'x'. Its questions: overall."}
    assert get(f"/api/metrics/{study}").status_code == 422
    assert get(f"/metrics/?study={study}&raters=nobody").status_code == 422


def test_names_stand_as_text_whatever_they_hold(site: Any, get: Any) -> None:
    site.ledger.enter(Entrant(name="<i>x", source="swatch:x", sampler="swatch"), now=datetime.now(UTC))
    study = site.open_study("metrics-evil", prompts=6, title=EVIL, question=EVIL, votes_per_rater=6)
    measure(site, study, EVIL, per_prompt=candidates_ahead)
    vote(site, study)

    text = get(f"/metrics/?study={study}").text

    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_an_arena_without_studies_says_how_to_open_one(ledger: Any) -> None:
    import asyncio

    from fastapi import FastAPI

    from arena.pages.metrics import metrics_routes

    app = FastAPI()
    app.include_router(metrics_routes(ledger))

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://arena") as client:
            return await client.get("/metrics/")

    answer = asyncio.run(asked())

    assert "No study yet" in answer.text


def test_figures_are_computed_again_when_something_was_voted_or_measured_and_only_then(arena: Any) -> None:
    study = arena.open()
    boards = MetricsBoards(arena.ledger)
    score = Score(
        entrant="ant", prompt_set_id=study.prompts.id, metric="m", value=1.0, low=0.0, high=2.0, n=4, details={}
    )

    kept = [boards.board("shapes", "people") for _ in range(2)]
    arena.rate_all(arena.join())
    voted = boards.board("shapes", "people")
    arena.ledger.keep_score(score)
    measured = [boards.board("shapes", "people") for _ in range(2)]
    simulated = boards.board("shapes@1", "simulated")

    assert kept[0].rows is kept[1].rows
    assert (kept[0].votes, voted.votes, len(voted.rows)) == (0, 8, 0)
    assert [row.metric for row in measured[0].rows][:1] == ["m"]
    assert measured[0].rows is measured[1].rows
    assert (simulated.votes, simulated.study, measured[0].study) == (0, "shapes@1", "shapes")
