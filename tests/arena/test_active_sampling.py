"""Active sampling from end to end: raters vote over HTTP, and the line that is still open gets the pairs."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from arena.api import answer_errors, rating_routes
from arena.board import board_from_votes
from arena.cookies import RaterCookie
from arena.ledger.tables import PAIRS
from arena.reception import Reception
from arena.study import Study

PROMPTS = 20
#: Of active sampling, the part that is shared out evenly; see `arena.matchmaking`.
FLOOR = 0.1


@dataclass(slots=True, kw_only=True)
class Desk:
    """An arena behind its rating routes, at a time that can be set; and raters who come with browsers of their own."""

    arena: Any
    address: str
    now: datetime
    came: int = 0

    def rate(self, pairs: int) -> None:
        """A new rater judges so many pairs. "ant" is preferred by everybody, nearly always; "bee" is a matter of taste:
        every other rater likes it, and the others do not."""
        self.came += 1
        rng = np.random.default_rng(self.came)
        with httpx.Client(base_url=self.address) as browser:
            waiting = browser.post("/rate/api/join", json={"study": "shapes"}).json()["pairs"]
            for _ in range(pairs):
                pair = waiting.pop(0)
                shown = self.arena.ledger.pair_of_token(pair["pair"])
                likes = shown.first == "ant" or self.came % 2 == 0
                likes ^= rng.random() < 0.06
                answer = browser.post(
                    "/rate/api/vote",
                    json={
                        "study": "shapes",
                        "pair": pair["pair"],
                        "round": pair["round"],
                        "choice": "left" if likes == shown.first_left else "right",
                        "key": str(uuid4()),
                        "latency_ms": 900,
                    },
                )
                assert answer.status_code == 200, answer.text
                waiting += [answer.json()["next"]] if answer.json()["next"] else []

    def handed(self) -> list[tuple[str, float]]:
        """Every pair that was handed out so far, in order: its candidate, and its propensity as it was logged."""
        names = {number: name for name, number in self.arena.ledger.study_material(1).entrant_ids.items()}
        with self.arena.ledger.reading() as connection:
            rows = connection.execute(select(PAIRS.c.candidate_id, PAIRS.c.propensity).order_by(PAIRS.c.id))
            return [(names[row.candidate_id], row.propensity) for row in rows]


@pytest.fixture
def desk(arena: Any, things: Any, now: datetime) -> Iterator[Desk]:
    """A study of "ant" and "bee" against "old" that samples actively, and nobody has come."""
    for name in ("old", "ant", "bee"):
        arena.paint(name, things(PROMPTS))
    arena.open(prompts=PROMPTS, sampling="active", votes_per_rater=2 * PROMPTS)
    listener = socket.create_server(("127.0.0.1", 0))
    made = Desk(arena=arena, address=f"http://127.0.0.1:{listener.getsockname()[1]}", now=now)
    app = FastAPI()
    answer_errors(app)
    reception = Reception(arena.ledger, arena.room)
    cookie = RaterCookie("kept in a drawer", secure=False)
    app.include_router(rating_routes(arena.room, reception, cookie, clock=lambda: made.now, dice=lambda: arena.rng))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield made
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()


def widths(desk: Desk, study: Study) -> dict[str, float]:
    """How wide each candidate's interval is on the board."""
    board = board_from_votes(study, desk.arena.ledger.votes("shapes", raters="people"), "people")
    found = {}
    for row in board.rows:
        assert row.half_tie.interval is not None
        found[row.entrant] = row.half_tie.interval.high - row.half_tie.interval.low
    return found


def test_the_line_that_is_still_open_gets_more_pairs_and_every_pair_says_how_likely_it_was(desk: Desk) -> None:
    study = desk.arena.ledger.study("shapes").study
    for _ in range(14):
        desk.rate(16)
    wide = widths(desk, study)
    before = desk.handed()

    # The room looks at the votes once a minute.
    desk.now += timedelta(minutes=2)
    for _ in range(10):
        desk.rate(8)

    drawn = desk.handed()[len(before) :]
    counts = Counter(line for line, _ in drawn)
    # Nobody's interval was known at first: the lines were as likely as each other.
    assert abs(Counter(line for line, _ in before)["bee"] / len(before) - 0.5) < 0.1
    assert wide["bee"] > 3 * wide["ant"]
    assert counts["bee"] > 2 * counts["ant"] > 0
    # A pair's propensity is its line's chance, shared out evenly among what is equal within the line: categories,
    # prompts, sides. So the line's chance is a whole multiple of it, and these chances make 1.
    chance = {name: (1 - FLOOR) * width / sum(wide.values()) + FLOOR / 2 for name, width in wide.items()}
    shares = np.array([chance[line] / logged for line, logged in drawn])
    assert shares == pytest.approx(shares.round(), rel=1e-9)
    assert 1 <= shares.min() <= shares.max() <= 2 * PROMPTS
    # Horvitz and Thompson's sum: weighted by what was logged, each line stands for all pairs that were drawn.
    for name in ("ant", "bee"):
        weighed = sum(1 / (logged * share) for (line, logged), share in zip(drawn, shares, strict=True) if line == name)
        assert weighed == pytest.approx(len(drawn), rel=0.35)
