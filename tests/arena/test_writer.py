import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select

from arena.ledger.engine import database_url, open_engine, readers
from arena.ledger.errors import LedgerWriteError, UnknownEntrantError
from arena.ledger.schema import migrate
from arena.ledger.tables import PROMPTS
from arena.ledger.writer import Batch, Writer


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(database_url(tmp_path / "ledger.db"))
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    made = Writer(engine)
    yield made
    made.close()


def keep(id: str) -> Callable[[Batch], str]:
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


def test_a_job_is_answered_when_its_work_can_be_read_by_others(engine: Engine, writer: Writer) -> None:
    seen_at_answer: list[set[str]] = []
    future = writer.submit(keep("a"))
    future.add_done_callback(lambda _: seen_at_answer.append(kept(engine)))

    assert future.result(30) == "a"

    writer.close()
    assert seen_at_answer == [{"a"}]


def test_jobs_of_one_moment_share_one_commit(engine: Engine, writer: Writer) -> None:
    commits: list[int] = []
    event.listen(engine, "commit", lambda _: commits.append(1))
    go_on = held_up(writer)
    futures = [writer.submit(keep(str(number))) for number in range(100)]

    go_on.set()
    for future in futures:
        future.result(30)

    assert len(kept(engine)) == 100
    assert len(commits) <= 2


def test_a_job_that_fails_takes_back_its_own_work_and_no_others(engine: Engine, writer: Writer) -> None:
    def fail(batch: Batch) -> None:
        keep("half done")(batch)
        raise UnknownEntrantError("There is no entrant 'x'.")

    go_on = held_up(writer)
    before, failing, doubled, after = (
        writer.submit(job) for job in (keep("before"), fail, keep("before"), keep("after"))
    )
    go_on.set()

    assert before.result(30) == "before"
    assert after.result(30) == "after"
    with pytest.raises(UnknownEntrantError):
        failing.result(30)
    with pytest.raises(LedgerWriteError, match=r"UNIQUE constraint failed"):
        doubled.result(30)
    assert kept(engine) == {"before", "after"}


def test_closing_finishes_what_was_submitted_and_takes_no_more(engine: Engine, writer: Writer) -> None:
    go_on = held_up(writer)
    futures = [writer.submit(keep(str(number))) for number in range(300)]
    closing = threading.Thread(target=writer.close)
    closing.start()
    go_on.set()
    closing.join(30)

    assert all(future.done() for future in futures)
    assert len(kept(engine)) == 300
    with pytest.raises(LedgerWriteError, match="The ledger is closed"):
        writer.submit(keep("late"))


def test_a_full_disk_is_an_error_and_only_what_is_kept_is_acknowledged(
    engine: Engine, writer: Writer, tmp_path: Path
) -> None:
    writer.submit(keep("there before")).result(30)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
    connection.close()
    # SQLite's own idea of a full disk: the file may not grow beyond these pages.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}"))

    def too_much(batch: Batch) -> None:
        batch.connection.execute(insert(PROMPTS).values(id="large", text="x" * 5_000_000))

    go_on = held_up(writer)
    futures: list[Future[Any]] = [writer.submit(job) for job in (keep("first"), too_much, keep("last"))]
    go_on.set()
    failures = [future.exception(30) for future in futures]

    assert isinstance(failures[1], LedgerWriteError)
    assert "full" in str(failures[1])
    acknowledged = {future.result() for future, failure in zip(futures, failures, strict=True) if failure is None}
    assert kept(engine) == {"there before"} | acknowledged


def test_when_the_transaction_is_lost_in_the_middle_nothing_of_its_batch_is_acknowledged(
    engine: Engine, writer: Writer
) -> None:
    def lose_the_transaction(batch: Batch) -> None:
        driver = batch.connection.connection.driver_connection
        assert driver is not None
        driver.rollback()

    go_on = held_up(writer)
    futures: list[Future[Any]] = [writer.submit(job) for job in (keep("first"), lose_the_transaction, keep("last"))]
    go_on.set()

    assert [type(future.exception(30)) for future in futures] == [LedgerWriteError] * 3
    assert kept(engine) == set()
    assert writer.submit(keep("first")).result(30) == "first"


def test_a_database_held_by_another_program_is_an_error_and_then_works_again(
    engine: Engine, writer: Writer, tmp_path: Path
) -> None:
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=50"))
    engine.dispose()
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerWriteError, match="database is locked"):
        writer.submit(keep("a")).result(30)
    other.execute("ROLLBACK")
    other.close()

    assert writer.submit(keep("a")).result(30) == "a"


def test_a_cancelled_job_is_not_run(engine: Engine, writer: Writer) -> None:
    go_on = held_up(writer)
    future = writer.submit(keep("a"))

    assert future.cancel()
    go_on.set()
    writer.submit(keep("b")).result(30)

    assert kept(engine) == {"b"}


def test_many_threads_in_two_writers_lose_nothing(engine: Engine, tmp_path: Path) -> None:
    def count_up(batch: Batch) -> int:
        # Read, then write: under a deferred BEGIN two writers would read the same number.
        number = batch.connection.execute(select(func.count()).select_from(PROMPTS)).scalar_one()
        time.sleep(0.0005)
        batch.connection.execute(insert(PROMPTS).values(id=str(number), text="-"))
        return int(number)

    other_engine = open_engine(database_url(tmp_path / "ledger.db"))
    writers = [Writer(engine), Writer(other_engine)]
    numbers: list[int] = []

    def work(writer: Writer) -> None:
        numbers.extend(writer.submit(count_up).result(60) for _ in range(20))

    threads = [threading.Thread(target=work, args=(writer,)) for writer in writers * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()
    other_engine.dispose()

    assert sorted(numbers) == list(range(160))
