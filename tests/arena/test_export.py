import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from arena.export import COLUMNS, ExportFileError, ExportFormatError, export_rows, write_votes
from arena.study import Study
from arena.votes import Choice, VoteRecord
from prompts.prompt import PromptSet

NOW = datetime(2024, 5, 1, 12, 0, 0, 250, tzinfo=UTC)


@pytest.fixture
def study(things: Callable[[int], PromptSet]) -> Study:
    return Study(
        name="shapes",
        question="Which?",
        reference="sd2",
        candidates=("s-c",),
        prompts=things(2),
        ties=True,
        both_bad=True,
    )


def vote(left: str, right: str, choice: Choice, **given: Any) -> VoteRecord:
    values: dict[str, Any] = {
        "vote_id": 1,
        "ts": NOW,
        "rater": 2**53 - 1,
        "simulated": False,
        "study": "shapes",
        "question": "overall",
        "prompt_id": "0" * 16,
        "prompt": 'a "red" circle,\non white',
        "category": "circle",
        "latency_ms": 900,
        "session": "page-1",
    }
    return VoteRecord(left=left, right=right, choice=choice, **(values | given))


@pytest.mark.parametrize(
    ("left", "right", "choice", "side", "exported"),
    [
        ("s-c", "sd2", Choice.LEFT, "A", "A"),
        ("s-c", "sd2", Choice.RIGHT, "A", "B"),
        ("sd2", "s-c", Choice.LEFT, "B", "B"),
        ("sd2", "s-c", Choice.RIGHT, "B", "A"),
        ("sd2", "s-c", Choice.TIE, "B", "tie"),
        ("s-c", "sd2", Choice.BOTH_BAD, "A", "both_bad"),
    ],
)
def test_what_was_seen_is_translated_to_candidate_and_reference(
    study: Study, left: str, right: str, choice: Choice, side: str, exported: str
) -> None:
    [row] = export_rows(study, [vote(left, right, choice)])

    assert (row["model_a"], row["model_b"]) == ("s-c", "sd2")
    assert (row["left"], row["choice"]) == (side, exported)


def test_a_csv_reads_back_as_it_was(study: Study, tmp_path: Path) -> None:
    votes = [
        vote("s-c", "sd2", Choice.LEFT),
        vote("sd2", "s-c", Choice.TIE, vote_id=2, latency_ms=None, session="", simulated=True),
    ]

    write_votes(tmp_path / "new" / "votes.csv", study, votes)

    with (tmp_path / "new" / "votes.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == COLUMNS
    assert first == {
        "vote_id": "1",
        "ts": "2024-05-01T12:00:00.000250+00:00",
        "rater": "9007199254740991",
        "prompt": 'a "red" circle,\non white',
        "category": "circle",
        "model_a": "s-c",
        "model_b": "sd2",
        "left": "A",
        "choice": "A",
        "latency_ms": "900",
        "session": "page-1",
        "simulated": "false",
        "challenge": "",
        "question": "overall",
    }
    assert (second["latency_ms"], second["simulated"], second["choice"]) == ("", "true", "tie")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["votes.csv"]


def test_a_parquet_file_has_the_same_rows_with_their_types(study: Study, tmp_path: Path) -> None:
    votes = [vote("s-c", "sd2", Choice.LEFT), vote("sd2", "s-c", Choice.LEFT, vote_id=2, latency_ms=None)]

    write_votes(tmp_path / "votes.parquet", study, votes)

    table = parquet.read_table(tmp_path / "votes.parquet")
    assert table.to_pylist() == export_rows(study, votes)
    assert table.schema.field("rater").type == pa.int64()
    assert table.schema.field("ts").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("simulated").type == pa.bool_()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_no_votes_make_an_empty_table_with_all_columns(study: Study, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"votes{suffix}"

    write_votes(file, study, [])

    if suffix == ".csv":
        assert file.read_text() == ",".join(COLUMNS) + "\n"
    else:
        assert tuple(parquet.read_table(file).column_names) == COLUMNS


def test_a_file_of_another_kind_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ExportFormatError, match=r"votes\.xlsx' ends neither in \.csv nor in \.parquet"):
        write_votes(tmp_path / "votes.xlsx", study, [])

    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_former_file(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "votes.csv"
    write_votes(file, study, [vote("s-c", "sd2", Choice.LEFT)])
    before = file.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("csv.DictWriter.writeheader", fail)
    with pytest.raises(ExportFileError, match="cannot be written: No space left on device"):
        write_votes(file, study, [vote("s-c", "sd2", Choice.RIGHT)])

    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_votes_winner_is_its_preferred_entrant() -> None:
    left = vote("s-c", "sd2", Choice.LEFT)

    assert left.winner == "s-c"
    assert replace(left, choice=Choice.RIGHT).winner == "sd2"
    assert replace(left, choice=Choice.TIE).winner is None
    assert replace(left, choice=Choice.BOTH_BAD).winner is None
