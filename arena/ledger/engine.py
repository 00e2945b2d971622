"""Connections to the ledger's database, on SQLite as on PostgreSQL.

SQLite's driver opens transactions late and deferred on its own, which loses isolation and fails under load; here every
writing transaction begins with BEGIN IMMEDIATE, and reading ones with plain BEGIN (`readers`).
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from arena.ledger.errors import NotALedgerError

#: How long a connection waits for another process's write before it gives up.
_BUSY_MS = 10_000
#: How long a server may take to be reached; without a limit a lost one would be waited for for minutes.
_CONNECT_S = 10


def database_url(url_or_path: str | Path) -> URL:
    """A database address as it is, or the SQLite address of a file.

    Raises NotALedgerError for an address that is neither SQLite nor PostgreSQL, or cannot be read as one.
    """
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        url = make_url(url_or_path)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise NotALedgerError(f"'{url_or_path}' is no database address: {error}.") from error
    if backend not in ("sqlite", "postgresql"):
        raise NotALedgerError(f"A ledger lives in SQLite or PostgreSQL, not in '{backend}'.")
    if backend == "postgresql" and url.drivername == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    return url


def open_engine(url: URL) -> Engine:
    """An engine whose transactions are honest. Opening it changes nothing in the database.

    Raises NotALedgerError for an SQLite file that is no database, a folder, or a place that cannot be written.
    """
    if url.get_backend_name() != "sqlite":
        waiting = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_S}
        return create_engine(url, pool_pre_ping=True, connect_args=waiting)
    _check_file(url)
    engine = create_engine(url, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def readers(engine: Engine) -> Engine:
    """The same engine for transactions that only read: on SQLite they wait for nobody."""
    return engine.execution_options(readonly=True)


def use_write_ahead_log(engine: Engine) -> None:
    """Let SQLite's readers and its writer not wait for each other. It is written into the file, once."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _check_file(url: URL) -> None:
    if not url.database or url.database == ":memory:":
        raise NotALedgerError(
            "A ledger is a file or a server, not a database in memory: its threads would not share it."
        )
    path = Path(url.database)
    if path.is_dir():
        raise NotALedgerError(f"{path} is a folder. Name a database file.")
    try:
        there = path.exists()
    except OSError as error:
        raise _cannot_open(path, error) from error
    if not there:
        _make_folder(path.parent)
        return
    # SQLite looks at the file itself: closing a descriptor of ours would drop the locks that this process holds on it
    # through SQLite (https://www.sqlite.org/howtocorrupt.html, section 2.2), and another process could remove the log.
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise NotALedgerError(
                f"{path} is no SQLite database and is left as it is. Name another file or folder for the arena."
            ) from error
        raise _cannot_open(path, error) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_open(folder, error) from error


def _cannot_open(path: Path, error: OSError | sqlite3.Error) -> NotALedgerError:
    said = error.strerror if isinstance(error, OSError) else error
    return NotALedgerError(f"The ledger cannot be opened in {path}: {said}. Check its place and rights.")


def _tune_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Without this the driver begins transactions by its own guesses, and our BEGIN below would be the second.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: a commit is on the disk before it is acknowledged; group commit makes that cheap.
    for pragma in (f"busy_timeout={_BUSY_MS}", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("readonly", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
