"""`canvas evaluate lint`: the classic mistakes in a gallery's files, found before they become a score."""

from pathlib import Path
from typing import Annotated

import typer

from prompts.console import AsJson, print_json, print_table, say


def lint(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FOLDER_OR_FILE...", help="The pictures of one gallery, files or folders.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Look for files that would spoil a score: JPEG, mixed sizes, unreadable ones. Exits with 1 if there are any."""
    from dataclasses import asdict

    from evaluation.features.linter import lint_pictures

    findings = lint_pictures(paths)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    elif findings:
        print_table(
            ["rule", "files", "what", "what to do"],
            [[finding.rule, finding.files, finding.message, finding.remedy] for finding in findings],
        )
    else:
        say("Nothing is wrong with these files.")
    if findings:
        raise typer.Exit(1)
