"""What the commands of `canvas arena` share: which arena they are about, and its ledger."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prompts.errors import CanvasError

if TYPE_CHECKING:
    from arena.ledger.ledger import Ledger

Home = Annotated[
    Path | None,
    typer.Option(
        "--arena",
        envvar="ARENA_HOME",
        show_envvar=True,
        metavar="FOLDER",
        help="The arena's folder, with its ledger and its images; ./arena-data where nothing is said.",
    ),
]


class ArenaNotFoundError(CanvasError):
    """A folder without a ledger, where one is to be read."""


def open_ledger(home: Path | None, *, begin: bool = False) -> "Ledger":
    """The arena's ledger; where there is none, a new one if `begin` says so, and ArenaNotFoundError else."""
    from arena.ledger.ledger import Ledger
    from arena.settings import read_settings

    settings = read_settings(home=home)
    a_file = "://" not in settings.database_url
    if a_file and not begin and not Path(settings.database_url).is_file():
        raise ArenaNotFoundError(
            f"There is no arena in {settings.home}: name its folder with --arena, "
            "or begin one with 'canvas arena enter'."
        )
    return Ledger.open(settings.database_url)
