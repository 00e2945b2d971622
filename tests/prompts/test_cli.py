"""`canvas prompts`, as people and scripts use it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from prompts.cli import UnknownCategoryError, app
from prompts.errors import CanvasError
from prompts.sets import demo, parti
from prompts.sets.parti import MissingPartiError


@pytest.fixture(autouse=True)
def no_copy_of_parti(cache: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Nobody's copy and nobody's cache, unless the test names its own."""
    if "parti_file" in request.fixturenames:
        request.getfixturevalue("parti_file")
    monkeypatch.delenv("ARENA_PARTI_PROMPTS", raising=False)


def canvas_prompts(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=True)


def test_list_shows_name_number_and_licence_of_every_set() -> None:
    result = canvas_prompts("list")

    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "1,632" in rows["parti"]
    assert "Apache-2.0" in rows["parti"]
    assert parti.FACTS.about in rows["parti"]
    assert "48" in rows["demo"]


def test_list_as_json_is_one_value() -> None:
    result = canvas_prompts("list", "--json")

    assert json.loads(result.stdout)[0] == {
        "name": "parti",
        "prompts": 1632,
        "licence": "Apache-2.0",
        "source": parti.ADDRESS,
        "about": parti.FACTS.about,
    }
    names = ["parti", "demo", "characters", "celebrities", "logos", "controls"]
    assert [row["name"] for row in json.loads(result.stdout)] == names
    assert result.stderr == ""


def test_show_prints_a_table_on_stdout_and_the_summary_on_stderr() -> None:
    result = canvas_prompts("show", "demo")

    heading, _, *rows = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert heading == ["category", "prompt"]
    assert rows == [[prompt.category, *prompt.text.split()] for prompt in demo.load()]
    assert result.stderr.splitlines() == [
        f"demo: 48 prompts; licence Apache-2.0; from {demo.FACTS.source}",
        "By category: circle 12, square 12, triangle 12, cross 12",
    ]


def test_show_reads_partiprompts_from_the_file_that_the_option_names(parti_file: Path) -> None:
    result = canvas_prompts("show", "parti", "--parti-file", str(parti_file))

    assert result.stdout.splitlines()[1].split() == ["category", "challenge", "prompt"]
    assert len([line for line in result.stdout.splitlines() if line.strip()]) == 2 + 1632
    assert "parti: 1,632 prompts; licence Apache-2.0" in result.stderr
    assert "Abstract 51, Vehicles 104" in result.stderr


def test_show_reads_partiprompts_from_the_file_that_the_variable_names(
    parti_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_PARTI_PROMPTS", str(parti_file))

    result = canvas_prompts("show", "parti", "--sample", "24", "--json")

    shown = json.loads(result.stdout)
    assert (shown["name"], shown["count"], len(shown["prompts"])) == ("parti-24-seed0", 24, 24)


def test_a_variable_that_names_a_missing_file_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARENA_PARTI_PROMPTS", str(tmp_path / "missing.tsv"))

    result = canvas_prompts("show", "parti")

    assert isinstance(result.exception, MissingPartiError)
    assert "missing.tsv" in str(result.exception)
    assert result.stdout == ""


def test_the_option_comes_before_the_variable(parti_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_PARTI_PROMPTS", "/no/such/file.tsv")

    assert canvas_prompts("show", "parti", "--parti-file", str(parti_file)).exit_code == 0


def test_show_as_json_is_the_set_with_every_prompt() -> None:
    result = canvas_prompts("show", "demo", "--json")

    whole = demo.load()
    assert json.loads(result.stdout) == whole.to_dict() | {"count": 48}
    assert list(json.loads(result.stdout)["prompts"][0]) == ["id", "text", "category", "challenge", "note"]
    assert result.stderr == ""


def test_category_and_limit_choose_what_is_shown_and_the_set_stays_itself() -> None:
    result = canvas_prompts("show", "demo", "--category", "cross", "--limit", "3", "--json")

    shown = json.loads(result.stdout)
    assert [prompt["category"] for prompt in shown["prompts"]] == ["cross"] * 3
    assert (shown["id"], shown["count"]) == (demo.load().id, 48)


def test_the_summary_says_how_many_of_how_many_are_shown() -> None:
    assert "demo: 5 of 48 prompts shown" in canvas_prompts("show", "demo", "--limit", "5").stderr


def test_a_sample_is_the_one_its_seed_draws() -> None:
    result = canvas_prompts("show", "demo", "--sample", "6", "--seed", "3", "--json")

    assert json.loads(result.stdout)["id"] == demo.load().sample(6, 3).id


def test_show_reads_ones_own_file_and_leaves_out_labels_it_has_none_of(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("a [red] cat\n", encoding="utf-8")

    result = canvas_prompts("show", str(file))

    assert [line.strip() for line in result.stdout.splitlines() if line.strip()][0::2] == ["prompt", "a [red] cat"]
    assert result.stderr.splitlines() == [f"mine.txt: 1 prompt; licence not stated; from {file}"]


def test_prompts_without_a_category_are_counted_as_such(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("Prompt,Category\na cat,Animals\na road,\n", encoding="utf-8")

    assert "By category: Animals 1, (none) 1" in canvas_prompts("show", str(file)).stderr


def test_an_unknown_category_lists_the_known_ones(tmp_path: Path) -> None:
    result = canvas_prompts("show", "demo", "--category", "star")

    assert isinstance(result.exception, UnknownCategoryError)
    assert str(result.exception) == "'demo' has no category 'star'. Its categories: circle, square, triangle, cross."


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--sample", "0"], ["--sample", "2", "--seed", "-1"]])
def test_numbers_out_of_range_are_refused_before_anything_is_read(arguments: list[str]) -> None:
    assert canvas_prompts("show", "demo", *arguments).exit_code == 2


def test_every_command_has_help() -> None:
    for arguments in ([], ["list"], ["show"]):
        result = canvas_prompts(*arguments, "--help")

        assert result.exit_code == 0
        assert "Usage" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    program = "import sys, prompts.cli; print([m for m in ('numpy', 'pooch', 'requests') if m in sys.modules])"

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


MASCOT = """
name = "mascots"
licence = "CC0-1.0"

[[probe]]
key = "bolt"
target = "character"
name = "Bolty"
entity = "a robot"
generic = "a small robot in a kitchen"
misspelled = "Bltoy"
suggestive = ["the robot of our shop, waving"]
keywords = [{words}]
description = "A round robot with one wheel and a red scarf."
captions = ["Bolty in the rain"]
name_prompt = "Bolty"
source = "our own drawings"
"""


def mascots(tmp_path: Path, *, change: tuple[str, str] = ("", "")) -> Path:
    """A file of one probe."""
    path = tmp_path / "mascots.toml"
    text = MASCOT.format(words=", ".join(f'"word {number}"' for number in range(20)))
    path.write_text(text.replace(*change) if change[0] else text)
    return path


def test_show_reads_a_file_of_probes_and_shows_all_that_they_ask(tmp_path: Path) -> None:
    path = mascots(tmp_path)

    shown = canvas_prompts("show", str(path))
    whole = json.loads(canvas_prompts("show", str(path), "--json").stdout)

    assert "mascots.toml: 10 prompts; licence CC0-1.0; from " + str(path) in shown.stderr
    assert "A round robot with one wheel and a red scarf." in shown.stdout
    assert {prompt["category"] for prompt in whole["prompts"]} == {"bolt"}
    assert [prompt["challenge"] for prompt in whole["prompts"]][:2] == ["generic", "misspelled"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('name_prompt = "Bolty"\n', ""), "mascots.toml, line 5: There is no 'name_prompt' in the probe 'bolt'"),
        (("a red scarf", "a scarf that says Bolty"), "mascots.toml, line 14: The description prompt of the probe"),
        (("[[probe]]", "[[prob]]"), "mascots.toml, line 5: There is no key 'prob' in a file of probes"),
    ],
)
def test_what_is_wrong_in_a_file_of_probes_is_named_with_its_line(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    result = canvas_prompts("show", str(mascots(tmp_path, change=change)))

    assert says in str(result.exception)
    assert isinstance(result.exception, CanvasError)


def test_a_missing_file_of_probes_is_an_error(tmp_path: Path) -> None:
    result = canvas_prompts("show", str(tmp_path / "none.toml"))

    assert "none.toml cannot be read as a file of probes" in str(result.exception)


def test_the_list_is_narrow_in_a_pipe_and_many_categories_are_not_all_counted() -> None:
    listed = canvas_prompts("list")
    shown = canvas_prompts("show", "characters", "--limit", "3")

    assert max(map(len, listed.stdout.splitlines())) <= 120
    assert max(map(len, shown.stderr.splitlines())) <= 600
    assert "more, which --json counts" in shown.stderr
