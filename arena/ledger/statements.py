"""What SQLite and PostgreSQL say in different words, and what the rating path says often in their own.

`Sentence` is an INSERT compiled once and run by the driver itself. SQLAlchemy's own way costs 0.04 ms of CPU for each
statement, several times what the database needs, and a vote is two of them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table
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


class Sentence:
    """An INSERT of these columns in a driver's own words; values are converted as the columns' types say."""

    __slots__ = ("_converters", "_keys", "sql")

    def __init__(self, dialect: Dialect, table: Table, columns: tuple[str, ...], *, unless_there: bool) -> None:
        """`unless_there`: it does nothing where a unique constraint holds such a row, and otherwise answers its key."""
        statement = _INSERTS[dialect.name](table)
        if unless_there:
            statement = _prepared(dialect.name, table)
        compiled = statement.compile(dialect=dialect, column_keys=list(columns))
        self.sql = str(compiled)
        # The driver of SQLite wants places, that of PostgreSQL names.
        self._keys: tuple[str, ...] | None = tuple(compiled.positiontup) if compiled.positional else None
        self._converters = [
            (name, converter)
            for name in columns
            if (converter := table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) is not None
        ]

    def values(self, row: Mapping[str, Any]) -> Mapping[str, Any] | Sequence[Any]:
        """The row as the driver takes it."""
        converted = dict(row)
        for name, convert in self._converters:
            converted[name] = convert(converted[name])
        return converted if self._keys is None else [converted[key] for key in self._keys]


_SENTENCES: dict[tuple[str, str, tuple[str, ...], bool], Sentence] = {}


def sentence(dialect: Dialect, table: Table, row: Mapping[str, Any], *, unless_there: bool) -> Sentence:
    """The INSERT of rows with this one's columns."""
    columns = tuple(row)
    found = _SENTENCES.get((dialect.name, table.name, columns, unless_there))
    if found is None:
        found = Sentence(dialect, table, columns, unless_there=unless_there)
        _SENTENCES[dialect.name, table.name, columns, unless_there] = found
    return found
