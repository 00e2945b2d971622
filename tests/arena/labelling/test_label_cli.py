"""`canvas arena labels`: from the file to the exported labels, and the log that covers them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from arena.cli import app
from arena.labelling import label_file
from arena.ledger.errors import BrokenChainError, UnknownStudyError
from arena.ledger.tables import LABELS

FILE = """\
name = "who"
mode = "single"
entrants = ["aardvark", "zebra"]
prompts = "three-suggestive-generic"
probes = "PROBES"
sample = 6
labels_per_image = 1
labels_per_rater = 6
"""


@pytest.fixture
def file(tmp_path: Path, probes: Any) -> Path:
    """A declaration, and beside it the user's own file of probes."""
    words = [f'name = "{probes.name}"', f'licence = "{probes.licence}"', 'source = "made up"']
    for probe in probes:
        words.append("[[probe]]")
        for key in ("key", "target", "name", "entity", "generic", "misspelled", "description", "name_prompt", "source"):
            words.append(f"{key} = {json.dumps(str(getattr(probe, key)))}")
        words += [
            f"{key} = {json.dumps(getattr(probe, key))}" for key in ("aliases", "suggestive", "keywords", "captions")
        ]
    (tmp_path / "three.toml").write_text("\n".join(words))
    written = tmp_path / "who.toml"
    written.write_text(FILE.replace("PROBES", str(tmp_path / "three.toml")))
    return written


@pytest.fixture
def run(labels: Any, tmp_path: Path) -> Any:
    """Runs a command in the arena of the test and returns what it printed as JSON."""

    def running(*words: object) -> Any:
        result = CliRunner().invoke(
            app, [*map(str, words), "--arena", str(tmp_path / "arena"), "--json"], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return running


def test_the_commands_lead_from_the_file_to_the_labels(run: Any, labels: Any, file: Path, tmp_path: Path) -> None:
    checked = run("labels", "check", file)
    opened = run("labels", "open", file)
    again = run("labels", "open", file)
    labels.label_all(labels.join(), lambda _: {"answer": "yes", "which": "Elsa"})
    shown = run("labels", "show", "who")
    out = tmp_path / "labels.csv"
    exported = run("labels", "export", "who", "--out", out)
    verified = run("verify")
    closed = run("labels", "close", "who")

    assert checked["hash"] == opened["hash"]
    assert (opened["newly_opened"], again["newly_opened"]) == (True, False)
    assert (checked["sample"], checked["labels"], shown["labels"], shown["answers"]["yes"]) == (6, 6, 6, 6)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [int(row["label_id"]) for row in rows] == [row["label_id"] for row in exported["labels"]]
    assert {row["human"] for row in rows if row["character"] == "elsa"} == {"1"}
    assert {row["human"] for row in rows if row["character"] != "elsa"} == {"0"}
    assert [(one["study"], one["events"]) for one in verified] == [("who", 7)]
    assert (closed["open"], run("labels", "list")[0]["open"]) == (False, False)


def test_the_words_for_people_name_what_to_do_next(labels: Any, file: Path, tmp_path: Path) -> None:
    home = ["--arena", str(tmp_path / "arena")]
    said = [
        CliRunner().invoke(app, [*words, *home], catch_exceptions=False).output
        for words in (
            ["labels", "list"],
            ["labels", "check", str(file)],
            ["labels", "open", str(file)],
            ["labels", "open", str(file)],
            ["labels", "show", "who"],
            ["labels", "list"],
            ["labels", "close", "who"],
        )
    ]

    for words, expected in zip(
        said,
        (
            "No label study was opened yet",
            "could open: 6 images drawn, 6 labels wanted",
            "/resemblance/?study=who",
            "no change",
            "labels per rater",
            "aardvark, zebra",
            "canvas arena labels export who",
        ),
        strict=True,
    ):
        assert expected in words


def test_verify_names_a_label_that_was_altered_and_a_study_that_is_none(run: Any, labels: Any, file: Path) -> None:
    run("labels", "open", file)
    rater = labels.join()
    labels.label(rater, labels.showings(rater)[0])
    head = run("verify", "who")[0]["head"]
    assert run("verify", "who", "--expect", head)[0]["events"] == 2

    labels.ledger.submit(lambda batch: batch.connection.execute(update(LABELS).values(answer="yes")) and None).result()

    with pytest.raises(BrokenChainError, match="In the study 'who': Label 1 differs from its event in answer"):
        run("verify")
    with pytest.raises(UnknownStudyError):
        run("verify", "nobodys")


def test_only_passing_raters_labels_are_exported_on_request(run: Any, labels: Any, file: Path) -> None:
    file.write_text(
        FILE.replace("PROBES", str(file.parent / "three.toml")).replace("labels_per_image = 1", "labels_per_image = 3")
        + "[gates]\nlatency_floor_ms = 1000\n"
    )
    run("labels", "open", file)
    quick, *calm = (labels.join() for _ in range(3))
    labels.label_all(quick, lambda _: {"latency_ms": 400})
    for rater in calm:
        labels.label_all(rater)

    everybody = run("labels", "export", "who")["labels"]
    passing = run("labels", "export", "who", "--passing")["labels"]

    assert len(everybody) == 18
    assert {row["rater"] for row in passing} == set(calm)
    assert run("labels", "show", "who")["failed_a_gate"] == 1


def test_the_readme_shows_every_command_and_a_file_that_opens(labels: Any, probes: Any, tmp_path: Path) -> None:
    import re

    readme = (Path(label_file.__file__).parent / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```toml\n(.*?)```", readme, flags=re.DOTALL)
    written = tmp_path / "readme.toml"
    written.write_text(block)

    study = label_file.read_label_file(written, lambda _: labels.prompts, lambda _: probes)

    for command in ("check", "open", "list", "show", "export", "close"):
        assert f"$ canvas arena labels {command}" in readme
    assert set(re.findall(r"^\| `(\w+\.py)` \|", readme, flags=re.MULTILINE)) == {
        file.name for file in Path(label_file.__file__).parent.glob("*.py") if file.name != "__init__.py"
    }
    assert study.mode == "single"
