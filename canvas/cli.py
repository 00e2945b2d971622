"""The one command, `canvas`: it opens every room and prints people's errors as one sentence.

The rooms' own `cli` modules import nothing heavy at the top: `canvas --help` answers within 0.7 s.
"""

import sys

import typer

import arena.cli
import canvas.cli_audit
import canvas.demo.cli
import evaluation.cli
import prompts.cli
import training.cli
from prompts.errors import CanvasError

app = typer.Typer(
    name="canvas",
    help="Compare text-to-image models by people's votes, measure them, and train them on licensed images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
# What needs training beside evaluation is composed here, in a group of its own: evaluation does not know of it.
evaluate = typer.Typer(help=evaluation.cli.app.info.help, no_args_is_help=True)
evaluate.add_typer(evaluation.cli.app)
evaluate.add_typer(canvas.cli_audit.app)

app.add_typer(prompts.cli.app, name="prompts")
app.add_typer(arena.cli.app, name="arena")
app.add_typer(evaluate, name="evaluate")
app.add_typer(training.cli.app, name="train")
app.command(name="demo")(canvas.demo.cli.demo)


@app.callback(invoke_without_command=True)
def front_door(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    """Compare text-to-image models by people's votes, measure them, and train them on licensed images."""
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(installed_version("canvas-arena"))
        raise typer.Exit


_INTERRUPTED = 130  # what shells call a program that Ctrl-C ended, and Typer's exit code for it


def main() -> None:
    """Run the command line; a CanvasError becomes one sentence on stderr and exit code 1, Ctrl-C exit code 130."""
    try:
        app()
    except CanvasError as error:
        print(f"canvas: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as leaving:
        if leaving.code == _INTERRUPTED:
            print(
                "canvas: interrupted; what was finished is kept, and the same command goes on from there.",
                file=sys.stderr,
            )
        raise
