"""Votes as they come in: from a study's ledger, from a file, or line by line from another program.

In: where the votes come from. Out: an iterator over `VotesSoFar`, each all votes up to then; one of them, or with
`follow` a new one whenever votes came in. A vote that was undone is missing from the next. Nothing is counted here.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, TextIO

import numpy as np
from jaxtyping import Int64

from arena.statistics.votes import VoteTable, from_records
from arena.votes_file import RatersKind, read_votes_file
from arena.votes_formats import NoVotesError, VotesFileError
from prompts.errors import quoted

if TYPE_CHECKING:
    from arena.ledger.ledger import Ledger

#: How long a followed ledger is left alone between two readings.
POLL_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VotesSoFar:
    """All votes up to now; `order` are the table's rows as they were cast. `notes` say what a file leaves open."""

    table: VoteTable
    order: Int64[np.ndarray, " votes"]
    notes: tuple[str, ...] = ()


def study_votes(ledger: "Ledger", study: str, *, raters: RatersKind, follow: bool = False) -> Iterator[VotesSoFar]:
    """The effective votes of `study`; with `follow` without end. Raises UnknownStudyError."""
    before: list[int] | None = None
    first = ledger.study(study).study.asked[0].key
    while True:
        # A study that asks several questions is watched on its first.
        records = [record for record in ledger.votes(study, raters=raters) if record.question == first]
        ids = [record.vote_id for record in records]
        if ids != before:
            # Vote ids grow with time, and the table's rows follow the ids.
            yield VotesSoFar(table=from_records(records), order=np.arange(len(records)))
        if not follow:
            return
        before = ids
        time.sleep(POLL_S)


def file_votes(path: Path, *, raters: RatersKind | None = None) -> Iterator[VotesSoFar]:
    """The votes of a file, once. Raises what `read_votes_file` raises."""
    read = read_votes_file(path, raters=raters)
    yield VotesSoFar(table=read.table, order=read.order, notes=read.notes)


def line_votes(stream: TextIO, *, raters: RatersKind | None = None, follow: bool = False) -> Iterator[VotesSoFar]:
    """The votes in the lines of a CSV file that another program writes; with `follow` as they come, until it ends.

    Raises what `read_votes_file` raises, saying "stdin" for the file; lines without a vote only end in an error when
    no more can come.
    """
    with TemporaryDirectory() as folder:
        spool = Path(folder) / "stdin.csv"
        with spool.open("w", encoding="utf-8", newline="") as kept:
            nothing_yet: NoVotesError | None = None
            for chunk in _chunks(stream) if follow else iter([stream.read()]):
                kept.write(chunk)
                kept.flush()
                try:
                    yield from file_votes(spool, raters=raters)
                    nothing_yet = None
                except NoVotesError as error:
                    nothing_yet = error
                except VotesFileError as error:
                    raise _of_stdin(error, spool) from error
            if nothing_yet is not None:
                raise _of_stdin(nothing_yet, spool) from nothing_yet


def _of_stdin(error: VotesFileError, spool: Path) -> VotesFileError:
    return type(error)(str(error).replace(quoted(str(spool)), "stdin").replace(str(spool), "stdin"))


def _chunks(stream: TextIO) -> Iterator[str]:
    """Whole lines, as many at a time as have come in while the last ones were read."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def fill() -> None:
        try:
            for line in stream:
                lines.put(line)
        finally:
            lines.put(None)

    # A thread of its own, so that lines are taken in while votes are counted; it ends with the program.
    Thread(target=fill, daemon=True).start()
    ended = False
    while not ended:
        waiting = [lines.get()]
        while True:
            try:
                waiting.append(lines.get_nowait())
            except Empty:
                break
        ended = waiting[-1] is None
        chunk = "".join(line for line in waiting if line is not None)
        if chunk:
            yield chunk
