"""`canvas arena reports`: what raters reported and skipped, newest first."""

from typing import Annotated, Any, Literal

import typer

from arena.cli_home import Home, open_ledger
from prompts.console import AsJson, print_json, print_table, say


def reports(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The study's name; NAME@1 is its first version.")],
    *,
    raters: Annotated[
        Literal["people", "simulated", "all"],
        typer.Option("--raters", help="Whose reports; the column `simulated` says which is which."),
    ] = "people",
    kind: Annotated[
        Literal["skip", "broken", "offensive"] | None, typer.Option(help="Only these; all of them without it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many, the newest; all of them without it.")] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the pairs that raters reported or skipped, with what they wrote, newest first."""
    from arena.export import report_rows

    with open_ledger(arena) as ledger:
        record = ledger.study(study)
        found = report_rows(ledger.reports(record.id, raters=raters, kind=kind, limit=limit))
    if as_json:
        print_json([{**row, "ts": row["ts"].isoformat()} for row in found])
        return
    if not found:
        said = "Nobody reported or skipped a pair" if kind is None else f"Nothing was reported as '{kind}'"
        say(f"{said} in '{record.name}@{record.version}'.")
        return
    print_table(["when (UTC)", "kind", "prompt", "left", "right", "comment", "rater"], map(_cells, found))


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    comment = "(withdrew since)" if row["withdrawn"] else row["comment"]
    rater = f"{row['rater']} (simulated)" if row["simulated"] else row["rater"]
    return f"{row['ts']:%Y-%m-%d %H:%M}", row["kind"], row["prompt"], row["left"], row["right"], comment, rater
