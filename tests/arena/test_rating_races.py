"""Real threads and real processes on a real SQLite file: nothing is lost, doubled or acknowledged too early."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arena.ledger.errors import AlreadyVotedError, RatingError
from arena.ledger.events import votes_from_events
from arena.ledger.ledger import Ledger
from arena.rating import RatingRoom
from arena.votes import Choice


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run them in threads that begin together; what each returned or raised."""
    gate, results = threading.Barrier(len(works)), [None] * len(works)

    def run(place: int) -> None:
        gate.wait(30)
        try:
            results[place] = works[place]()
        except RatingError as refusal:
            results[place] = refusal

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_double_click_is_one_vote_with_one_answer(arena: Any) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]

    answers = at_once(*[lambda: arena.vote(rater, pair, key="k")] * 12)

    assert len({(answer.vote_id, answer.done, answer.next) for answer in answers}) == 1
    assert Counter(answer.replayed for answer in answers) == {True: 11, False: 1}
    assert len(arena.ledger.votes("shapes", raters="people")) == 1
    assert len(arena.ledger.handed_pairs(1, rater)) == 3
    assert sum(row.count for row in arena.ledger.study_material(1).shown) == 3


def test_two_tabs_that_disagree_give_one_vote(arena: Any) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]

    answers = at_once(
        *[lambda choice=choice: arena.vote(rater, pair, choice) for choice in [Choice.LEFT, Choice.RIGHT] * 6]
    )

    accepted = [answer for answer in answers if not isinstance(answer, RatingError)]
    [vote] = arena.ledger.votes("shapes", raters="people")
    assert [answer.vote_id for answer in accepted] == [vote.vote_id]
    assert all(isinstance(answer, AlreadyVotedError) for answer in answers if answer not in accepted)
    # Nothing that was set aside for the refused ones is lost to the rater.
    assert arena.rate_all(rater) == 7
    arena.ledger.verify("shapes")


def test_two_tabs_that_load_at_once_never_show_a_comparison_twice(arena: Any) -> None:
    arena.open()
    rater = arena.join()

    answers = at_once(*[lambda: arena.pairs(rater, count=3)] * 6)

    shown = {pair.pair for pairs in answers for pair in pairs}
    handed = arena.ledger.handed_pairs(1, rater)
    assert shown <= {pair.token for pair in handed}
    assert len({(pair.first, pair.prompt_id) for pair in handed}) == len(handed) <= 8


def test_two_processes_never_show_a_comparison_twice(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    with Ledger.open(arena.home / "ledger.db") as other_ledger:
        rooms = [arena.room, RatingRoom(other_ledger, arena.images), arena.another_room()]
        for room in rooms:  # Each reads the rater while nothing is handed out: all but one are stale from then on.
            room.done(rater=rater, study="shapes")

        def rate(place: int) -> int:
            cast, rng, room = 0, np.random.default_rng(place), rooms[place]
            for _ in range(30):
                for pair in room.next_pairs(rater=rater, study="shapes", count=1, rng=rng, now=now):
                    try:
                        room.vote(
                            rater=rater,
                            study="shapes",
                            pair=pair.pair,
                            round=pair.round,
                            choice=Choice.LEFT,
                            key=f"{place}-{pair.pair}",
                            latency_ms=None,
                            rng=rng,
                            now=now,
                        )
                        cast += 1
                    except RatingError:
                        pass
            return cast

        cast = at_once(lambda: rate(0), lambda: rate(1), lambda: rate(2))

    handed = arena.ledger.handed_pairs(1, rater)
    assert len({(pair.first, pair.prompt_id) for pair in handed}) == len(handed) == 8
    assert sum(cast) == len(arena.ledger.votes("shapes", raters="people")) == 8
    arena.ledger.verify("shapes")


def test_a_vote_and_its_undo_by_many_threads_leave_rounds_in_order(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0].pair

    def undo(key: str, round: int) -> Any:
        return arena.room.undo(rater=rater, study="shapes", pair=pair, round=round, key=key, now=now)

    for round in (1, 2, 3):
        [view] = [one for one in arena.pairs(rater) if one.pair == pair]
        assert view.round == round
        at_once(*[lambda view=view: arena.vote(rater, view)] * 4)
        at_once(*[lambda round=round, key=f"{round}-{n}": undo(key, round) for n in range(4)])

    kinds = [event.kind for event in arena.ledger.events("shapes")]
    assert kinds == ["opened", *["vote", "undo"] * 3]
    assert arena.room.done(rater=rater, study="shapes") == 0
    arena.ledger.verify("shapes")


def test_many_raters_at_once_lose_nothing_and_stay_balanced(arena: Any, now: datetime) -> None:
    arena.open(votes_per_rater=6)

    def rate(place: int) -> int:
        rng, room = np.random.default_rng(place), arena.room
        rater = room.join("shapes", now=now, simulated=place % 3 == 0)
        waiting = room.next_pairs(rater=rater, study="shapes", rng=rng, now=now)
        cast = 0
        while waiting:
            pair = waiting.pop(0)
            answer = room.vote(
                rater=rater,
                study="shapes",
                pair=pair.pair,
                round=1,
                choice=list(Choice)[int(rng.integers(4))],
                key=f"{place}-{cast}",
                latency_ms=int(rng.integers(300, 5000)),
                rng=rng,
                now=now,
            )
            cast += 1
            assert answer.done == cast
            waiting += [answer.next] if answer.next is not None else []
        return cast

    cast = at_once(*[lambda place=place: rate(place) for place in range(24)])

    assert cast == [6] * 24
    votes = arena.ledger.votes("shapes", raters="all")
    assert len(votes) == 144
    assert votes_from_events(arena.ledger.events("shapes")) == votes
    assert arena.ledger.verify("shapes").seq == 145
    for simulated, raters in ((False, 16), (True, 8)):
        totals: Counter[str] = Counter()
        for row in arena.ledger.study_material(1).shown:
            totals[row.first] += row.count if row.simulated == simulated else 0
        assert sum(totals.values()) == raters * 6
        assert max(totals.values()) - min(totals.values()) <= raters


VOTER = textwrap.dedent("""
    import os, sys, threading
    from datetime import UTC, datetime
    import numpy as np
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.rating import RatingRoom
    from arena.votes import Choice

    ledger = Ledger.open(sys.argv[1])
    room = RatingRoom(ledger, ImageStore(sys.argv[2]))
    acknowledged = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def rate(place):
        rng = np.random.default_rng()
        while True:
            now = datetime.now(UTC)
            rater = room.join("shapes", now=now)
            waiting = room.next_pairs(rater=rater, study="shapes", rng=rng, now=now)
            while waiting:
                pair = waiting.pop(0)
                answer = room.vote(
                    rater=rater, study="shapes", pair=pair.pair, round=1, choice=Choice.LEFT,
                    key=f"{rater}-{pair.pair}", latency_ms=1000, rng=rng, now=now,
                )
                os.write(acknowledged, f"{answer.vote_id}\\n".encode())
                waiting += [answer.next] if answer.next is not None else []

    for place in range(4):
        threading.Thread(target=rate, args=(place,)).start()
""")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_kill_9_in_the_middle_of_voting_loses_no_acknowledged_vote(arena: Any, tmp_path: Path) -> None:
    arena.open()
    acknowledged = tmp_path / "acknowledged"
    command = [sys.executable, "-c", VOTER, arena.home / "ledger.db", arena.home / "images", acknowledged]
    enough = 0
    for _ in range(3):
        enough += 20
        voters = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (
            not acknowledged.exists() or acknowledged.read_bytes().count(b"\n") < enough
        ):
            time.sleep(0.02)
        for voter in voters:
            os.kill(voter.pid, signal.SIGKILL)
        for voter in voters:
            voter.wait()

        told = [int(line) for line in acknowledged.read_text().split("\n")[:-1]]
        votes = arena.ledger.votes("shapes", raters="people")
        assert len(told) == len(set(told)) >= enough
        assert set(told) <= {vote.vote_id for vote in votes}
        assert votes_from_events(arena.ledger.events("shapes")) == votes
        arena.ledger.verify("shapes")
