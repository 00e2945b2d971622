"""Options that several rooms' commands share, so that they read alike everywhere."""

from pathlib import Path
from typing import Annotated

import typer

PartiFile = Annotated[
    Path | None,
    typer.Option(
        "--parti-file",
        envvar="ARENA_PARTI_PROMPTS",
        show_envvar=True,
        help="Your own copy of PartiPrompts.tsv; without it the file is fetched once and cached.",
    ),
]
Sample = Annotated[
    int | None,
    typer.Option("--sample", min=1, help="Draw this many of the prompts, spread over the categories in proportion."),
]
