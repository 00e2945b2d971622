"""What a command says: progress and sentences go to stderr, and with --json one value goes to stdout.

Rich is imported when something is shown, so that `--help` stays quick.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Protocol, TypeVar

import typer

from prompts.errors import printable

Item = TypeVar("Item")

_LONGEST_RULE = 100
_RULE = set(" ─")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout; all else goes to stderr.")]


def say(sentence: str) -> None:
    """One line for people, on stderr."""
    print(sentence, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON value on stdout. NaN and infinity are our mistake and are refused with a ValueError."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def print_table(columns: list[str], rows: Iterable[Iterable[object]]) -> None:
    """A plain table for people, on stdout: folded to the terminal's width, in a pipe one line to a row.

    Cells are shown as they are: no markup, and what would steer the terminal is shown as its escape, not sent.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(name, overflow="fold") for name in columns), box=box.SIMPLE_HEAD, header_style="bold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, console.measure(table, options=console.options.update(width=10**6)).maximum)
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as shown:
        console.print(table)
    # In a pipe nothing is gained by cells that are filled up to the width of their column.
    # Nor by a rule under the header that is as long as the longest of them.
    lines = (line.rstrip() for line in shown.get().splitlines())
    print("\n".join(line[:_LONGEST_RULE] if set(line) <= _RULE else line for line in lines))


class Ticker(Protocol):
    """Tells a progress bar that `steps` more are done."""

    def __call__(self, steps: int = 1) -> None:
        """`steps` more are done."""
        ...


@contextmanager
def progress(description: str, total: int) -> Iterator[Ticker]:
    """A progress bar on stderr with the time left; it draws nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(description, total=total)

        def tick(steps: int = 1) -> None:
            bar.advance(task, steps)

        yield tick


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """`items`, one by one, under a progress bar."""
    with progress(description, total) as tick:
        for item in items:
            yield item
            tick()
