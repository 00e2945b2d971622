"""The schema's revision: what the database has, what we know, and the way from one to the other.

A database of a newer revision, or of another program, is refused before anything in it is touched.
"""

import threading
from importlib.metadata import version
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from arena.ledger.engine import readers, use_write_ahead_log
from arena.ledger.errors import NewerSchemaError, NotALedgerError

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Any fixed number: two replicas that start at once on PostgreSQL take turns by it.
_ADVISORY_LOCK = 4_177_201_301

# Alembic keeps what it is doing in module-wide state.
_ONE_AT_A_TIME = threading.Lock()


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision; a database that has it is only read.

    Raises NewerSchemaError for a revision that we do not know, NotALedgerError for a database of something else or one
    that cannot be read. Two processes that migrate at once take turns, and the second finds nothing to do.
    """
    known = _scripts()
    head = known.get_current_head()
    try:
        with readers(engine).connect() as connection:
            if _accepted_revision(connection, known) == head:
                return
        use_write_ahead_log(engine)
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            if _accepted_revision(connection, known) != head:
                config = _config()
                config.attributes["connection"] = connection
                with _ONE_AT_A_TIME:
                    command.upgrade(config, "head")
    except OperationalError as error:
        raise NotALedgerError(
            f"The database {engine.url.render_as_string(hide_password=True)} cannot be opened: {error.orig}. "
            "Check that it is there, can be written, and is not held by another program."
        ) from error
    except DatabaseError as error:
        raise NotALedgerError(
            f"The database {engine.url.render_as_string(hide_password=True)} is damaged: {error.orig}. "
            "Restore it from a copy."
        ) from error


def _accepted_revision(connection: Connection, known: ScriptDirectory) -> str | None:
    """The database's revision; None for an empty database."""
    tables = set(inspect(connection).get_table_names())
    shown = connection.engine.url.render_as_string(hide_password=True)
    if "alembic_version" not in tables:
        if tables:
            raise NotALedgerError(
                f"The database {shown} belongs to something else: it has the tables {', '.join(sorted(tables)[:5])}. "
                "Name another database for the arena; this one is left as it is."
            )
        return None
    revisions = list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
    ours = {script.revision for script in known.walk_revisions()}
    strange = [revision for revision in revisions if revision not in ours]
    if strange:
        raise NewerSchemaError(
            f"The database {shown} has schema revision {strange[0]}, and canvas-arena {version('canvas-arena')} knows "
            f"only up to {known.get_current_head()}. Use the version of canvas-arena that made "
            "it, or a newer one; the database was left as it is."
        )
    return revisions[0] if revisions else None


def _config() -> Config:
    config = Config()
    # '%' would be read as the beginning of an interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
