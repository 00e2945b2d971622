"""Walk the road: each step once, in order, each skipped when it is done, with a sentence and a time.

An interruption loses nothing that was finished: the next walk goes on where this one stopped, inside a step too where
that step keeps its own progress (shards, checkpoints, painted images).
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from canvas.demo.layout import Layout
from prompts.console import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the road. `is_done` looks without loading anything heavy; `work` returns its one sentence."""

    name: str
    title: str
    is_done: Callable[[Layout], bool]
    work: Callable[[Layout], str]


def walk(steps: Sequence[Step], layout: Layout) -> None:
    """Do every step that is not done yet."""
    began = time.monotonic()
    did_something = False
    for number, step in enumerate(steps, start=1):
        if step.is_done(layout):
            continue
        did_something = True
        say(f"[{number}/{len(steps)}] {step.title} ...")
        step_began = time.monotonic()
        sentence = step.work(layout)
        seconds = time.monotonic() - step_began
        say(f"[{number}/{len(steps)}] {sentence} ({seconds:.0f} s)")
        _note_time(layout, step.name, seconds)
    if did_something:
        say(f"The whole road took {time.monotonic() - began:.0f} s this time.")


def _note_time(layout: Layout, name: str, seconds: float) -> None:
    times = json.loads(layout.times.read_text("utf-8")) if layout.times.is_file() else {}
    times[name] = round(times.get(name, 0.0) + seconds, 2)
    layout.times.write_text(json.dumps(times, indent=2) + "\n", "utf-8")
