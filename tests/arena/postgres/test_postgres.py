"""What a test of SQLite's file says, said of PostgreSQL; and replicas on one database.

Everything else that a ledger promises runs on both databases where it is tested: see `ON_BOTH` in ../conftest.py.
"""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, func, insert, inspect, make_url, select, text

from arena.ledger import schema
from arena.ledger.engine import database_url, open_engine, readers
from arena.ledger.errors import BrokenChainError, LedgerWriteError, NewerSchemaError, NotALedgerError, RatingError
from arena.ledger.ledger import Ledger
from arena.ledger.tables import PROMPTS, Row
from arena.ledger.writer import Batch, Writer
from arena.rating import RatingRoom
from arena.votes import Choice


@pytest.fixture
def database(postgres: Any) -> str:
    """Every ledger of this file lives in PostgreSQL."""
    address: str = postgres.empty_ledger()
    return address


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = open_engine(database_url(database))
    yield made
    made.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    made = Writer(engine)
    yield made
    made.close()


# The schema


def test_the_migrations_make_exactly_the_declared_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, Row.metadata)
        indexes = {index["name"]: index for index in inspect(connection).get_indexes("pairs")}

    assert differences == []
    assert indexes["ux_pairs_shown_once"]["unique"]
    assert "'study'" in indexes["ux_pairs_shown_once"]["dialect_options"]["postgresql_where"]


def test_every_revision_can_be_undone_and_done_again(postgres: Any) -> None:
    engine = open_engine(database_url(postgres.bare()))
    schema.migrate(engine)

    with engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        command.upgrade(config, "head")
        tables = set(inspect(connection).get_table_names())
    engine.dispose()

    assert tables == {*Row.metadata.tables, "alembic_version"}


def test_replicas_that_open_a_new_ledger_at_once_agree(postgres: Any) -> None:
    address = postgres.bare()
    failures: list[BaseException] = []

    def open_it() -> None:
        try:
            Ledger.open(address).close()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with Ledger.open(address) as ledger:
        assert ledger.studies() == []


def test_a_database_of_a_newer_schema_or_of_another_program_is_refused(postgres: Any) -> None:
    newer, other = postgres.bare(), postgres.bare()
    postgres.run(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('9999')",
        database=make_url(newer).database,
    )
    postgres.run("CREATE TABLE recipes (name TEXT)", database=make_url(other).database)

    with pytest.raises(NewerSchemaError, match="schema revision 9999"):
        Ledger.open(newer)
    with pytest.raises(NotALedgerError, match="belongs to something else: it has the tables recipes"):
        Ledger.open(other)


def test_a_server_that_does_not_answer_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(NotALedgerError, match=r"cannot be opened: (.|\n)* Check that it is there"):
        Ledger.open(f"postgresql://postgres@/ledger?host={tmp_path}")


# The chain


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        (
            "UPDATE events SET body = replace(body, '\"left\"', '\"right\"') WHERE seq = 3",
            "Event 3 is broken: its con",
        ),
        ("DELETE FROM events WHERE seq = 4", "Event 4 is missing: event 5 comes after event 3"),
        ("DELETE FROM events WHERE seq > 6", "Event 7 is missing: the log ends with event 6, but the study's row"),
        ("UPDATE studies SET head_hash = repeat('0', 63) || '1'", "Event 9 is broken"),
        ("UPDATE votes SET choice = 'right' WHERE id = 2", "Vote 2 differs from its event in choice"),
        ("UPDATE raters SET simulated = true", "Vote 1 differs from its event in simulated"),
        ("UPDATE pairs SET candidate_left = NOT candidate_left", "Vote 1 differs from its event in left, right"),
        ("DELETE FROM votes WHERE id = 5", "Vote 5 is in the events and not among"),
        ("UPDATE studies SET declaration = '{}'", "cannot be read"),
        ("UPDATE studies SET closed_at = '2024-05-02 00:00:00+00'", "is marked closed, and its events say other"),
        ("UPDATE pairs SET left_image = right_image WHERE id = 3", "Pair 3 does not hold the images of its entrants"),
    ],
)
def test_whatever_is_altered_is_named(arena: Any, postgres: Any, sql: str, complaint: str) -> None:
    arena.open()
    arena.rate_all(arena.join())
    assert arena.ledger.verify("shapes").seq == 9

    postgres.run(sql, database="ledger")

    with pytest.raises(BrokenChainError, match=complaint):
        arena.ledger.verify("shapes")


def test_reports_are_read_counted_and_held_against_their_events(arena: Any, postgres: Any, now: datetime) -> None:
    arena.open()
    for kind, simulated in (("broken", False), ("skip", True)):
        rater = arena.join(simulated=simulated)
        [pair] = arena.pairs(rater, count=1)
        given = {"rater": rater, "study": "shapes", "pair": pair.pair, "round": 1, "key": kind, "rng": arena.rng}
        arena.room.report(**given, kind=kind, comment="Grey.", now=now)
    number = arena.ledger.study("shapes").id

    [report] = arena.ledger.reports(number, raters="people", kind="broken", limit=5)
    counts = arena.ledger.report_counts(number, raters="all")
    head = arena.ledger.verify("shapes")
    postgres.run("UPDATE comments SET text = 'Fine.'", database="ledger")

    assert (report.kind, report.comment, report.at) == ("broken", "Grey.", now)
    assert counts == {"skip": 1, "broken": 1, "offensive": 0}
    assert head == arena.ledger.head(number)
    with pytest.raises(BrokenChainError, match="The comment of report 1 is not the one that was sent"):
        arena.ledger.verify("shapes")


def test_the_identity_table_holds_keyed_hashes_only(arena: Any, engine: Engine, now: datetime) -> None:
    arena.open()
    arena.room.join("shapes", now=now, person_key="worker-1")

    with engine.connect() as connection:
        kept = {name: connection.execute(select(table)).all() for name, table in Row.metadata.tables.items()}

    assert len(kept["identities"]) == 1
    assert "worker-1" not in str(kept)


# Replicas


def test_two_replicas_never_show_a_comparison_twice_and_lose_no_vote(arena: Any, database: str, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    acknowledged: list[int] = []

    def rate(place: int, room: RatingRoom) -> None:
        rng = np.random.default_rng(place)
        for _ in range(20):
            for pair in room.next_pairs(rater=rater, study="shapes", count=1, rng=rng, now=now):
                try:
                    cast = room.vote(
                        rater=rater,
                        study="shapes",
                        pair=pair.pair,
                        round=1,
                        choice=Choice.LEFT,
                        key=f"{place}-{pair.pair}",
                        latency_ms=900,
                        rng=rng,
                        now=now,
                    )
                    acknowledged.append(cast.vote_id)
                except RatingError:
                    pass

    with Ledger.open(database) as other_ledger:
        rooms = [arena.room, RatingRoom(other_ledger, arena.images)]
        for room in rooms:  # Each reads the rater while nothing is handed out: one is stale from then on.
            room.done(rater=rater, study="shapes")
        threads = [threading.Thread(target=rate, args=(place, room)) for place, room in enumerate(rooms)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    handed = arena.ledger.handed_pairs(1, rater)
    assert len({(pair.first, pair.prompt_id) for pair in handed}) == len(handed) == 8
    assert sorted(acknowledged) == [vote.vote_id for vote in arena.ledger.votes("shapes", raters="people")]
    assert len(acknowledged) == 8
    arena.ledger.verify("shapes")


def test_two_writers_keep_one_chain(arena: Any, database: str) -> None:
    arena.open()
    study_id = arena.ledger.newest_study("shapes").id

    def append(batch: Batch) -> None:
        batch.append(study_id, "vote", {"n": 1})

    with Ledger.open(database) as other:
        futures = [ledger.submit(append) for _ in range(100) for ledger in (arena.ledger, other)]
        for future in futures:
            future.result(60)

    assert [event.seq for event in arena.ledger.events("shapes")] == list(range(1, 202))


# The writer


def keep(id: str) -> Any:
    def job(batch: Batch) -> str:
        batch.connection.execute(insert(PROMPTS).values(id=id, text=id))
        return id

    return job


def kept(engine: Engine) -> set[str]:
    with readers(engine).connect() as connection:
        return set(connection.execute(select(PROMPTS.c.id)).scalars())


def held_up(writer: Writer) -> threading.Event:
    """Keep the writer busy until the event is set, so that what is submitted meanwhile becomes one batch."""
    begun, go_on = threading.Event(), threading.Event()

    def job(_: Batch) -> None:
        begun.set()
        go_on.wait(30)

    writer.submit(job)
    assert begun.wait(30)
    return go_on


def test_a_job_that_fails_takes_back_its_own_work_and_no_others(engine: Engine, writer: Writer) -> None:
    go_on = held_up(writer)
    before, doubled, after = (writer.submit(job) for job in (keep("before"), keep("before"), keep("after")))
    go_on.set()

    assert before.result(30) == "before"
    assert after.result(30) == "after"
    with pytest.raises(LedgerWriteError, match="duplicate key"):
        doubled.result(30)
    assert kept(engine) == {"before", "after"}


def test_when_the_connection_is_lost_in_the_middle_nothing_of_its_batch_is_acknowledged(
    engine: Engine, writer: Writer
) -> None:
    def lose_the_connection(batch: Batch) -> None:
        batch.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    go_on = held_up(writer)
    futures: list[Future[Any]] = [writer.submit(job) for job in (keep("first"), lose_the_connection, keep("last"))]
    go_on.set()

    assert [type(future.exception(30)) for future in futures] == [LedgerWriteError] * 3
    assert kept(engine) == set()
    assert writer.submit(keep("first")).result(30) == "first"


def test_a_lock_of_the_studys_row_makes_two_writers_take_turns(arena: Any, database: str) -> None:
    arena.open()
    study_id = arena.ledger.newest_study("shapes").id

    def count_up(batch: Batch) -> int:
        batch.lock_study(study_id)
        number = batch.connection.execute(select(func.count()).select_from(PROMPTS)).scalar_one()
        batch.connection.execute(insert(PROMPTS).values(id=str(number), text="-"))
        return int(number)

    with Ledger.open(database) as other:
        futures = [ledger.submit(count_up) for _ in range(20) for ledger in (arena.ledger, other)]
        numbers = [future.result(60) for future in futures]

    assert sorted(numbers) == list(range(4, 44))


def test_a_database_of_the_tests_that_went_away_is_there_again_for_the_next_test(postgres: Any) -> None:
    gone = postgres.server.get_postmaster_info().process
    gone.send_signal(signal.SIGQUIT)
    gone.wait(30)

    with Ledger.open(postgres.empty_ledger()) as ledger:
        studies = ledger.studies()

    assert studies == []
