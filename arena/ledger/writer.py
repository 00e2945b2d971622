"""One writer thread and group commit: every job of a moment shares one transaction and one durable commit.

A job is a function of a `Batch` and changes nothing else, because it may be run twice. A batch is first run straight
through; where a job fails, all is taken back and the batch is run again with a SAVEPOINT for each job, so that one that
fails takes back only what it did and the others go on. A job's future gets its answer after the COMMIT, never before,
so that what is acknowledged is on the disk. Events that jobs append are numbered and chained at the end of the batch,
under the lock of their study's row.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Table, bindparam, select, update
from sqlalchemy.exc import DBAPIError

from arena.ledger.chain import Head, link
from arena.ledger.errors import LedgerWriteError
from arena.ledger.statements import sentence
from arena.ledger.tables import EVENTS, STUDIES

Answer = TypeVar("Answer")

#: Jobs in one transaction: enough to make the commit's cost vanish, few enough that nobody waits long.
_BATCH_JOBS = 256
#: libpq's PQTRANS_INTRANS and PQTRANS_INERROR.
_IN_TRANSACTION = (2, 3)

_LOCK_STUDY = (
    select(STUDIES.c.head_seq, STUDIES.c.head_hash, STUDIES.c.closed_at)
    .where(STUDIES.c.id == bindparam("id"))
    .with_for_update(key_share=True)
)


@dataclass(frozen=True, slots=True)
class LockedStudy:
    """A study's row, locked until the batch is committed."""

    head: Head
    closed_at: datetime | None


class Batch:
    """What a job gets: the transaction's connection, the studies' locks, and the chain to append to."""

    def __init__(self, connection: Connection) -> None:
        """A batch lives as long as its transaction."""
        self.connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._cursor: Any = connection.connection.cursor()
        self._studies: dict[int, LockedStudy] = {}
        self._events: list[tuple[int, str, Mapping[str, Any]]] = []

    def lock_study(self, study_id: int) -> LockedStudy:
        """The study's row as it is now, held against other writers until the commit (SQLite has one writer anyway)."""
        if study_id not in self._studies:
            row = self.connection.execute(_LOCK_STUDY, {"id": study_id}).one()
            self._studies[study_id] = LockedStudy(Head(seq=row.head_seq, hash=row.head_hash), row.closed_at)
        return self._studies[study_id]

    def mark_closed(self, study_id: int, now: datetime) -> None:
        """Let the batch's later jobs know that this one closed the study."""
        self._studies[study_id] = LockedStudy(self.lock_study(study_id).head, now)

    def append(self, study_id: int, kind: str, content: Mapping[str, Any]) -> None:
        """Let this event follow in the study's chain; it gets its number and hash when the batch ends."""
        self.lock_study(study_id)
        self._events.append((study_id, kind, content))

    def insert_unless_there(self, table: Table, row: Mapping[str, Any]) -> Any:
        """Insert a row and answer its key; None where a unique constraint already holds such a row."""
        said = sentence(self.connection.dialect, table, row, unless_there=True)
        kept = self._cursor.execute(said.sql, said.values(row)).fetchone()
        return None if kept is None else kept[0]

    def run(self, job: "_Job[Any]") -> None:
        """Run one job; if it fails after it changed something, that is raised: the whole batch must be taken back."""
        events, studies, changes = len(self._events), self._studies.copy(), self._changes()
        job.error = None
        try:
            job.answer = job.work(self)
        except Exception as error:
            if changes is None or self._changes() != changes or not self._transaction_lives():
                raise
            self._forget(events, studies)
            job.error = write_error(error, self.connection.dialect)
        if not self._transaction_lives():
            raise LedgerWriteError("The ledger's transaction ended in the middle. Nothing of it was kept; try again.")

    def run_apart(self, job: "_Job[Any]") -> None:
        """Run one job in a SAVEPOINT; what it raises is kept in it, and takes back what it did."""
        events, studies = len(self._events), self._studies.copy()
        job.error = None
        savepoint = self.connection.begin_nested()
        try:
            job.answer = job.work(self)
            savepoint.commit()
        except Exception as error:
            if not self._transaction_lives():
                raise
            savepoint.rollback()
            # A lock taken inside a savepoint is gone with it: what was read under it no longer counts.
            self._forget(events, studies)
            job.error = write_error(error, self.connection.dialect)

    def _forget(self, events: int, studies: dict[int, LockedStudy]) -> None:
        self._events[events:] = []
        self._studies = studies

    def _transaction_lives(self) -> bool:
        # A full disk or a lost connection ends the whole transaction, savepoints and all: then the batch must fail as
        # one, or its other jobs would be acknowledged without being kept.
        if self.connection.closed or self.connection.invalidated:
            return False
        if isinstance(self._driver, sqlite3.Connection):
            return self._driver.in_transaction
        return not self._driver.closed and self._driver.pgconn.transaction_status in _IN_TRANSACTION

    def _changes(self) -> int | None:
        """How many rows were changed so far, where the database says so."""
        return self._driver.total_changes if isinstance(self._driver, sqlite3.Connection) else None

    def flush(self) -> None:
        """Number, chain and insert the batch's events, and move the heads."""
        if not self._events:
            return
        heads = {study_id: self.lock_study(study_id).head for study_id, _, _ in self._events}
        rows = []
        for study_id, kind, content in self._events:
            event = link(heads[study_id], kind, content)
            heads[study_id] = Head(seq=event.seq, hash=event.hash)
            rows.append(
                {
                    "study_id": study_id,
                    "seq": event.seq,
                    "kind": event.kind,
                    "body": event.body,
                    "previous": event.previous,
                    "hash": event.hash,
                }
            )
        said = sentence(self.connection.dialect, EVENTS, rows[0], unless_there=False)
        self._cursor.executemany(said.sql, [said.values(row) for row in rows])
        for study_id, head in heads.items():
            moved = update(STUDIES).where(STUDIES.c.id == study_id).values(head_seq=head.seq, head_hash=head.hash)
            self.connection.execute(moved)


class _Job(Generic[Answer]):
    __slots__ = ("answer", "error", "future", "work")

    def __init__(self, work: Callable[[Batch], Answer]) -> None:
        self.work = work
        self.future: Future[Answer] = Future()
        self.answer: Answer | None = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)  # type: ignore[arg-type]


class Writer:
    """Takes jobs from any thread; its own thread starts with the first one."""

    def __init__(self, engine: Engine) -> None:
        """`engine` begins writing transactions (see `arena.ledger.engine`)."""
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, work: Callable[[Batch], Answer]) -> "Future[Answer]":
        """Queue a job. Its future resolves after the commit, or with what the job raised.

        The future carries LedgerWriteError when the database could not be written: then nothing of the job stands.
        Raises LedgerWriteError when the ledger was closed.
        """
        job = _Job(work)
        with self._lock:
            if self._closed:
                raise LedgerWriteError("The ledger is closed. Open it again to write.")
            if self._thread is None:
                # A daemon: a program that ends without close() must not hang; what was not committed was never
                # acknowledged.
                self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
                self._thread.start()
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Finish every job that was submitted, then end the thread. Closing twice is harmless."""
        with self._lock:
            self._closed = True
            thread = self._thread
            if thread is not None:
                self._jobs.put(None)
                self._thread = None
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            jobs: list[_Job[Any]] = []
            first = self._jobs.get()
            if first is None:
                return
            jobs.append(first)
            while len(jobs) < _BATCH_JOBS:
                try:
                    following = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    last = True
                    break
                jobs.append(following)
            self._commit(jobs)

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        # A caller that gave up waiting cancelled its future: its job is not run.
        jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        try:
            if not self._run_straight(jobs):
                self._run_apart(jobs)
        except Exception as error:
            failure = write_error(error, self._engine.dialect)
            for job in jobs:
                job.error = job.error or failure
        for job in jobs:
            job.settle()

    def _run_straight(self, jobs: list[_Job[Any]]) -> bool:
        """Whether all went well and is committed; otherwise nothing is."""
        with self._engine.connect() as connection, connection.begin() as transaction:
            try:
                batch = Batch(connection)
                for job in jobs:
                    batch.run(job)
                batch.flush()
            except Exception:
                # What a lost connection says when it is asked to take back: it has.
                with suppress(DBAPIError):
                    transaction.rollback()
                return False
        return True

    def _run_apart(self, jobs: list[_Job[Any]]) -> None:
        with self._engine.begin() as connection:
            batch = Batch(connection)
            for job in jobs:
                batch.run_apart(job)
            batch.flush()


def write_error(error: Exception, dialect: Dialect) -> Exception:
    """LedgerWriteError for what the database or its driver says; anything else is what it is."""
    said = error.orig if isinstance(error, DBAPIError) else error
    if dialect.loaded_dbapi is None or not isinstance(said, dialect.loaded_dbapi.Error):
        return error
    return LedgerWriteError(
        f"The ledger could not be written: {said}. Nothing of this request was kept; see that the disk has room "
        "and no other program holds the database, then try again."
    )
