"""The admin page: what its figures mean, its alarms and warnings, and the page in a real browser."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe

from arena.board import RatersKind
from arena.ledger.ledger import Ledger
from arena.ledger.records import StudyRecord
from arena.pages.admin import (
    KEPT_FOR,
    AdminView,
    StudyRow,
    StudyRows,
    StudyVotes,
    admin_page,
    admin_routes,
    admin_view,
    no_gates,
)
from arena.quality import Gates, QualityVote
from arena.statistics.stopping import StoppingRule
from arena.study import Study
from arena.votes import Choice, VoteRecord
from prompts.prompt import Prompt, PromptSet

START = datetime(2024, 5, 1, 9, tzinfo=UTC)
LATER = START + timedelta(days=30)
GATES = Gates(latency_floor_ms=400, gold_pass=0.8)
EVIL = "<script>alert('x')</script>"


def declared(name: str = "shapes", **values: Any) -> StudyRecord:
    """An open study of "old" against "ant" and "bee"."""
    study = Study(
        name=name,
        title=values.pop("title", "Shapes and colours"),
        question="Which fits the prompt better?",
        reference="old",
        candidates=("ant", "bee"),
        prompts=PromptSet(name="one", licence="CC0-1.0", source="here", prompts=(Prompt(text="a disc"),)),
        ties=True,
        both_bad=True,
        **values,
    )
    return StudyRecord(
        id=1, name=name, version=1, hash=study.hash, study=study, opened_at=START, closed_at=None, newly_opened=False
    )


def rater_votes(rater: int, choices: str, *, latency_ms: int = 1500, right_gold: bool = True) -> list[QualityVote]:
    """A rater's study votes ("l" and "r") and four gold pairs, answered all rightly or all wrongly."""
    sides = {"l": Choice.LEFT, "r": Choice.RIGHT}
    study = [
        QualityVote(
            rater=rater,
            pair=number,
            pair_kind="study",
            question="overall",
            choice=sides[letter],
            latency_ms=latency_ms,
            cast_at=START + timedelta(minutes=rater, seconds=number),
        )
        for number, letter in enumerate(choices)
    ]
    known = replace(study[-1], pair_kind="gold", right_answer=Choice.LEFT)
    answer = Choice.LEFT if right_gold else Choice.RIGHT
    return [*study, *[replace(known, pair=100 + number, choice=answer) for number in range(4)]]


def records(quality_votes: list[QualityVote], candidate: str = "ant") -> list[VoteRecord]:
    """The study votes among them as boards read them: the candidate on the left."""
    return [
        VoteRecord(
            vote_id=number,
            ts=vote.cast_at,
            rater=vote.rater,
            simulated=False,
            study="shapes",
            question=vote.question,
            prompt_id=f"p{vote.pair}",
            prompt="a disc",
            category="",
            left=candidate,
            right="old",
            choice=vote.choice,
            latency_ms=vote.latency_ms,
            session="",
        )
        for number, vote in enumerate(quality_votes)
        if vote.pair_kind == "study"
    ]


def row_of(votes: list[QualityVote], record: StudyRecord | None = None, gates: Gates = GATES, **view: Any) -> StudyRow:
    one = StudyVotes(
        record=record or declared(), votes=records(votes), gates=gates, quality_votes=votes if gates.declared else ()
    )
    return admin_view([one], raters_kind="people", now=LATER, **view).studies[0]


def four_raters() -> list[QualityVote]:
    """One hurries, one hurries and misses the gold pairs, two look."""
    return [
        *rater_votes(1, "lrlrlr", latency_ms=90),
        *rater_votes(2, "lrlrlr", latency_ms=90, right_gold=False),
        *rater_votes(3, "lrlrlr"),
        *rater_votes(4, "lrlrlr"),
    ]


def outage() -> list[QualityVote]:
    """Forty raters who look, and then fifteen for whom the gold pairs went wrong."""
    return [vote for rater in range(1, 56) for vote in rater_votes(rater, "lrlrlr", right_gold=rater <= 40)]


def test_a_study_shows_its_votes_with_and_without_its_gates_and_who_they_exclude() -> None:
    row = row_of(four_raters())

    assert (row.votes, row.raters, row.kept) == ("24", "4", "12")
    assert row.exclusion == "2 of 4 (50.0 %)"
    assert row.alarms == ()


def test_each_gate_says_whom_it_fails_whom_it_alone_excludes_and_what_were_without_it() -> None:
    latency, gold = row_of(four_raters()).gates

    assert (latency.label, latency.rule) == ("Latency", "at most 50 % of the pairs within 400 ms")
    assert (latency.failed, latency.alone, latency.without) == ("2 of 4 (50.0 %)", "1", "1 of 4 (25.0 %)")
    assert (gold.label, gold.rule) == ("Gold pairs", "at least 80 % get their known answer")
    assert (gold.failed, gold.alone, gold.without) == ("1 of 4 (25.0 %)", "0", "2 of 4 (50.0 %)")
    assert (gold.state, gold.tone) == ("works", "good")


def test_a_study_without_gates_excludes_nobody_and_says_so() -> None:
    row = row_of(four_raters(), gates=Gates())

    assert (row.exclusion, row.gates, row.votes, row.kept) == ("no gates declared", (), "24", "24")


def test_a_gate_that_breaks_raises_alarms_and_excludes_nobody() -> None:
    row = row_of(outage())

    assert row.exclusion == "0 of 55 (0.0 %)"
    assert [alarm[:22] for alarm in row.alarms] == ["The gates fail 15 of t", "Gold pairs: This gate "]
    assert [gate.state for gate in row.gates] == ["works", "broken"]


def test_a_gate_that_works_again_leaves_a_note_and_no_alarm() -> None:
    after = [vote for rater in range(56, 200) for vote in rater_votes(rater, "lrlrlr")]

    row = row_of([*outage(), *after])

    assert row.alarms == ()
    assert [gate.state for gate in row.gates] == ["works", "works"]
    assert any("15 raters failed one after the other" in warning for warning in row.warnings)


def test_entrants_that_no_win_ties_to_the_others_are_warned_of() -> None:
    row = row_of(four_raters())

    assert len(row.warnings) == 1
    assert "bee" in row.warnings[0]
    assert row_of([]).warnings == ()


def test_the_stopping_rule_speaks_and_once_more_where_the_gates_make_it_say_something_else() -> None:
    rule = StoppingRule(look_every=1, min_votes=6, min_raters=2, max_votes=6)

    undecided = row_of(rater_votes(1, "lrlrlr"), declared(stopping=rule))
    parted = row_of(four_raters(), declared(stopping=StoppingRule(look_every=1, min_votes=1, max_votes=13)))

    assert undecided.stopping == ("Go on: 'bee' is still undecided.",)
    assert len(parted.stopping) == 2
    assert parted.stopping[1] == "With the gates: Go on: 'ant', 'bee' are still undecided."
    assert row_of([]).stopping == ("No stopping rule was declared: it ends when it is closed.",)


def test_votes_on_a_second_question_are_counted_once() -> None:
    votes = rater_votes(1, "lr")
    again = [replace(vote, question="alignment") for vote in votes]

    assert row_of([*votes, *again], gates=Gates()).votes == "2"


def test_a_study_without_votes_can_be_shown() -> None:
    rule = StoppingRule(min_votes=10)

    row = row_of([], declared(stopping=rule))

    assert row.stopping == ("Go on: 'ant', 'bee' are still undecided.",)
    assert (row.votes, row.raters, row.exclusion) == ("0", "0", "–")
    assert [gate.state for gate in row.gates] == ["no verdict yet"] * 2


def test_titles_and_names_stand_as_text_whatever_they_hold() -> None:
    view = admin_view(
        [StudyVotes(record=declared(title=EVIL), votes=records(outage()), gates=GATES, quality_votes=outage())],
        raters_kind="people",
        now=LATER,
    )

    text = bytes(admin_page(view).body).decode()

    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert view.alarms == 2
    assert "2 alarms" in text


def test_an_arena_without_studies_says_how_to_open_one() -> None:
    text = bytes(admin_page(AdminView(studies=(), raters_kind="people", alarms=0)).body).decode()

    assert "No study yet" in text


@pytest.fixture
def served(arena: Any) -> Iterator[Callable[..., str]]:
    """Serves the admin page over the arena's ledger, behind the guard; returns its address."""
    running: list[tuple[Any, threading.Thread, socket.socket]] = []

    def serve(gates: Gates, quality_votes: list[QualityVote]) -> str:
        import uvicorn
        from fastapi import FastAPI
        from starlette.staticfiles import StaticFiles

        from arena.guard import Guard
        from arena.pages.html import ASSETS

        def quality(record: StudyRecord, raters: RatersKind) -> tuple[Gates, Sequence[QualityVote]]:
            return no_gates(record, raters) if raters == "simulated" else (gates, quality_votes)

        app = FastAPI()
        app.add_middleware(Guard, mounts={}, ours={})
        app.include_router(admin_routes(arena.ledger, quality=quality, clock=lambda: LATER))
        app.mount("/assets", StaticFiles(directory=ASSETS), name="assets")
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread, listener))
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


def test_the_page_reads_the_ledger_and_keeps_people_and_simulated_raters_apart(
    arena: Any, served: Callable[..., str]
) -> None:
    arena.open(title="Shapes and colours", votes_per_rater=3)
    arena.rate_all(arena.join())
    for _ in range(2):
        arena.rate_all(arena.join(simulated=True))
    address = served(Gates(), [])

    people = httpx.get(f"{address}/admin/")
    simulated = httpx.get(f"{address}/admin/", params={"raters": "simulated"})
    nobody = httpx.get(f"{address}/admin/", params={"raters": "nobody"})

    assert "3 votes by\n        1 rater since" in people.text
    assert "made by a program" not in people.text
    assert "6 votes by\n        2 raters since" in simulated.text
    assert "made by a program, not by people" in simulated.text
    assert people.headers["cache-control"] == "no-store"
    assert nobody.status_code == 422


def test_a_closed_study_is_marked_and_only_the_newest_version_stands_there(
    ledger: Ledger, arena: Any, served: Callable[..., str]
) -> None:
    arena.open(title="Shapes and colours")
    ledger.open_study(arena.study(title="Shapes and colours", votes_per_rater=2), now=LATER, new_version=True)
    ledger.close_study("shapes", now=LATER)

    text = httpx.get(f"{served(Gates(), [])}/admin/").text

    assert text.count("<h2") == 1
    assert "version 2" in text
    assert '<span class="tag">closed</span>' in text


@dataclass(slots=True, kw_only=True)
class Watch:
    """Rows over a ledger, at a time that can be set, and how often each study's votes were read for its gates."""

    rows: StudyRows
    now: datetime
    reads: Counter[str]

    def votes_shown(self, raters: RatersKind = "people") -> dict[str, str]:
        return {row.key: row.votes for row in self.rows.view(raters).studies}


@pytest.fixture
def watch(arena: Any) -> Watch:
    reads: Counter[str] = Counter()

    def quality(record: StudyRecord, raters: RatersKind) -> tuple[Gates, Sequence[QualityVote]]:
        reads[record.name] += 1
        return no_gates(record, raters)

    made = Watch(rows=StudyRows(arena.ledger, quality=quality, clock=lambda: made.now), now=LATER, reads=reads)
    return made


def test_a_study_in_which_nothing_happened_is_not_computed_again(arena: Any, watch: Watch) -> None:
    arena.open(title="Shapes", votes_per_rater=3)
    arena.open(name="other", title="Other", votes_per_rater=3)
    watch.votes_shown()

    arena.rate_all(arena.join())
    shown = [watch.votes_shown() for _ in range(3)]

    assert shown == [{"other": "0", "shapes": "3"}] * 3
    assert watch.reads == {"other": 1, "shapes": 2}


def test_whatever_happens_in_a_study_shows_at_once(arena: Any, ledger: Ledger, watch: Watch) -> None:
    arena.open(title="Shapes", votes_per_rater=3)
    rater, other = arena.join(), arena.join()
    pair = arena.pairs(rater)[0]
    seen = [watch.votes_shown()["shapes"]]

    arena.vote(rater, pair)
    seen.append(watch.votes_shown()["shapes"])
    arena.room.undo(rater=rater, study="shapes", pair=pair.pair, round=1, key=str(uuid4()), now=LATER)
    seen.append(watch.votes_shown()["shapes"])
    arena.rate_all(other)
    seen.append(watch.votes_shown()["shapes"])
    ledger.withdraw(ledger.study("shapes").id, other, now=LATER)
    seen.append(watch.votes_shown()["shapes"])
    ledger.close_study("shapes", now=LATER)

    assert seen == ["0", "1", "0", "3", "0"]
    assert not watch.rows.view("people").studies[0].is_open


def test_people_and_simulated_raters_are_kept_apart(arena: Any, watch: Watch) -> None:
    arena.open(title="Shapes", votes_per_rater=3)
    arena.rate_all(arena.join(simulated=True))

    shown = [watch.votes_shown(kind)["shapes"] for kind in ("people", "simulated", "people", "simulated")]

    assert shown == ["0", "3", "0", "3"]


def test_figures_that_look_at_the_clock_are_old_after_a_while(arena: Any, watch: Watch) -> None:
    arena.open(title="Shapes")
    watch.votes_shown()

    watch.now += KEPT_FOR - timedelta(seconds=1)
    watch.votes_shown()
    before = watch.reads["shapes"]
    watch.now += timedelta(seconds=1)
    watch.votes_shown()

    assert (before, watch.reads["shapes"]) == (1, 2)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_cut_off_on_wide_screens_and_phones(
    arena: Any, served: Callable[..., str], visit: Any, scheme: str, width: int
) -> None:
    arena.open(title="Shapes and colours", stopping=StoppingRule())
    arena.rate_all(arena.join())
    address = served(GATES, outage())

    found = visit(f"{address}/admin/", color_scheme=scheme, width=width)
    found.page.click("summary")

    faults = Axe().run(found.page).response["violations"]
    assert [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in faults] == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    assert found.page.get_by_text("15 raters failed one after the other").is_visible()
    # The icons are the whole site's, which this small one lacks.
    assert [error for error in found.errors if "404" not in error] == []
    assert found.hosts == {address.removeprefix("http://")}
