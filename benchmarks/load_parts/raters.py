"""Simulated raters, who speak the rating page's own protocol, and what their clicks took.

A rater joins, holds two pairs, votes on the older one with a fresh key, and gets the next one with the answer, as the
page does. Voting "as fast as they may" is one vote per 300 ms: the page's guard refuses what is quicker.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np

from load_parts.wire import Answer, Line, LostLineError

GUARD_MS = 300
_PAIR = {"pair": "x" * 22, "round": 1}

Step = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Clicks:
    """How long each click waited that was answered from a first moment on; and what was refused, by status.

    Status 0 is no answer at all.
    """

    begins: float = 0.0
    lost_lines: int = 0
    waited_s: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    def note(self, began: float, ended: float, status: int) -> None:
        """One click and its answer."""
        if not self.begins or ended < self.begins:
            return
        if status == 200:
            self.waited_s.append(ended - began)
        else:
            self.refused[status] = self.refused.get(status, 0) + 1

    def percentile_ms(self, share: float) -> float:
        """So many milliseconds or fewer were waited in this share of clicks."""
        return float(np.percentile(self.waited_s, 100 * share)) * 1000 if self.waited_s else float("nan")


class Rater:
    """One browser at a study."""

    def __init__(self, line: Line, study: str, clicks: Clicks, *, images: bool = False) -> None:
        self.line, self._study, self._clicks, self._images = line, study, clicks, images
        self._pairs: list[dict[str, Any]] = []
        self._session = uuid4().hex
        self._questions: list[str] = []

    async def join(self) -> None:
        """Come to the study and get the first pairs."""
        answer = await self.line.post("/rate/api/join", {"study": self._study})
        if answer.status != 200:
            raise RuntimeError(f"The study did not let a rater in: {answer.status} {answer.body!r}")
        said = answer.json()
        self._questions = [question["key"] for question in said["study"].get("questions", [])]
        self._pairs = said["pairs"]
        await self._see(self._pairs)

    async def vote(self) -> None:
        """Vote on the pair on show. A lost connection is met as the page meets it: the same request is sent again."""
        if not self._pairs:
            await self.join()
        pair = self._pairs[0]
        choice = random.choice(("left", "right", "tie"))
        body = {
            "study": self._study,
            "pair": pair["pair"],
            "round": pair["round"],
            "key": str(uuid4()),
            "latency_ms": GUARD_MS + 1,
            "session": self._session,
            **({"choices": dict.fromkeys(self._questions, choice)} if self._questions else {"choice": choice}),
        }
        began = time.perf_counter()
        try:
            answer = await self.line.post("/rate/api/vote", body)
        except LostLineError:
            self._clicks.lost_lines += 1
            answer = await self.line.post("/rate/api/vote", body)
        self._clicks.note(began, time.perf_counter(), answer.status)
        if answer.status == 200:
            following = answer.json()["next"]
            self._pairs = self._pairs[1:] + ([following] if following else [])
            await self._see([following] if following else [])

    async def _see(self, pairs: list[dict[str, Any]]) -> None:
        if self._images:
            for pair in pairs:
                for side in ("left", "right"):
                    await self.line.get(pair[side])


class BareRater:
    """Posts the body of a vote to the bare route."""

    def __init__(self, line: Line, clicks: Clicks) -> None:
        self.line, self._clicks = line, clicks
        self._body = {**_PAIR, "study": "load", "latency_ms": GUARD_MS + 1, "session": uuid4().hex, "choice": "left"}

    async def join(self) -> None:
        """There is nothing to join."""

    async def vote(self) -> None:
        """One request."""
        began = time.perf_counter()
        answer = await self.line.post("/rate/api/vote", {**self._body, "key": str(uuid4())})
        self._clicks.note(began, time.perf_counter(), answer.status)
        answer.json()


class GradioRater:
    """Calls an event of the bare Gradio page: through its queue (a call and a stream of what became of it), or not."""

    def __init__(self, line: Line, clicks: Clicks, *, queue: bool) -> None:
        self.line, self._clicks, self._queue = line, clicks, queue

    async def join(self) -> None:
        """There is nothing to join."""

    async def vote(self) -> None:
        """One event."""
        began = time.perf_counter()
        answer = await (self._queued() if self._queue else self._direct())
        self._clicks.note(began, time.perf_counter(), answer.status)

    async def _direct(self) -> Answer:
        return await self.line.post("/gradio_api/run/direct", {"data": ["left"]})

    async def _queued(self) -> Answer:
        answer = await self.line.post("/gradio_api/call/queued", {"data": ["left"]})
        if answer.status != 200:
            return answer
        told = await self.line.get(f"/gradio_api/call/queued/{answer.json()['event_id']}")
        return told if b"event: complete" in told.body else Answer(500, told.head, told.body)


AnyRater = Rater | BareRater | GradioRater


async def rate(raters: list[AnyRater], clicks: Clicks, *, every_s: float, warm_s: float, seconds: float) -> None:
    """Let them vote for so long, each every so many seconds at most; what happens in `warm_s` does not count."""
    gate = asyncio.Semaphore(32)

    async def joined(rater: AnyRater) -> None:
        async with gate:
            await rater.join()

    await asyncio.gather(*(joined(rater) for rater in raters))
    begins = time.perf_counter() + warm_s
    ends = begins + seconds
    clicks.begins = begins

    async def sit(rater: AnyRater, first: float) -> None:
        at = first
        while at < ends:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            if time.perf_counter() >= ends:
                return
            began = time.perf_counter()
            try:
                await rater.vote()
            except LostLineError:
                clicks.note(began, began, 0)
            at = max(began + every_s, time.perf_counter())

    now = time.perf_counter()
    # They come one after another, not all in the same moment, as people do.
    sitting = [asyncio.create_task(sit(rater, now + random.random() * max(every_s, 0.3))) for rater in raters]
    ended, late = await asyncio.wait(sitting, timeout=ends - time.perf_counter())
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in ended:
        task.result()
    for rater in raters:
        rater.line.close()
