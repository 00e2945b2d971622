import logging
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from arena.ledger import schema
from arena.ledger.engine import database_url, open_engine
from arena.ledger.errors import NewerSchemaError, NotALedgerError
from arena.ledger.ledger import Ledger
from arena.ledger.tables import Row


def test_the_migrations_make_exactly_the_declared_tables(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, Row.metadata)
        indexes = {index["name"]: index for index in inspect(connection).get_indexes("pairs")}
    engine.dispose()

    assert differences == []
    assert indexes["ux_pairs_shown_once"]["unique"]
    assert "kind = 'study'" in str(indexes["ux_pairs_shown_once"]["dialect_options"]["sqlite_where"])


def test_the_revisions_are_one_line_from_the_first_to_the_newest() -> None:
    scripts = ScriptDirectory.from_config(schema._config())

    assert scripts.get_bases() == ["0001"]
    assert len(scripts.get_heads()) == 1


def test_every_revision_can_be_undone_and_done_again(tmp_path: Path) -> None:
    from alembic import command

    engine = open_engine(database_url(tmp_path / "ledger.db"))
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


def test_a_ledger_from_before_submissions_opens_with_all_that_was_in_it(tmp_path: Path) -> None:
    from alembic import command

    file, now = tmp_path / "ledger.db", datetime(2024, 5, 1, tzinfo=UTC)
    with Ledger.open(file) as ledger:
        ledger.add_rater(7, simulated=False, identity="a" * 64, now=now)
    engine = open_engine(database_url(file))
    with engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
        assert "submissions" not in inspect(connection).get_table_names()
    engine.dispose()

    with Ledger.open(file) as ledger:
        assert ledger.rater_of_identity("a" * 64) == 7
        assert ledger.submissions(1, 7) == []


def test_a_database_of_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    before = file.read_bytes()

    with pytest.raises(
        NewerSchemaError, match=r"schema revision 9999, and canvas-arena .* knows only up to \d+\. Use the version"
    ):
        Ledger.open(file)

    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db"]


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "recipes.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    before = file.read_bytes()

    with pytest.raises(NotALedgerError, match="belongs to something else: it has the tables recipes"):
        Ledger.open(file)

    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all", b"SQLite", b"SQLite format 3\x00" + b"x" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(content)

    with pytest.raises(NotALedgerError, match=r"no SQLite database|is damaged|cannot be opened"):
        Ledger.open(file)

    assert file.read_bytes() == content


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()

    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert ledger.entrants() == []


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("mysql://somewhere/db", "not in 'mysql'"),
        ("sqlite://", "not a database in memory"),
        ("nonsense://x", "not in 'nonsense'"),
        ("://", "is no database address"),
    ],
)
def test_another_kind_of_database_is_refused(address: str, complaint: str) -> None:
    with pytest.raises(NotALedgerError, match=complaint):
        Ledger.open(address)


def test_a_folder_in_the_place_of_the_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotALedgerError, match="is a folder"):
        Ledger.open(tmp_path)


def test_opening_leaves_everybody_elses_logging_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    somebody = logging.getLogger("somebody.else")

    Ledger.open(tmp_path / "ledger.db").close()

    assert (root.handlers, root.level) == (handlers, level)
    assert not somebody.disabled
    assert caplog.records == []


def test_two_that_open_a_new_ledger_at_once_agree(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def open_it() -> None:
        try:
            Ledger.open(tmp_path / "new" / "ledger.db").close()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with Ledger.open(tmp_path / "new" / "ledger.db") as ledger:
        assert ledger.studies() == []
