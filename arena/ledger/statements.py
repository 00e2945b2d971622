"""What SQLite and PostgreSQL say in different words."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_unless_there(connection: Connection, table: Table) -> Any:
    """An INSERT that does nothing where a unique constraint already holds such a row."""
    return _INSERTS[connection.dialect.name](table).on_conflict_do_nothing()


def insert_unless_there_returning_key(connection: Connection, table: Table) -> Any:
    """The same for one row, which answers the new row's key, or nothing when it was already there.

    It is the one way to know on both databases: a row count after ON CONFLICT means different things to their drivers.
    """
    return _prepared(connection.dialect.name, table)


@cache
def _prepared(dialect: str, table: Table) -> Any:
    # One statement object per table: SQLAlchemy finds its compiled form by identity, which the rating path is quick by.
    return _INSERTS[dialect](table).on_conflict_do_nothing().returning(*table.primary_key.columns)
