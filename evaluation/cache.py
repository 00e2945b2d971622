"""Where things are kept between commands: features, statistics, fetched lists. All of it can be made again."""

from pathlib import Path
from typing import Annotated

import typer

Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        envvar="CANVAS_CACHE",
        show_envvar=True,
        metavar="FOLDER",
        help="Where features and fetched files are kept; else the user's cache folder.",
    ),
]


def cache_folder(given: Path | None) -> Path:
    """`given`, or the user's cache folder for this program; it need not exist yet."""
    if given is not None:
        return given
    from platformdirs import user_cache_path

    return user_cache_path("canvas-arena")
