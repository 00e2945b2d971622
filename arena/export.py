"""Votes and reports as tables for other programs: CSV or Parquet, one row per effective vote, or per report.

What was seen is translated once: model_a is the candidate, model_b the reference (or the other candidate of a declared
link); `left` says which of them (A or B) stood left, `choice` which was preferred (A, B, tie or both_bad). `simulated`
is true for votes of simulated raters. `arena/votes_file.py` reads the votes back.

Reports are the pairs that raters would not judge, newest first, as they were shown: the entrants left and right.
"""

import csv
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from arena.canonical import utc_text
from arena.ledger.readings import Report
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

REPORT_COLUMNS = (
    "report_id",
    "ts",
    "kind",
    "comment",
    "prompt",
    "seed",
    "left",
    "right",
    "pair",
    "pair_kind",
    "rater",
    "simulated",
    "withdrawn",
)
_INTEGERS = ("vote_id", "rater", "latency_ms", "report_id", "pair", "seed")
_FLAGS = ("simulated", "withdrawn")


class ExportFormatError(CanvasError):
    """A file name that says neither CSV nor Parquet."""


class ExportFileError(CanvasError):
    """A file that cannot be written."""


def export_rows(study: Study, votes: Sequence[VoteRecord]) -> list[dict[str, Any]]:
    """One dictionary per vote, with the keys of `COLUMNS` in their order; `ts` is a moment in UTC. Pure."""
    challenges = {prompt.id: prompt.challenge for prompt in study.prompts.prompts}
    return [_row(study.reference, vote, challenges.get(vote.prompt_id, "")) for vote in votes]


def report_rows(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """One dictionary per report, with the keys of `REPORT_COLUMNS` in their order. Pure."""
    return [
        {
            "report_id": report.report_id,
            "ts": report.at,
            "kind": report.kind,
            "comment": report.comment,
            "prompt": report.prompt,
            "seed": report.seed,
            "left": report.left.entrant,
            "right": report.right.entrant,
            "pair": report.pair,
            "pair_kind": report.pair_kind,
            "rater": report.rater,
            "simulated": report.simulated,
            "withdrawn": report.withdrawn,
        }
        for report in reports
    ]


def write_votes(path: Path, study: Study, votes: Sequence[VoteRecord]) -> None:
    """Write the votes to `path`, as its ending says: .csv or .parquet. Written beside, then moved into place.

    Raises ExportFormatError and ExportFileError; then no file of this name was touched.
    """
    _write(path, COLUMNS, export_rows(study, votes))


def write_reports(path: Path, reports: Sequence[Report]) -> None:
    """Write the reports to `path`, as `write_votes` does."""
    _write(path, REPORT_COLUMNS, report_rows(reports))


def check_format(path: Path) -> None:
    """Raises ExportFormatError for a file name that says neither CSV nor Parquet."""
    if path.suffix.lower() not in _WRITERS:
        raise ExportFormatError(
            f"{quoted(path.name)} ends neither in .csv nor in .parquet. Name the file so that it does."
        )


def _write(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    check_format(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _WRITERS[path.suffix.lower()](beside, columns, rows)
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


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        # The writer quotes what the line's end holds: a lone \r inside a prompt, too.
        table = csv.DictWriter(file, columns, lineterminator="\r\n")
        table.writeheader()
        for row in rows:
            flags = {name: "true" if row[name] else "false" for name in _FLAGS if name in row}
            table.writerow({**row, "ts": utc_text(row["ts"]), **flags})


def _write_parquet(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        "ts": pa.timestamp("us", tz="UTC"),
        **dict.fromkeys(_INTEGERS, pa.int64()),
        **dict.fromkeys(_FLAGS, pa.bool_()),
    }
    schema = pa.schema([(column, types.get(column, pa.string())) for column in columns])
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path)


_WRITERS: dict[str, Callable[[Path, tuple[str, ...], list[dict[str, Any]]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
