"""Votes as a table for other programs: CSV or Parquet, one row per effective vote.

What was seen is translated once: model_a is the candidate, model_b the reference (or the other candidate of a declared
link); `left` says which of them (A or B) stood left, `choice` which was preferred (A, B, tie or both_bad). `simulated`
is true for votes of simulated raters.
`arena/votes_file.py` reads these files back.
"""

import csv
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arena.canonical import utc_text
from arena.study import Study
from arena.votes import Choice, VoteRecord
from prompts.errors import CanvasError, quoted

COLUMNS = (
    "vote_id",
    "ts",
    "rater",
    "prompt",
    "category",
    "model_a",
    "model_b",
    "left",
    "choice",
    "latency_ms",
    "session",
    "simulated",
    "challenge",
    "question",
)


class ExportFormatError(CanvasError):
    """A file name that says neither CSV nor Parquet."""


class ExportFileError(CanvasError):
    """A file that cannot be written."""


def export_rows(study: Study, votes: Sequence[VoteRecord]) -> list[dict[str, Any]]:
    """One dictionary per vote, with the keys of `COLUMNS` in their order; `ts` is a moment in UTC. Pure."""
    challenges = {prompt.id: prompt.challenge for prompt in study.prompts.prompts}
    return [_row(study.reference, vote, challenges.get(vote.prompt_id, "")) for vote in votes]


def write_votes(path: Path, study: Study, votes: Sequence[VoteRecord]) -> None:
    """Write the votes to `path`, as its ending says: .csv or .parquet. Written beside, then moved into place.

    Raises ExportFormatError and ExportFileError; then no file of this name was touched.
    """
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise ExportFormatError(
            f"{quoted(str(path))} ends neither in .csv nor in .parquet. Name the file so that it does."
        )
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(beside, export_rows(study, votes))
        beside.replace(path)
    except OSError as error:
        raise ExportFileError(
            f"{quoted(str(path))} cannot be written: {error.strerror or error}. Name another file."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _row(reference: str, vote: VoteRecord, challenge: str) -> dict[str, Any]:
    # Between two candidates, model_a is the alphabetically first.
    a_left = vote.right == reference or (vote.left != reference and vote.left < vote.right)
    left, right = ("A", "B") if a_left else ("B", "A")
    choices = {Choice.LEFT: left, Choice.RIGHT: right, Choice.TIE: "tie", Choice.BOTH_BAD: "both_bad"}
    return {
        "vote_id": vote.vote_id,
        "ts": vote.ts,
        "rater": vote.rater,
        "prompt": vote.prompt,
        "category": vote.category,
        "model_a": vote.left if a_left else vote.right,
        "model_b": vote.right if a_left else vote.left,
        "left": left,
        "choice": choices[vote.choice],
        "latency_ms": vote.latency_ms,
        "session": vote.session,
        "simulated": vote.simulated,
        "challenge": challenge,
        "question": vote.question,
    }


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        # The writer quotes what the line's end holds: a lone \r inside a prompt, too.
        table = csv.DictWriter(file, COLUMNS, lineterminator="\r\n")
        table.writeheader()
        for row in rows:
            table.writerow({**row, "ts": utc_text(row["ts"]), "simulated": "true" if row["simulated"] else "false"})


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        "vote_id": pa.int64(),
        "ts": pa.timestamp("us", tz="UTC"),
        "rater": pa.int64(),
        "latency_ms": pa.int64(),
        "simulated": pa.bool_(),
    }
    schema = pa.schema([(column, types.get(column, pa.string())) for column in COLUMNS])
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path)
