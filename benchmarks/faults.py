"""What is acknowledged is kept: servers are killed, databases restarted and disks filled while people vote.

Usage: python benchmarks/faults.py [--quick] [--json] [--kills N] [--drill NAME ...]. Every rater notes what it sent and
what was acknowledged. A request that got no answer, or a 5xx, is sent again with the same key until it is answered, as
the page's outbox does. In the end the database is read: every acknowledged vote is there once, as it was sent, nothing
is there that nobody sent, and `verify` finds the chain whole. The exit code is 1 when that is not so.

Drills: `kill` (kill -9 of the server at random moments, on SQLite), `disk` (the disk is full for a while, on SQLite),
`database` (PostgreSQL is restarted, by turns crashing and in order), `replicas` (two servers on one PostgreSQL, between
which raters go to and fro, and which are killed by turns; PostgreSQL crashes too).
"""

import argparse
import asyncio
import errno
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from load_parts.places import STUDY, Server, fork_arena, free_port, postgres, prepare_arena
from load_parts.wire import Answer, Line, LostLineError
from sqlalchemy import select

from arena.ledger.ledger import Ledger
from arena.ledger.tables import PAIRS, VOTES
from prompts.console import print_json, print_table, say

_RATERS = 40
_PAUSE_S = 0.05
#: How long a request is sent again before the drill gives up: far longer than a server takes to start.
_PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a drill did, and what the database said afterwards. `resent` counts requests that had to be sent again."""

    drill: str
    faults: int
    acknowledged: int
    resent: int
    refused_for_a_while: dict[int, int]
    lost: int
    doubled: int
    altered: int
    unasked: int
    answers_that_differ: int
    chain: str
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled, altered or made up, and the chain is whole."""
        wrong = self.lost + self.doubled + self.altered + self.unasked + self.answers_that_differ
        return wrong == 0 and self.chain == "whole" and self.acknowledged > 0


@dataclass(slots=True)
class Notebook:
    """What all raters of a drill sent and were told, by the request's key."""

    sent: dict[str, tuple[str, str]] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    resent: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    differing: int = 0
    over: bool = False


class Rater:
    """Votes at one of several servers, whichever it turns to next, until the drill is over."""

    def __init__(self, ports: list[int], notebook: Notebook, rng: random.Random) -> None:
        self._lines = [Line("127.0.0.1", port) for port in ports]
        self._notebook, self._rng = notebook, rng
        self._cookie = b""

    async def sit(self) -> None:
        """Join, vote until it is over, and see every vote that was begun acknowledged."""
        welcome = (await self._insist("join", {"study": STUDY})).json()
        keys = [question["key"] for question in welcome["study"]["questions"]]
        pairs = welcome["pairs"]
        while pairs and not self._notebook.over:
            pair, pairs = pairs[0], pairs[1:]
            key, choice = str(uuid4()), self._rng.choice(("left", "right", "tie", "both_bad"))
            self._notebook.sent[key] = (pair["pair"], choice)
            body = {
                "study": STUDY,
                "pair": pair["pair"],
                "round": pair["round"],
                "choices": dict.fromkeys(keys, choice),
                "key": key,
                "latency_ms": 900,
                "session": "drill",
            }
            told = (await self._insist("vote", body)).json()
            self._notebook.acknowledged[key] = told["done"]
            if self._rng.random() < 0.05:
                # Now and then a browser does not hear the answer; the same request gets the same answer.
                again = (await self._insist("vote", body)).json()
                self._notebook.differing += again["done"] != told["done"]
            pairs += [told["next"]] if told["next"] else []
            await asyncio.sleep(_PAUSE_S * self._rng.random())
        for line in self._lines:
            line.close()

    async def _insist(self, path: str, body: dict[str, Any]) -> Answer:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            line = self._rng.choice(self._lines)
            line.cookie = self._cookie
            try:
                answer = await line.post(f"/rate/api/{path}", body)
            except LostLineError:
                answer = None
            if answer is not None and answer.status == 200:
                self._cookie = line.cookie
                return answer
            if answer is not None:
                if answer.status < 500 and answer.status != 429:
                    raise AssertionError(f"A vote that nobody cast before was refused: {answer.status} {answer.body!r}")
                self._notebook.refused[answer.status] += 1
            self._notebook.resent += 1
            await asyncio.sleep(0.05 + 0.2 * self._rng.random())
        raise AssertionError(f"No answer within {_PATIENCE_S:g} s.")


@asynccontextmanager
async def voting(ports: list[int], rng: random.Random) -> AsyncIterator[Notebook]:
    """Raters vote meanwhile; afterwards each has the answer to all that it sent."""
    notebook = Notebook()
    raters = [asyncio.create_task(Rater(ports, notebook, rng).sit()) for _ in range(_RATERS)]
    try:
        yield notebook
    finally:
        notebook.over = True
    await asyncio.gather(*raters)


async def more_votes(notebook: Notebook, count: int) -> None:
    """Wait until so many more votes are acknowledged."""
    wanted, until = len(notebook.acknowledged) + count, time.monotonic() + _PATIENCE_S
    while len(notebook.acknowledged) < wanted:
        if time.monotonic() > until:
            raise AssertionError("No votes are acknowledged any more.")
        await asyncio.sleep(0.01)


def kill_drill(faults: int, folder: Path, rng: random.Random) -> Found:
    """kill -9 of the server at random moments, and a new one on the same database and port."""
    database, port = str(folder / "ledger.db"), free_port()
    prepare_arena(database, folder)
    servers = [fork_arena(database, folder, port)]

    async def drill() -> Notebook:
        async with voting([port], rng) as notebook:
            for _ in range(faults):
                await more_votes(notebook, 20)
                await asyncio.sleep(rng.random())
                servers[-1].kill()
                servers.append(await asyncio.to_thread(fork_arena, database, folder, port))
            await more_votes(notebook, 20)
        return notebook

    return _told("kill", faults, database, drill, servers)


def disk_drill(faults: int, folder: Path, rng: random.Random) -> Found:
    """The disk that holds the database is full, votes are refused, and there is room again."""
    with small_disk(folder / "disk") as disk:
        database, port = str(disk.folder / "ledger.db"), free_port()
        prepare_arena(database, folder)
        servers = [fork_arena(database, folder, port, disk.prepare)]

        async def drill() -> Notebook:
            async with voting([port], rng) as notebook:
                for _ in range(faults):
                    await more_votes(notebook, 20)
                    disk.fill()
                    refused = notebook.refused[503]
                    while notebook.refused[503] < refused + _RATERS:
                        await asyncio.sleep(0.01)
                    disk.make_room()
                    await more_votes(notebook, 20)
            return notebook

        return _told("disk", faults, database, drill, servers)


def database_drill(faults: int, folder: Path, rng: random.Random) -> Found:
    """PostgreSQL is restarted under load: every other time it crashes."""
    with postgres() as running:
        database, port = running.new_database(), free_port()
        prepare_arena(database, folder)
        servers = [fork_arena(database, folder, port)]

        async def drill() -> Notebook:
            async with voting([port], rng) as notebook:
                for number in range(faults):
                    await more_votes(notebook, 20)
                    await asyncio.sleep(rng.random())
                    await asyncio.to_thread(running.restart, crash=number % 2 == 0)
                await more_votes(notebook, 20)
            return notebook

        return _told("database", faults, database, drill, servers)


def replicas_drill(faults: int, folder: Path, rng: random.Random) -> Found:
    """Two servers on one PostgreSQL; each rater turns to either. One server, PostgreSQL, the other server fall over."""
    with postgres() as running:
        database, ports = running.new_database(), [free_port(), free_port()]
        prepare_arena(database, folder)
        with ThreadPoolExecutor() as threads:
            servers = list(threads.map(lambda port: fork_arena(database, folder, port), ports))

        async def drill() -> Notebook:
            async with voting(ports, rng) as notebook:
                await more_votes(notebook, 200)
                for number in range(faults):
                    if number % 3 == 1:
                        await asyncio.to_thread(running.restart, crash=True)
                        await more_votes(notebook, 200)
                        continue
                    servers[number % 2].kill()
                    again = await asyncio.to_thread(fork_arena, database, folder, ports[number % 2])
                    servers[number % 2] = again
                    await more_votes(notebook, 200)
            return notebook

        return _told("replicas", faults, database, drill, servers)


def _told(
    name: str, faults: int, database: str, drill: Callable[[], Awaitable[Notebook]], servers: list[Server]
) -> Found:
    """Run the drill, stop its servers, and hold what the raters were told against what the database says."""
    began = time.monotonic()
    try:
        notebook = asyncio.run(_awaited(drill))
    finally:
        for server in servers:
            server.stop()
    with Ledger.open(database) as ledger:
        try:
            ledger.verify(STUDY)
            chain = "whole"
        except Exception as error:
            chain = str(error)
        with ledger.reading() as connection:
            asked = select(VOTES.c.key, VOTES.c.choice, VOTES.c.done, VOTES.c.pair_id, PAIRS.c.token)
            rows = connection.execute(asked.join(PAIRS, PAIRS.c.id == VOTES.c.pair_id)).all()
    kept = {row.key: row for row in rows}
    told = notebook.acknowledged
    return Found(
        drill=name,
        faults=faults,
        acknowledged=len(told),
        resent=notebook.resent,
        refused_for_a_while=dict(notebook.refused),
        lost=sum(key not in kept for key in told),
        doubled=len(rows) - len({row.pair_id for row in rows}),
        altered=sum((kept[key].token, kept[key].choice) != notebook.sent[key] for key in told if key in kept),
        unasked=sum(row.key not in notebook.sent for row in rows),
        answers_that_differ=notebook.differing + sum(kept[key].done != told[key] for key in told if key in kept),
        chain=chain,
        seconds=time.monotonic() - began,
    )


async def _awaited(drill: Callable[[], Awaitable[Notebook]]) -> Notebook:
    return await drill()


# A disk that can be full


class Mounted:
    """A file system of a few MiB in memory, filled up by a file."""

    prepare = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (2**16, 2**12, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def make_room(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


class Limited:
    """A database that may not grow while a file lies beside it: for those who may not mount anything.

    SQLite itself then says that the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._full = folder / "full"
        self.prepare = (
            "import os\n"
            "from sqlalchemy import Engine, event\n"
            "@event.listens_for(Engine, 'begin')\n"
            "def limit(connection):\n"
            "    pages = connection.exec_driver_sql('PRAGMA page_count').scalar()\n"
            f"    most = pages if os.path.exists({str(self._full)!r}) else 2**30\n"
            "    connection.exec_driver_sql(f'PRAGMA max_page_count={most}')\n"
        )

    def fill(self) -> None:
        """Leave no room."""
        self._full.touch()

    def make_room(self) -> None:
        """Give the room back."""
        self._full.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[Mounted | Limited]:
    """A disk that can be filled up; one of its own where this user may mount one."""
    folder.mkdir(parents=True)
    mounted = (
        hasattr(os, "geteuid")
        and os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not mounted:
        yield Limited(folder)
        return
    try:
        yield Mounted(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


DRILLS: dict[str, Callable[[int, Path, random.Random], Found]] = {
    "kill": kill_drill,
    "disk": disk_drill,
    "database": database_drill,
    "replicas": replicas_drill,
}


def main() -> int:
    """Run the drills, print what was found, and say whether everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 kills, and one or two faults of each other kind")
    parser.add_argument("--kills", type=int, help="50 where nothing is said")
    parser.add_argument("--drill", nargs="+", choices=sorted(DRILLS), default=list(DRILLS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    kills = asked.kills or (3 if asked.quick else 50)
    faults = {"kill": kills, "disk": 1, "database": 2, "replicas": 2} if asked.quick else {"kill": kills}
    found = []
    for name in asked.drill:
        count = faults.get(name, 10)
        say(f"{name}: {count} faults")
        with tempfile.TemporaryDirectory(prefix=f"canvas-{name}-") as folder:
            found.append(DRILLS[name](count, Path(folder), random.Random(asked.seed)))
    if asked.json:
        print_json({"drills": [{**asdict(one), "holds": one.holds} for one in found]})
    else:
        print_table(
            ["drill", "faults", "acknowledged", "sent again", "lost", "doubled", "altered", "chain", "seconds"],
            (
                [
                    one.drill,
                    str(one.faults),
                    f"{one.acknowledged:,}",
                    f"{one.resent:,}",
                    str(one.lost),
                    str(one.doubled),
                    str(one.altered + one.unasked + one.answers_that_differ),
                    one.chain,
                    f"{one.seconds:.0f}",
                ]
                for one in found
            ),
        )
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
