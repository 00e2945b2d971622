"""`canvas demo`: the whole road on a laptop, then the site."""

from pathlib import Path
from typing import Annotated

import typer

from prompts.console import say
from prompts.options import PartiFile


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything is kept; run again, it goes on from there.")] = Path(
        "demo"
    ),
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Open the site at the end, or stop there.")] = True,
    simulate_raters: Annotated[
        int, typer.Option(min=0, help="Let this many simulated raters vote; their votes are marked as simulated.")
    ] = 0,
    host: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to serve on.")] = 7860,
    images: Annotated[int, typer.Option(min=200, help="How many source images to draw.")] = 4096,
    effort: Annotated[
        float, typer.Option(min=0.001, max=10.0, help="Share of the training steps; less is quicker and draws worse.")
    ] = 1.0,
    parti_file: PartiFile = None,
) -> None:
    """Walk the whole road at laptop size: licensed images, four tiny models, an arena that asks which is better."""
    from canvas.demo.layout import Layout, claim
    from canvas.demo.road import walk
    from prompts.library import find_prompts

    if serve:
        from arena.app import check_port

        check_port(host, port)
    layout = Layout(folder=folder, images=images, effort=effort, parti_file=parti_file)
    if parti_file is not None:
        # A named file that is missing or altered stops the walk now, not minutes later.
        find_prompts("parti", parti_file=parti_file)
    claim(layout)
    from canvas.demo.steps import STEPS

    walk(STEPS, layout)
    if simulate_raters:
        from canvas.demo.arena_steps import simulate_raters as let_vote

        say(let_vote(layout, simulate_raters))
    if serve:
        _serve(layout.arena, host, port)
    else:
        say(f"Finished. 'canvas demo --folder {folder}' opens the site.")


def _serve(arena_home: Path, host: str, port: int) -> None:
    from arena.app import serve
    from arena.settings import Settings

    serve(
        Settings(home=arena_home, host=host, port=port),
        on_ready=lambda address: say(f"Vote at {address}, results at {address}/dashboard/ (Ctrl-C ends)."),
    )
