"""The arrows between the rooms, and what a command or an import may load."""

import subprocess
import sys
from pathlib import Path

import pytest

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
HEAVY = ("torch", "diffusers", "transformers", "composer", "streaming", "open_clip")
SLOW_TO_IMPORT = (
    *HEAVY,
    "gradio",
    "scipy",
    "sqlmodel",
    "sqlalchemy",
    "pandas",
    "plotly",
    "pyarrow",
    "fastapi",
    "numpy",
)


def modules_after(statement: str) -> set[str]:
    """The top-level modules a fresh interpreter has loaded once it has run `statement`."""
    script = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_arrows_between_the_rooms_hold() -> None:
    checked = subprocess.run([LINT_IMPORTS, "--no-logo"], check=False, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    "module", ["arena.app", "arena.ledger.ledger", "arena.rating", "arena.simulation", "arena.board", "prompts.library"]
)
def test_the_arena_and_the_prompts_load_no_torch(module: str) -> None:
    loaded = modules_after(f"import {module}")

    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("words", [[], ["prompts"], ["arena"], ["evaluate"], ["train"], ["demo"]])
def test_help_loads_nothing_that_makes_it_slow(words: list[str]) -> None:
    run_help = (
        "import contextlib, io, canvas.cli\n"
        f"sys.argv = ['canvas', *{words!r}, '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    canvas.cli.main()"
    )

    loaded = modules_after(run_help)

    assert loaded.isdisjoint(SLOW_TO_IMPORT)
