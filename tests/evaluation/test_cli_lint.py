"""`canvas evaluate lint`, as it is typed."""

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from evaluation.cli_lint import lint


@pytest.fixture
def app() -> typer.Typer:
    """The command by itself."""
    made = typer.Typer()
    made.command()(lint)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clean pictures."""
    for name in "ab":
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{name}.png")
    return tmp_path


def test_clean_pictures_exit_with_0(app: typer.Typer, folder: Path) -> None:
    ran = CliRunner().invoke(app, [str(folder)])

    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "Nothing is wrong with these files." in ran.stderr


def test_findings_are_json_and_exit_with_1(app: typer.Typer, folder: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(folder / "c.jpg")

    ran = CliRunner().invoke(app, [str(folder), "--json"])

    assert ran.exit_code == 1
    (finding,) = json.loads(ran.stdout)
    assert (finding["rule"], finding["files"], finding["first"]) == ("jpeg", 1, str(folder / "c.jpg"))
    assert finding["remedy"].startswith("Save PNG where the pictures are painted")


def test_people_get_a_table_with_the_remedy(app: typer.Typer, folder: Path) -> None:
    Image.new("RGB", (9, 8), "red").save(folder / "c.png")

    ran = CliRunner().invoke(app, [str(folder)])

    assert ran.exit_code == 1
    assert "c.png is PNG, 9 x 8 px, RGB." in ran.stdout
    assert "Paint the whole gallery at one size." in ran.stdout
