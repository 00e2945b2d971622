"""Ctrl-C and a scheduler's SIGTERM end a training after the present step, with a checkpoint to go on from.

A second signal ends it at once. Signals reach the main thread only; elsewhere nothing is caught.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """The signal that asked the training to end; None while there is none."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def leave(self) -> NoReturn:
        """End as that signal would have: KeyboardInterrupt for Ctrl-C, else the exit code that says the signal."""
        if self.signal is None or self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + self.signal)


@contextmanager
def own_signals() -> Iterator[None]:
    """Give back the handlers at the end: importing Composer replaces them for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def caught_signals() -> Iterator[Interruption]:
    """Note the first signal instead of dying of it."""
    interruption = Interruption()

    def note(number: int, _frame: FrameType | None) -> None:
        if interruption.signal is not None:
            interruption.leave()
        interruption.signal = number

    with own_signals():
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, note)
        yield interruption
