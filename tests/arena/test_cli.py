import csv
import json
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from arena.cli import app
from arena.cli_home import ArenaNotFoundError
from arena.entering import NotAnEntrantError
from arena.ledger.errors import (
    BrokenChainError,
    HeadFormatError,
    MissingImagesError,
    NewerSchemaError,
    NotALedgerError,
    StudyChangedError,
    StudyClosedError,
    UnknownEntrantError,
    UnknownPromptSetError,
    UnknownStudyError,
)
from arena.ledger.ledger import Ledger
from arena.simulation import simulate
from arena.study_file import StudyFileError
from prompts.library import find_prompts

DECLARED = """\
name = "shapes"
question = "Which fits the prompt better?"
reference = "old"
candidates = ["ant", "bee"]
prompts = "things-4"
ties = true
both_bad = true
"""


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes these for a terminal of some width; nothing of a developer's own arena is met either."""
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "ARENA_HOME", "ARENA_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


class Cli:
    """`canvas arena` over one arena's folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str) -> Any:
        result = CliRunner().invoke(app, [*words, "--arena", str(self.home)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)


@pytest.fixture
def cli(arena: Any) -> Cli:
    return Cli(arena.home)


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    file = tmp_path / "shapes.toml"
    file.write_text(DECLARED)
    return file


def test_an_entrant_is_entered_listed_and_entered_again_without_harm(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    (folder / "entrant.json").write_text('{"name": "newcomer", "parameters": 5}')

    first = cli.json("enter", str(folder))
    again = cli.json("enter", str(folder))

    assert (first["name"], first["sampler"], first["details"], first["new"]) == (
        "newcomer",
        "diffusers",
        {"parameters": 5},
        True,
    )
    assert again["new"] is False
    assert [entrant["name"] for entrant in cli.json("entrants")] == ["ant", "bee", "newcomer", "old"]
    assert "newcomer" in cli("entrants").stdout


def test_entering_again_keeps_what_was_noted_since(cli: Cli, arena: Any, now: datetime) -> None:
    from dataclasses import replace

    cli("enter", "swatch:warm")
    noted = replace(arena.ledger.entrant("warm"), details={"painted_with": {"size_px": 32}})
    arena.ledger.enter(noted, now=now)

    said = cli("enter", "swatch:warm")

    assert "entered before; nothing changed" in said.stderr
    assert arena.ledger.entrant("warm") == noted


def test_what_is_no_entrant_is_refused(cli: Cli, tmp_path: Path) -> None:
    with pytest.raises(NotAnEntrantError):
        cli("enter", str(tmp_path))


def test_a_study_goes_from_its_file_to_the_board(cli: Cli, arena: Any, declared: Path, now: datetime) -> None:
    opened = cli.json("study", "open", str(declared))
    simulate(arena.room, "shapes", raters=6, votes_each=8, judge=lambda *_: "left", rng=arena.rng, now=now)
    arena.rate_all(arena.join())

    assert (opened["name"], opened["version"], opened["newly_opened"], opened["open"]) == ("shapes", 1, True, True)
    people, simulated = cli.json("board", "shapes"), cli.json("board", "shapes", "--raters", "simulated")
    assert (people["votes"], people["simulated"]) == (8, False)
    assert (simulated["votes"], simulated["simulated"]) == (48, True)
    assert set(simulated["entrants"]) == {"ant", "bee"}
    shown = cli("board", "shapes", "--raters", "simulated")
    assert "48 votes of 6 simulated raters, against 'old'" in shown.stdout
    assert "bee" in shown.stdout
    assert cli.json("study", "show", "shapes")["votes"] == {"people": 8, "simulated": 48}
    assert cli.json("study", "list")[0]["hash"] == opened["hash"]
    assert "things-4" in cli("study", "list").stdout
    assert opened["hash"] in cli("study", "show", "shapes").stdout


def test_opening_the_same_file_again_says_that_nothing_changed(cli: Cli, declared: Path) -> None:
    cli("study", "open", str(declared))

    again = cli("study", "open", str(declared))

    assert "is open with exactly this declaration since" in again.stderr
    assert cli.json("study", "open", str(declared))["newly_opened"] is False


def test_an_edit_after_opening_needs_the_flag(cli: Cli, declared: Path) -> None:
    cli("study", "open", str(declared))
    declared.write_text(DECLARED + "delta = 0.1\n")

    with pytest.raises(StudyChangedError, match=r"delta.*--new-version"):
        cli("study", "open", str(declared))
    cli("study", "open", str(declared), "--new-version")

    assert [(study["version"], study["open"]) for study in cli.json("study", "list")] == [(1, False), (2, True)]


def test_the_refusal_of_an_edited_file_names_each_line_and_the_command_that_helps(cli: Cli, declared: Path) -> None:
    cli("study", "open", str(declared))
    declared.write_text(DECLARED.replace('"ant", "bee"', '"bee", "ant"').replace("ties = true\n", "ties = false\n"))

    with pytest.raises(StudyChangedError) as refusal:
        cli("study", "open", str(declared))
    with pytest.raises(StudyChangedError) as checked:
        cli("study", "check", str(declared))
    remedy = re.search(r"canvas arena (study open .* --new-version)$", str(refusal.value))

    assert (
        f'{declared} now says something else: line 4 (candidates, was ["ant","bee"]); line 6 (ties, was true). '
    ) in str(refusal.value)
    assert str(checked.value) == str(refusal.value)
    assert "version 2, which starts without votes and closes version 1" in str(refusal.value)
    assert remedy is not None
    assert cli.json(*shlex.split(remedy[1]))["version"] == 2


def test_an_edited_file_of_a_closed_study_closes_nothing_more(cli: Cli, declared: Path) -> None:
    cli("study", "open", str(declared))
    cli("study", "close", "shapes")
    declared.write_text(DECLARED + "delta = 0.1\n")

    with pytest.raises(StudyChangedError, match=r"line 8 \(delta, was 0\.05\)\. .* starts without votes: canvas"):
        cli("study", "open", str(declared))


def test_the_check_says_beforehand_what_an_edit_changed(cli: Cli, declared: Path) -> None:
    fresh = cli.json("study", "check", str(declared))
    cli("study", "open", str(declared))
    same = cli.json("study", "check", str(declared))
    declared.write_text(DECLARED + "delta = 0.1\n")

    said = cli("study", "check", str(declared), "--new-version").stderr

    assert (fresh["changed"], same["changed"]) == ("", "")
    assert (fresh["already_open"], same["already_open"]) == (False, True)
    assert "'shapes' could open. Comparisons: 8 in 2 lines. Hash: " in said
    assert "It would be version 2. Since version 1: line 8 (delta, was 0.05)." in said
    assert cli.json("study", "check", str(declared), "--new-version")["changed"] == "line 8 (delta, was 0.05)"
    assert [study["version"] for study in cli.json("study", "list")] == [1]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("ties", "tie", StudyFileError),
        ('"old"', '"older"', UnknownEntrantError),
        ('"bee"', '"fly"', UnknownEntrantError),
        ("things-4", "parti", UnknownPromptSetError),
        ("both_bad", "seeds = [0, 1]\nboth_bad", MissingImagesError),
    ],
)
def test_a_declaration_that_cannot_be_opened_is_refused_and_nothing_opens(
    cli: Cli, declared: Path, old: str, new: str, error: type[Exception]
) -> None:
    declared.write_text(DECLARED.replace(old, new))

    with pytest.raises(error):
        cli("study", "open", str(declared))

    assert cli.json("study", "list") == []


def test_the_check_refuses_a_closed_study_as_opening_does(cli: Cli, declared: Path) -> None:
    cli("study", "open", str(declared))
    cli("study", "close", "shapes")
    said = []

    for command in ("check", "open"):
        with pytest.raises(StudyClosedError, match=r"as version 2 with its own votes: canvas arena study open") as it:
            cli("study", command, str(declared))
        said.append(str(it.value))

    assert said[0] == said[1]
    assert cli.json("study", "check", str(declared), "--new-version")["changed"] == ""


def test_opening_counts_the_comparisons_of_links_as_the_check_does(cli: Cli, declared: Path) -> None:
    declared.write_text(DECLARED + 'links = [["ant", "bee"]]\n')

    checked = cli.json("study", "check", str(declared))
    opened = cli("study", "open", str(declared)).stderr

    assert checked["comparisons"] == 12
    assert "Opened 'shapes', version 1: 12 comparisons." in opened


REMEDY = re.compile(r"`canvas (evaluate generate [^`]+)`")


def follow(refusal: Exception, home: Path) -> list[str]:
    """Run every command that a refusal prints, as a shell would; the commands."""
    from evaluation.cli import app as evaluate

    commands = REMEDY.findall(str(refusal))
    for command in commands:
        words = shlex.split(command)[1:]
        result = CliRunner().invoke(evaluate, [*words, "--arena", str(home)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return commands


@pytest.mark.parametrize("seed", [0, 3])
def test_the_commands_for_missing_images_of_a_sampled_file_paint_them(
    cli: Cli, arena: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    (tmp_path / "my sets").mkdir()
    (tmp_path / "my sets" / "mine.csv").write_text("Prompt\na cat\na dog\na bird\na fish\n")
    monkeypatch.chdir(tmp_path)
    arena.ledger.keep_prompts(find_prompts("my sets/mine.csv"))
    for name in ("warm", "it's new"):
        cli("enter", f"swatch:{name}")
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nquestion = "Nicer?"\nreference = "warm"\ncandidates = ["it\'s new"]\nprompts = "mine.csv"\n'
        f"ties = true\nboth_bad = true\nseeds = [0, 2]\n[sample]\nsize = 3\nseed = {seed}\n"
    )

    with pytest.raises(MissingImagesError) as refused:
        cli("study", "open", str(file))
    commands = follow(refused.value, arena.home)

    assert len(commands) == 2
    assert all("--prompts 'my sets/mine.csv' --sample 3" in command for command in commands)
    assert cli.json("study", "open", str(file))["prompts"]["name"] == f"mine.csv-3-seed{seed}"


def test_the_command_for_a_missing_gold_image_paints_it(cli: Cli, arena: Any, declared: Path) -> None:
    for name in ("warm", "cold"):
        cli("enter", f"swatch:{name}")
    gold = '[[gold]]\nprompt = "a red circle on a green background"\nbetter = "warm"\nworse = "cold"\n'
    declared.write_text(DECLARED + "gold_share = 0.1\n" + gold)
    arena.ledger.keep_prompts(find_prompts("demo"))

    with pytest.raises(MissingImagesError, match=r"line 9: .*'warm' and 'cold' painted no image") as refused:
        cli("study", "check", str(declared))
    commands = follow(refused.value, arena.home)

    assert len(commands) == 2
    cli("study", "check", str(declared))


def test_an_unknown_sample_is_answered_with_the_command_that_draws_it(cli: Cli, declared: Path) -> None:
    declared.write_text(DECLARED.replace("things-4", "demo-6-seed3"))

    with pytest.raises(UnknownPromptSetError, match=r"line 5: .*--prompts demo --sample 6 --sample-seed 3`"):
        cli("study", "open", str(declared))


def test_a_file_named_by_its_path_is_answered_with_the_name_it_is_kept_under(
    cli: Cli, arena: Any, declared: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("Prompt\na cat\n")
    arena.ledger.keep_prompts(find_prompts(tmp_path / "mine.csv"))
    declared.write_text(DECLARED.replace("things-4", "sets/mine.csv"))

    with pytest.raises(UnknownPromptSetError, match=r"line 5: .* Say 'mine\.csv', as it is kept"):
        cli("study", "open", str(declared))


def test_the_list_and_the_declaration_show_every_question_and_part(cli: Cli, declared: Path) -> None:
    asked = '[[questions]]\nkey = "look"\ntext = "Nicer?"\n\n[[questions]]\nkey = "fit"\ntext = "Closer?"\n'
    plain = DECLARED.replace('question = "Which fits the prompt better?"\n', "")
    declared.write_text(f'{plain}repeats = 0.1\nconsent = "Your votes are kept."\n{asked}')
    cli("study", "open", str(declared))

    listed, shown = cli("study", "list").stdout, cli("study", "show", "shapes").stdout

    assert "look: Nicer?; fit: Closer?" in listed
    assert "look: Nicer?; fit: Closer?" in shown
    for words in ("10% of a rater's pairs", "Your votes are kept.", "balanced: lines are drawn evenly", "anyone"):
        assert words in shown


def test_a_study_is_closed(cli: Cli, declared: Path) -> None:
    cli("study", "open", str(declared))

    assert "is closed. Its board: canvas arena board shapes" in cli("study", "close", "shapes").stderr
    assert cli.json("study", "close", "shapes")["open"] is False
    with pytest.raises(UnknownStudyError):
        cli("study", "close", "circles")


def test_votes_are_exported_for_people_for_simulated_raters_or_both(
    cli: Cli, arena: Any, tmp_path: Path, now: datetime
) -> None:
    arena.open()
    simulate(arena.room, "shapes", raters=1, votes_each=5, judge=lambda *_: "tie", rng=arena.rng, now=now)
    arena.rate_all(arena.join())
    counts = {}

    for raters in ("people", "simulated", "all"):
        out = tmp_path / f"{raters}.csv"
        counts[raters] = cli.json("export", "shapes", "--out", str(out), "--raters", raters)["votes"]
        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == counts[raters]
        assert {row["simulated"] for row in rows} == {"people": {"false"}, "simulated": {"true"}}.get(
            raters, {"false", "true"}
        )

    assert counts == {"people": 8, "simulated": 5, "all": 13}
    assert "Wrote 8 votes to" in cli("export", "shapes", "--out", str(tmp_path / "v.parquet")).stderr


def test_the_log_is_verified_and_an_altered_one_is_named(cli: Cli, arena: Any) -> None:
    arena.open()
    arena.rate_all(arena.join())

    said = cli("verify").stderr
    [head] = re.findall(r"9:[0-9a-f]{64}", said)

    assert "'shapes@1' is whole: 9 events" in said
    assert cli.json("verify", "shapes", "--expect", head) == [{"study": "shapes@1", "events": 9, "head": head}]
    with pytest.raises(HeadFormatError, match="Say which study"):
        cli("verify", "--expect", head)
    with pytest.raises(HeadFormatError, match="is no head"):
        cli("verify", "shapes", "--expect", "9")
    with sqlite3.connect(arena.home / "ledger.db") as connection:
        connection.execute("UPDATE events SET body = replace(body, 'left', 'right') WHERE seq = 5")
    connection.close()
    with pytest.raises(BrokenChainError, match="Event 5 is broken"):
        cli("verify")


def test_an_empty_arena_says_what_to_do(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "new")
    Ledger.open(tmp_path / "new" / "ledger.db").close()

    assert "canvas arena enter" in cli("entrants").stderr
    assert "canvas arena study open" in cli("study", "list").stderr
    assert "nothing to verify" in cli("verify").stderr
    assert cli.json("entrants") == cli.json("study", "list") == cli.json("verify") == []


@pytest.mark.parametrize("words", [["entrants"], ["study", "list"], ["board", "x"], ["verify"]])
def test_reading_an_arena_that_is_not_there_is_refused_and_makes_none(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(ArenaNotFoundError, match=r"There is no arena in .*nowhere: name its folder with --arena"):
        Cli(tmp_path / "nowhere")(*words)

    assert not (tmp_path / "nowhere").exists()


def test_the_folder_comes_from_the_environment_too(arena: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_HOME", str(arena.home))

    result = CliRunner().invoke(app, ["entrants", "--json"], catch_exceptions=False)

    assert [entrant["name"] for entrant in json.loads(result.stdout)] == ["ant", "bee", "old"]


def test_a_database_that_is_none_or_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("something else")
    newer = tmp_path / "newer"
    newer.mkdir()
    with sqlite3.connect(newer / "ledger.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES ('2030')")
    connection.close()

    with pytest.raises(NotALedgerError, match="is no SQLite database"):
        Cli(tmp_path)("entrants")
    with pytest.raises(NewerSchemaError, match="schema revision 2030"):
        Cli(newer)("entrants")


def test_a_port_in_use_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = ["arena", "serve", "--port", str(port), "--arena", str(tmp_path)]
        result = subprocess.run(
            [sys.executable, "-c", "import canvas.cli; canvas.cli.main()", *command],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert result.returncode == 1
    assert str(port) in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words", [[], ["study"], *([name] for name in ("enter", "entrants", "serve", "board", "export", "verify"))]
)
def test_every_command_has_its_help(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])

    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, arena.cli; print(sorted({'sqlalchemy', 'numpy', 'pydantic', 'PIL', 'fastapi'} & set(sys.modules)))"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
