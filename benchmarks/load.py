"""How many votes a second, at what wait and what cost? Simulated raters over HTTP, beside a bare route in the same run.

Usage: python benchmarks/load.py [--quick] [--json] [--raters N] [--database sqlite|postgresql|both] [--images].
500 raters speak the rating page's own protocol: they join, hold two pairs, vote with a fresh key and get the next pair
with the answer. "As fast as they may" is one vote per 300 ms and rater, because the page's guard refuses what is
quicker; "paced" is one vote per 5 s; "without waiting" breaks the guard's rule to see where the server's core is full.
The same raters post the same body to a bare FastAPI route, and call a bare Gradio event, on servers of their own.

A server has one core and one worker; the raters have the other core, where PostgreSQL is too. Rate limits are off,
because all raters come from one address. The exit code is 1 when a target is missed.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from load_parts.places import (
    STUDY,
    Server,
    pin_raters,
    postgres,
    prepare_arena,
    start_arena,
    start_bare_route,
    start_gradio,
)
from load_parts.raters import GUARD_MS, AnyRater, BareRater, Clicks, GradioRater, Rater, rate
from load_parts.wire import Line

from prompts.console import print_json, print_table, say

AS_FAST_AS_THEY_MAY_S = GUARD_MS / 1000
PACED_S = 5.0
WITHOUT_WAITING_S = 0.0
PACES = {
    AS_FAST_AS_THEY_MAY_S: "as fast as they may",
    PACED_S: "paced, one per 5 s",
    WITHOUT_WAITING_S: "without waiting",
}

SHARE_OF_BARE, CPU_MS, MEMORY_MIB, PACED_P95_MS = 0.85, 0.6, 500.0, 30.0

Maker = Callable[[Line, Clicks], AnyRater]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One server under one pace. Waits are in milliseconds; CPU is the server's, user and system, per vote.

    `raters_busy` is how much of their core the raters took: near 1 they, and not the server, were the limit.
    """

    server: str
    pace: str
    raters: int
    votes_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: float
    server_busy: float
    raters_busy: float
    memory_mib: float
    refused: dict[int, int]
    lost_lines: int
    load_average: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was asked for, and what was found."""

    what: str
    found: float
    wanted: str
    met: bool


@dataclass(slots=True)
class Bench:
    """The runs of one call, in order."""

    raters: int
    seconds: float
    warm_s: float
    quick: bool
    images: bool
    found: list[Measured] = field(default_factory=list)

    def measure(self, name: str, server: Server, make: Maker, pace_s: float, *, slow: bool = False) -> None:
        """Let raters vote at this server and keep what was found; a `slow` server needs no long look."""
        seconds = min(self.seconds, 12.0) if slow else self.seconds * (2 if pace_s == PACED_S and not self.quick else 1)
        # Paced raters have all voted once before it counts, and the first page loads are over.
        warm_s = PACED_S + 1 if pace_s == PACED_S else self.warm_s
        say(f"{name}, {PACES[pace_s]}: {warm_s + seconds:.0f} s")
        clicks = Clicks()
        raters = [make(Line("127.0.0.1", server.port), clicks) for _ in range(self.raters)]
        self.found.append(
            asyncio.run(_watched(name, server, raters, clicks, pace_s=pace_s, warm_s=warm_s, seconds=seconds))
        )

    def arena(self, name: str, database: str, home: Path) -> None:
        """The arena on this database."""
        prepare_arena(database, home)
        with _stopped_after(start_arena(database, home)) as server:

            def make(line: Line, clicks: Clicks) -> AnyRater:
                return Rater(line, STUDY, clicks, images=self.images)

            self.measure(name, server, make, AS_FAST_AS_THEY_MAY_S)
            if not self.quick or name == "SQLite":
                self.measure(name, server, make, PACED_S)
            if not self.quick:
                self.measure(name, server, make, WITHOUT_WAITING_S)

    def bare_route(self) -> None:
        """FastAPI that reads the same body and does nothing with it."""
        with _stopped_after(start_bare_route()) as server:
            self.measure("bare route", server, BareRater, AS_FAST_AS_THEY_MAY_S)
            if not self.quick:
                self.measure("bare route", server, BareRater, WITHOUT_WAITING_S)

    def gradio(self) -> None:
        """A Gradio event that gives back what it gets, with its queue and without."""
        # Its queue makes 500 raters wait ten seconds and more, for which a quick look is too short.
        kinds = ((False, "Gradio event, no queue"), *(() if self.quick else ((True, "Gradio event, queued"),)))
        for queue, name in kinds:
            with _stopped_after(start_gradio()) as server:

                def make(line: Line, clicks: Clicks, queue: bool = queue) -> AnyRater:
                    return GradioRater(line, clicks, queue=queue)

                self.measure(name, server, make, AS_FAST_AS_THEY_MAY_S, slow=True)

    def targets(self) -> list[Target]:
        """What is asked of the arena, for every database that was measured."""
        by = {(one.server, one.pace): one for one in self.found}
        fast, paced = PACES[AS_FAST_AS_THEY_MAY_S], PACES[PACED_S]
        bare = by["bare route", fast].votes_per_s
        targets = []
        for name in ("SQLite", "PostgreSQL"):
            if (name, fast) in by:
                found = by[name, fast]
                share = found.votes_per_s / bare
                targets += [
                    _target(f"{name}: votes/s, as a share of the bare route's", share, SHARE_OF_BARE, at_least=True),
                    _target(f"{name}: CPU ms per vote", found.cpu_ms, CPU_MS),
                    _target(
                        f"{name}: memory, MiB", max(o.memory_mib for o in self.found if o.server == name), MEMORY_MIB
                    ),
                ]
            if (name, paced) in by:
                targets.append(_target(f"{name}: p95 ms, {paced}", by[name, paced].p95_ms, PACED_P95_MS))
        return targets


def main() -> int:
    """Measure, print, and say whether the targets are met."""
    asked = _arguments()
    pin_raters()
    bench = Bench(
        raters=asked.raters,
        seconds=4.0 if asked.quick else 15.0,
        warm_s=1.5 if asked.quick else 3.0,
        quick=asked.quick,
        images=asked.images,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="canvas-load-") as folder:
        bench.bare_route()
        if asked.database != "postgresql":
            bench.arena("SQLite", f"{folder}/sqlite/ledger.db", Path(folder, "sqlite"))
        if asked.database != "sqlite":
            with postgres() as server:
                bench.arena("PostgreSQL", server.new_database(), Path(folder, "postgresql"))
        bench.gradio()
    targets = bench.targets()
    if asked.json:
        print_json(
            {
                "seconds": time.monotonic() - began,
                "runs": [asdict(run) for run in bench.found],
                "targets": [asdict(target) for target in targets],
            }
        )
    else:
        _print(bench.found, targets)
    return 0 if all(target.met for target in targets) else 1


async def _watched(
    name: str,
    server: Server,
    raters: list[AnyRater],
    clicks: Clicks,
    *,
    pace_s: float,
    warm_s: float,
    seconds: float,
) -> Measured:
    """Let them rate, and look at the server's and the raters' CPU where the counting begins and ends."""
    voting = asyncio.create_task(rate(raters, clicks, every_s=pace_s, warm_s=warm_s, seconds=seconds))
    while not clicks.begins and not voting.done():
        await asyncio.sleep(0.02)
    await asyncio.sleep(clicks.begins - time.perf_counter())
    server_s, raters_s, began = server.cpu_s, time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    votes, wall_s = len(clicks.waited_s), time.perf_counter() - began
    server_s, raters_s = server.cpu_s - server_s, time.process_time() - raters_s
    await voting
    return Measured(
        server=name,
        pace=PACES[pace_s],
        raters=len(raters),
        votes_per_s=votes / wall_s,
        p50_ms=clicks.percentile_ms(0.5),
        p95_ms=clicks.percentile_ms(0.95),
        p99_ms=clicks.percentile_ms(0.99),
        cpu_ms=server_s / max(votes, 1) * 1000,
        server_busy=server_s / wall_s,
        raters_busy=raters_s / wall_s,
        memory_mib=server.peak_mib,
        refused=clicks.refused,
        lost_lines=clicks.lost_lines,
        load_average=os.getloadavg()[0],
    )


@contextmanager
def _stopped_after(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.stop()


def _target(what: str, found: float, limit: float, *, at_least: bool = False) -> Target:
    met = found >= limit if at_least else found <= limit
    return Target(what=what, found=found, wanted=f"{'>=' if at_least else '<='} {limit:g}", met=met)


def _print(found: list[Measured], targets: list[Target]) -> None:
    print_table(
        ["server", "pace", "votes/s", "p50/p95/p99 ms", "CPU ms/vote", "busy", "raters", "MiB", "refused", "load"],
        (
            [
                one.server,
                one.pace,
                f"{one.votes_per_s:,.0f}",
                f"{one.p50_ms:.0f}/{one.p95_ms:.0f}/{one.p99_ms:.0f}",
                f"{one.cpu_ms:.2f}",
                f"{one.server_busy:.2f}",
                f"{one.raters_busy:.2f}",
                f"{one.memory_mib:.0f}",
                str(sum(one.refused.values())),
                f"{one.load_average:.1f}",
            ]
            for one in found
        ),
    )
    print_table(
        ["target", "found", "wanted", "met"],
        ([one.what, f"{one.found:.2f}", one.wanted, "yes" if one.met else "no"] for one in targets),
    )


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--raters", type=int, default=500)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--images", action="store_true", help="raters fetch both images of every pair, as browsers do")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
