"""What every contender of the statistics benchmark reports: seconds per stage, peak memory, and its numbers.

In: named stages, and what was found. Out: one JSON value on stdout. Standard library only, and written for the peers'
Python as much as for ours: it is imported in both.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Seconds by stage; a stage that is entered twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


def centred(strengths: Sequence[float]) -> list[float]:
    """The strengths in logits with mean 0: what all contenders can be compared in, whatever their origin."""
    mean = sum(strengths) / len(strengths)
    return [float(strength - mean) for strength in strengths]


def report(watch: Stopwatch, **found: Any) -> None:
    """Print the one JSON value. Peak memory is the process's own: it was started for this measurement alone."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    print(json.dumps({"seconds": watch.seconds, "peak_mb": kib * 1024 / 1e6, **found}))
