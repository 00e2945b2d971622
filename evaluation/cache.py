"""Where things are kept between commands: features, statistics, fetched lists and weights.

All of it can be made again. An option names the folder, else the environment's CANVAS_CACHE, which is read here alone.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

CACHE_VARIABLE = "CANVAS_CACHE"
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help=f"Where features and fetched files are kept; else in {CACHE_VARIABLE}, or the user's cache folder.",
    ),
]


def cache_folder(given: Path | None = None) -> Path:
    """`given`, or what CANVAS_CACHE names, or the user's cache folder for this program; it need not exist yet."""
    if given is not None:
        return given
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("canvas-arena")
