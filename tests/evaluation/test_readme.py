"""The room's README is true: its files are there, its commands run, its example says what Python says."""

import doctest
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import evaluation
from evaluation.cli import app

ROOM = Path(evaluation.__file__).parent
README = (ROOM / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ canvas evaluate (.+)$", README, flags=re.MULTILINE)


def test_every_file_of_the_room_has_its_line() -> None:
    named = re.findall(r"^\| `([\w/]+\.py)` \|", README, flags=re.MULTILINE)

    files = {str(file.relative_to(ROOM)) for file in ROOM.rglob("*.py")} - {"__init__.py"}
    assert set(named) == files
    assert len(named) == len(files)


def test_every_command_is_shown() -> None:
    known = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}

    assert {command.split()[0] for command in COMMANDS} == known


def test_the_commands_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipeline_folder: Path, clip_folder: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine").symlink_to(pipeline_folder)
    (tmp_path / "models" / "clip").symlink_to(clip_folder)
    (tmp_path / "real").mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "real" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARENA_HOME", raising=False)

    monkeypatch.setenv("CANVAS_CACHE", str(tmp_path / "kept"))
    for name in ("real", "mine"):
        np.savez(tmp_path / f"{name}.npz", np.random.default_rng(0).normal(size=(20, 4)))

    rows = [f"c{one},a c{one},0,name,{model},{one % 2}" for one in range(6) for model in ("mine", "sd2")]
    (tmp_path / "labels.csv").write_text("\n".join(["character,prompt,seed,kind,model,detected", *rows, ""]))

    for command in COMMANDS:
        if command.startswith("people"):
            _open_study(tmp_path)
        result = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)
        assert result.exit_code == 0, command

    assert (tmp_path / "grid.png").is_file()
    assert (tmp_path / "arena-data" / "ledger.db").is_file()


def _open_study(folder: Path) -> None:
    """A study of the galleries that the commands before have painted."""
    import arena.cli

    (folder / "shapes.toml").write_text(
        'name = "shapes"\nquestion = "Which is better?"\nreference = "teal"\ncandidates = ["mine"]\n'
        'prompts = "demo-6-seed0"\nties = true\nboth_bad = true\nvotes_per_rater = 6\n'
    )
    opened = CliRunner().invoke(arena.cli.app, ["study", "open", "shapes.toml"], catch_exceptions=False)
    assert opened.exit_code == 0, opened.output


def test_the_example_says_what_python_says() -> None:
    [block] = re.findall(r"```pycon\n(.*?)```", README, flags=re.DOTALL)
    example = doctest.DocTestParser().get_doctest(block, {}, "README.md", None, 0)
    complaints: list[str] = []

    failures = doctest.DocTestRunner().run(example, out=complaints.append).failed

    assert failures == 0, "".join(complaints)
    assert len(example.examples) == 6
