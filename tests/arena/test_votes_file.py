"""Files of votes become tables; what is no vote is refused with its row."""

import csv
import json
import re
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from arena.export import write_votes
from arena.statistics.votes import VoteTable, from_records, outcomes_against
from arena.study import Study
from arena.votes import Choice, VoteRecord
from arena.votes_columns import texts
from arena.votes_file import MixedVotesFileError, VotesFile, read_votes_file
from arena.votes_formats import (
    LONGEST_FIELD,
    BadVoteError,
    MissingVotesFileError,
    NoVotesError,
    TableFile,
    VotesColumnsError,
    VotesFormatError,
)
from prompts.errors import CanvasError
from prompts.prompt import PromptSet

HEADER = "model_a,model_b,choice\n"
VOTE = {"model_a": "a", "model_b": "b", "choice": "A"}
NO_RATER = "There is no column 'rater': standard errors, intervals and tests that cluster by rater are not estimable."

Read = Callable[..., VotesFile]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Writes a file of this name (text, bytes, or the columns of a Parquet file) and reads it."""
    monkeypatch.chdir(tmp_path)

    def written_and_read(name: str, content: str | bytes | dict[str, Any], **asked: Any) -> VotesFile:
        write(Path(name), content)
        return read_votes_file(Path(name), **asked)

    return written_and_read


def write(path: Path, content: str | bytes | dict[str, Any]) -> None:
    if isinstance(content, dict):
        parquet.write_table(pa.table(content), path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def said(table: VoteTable) -> list[tuple[Any, ...]]:
    """Each vote in words; None for what was not recorded."""

    def words(codes: Any, names: tuple[str, ...]) -> list[str | None]:
        return [names[code] if code >= 0 else None for code in codes.tolist()]

    return list(
        zip(
            words(table.rater, table.raters),
            words(table.prompt, table.prompts),
            words(table.category, table.categories),
            words(table.challenge, table.challenges),
            words(table.model_a, table.models),
            words(table.model_b, table.models),
            words(table.left, ("A", "B")),
            words(table.choice, ("A", "B", "tie", "both_bad")),
            strict=True,
        )
    )


def test_our_format_is_read_as_it_stands(read: Read) -> None:
    votes = read(
        "votes.csv",
        "vote_id,ts,rater,prompt,category,challenge,model_a,model_b,left,choice,latency_ms,session,simulated,question\n"
        "7,2024-05-01T12:00:02.5+00:00,31,a red cube,cube,colour,new,old,A,B,900,page-1,false,overall\n"
        '3,2024-05-01T12:00:01+00:00,4,"two, ""small""\ncones",,,old,new,B,both_bad,,page-1,false,overall\n',
    )

    assert said(votes.table) == [
        ("31", "a red cube", "cube", "colour", "new", "old", "A", "B"),
        ("4", 'two, "small"\ncones', None, None, "old", "new", "B", "both_bad"),
    ]
    assert votes.order.tolist() == [1, 0]
    assert votes.latency_ms.tolist() == [900.0, -1.0]
    assert votes.simulated == "people"
    assert votes.notes == ()


def test_the_same_votes_get_the_same_codes_in_whatever_order_they_stand(read: Read) -> None:
    rows = ["r2,q,b,c,A\n", "r1,p,c,a,B\n", "r3,p,a,b,tie\n"]

    plain = read("plain.csv", "rater,prompt," + HEADER + "".join(rows)).table
    moved = read("moved.csv", "rater,prompt," + HEADER + "".join(reversed(rows))).table

    assert plain.models == moved.models == ("a", "b", "c")
    assert plain.raters == moved.raters == ("r1", "r2", "r3")
    for column in ("rater", "prompt", "model_a", "model_b", "choice"):
        np.testing.assert_array_equal(getattr(plain, column), getattr(moved, column)[::-1])


def test_a_file_with_the_needed_columns_alone_says_what_that_switches_off(read: Read) -> None:
    votes = read("votes.csv", HEADER + "a,b,A\nb,a,tie\n")

    assert said(votes.table) == [
        (None, None, None, None, "a", "b", None, "A"),
        (None, None, None, None, "b", "a", None, "tie"),
    ]
    assert votes.order.tolist() == [0, 1]
    assert votes.notes == (
        NO_RATER,
        "There is no column 'prompt': standard errors, intervals and tests that cluster by prompt are not estimable.",
        "There is no column 'left': the position test and the effect of the side are not estimable.",
        "There is no column 'category': results by category are not estimable.",
        "There is no column 'ts': the votes are taken as cast in the file's order.",
    )


def test_gaps_are_not_recorded_and_counted_in_the_notes(read: Read) -> None:
    votes = read("votes.csv", "rater,left,category," + HEADER + "r,A,,a,b,A\n,,,a,b,B\nr,B,,a,b,B\n")

    assert votes.table.rater.tolist() == [0, -1, 0]
    assert votes.table.left.tolist() == [0, -1, 1]
    assert [note for note in votes.notes if note.startswith("1 of 3") or "category" in note] == [
        f"1 of 3 votes have nothing in the column 'rater': where they count, {NO_RATER.partition(': ')[2]}",
        "1 of 3 votes have nothing in the column 'left': they tell nothing about sides.",
        "The column 'category' is empty: results by category are not estimable.",
    ]


@pytest.mark.parametrize("moments", [("2024-05-02", "", "2024-05-01"), ("7", "", "5")])
def test_a_vote_without_a_moment_leaves_all_in_the_files_order(read: Read, moments: tuple[str, ...]) -> None:
    votes = read("votes.csv", "ts," + HEADER + "".join(f"{moment},a,b,A\n" for moment in moments))

    assert votes.order.tolist() == [0, 1, 2]
    assert "1 of 3 votes have no moment in the column 'ts': all are taken as cast in the file's order." in votes.notes


@pytest.mark.parametrize(
    "moments",
    [
        ["2024-05-01T12:00:00.000002+00:00", "2024-05-01T13:00:00.000001+01:00", "2024-05-01 14:00:00.000002+0200"],
        ["2024-05-01 12:00:00", "2024-04-30", "2024-05-01T12:00:00"],
        ["1714564800.25", "1.5e9", "1714564800.25"],
    ],
)
def test_moments_are_ordered_however_they_are_written_and_equal_ones_as_in_the_file(
    read: Read, moments: list[str]
) -> None:
    votes = read("votes.csv", "ts," + HEADER + "".join(f"{moment},a,b,A\n" for moment in moments))

    assert votes.order.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "moments",
    [
        pa.array([datetime(2024, 1, 3), datetime(2024, 1, 1)], pa.timestamp("ns")),
        pa.array([datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("ms", tz="UTC")),
        pa.array([date(2024, 1, 3), date(2024, 1, 1)]),
        pa.array([date(2024, 1, 3), date(2024, 1, 1)], pa.date64()),
        pa.array([3, 1]),
        pa.array([3, 1], pa.uint64()),
        pa.array([3.5, 1.5]),
        pa.array(["2024-01-03", "2024-01-01"]).dictionary_encode(),
    ],
    ids=lambda moments: str(moments.type),
)
def test_moments_of_every_type_are_ordered(read: Read, moments: pa.Array) -> None:
    votes = read("votes.parquet", {"ts": moments, "model_a": ["a", "a"], "model_b": ["b", "b"], "choice": ["A", "B"]})

    assert votes.order.tolist() == [1, 0]


def test_the_public_arenas_format_is_read_without_sides(read: Read) -> None:
    votes = read(
        "arena.csv",
        "question_id,model_a,model_b,winner,judge,turn,anony,language,tstamp\n"
        "x,koala,vicuna,model_b,arena_user_1,1,True,English,1682351592.5\n"
        "y,vicuna,koala,tie,arena_user_2,1,True,English,1682351591.25\n",
    )

    assert said(votes.table) == [
        ("arena_user_1", None, None, None, "koala", "vicuna", None, "B"),
        ("arena_user_2", None, None, None, "vicuna", "koala", None, "tie"),
    ]
    assert votes.order.tolist() == [1, 0]
    assert votes.notes[:2] == (
        "Read 'question_id' as vote_id, 'tstamp' as ts, 'judge' as rater, 'winner' as choice.",
        "Not read: the columns 'turn', 'anony' and 'language'.",
    )
    assert "There is no column 'left': the position test and the effect of the side are not estimable." in votes.notes


@pytest.mark.parametrize(
    ("winner", "choice"),
    [
        ("model_a", "A"),
        ("model_b", "B"),
        ("Tie", "tie"),
        ("tie (bothbad)", "both_bad"),
        ("bothbad", "both_bad"),
        (" both_bad ", "both_bad"),
    ],
)
def test_a_winner_is_translated(read: Read, winner: str, choice: str) -> None:
    votes = read("arena.csv", f"model_a,model_b,winner,user_id\nx,y,{winner},31\n")

    assert said(votes.table) == [("31", None, None, None, "x", "y", None, choice)]


def test_sides_that_were_written_down_are_read_in_the_public_format_too(read: Read) -> None:
    votes = read("arena.csv", "model_a,model_b,winner,left\nx,y,model_a,B\nx,y,model_a,\n")

    assert votes.table.left.tolist() == [1, -1]


def test_a_public_files_question_is_no_question_to_raters(read: Read) -> None:
    votes = read("arena.csv", "model_a,model_b,winner,question\nx,y,model_a,What is 1 + 1?\nx,y,model_b,And 2 + 2?\n")

    assert len(votes.table) == 2


def test_where_choice_and_winner_are_both_there_the_choice_is_read(read: Read) -> None:
    votes = read("votes.csv", "model_a,model_b,winner,choice\na,b,model_a,B\n")

    assert votes.table.choice.tolist() == [1]
    assert votes.table.left.tolist() == [-1]
    assert "The columns 'choice' and 'winner' both say who was preferred: 'choice' is read." in votes.notes


def test_a_question_id_that_comes_twice_is_no_vote_id(read: Read) -> None:
    votes = read("arena.csv", "question_id,model_a,model_b,winner\nq1,x,y,tie\nq2,x,y,tie\nq1,y,x,tie\n")

    assert len(votes.table) == 3
    assert "The column 'question_id' is not read as vote id: 'q1' stands in rows 1 and 3." in votes.notes


def test_of_many_unknown_columns_five_are_named(read: Read) -> None:
    votes = read("votes.csv", "c1,c2,c3,c4,c5,c6,c7,,session," + HEADER + "1,2,3,4,5,6,7,8,9,a,b,A\n")

    assert votes.notes[0] == "Not read: the columns 'c1', 'c2', 'c3', 'c4', 'c5' and 2 more."


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (pa.array([2, 1, None]), ["2", "1", None]),
        (pa.array([2.0, float("nan"), None]), ["2", None, None]),
        (pa.array([2.5, 1.0, None]), ["2.5", "1", None]),
        (pa.array(["2.0", "1.0", ""]), ["2", "1", None]),
        (pa.array(["2.0", "1", None]), ["2.0", "1", None]),
        (pa.array([Decimal("2.00"), Decimal("1.50"), None]), ["2", "1.50", None]),
        (pa.array([2**64 - 1, 1, None], pa.uint64()), ["18446744073709551615", "1", None]),
        (pa.array([" x", "x ", " "]), ["x", "x", None]),
        (pa.array(["x", None, "y"], pa.large_string()), ["x", None, "y"]),
        (pa.array(["x", None, "y"], pa.string_view()), ["x", None, "y"]),
        (pa.array(["x", None, "ä".encode()], pa.binary()), ["x", None, "ä"]),
        (pa.DictionaryArray.from_arrays(pa.array([0, 2, None], pa.int8()), ["x", "unused", "y"]), ["x", "y", None]),
        (pa.array([5, 6, 5]).dictionary_encode(), ["5", "6", "5"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([datetime(2024, 1, 1), None, None]), ["2024-01-01 00:00:00.000000", None, None]),
        (pa.array([uuid.UUID(int=5).bytes, None, None], pa.uuid()), [str(uuid.UUID(int=5)), None, None]),
        (pa.nulls(3), [None, None, None]),
    ],
    ids=lambda column: str(column.type) if isinstance(column, pa.Array) else "",
)
def test_a_rater_of_every_type_is_read_as_its_text(read: Read, column: pa.Array, names: list[str | None]) -> None:
    votes = read("votes.parquet", {"rater": column, "model_a": ["a"] * 3, "model_b": ["b"] * 3, "choice": ["A"] * 3})

    assert [vote[0] for vote in said(votes.table)] == names
    assert votes.table.raters == tuple(sorted({name for name in names if name}))


@pytest.mark.parametrize(
    ("column", "milliseconds"),
    [
        (pa.array([900, None, 0]), [900.0, -1.0, 0.0]),
        (pa.array([900, 1, 0], pa.uint16()), [900.0, 1.0, 0.0]),
        (pa.array([900.5, None, 0.0], pa.float32()), [900.5, -1.0, 0.0]),
        (pa.array(["900", " ", "1e3"]), [900.0, -1.0, 1000.0]),
        (pa.array([Decimal("900.5"), None, None]), [900.5, -1.0, -1.0]),
        (pa.nulls(3), [-1.0, -1.0, -1.0]),
    ],
    ids=lambda column: str(column.type) if isinstance(column, pa.Array) else "",
)
def test_a_latency_of_every_type_is_read_as_a_number(read: Read, column: pa.Array, milliseconds: list[float]) -> None:
    votes = read(
        "votes.parquet", {"latency_ms": column, "model_a": ["a"] * 3, "model_b": ["b"] * 3, "choice": ["A"] * 3}
    )

    assert votes.latency_ms.tolist() == milliseconds


@pytest.mark.parametrize(
    ("content", "vote"),
    [
        (b"\xef\xbb\xbfmodel_a,model_b,choice\na,b,A\n", ("a", "b", "A")),
        (b"model_a,model_b,choice\r\na,b,A\r\n\r\n", ("a", "b", "A")),
        (b"model_a , model_b, choice\n a,b , both_bad ", ("a", "b", "both_bad")),
        (b"\n\nmodel_a,model_b,choice\n\na,b,TIE\n", ("a", "b", "tie")),
        (b'choice,model_b,model_a\nb,"x, y","one\r\ntwo"\n', ("one\r\ntwo", "x, y", "B")),
        (b"model_a,model_b,choice\nNA,null,A\n", ("NA", "null", "A")),
        (b'model_a,model_b,choice\na "b" c,d""e,A\n', ('a "b" c', 'd""e', "A")),
    ],
    ids=["byte order mark", "CRLF", "blanks", "blank lines", "quoted line ends", "NA is a name", "marks within"],
)
def test_a_csv_is_read_as_people_and_programs_write_it(read: Read, content: bytes, vote: tuple[str, ...]) -> None:
    votes = read("votes.csv", content)

    [(*_, model_a, model_b, _, choice)] = said(votes.table)
    assert (model_a, model_b, choice) == vote


def test_a_tsv_has_no_quoting(read: Read) -> None:
    votes = read("votes.TSV", 'prompt\tmodel_a\tmodel_b\tchoice\n"a cube" in red\ta\tb\tA\n"open\ta\tb\tB\n')

    assert votes.table.prompts == ('"a cube" in red', '"open')


OBJECTS = [
    {"model_a": "x", "model_b": "y", "winner": "model_b", "judge": 7, "conversation_a": [{"content": "[,]"}]},
    {"model_a": "y", "model_b": "x", "winner": "tie", "tstamp": 1.5},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("arena.json", json.dumps(OBJECTS, indent=2)),
        ("arena.json", "\n".join(map(json.dumps, OBJECTS))),
        ("arena.jsonl", "\ufeff" + "\n\n".join(map(json.dumps, OBJECTS)) + "\n"),
    ],
    ids=["array", "lines in .json", "lines"],
)
def test_json_is_read_as_an_array_or_object_by_object(read: Read, name: str, text: str) -> None:
    votes = read(name, text)

    assert said(votes.table) == [
        ("7", None, None, None, "x", "y", None, "B"),
        (None, None, None, None, "y", "x", None, "tie"),
    ]
    assert "Not read: the column 'conversation_a'." in votes.notes


def test_votes_of_people_and_of_simulated_raters_are_parted_or_refused(read: Read) -> None:
    mixed = "simulated,rater," + HEADER + "true,robot,a,b,A\nFalse,anna,a,b,B\n1,robot,c,b,A\n"

    with pytest.raises(MixedVotesFileError, match=r"never mix. Choose one kind with --raters people or --raters sim"):
        read("votes.csv", mixed)
    people, simulated = read("votes.csv", mixed, raters="people"), read("votes.csv", mixed, raters="simulated")

    assert (people.simulated, people.table.raters, people.table.models) == ("people", ("anna",), ("a", "b"))
    assert (simulated.simulated, simulated.table.raters, simulated.table.models) == (
        "simulated",
        ("robot",),
        ("a", "b", "c"),
    )
    assert simulated.order.tolist() == [0, 1]


def test_a_file_of_simulated_raters_alone_says_so(read: Read) -> None:
    votes = read("votes.parquet", {"simulated": [True], "model_a": ["a"], "model_b": ["b"], "choice": ["A"]})

    assert votes.simulated == "simulated"


def test_votes_on_several_questions_are_parted_or_refused(read: Read) -> None:
    several = "question,vote_id," + HEADER + "fits,1,a,b,A\nlooks,1,a,b,B\nfits,2,c,b,tie\n"

    with pytest.raises(MixedVotesFileError, match=r"holds votes on the questions 'fits' and 'looks'\. Choose one with"):
        read("votes.csv", several)
    votes = read("votes.csv", several, question="fits")

    assert votes.table.models == ("a", "b", "c")
    assert votes.table.choice.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("content", "asked", "error", "sentence"),
    [
        ("question," + HEADER + "q,a,b,A\n", {"question": "p"}, NoVotesError, "no votes on the question 'p', only on"),
        ("question," + HEADER + "q,a,b,A\n,a,b,A\n", {}, MixedVotesFileError, "on the questions 'q' and on none"),
        (HEADER + "a,b,A\n", {"question": "p"}, VotesColumnsError, "does not say in a column 'question' which votes"),
        (HEADER + "a,b,A\n", {"raters": "simulated"}, NoVotesError, "does not say in a column 'simulated'"),
        ("simulated," + HEADER + "true,a,b,A\n", {"raters": "people"}, NoVotesError, "holds no votes of people"),
        ("simulated," + HEADER + "0,a,b,A\n", {"raters": "simulated"}, NoVotesError, "no votes of simulated raters"),
    ],
)
def test_what_was_asked_for_and_is_not_there_is_said(
    read: Read, content: str, asked: dict[str, Any], error: type[CanvasError], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        read("votes.csv", content, **asked)


BAD_ROWS = [
    ("choice", ["A", "C"], "'choice' is 'C', but must be A, B, tie or both_bad. Correct it, or take the row out."),
    ("choice", ["A", ""], "the column 'choice' is empty, but must be A, B, tie or both_bad"),
    ("choice", ["A", "x" * 300], f"'choice' is '{'x' * 79}…', but must be"),
    ("left", ["A", "left"], "'left' is 'left', but must be A, B or nothing"),
    ("model_b", ["b", "a"], "'model_a' is 'a', and so is the other model. Name two different ones"),
    ("model_b", ["b", " a "], "'model_a' is 'a', and so is the other model"),
    ("model_b", ["b", ""], "the column 'model_b' is empty. Name the model, or take the row out."),
    ("model_b", ["b", "c\0"], r"'model_b' is 'c\x00', with a NUL character in it"),
    ("vote_id", ["x1", "x1"], "the vote id 'x1' stood in row 1 before. Give each vote once."),
    ("vote_id", ["3", "3"], "the vote id '3' stood in row 1 before"),
    ("vote_id", ["3", " 3"], "the vote id '3' stood in row 1 before"),
    ("vote_id", ["3", "3\0"], r"'vote_id' is '3\x00', with a NUL character in it"),
    ("latency_ms", ["900", "soon"], "'latency_ms' is 'soon', which is no number"),
    ("latency_ms", ["900", "900,5"], "'latency_ms' is '900,5', which is no number"),
    (
        "latency_ms",
        ["900", "nan"],
        "'latency_ms' is 'nan', but must be a number of milliseconds, 0 or more, or nothing",
    ),
    ("latency_ms", ["900", "-1"], "'latency_ms' is '-1', but must be"),
    ("latency_ms", ["900", "1e400"], "'latency_ms' is '1e400', but must be"),
    ("ts", ["2024-05-01", "yesterday"], "'ts' is 'yesterday', which is no moment"),
    ("ts", ["2024-05-01T12:00:00Z", "2024-05-01T12:00:00"], "which is no moment, or not written as the first one is"),
    ("simulated", ["true", "perhaps"], "'simulated' is 'perhaps', but must be true or false"),
    ("simulated", ["true", ""], "the column 'simulated' is empty, but must be true or false"),
    ("rater", ["r", "x" * 10_001], "the column 'rater' holds 10,001 characters, beginning with 'xxx"),
    ("prompt", ["p", "x" * 1_000_000], "the column 'prompt' holds 1,000,000 characters, beginning with 'xxx"),
    ("vote_id", ["1", "x" * 1_000_000], "the column 'vote_id' holds 1,000,000 characters, beginning with 'xxx"),
]


@pytest.mark.parametrize(
    ("column", "values", "sentence"), BAD_ROWS, ids=[f"{row[0]}-{row[2][:40]}" for row in BAD_ROWS]
)
@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_a_row_that_is_no_vote_is_refused_with_its_place(
    read: Read, kind: str, column: str, values: list[str], sentence: str
) -> None:
    columns = {"model_a": ["a", "a"], "model_b": ["b", "b"], "choice": ["A", "B"]} | {column: values}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    contents = {"csv": as_csv(rows), "parquet": columns, "json": json.dumps(rows)}
    place = f"'votes.{kind}', row 2 of the votes" + (" (line 3 of the file): " if kind == "csv" else ": ")

    with pytest.raises(BadVoteError, match=f"^{re.escape(place)}.*{re.escape(sentence)}") as caught:
        read(f"votes.{kind}", contents[kind])

    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def as_csv(rows: list[dict[str, Any]], line_end: str = "\r\n") -> str:
    text = StringIO()
    # Where lines end with \n alone, Python's writer leaves a field with \r unquoted, and the file is broken.
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL if line_end == "\r\n" else csv.QUOTE_ALL
    table = csv.DictWriter(text, rows[0], lineterminator=line_end, quoting=quoting)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def test_the_longest_field_that_is_read_has_ten_thousand_characters(read: Read) -> None:
    votes = read("votes.csv", "prompt," + HEADER + "ä" * LONGEST_FIELD + ",a,b,A\n")

    assert votes.table.prompts == ("ä" * 10_000,)


def test_of_several_repeated_ids_the_first_is_named(read: Read) -> None:
    with pytest.raises(BadVoteError, match="row 4 of the votes: the vote id '8' stood in row 2 before"):
        read(
            "votes.parquet",
            {"vote_id": [7, 8, None, 8, 7, None], "model_a": ["a"] * 6, "model_b": ["b"] * 6, "choice": ["A"] * 6},
        )


def test_the_line_counts_what_stands_above_it(read: Read) -> None:
    with pytest.raises(BadVoteError, match=r"row 2 of the votes \(line 6 of the file\).*'choice' is 'Q'"):
        read("votes.csv", "prompt," + HEADER + '"one\ntwo",a,b,A\n\n\np,a,b,Q\n')


@pytest.mark.parametrize(
    "rows",
    [
        'a,b,A,"x\na,b,A,y\na,b,B,z\n',  # open to the end: Arrow alone would read one vote
        'a,b,A,"x\na,b,A,y\na,b,B,"z"\n',  # open to the next mark: again one vote, where three were cast
        'a,b,"A,x\na,b,A,y\na,b,B,z\n',
    ],
)
def test_no_vote_vanishes_in_a_quotation_mark_left_open(read: Read, rows: str) -> None:
    with pytest.raises(
        BadVoteError, match=r"row 2 of the votes \(line 3 of the file\) has a quotation mark that opens"
    ):
        read("votes.csv", "model_a,model_b,choice,remark\na,b,B,w\n" + rows)


@pytest.mark.parametrize(
    ("name", "content", "error", "sentence"),
    [
        ("v.csv", "", VotesFormatError, "'v.csv' is empty"),
        ("v.parquet", b"", VotesFormatError, "'v.parquet' is empty"),
        ("v.csv", "\n\n", VotesFormatError, "'v.csv' holds blank lines alone"),
        ("v.csv", HEADER, NoVotesError, "'v.csv' holds no votes: below its column names there is no row"),
        ("v.csv", HEADER.strip(), NoVotesError, "'v.csv' holds no votes: below its column names there is no row"),
        ("v.parquet", {"model_a": [], "model_b": [], "choice": []}, NoVotesError, "'v.parquet' holds no votes"),
        ("v.json", "[]", NoVotesError, "'v.json' holds no votes"),
        ("v.jsonl", "\n", NoVotesError, "'v.jsonl' holds no votes"),
        ("v.xlsx", "x", VotesFormatError, "'v.xlsx' ends in none of .csv, .tsv, .parquet, .json, .jsonl."),
        ("v.csv.gz", "x", VotesFormatError, "Save the votes as one of these, unpacked."),
        ("v.csv", HEADER + "a,b,A\na,b\n", BadVoteError, "row 2 of the votes (line 3 of the file) has 2 fields, but"),
        ("v.csv", HEADER + "a,b,A\na,b,c,A\n", BadVoteError, "has 4 fields, but the header names 3 columns"),
        (
            "v.tsv",
            "model_a\tmodel_b\tchoice\na\n",
            BadVoteError,
            "row 1 of the votes (line 2 of the file) has 1 field,",
        ),
        ("v.csv", HEADER.encode() + b"a,b\xff,A\n", VotesFormatError, "is not UTF-8 in the column 'model_b'"),
        ("v.csv", HEADER.encode("utf-16"), VotesFormatError, "'v.csv' is not UTF-8 text in its first line"),
        ("v.csv", "x," + HEADER + "y" * 9_000_000 + ",a,b,A\n", BadVoteError, "column 'x' holds 9,000,000 characters"),
        ("v.csv", "x,model_a\n1,2\n", VotesColumnsError, "lacks 'model_b' and 'choice'; its columns are 'x' and"),
        ("v.csv", "modela,model_b,choice\n", VotesColumnsError, "'modela' could be model_a"),
        (
            "v.csv",
            "x," + HEADER.replace("\n", ",x\n"),
            VotesColumnsError,
            "has the column 'x' twice. Keep one of them.",
        ),
        ("v.json", '{"x": 1, "x": 2}', VotesColumnsError, "has the column 'x' twice"),
        ("v.parquet", b"PAR1 and so on PAR1", VotesFormatError, "'v.parquet' cannot be read as .parquet: '"),
        ("v.parquet", b"plain words of some length", VotesFormatError, "Check that the file is whole and of the kind"),
        (
            "v.json",
            '[{"model_a": "x"},]',
            VotesFormatError,
            "'v.json' cannot be read as .json: 'Expecting value: line 1",
        ),
        ("v.json", '[{"model_a": "x"}', VotesFormatError, "Expecting ',' or the closing ']'"),
        ("v.json", '[{"model_a": "x"}] y', VotesFormatError, "Expecting ',' or the closing ']'"),
        ("v.json", "[" * 100_000, VotesFormatError, "cannot be read as .json"),
        ("v.json", json.dumps(VOTE | {"rater": "\ud800"}), VotesColumnsError, "cannot be read in the column 'rater'"),
        ("v.json", json.dumps(VOTE | {"rater": 2**70}), VotesColumnsError, "cannot be read in the column 'rater'"),
        ("v.json", b"[\xff]", VotesFormatError, "'v.json' is not UTF-8 text"),
        ("v.json", '[{"x": 1}, 5]', BadVoteError, "row 2 of the votes is '5', but must be an object"),
        (
            "v.jsonl",
            '{"rater": null}\n{"rater": 1}\n{"rater": "anna"}\n',
            VotesColumnsError,
            "lacks 'model_a', 'model_b' and 'choice'",
        ),
    ],
)
def test_a_file_that_holds_no_readable_votes_is_refused(
    read: Read, name: str, content: str | bytes | dict[str, Any], error: type[CanvasError], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        read(name, content)

    assert "\n" not in str(caught.value)


def test_values_of_different_kinds_in_one_json_column_are_refused(read: Read) -> None:
    objects = [{"model_a": "a", "model_b": "b", "choice": "A", "rater": rater} for rater in (None, 1, "anna")]

    with pytest.raises(
        BadVoteError, match="row 3 of the votes: the column 'rater' is '\"anna\"', a text after a number"
    ):
        read("votes.json", json.dumps(objects))


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("rater", pa.array([["r"]]), "column 'rater' has the type 'list<element: string>', but must hold one text"),
        ("model_a", pa.array([{"name": "a"}]), "the column 'model_a' has the type 'struct<name: string>'"),
        ("vote_id", pa.array([["r"]]), "the column 'vote_id' has the type 'list<element: string>'"),
        ("rater", pa.array([{"id": 1}]), "'struct<id: int64>'"),
        ("latency_ms", pa.array([True]), "'latency_ms' has the type 'bool', but must hold numbers"),
        ("latency_ms", pa.array([date(2024, 1, 1)]), "'latency_ms' has the type 'date32[day]', but must hold numbers"),
        ("ts", pa.array([time(1)]), "'ts' has the type 'time64[us]', but must hold moments"),
    ],
)
def test_a_column_of_an_unfit_type_is_refused(read: Read, column: str, values: pa.Array, sentence: str) -> None:
    columns = {"model_a": ["a"], "model_b": ["b"], "choice": ["A"]}

    with pytest.raises(VotesColumnsError, match=re.escape(sentence)):
        read("votes.parquet", columns | {column: values})


@pytest.mark.parametrize("column", ["rater", "vote_id"])
def test_bytes_in_parquet_that_are_no_text_are_refused(read: Read, column: str) -> None:
    broken = pa.array([b"fine", b"\xff\xfe"]).view(pa.string())

    with pytest.raises(BadVoteError, match=f"row 2 of the votes: the column '{column}' is .*, which is not UTF-8"):
        read("votes.parquet", {column: broken, "model_a": ["a", "a"], "model_b": ["b", "b"], "choice": ["A", "B"]})


@pytest.mark.parametrize("bad", [0, 3, 8])
def test_the_first_of_the_bad_rows_is_named(read: Read, bad: int) -> None:
    latencies = [*["5"] * bad, *["x", "5", "y"], *["5"] * (8 - bad)]

    with pytest.raises(BadVoteError, match=f"row {bad + 1} of the votes .*: the column 'latency_ms' is 'x'"):
        read("votes.csv", "latency_ms," + HEADER + "".join(f"{latency},a,b,A\n" for latency in latencies))


def test_a_null_among_the_values_of_a_dictionary_is_not_recorded() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array([None, "x"]))
    file = TableFile(
        path=Path("votes.parquet"),
        columns=("rater",),
        rows=3,
        load=lambda _: pa.chunked_array([column]),
        line_of=lambda _: None,
    )

    found = texts(file, "rater")

    assert found.place.tolist() == [-1, 1, -1]
    assert found.occurring() == ["x"]


def test_a_file_that_may_not_be_opened_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    read("votes.csv", HEADER + "a,b,A\n")

    def refuse(*_given: Any, **_named: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(MissingVotesFileError, match=r"'votes\.csv' cannot be opened: Permission denied"):
        read_votes_file(Path("votes.csv"))


def test_what_arrow_alone_objects_to_is_said_in_its_words(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any, **_named: Any) -> None:
        raise pa.ArrowInvalid("a reason of its own")

    monkeypatch.setattr("pyarrow.csv.read_csv", refuse)

    with pytest.raises(VotesFormatError, match=r"'votes\.csv' cannot be read as \.csv: 'a reason of its own'"):
        read("votes.csv", HEADER + "a,b,A\n")


def test_a_latency_of_nan_in_parquet_is_refused(read: Read) -> None:
    with pytest.raises(BadVoteError, match="row 1 of the votes: the column 'latency_ms' is 'nan', but must be"):
        read("votes.parquet", {"latency_ms": [float("nan")], "model_a": ["a"], "model_b": ["b"], "choice": ["A"]})


def test_a_damaged_parquet_file_is_refused(read: Read, tmp_path: Path) -> None:
    names = [f"model {number}" for number in range(2_000)]
    parquet.write_table(pa.table({"model_a": names, "model_b": names[::-1], "choice": ["A"] * 2_000}), "whole.parquet")
    whole = Path("whole.parquet").read_bytes()
    assert len(read("votes.parquet", whole).table) == 2_000

    with pytest.raises(VotesFormatError, match=r"cannot be read as \.parquet"):
        read("votes.parquet", whole[: len(whole) // 2])
    with pytest.raises(VotesFormatError, match=r"cannot be read as \.parquet"):
        read("votes.parquet", whole[:100] + b"\xff" * 2_000 + whole[2_100:])


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingVotesFileError, match=r"votes\.csv' does not exist"):
        read_votes_file(tmp_path / "votes.csv")
    (tmp_path / "votes.csv").mkdir()
    with pytest.raises(MissingVotesFileError, match=r"votes\.csv' is not a file"):
        read_votes_file(tmp_path / "votes.csv")


WORDS = st.text(st.characters(exclude_characters="\0.", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda word: word == word.strip()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One vote as it is written; None is left empty."""

    ts: datetime | None
    rater: str | None
    prompt: str | None
    category: str | None
    challenge: str | None
    model_a: str
    model_b: str
    left: str | None
    choice: str
    latency_ms: float | None


ROWS = st.lists(
    st.builds(
        Row,
        ts=st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
        rater=st.none() | WORDS,
        prompt=st.none() | WORDS,
        category=st.none() | WORDS,
        challenge=st.none() | WORDS,
        model_a=WORDS,
        model_b=WORDS,
        left=st.sampled_from([None, "A", "B"]),
        choice=st.sampled_from(["A", "B", "tie", "both_bad"]),
        latency_ms=st.none() | st.floats(0, 1e9),
    ).filter(lambda row: row.model_a != row.model_b),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, line_end=st.sampled_from(["\n", "\r\n"]))
def test_every_table_comes_back_as_it_was_from_csv_parquet_and_json(read: Read, rows: list[Row], line_end: str) -> None:
    columns = {name: [getattr(row, name) for row in rows] for name in Row.__slots__}
    in_words = columns | {"ts": [moment and moment.isoformat() for moment in columns["ts"]]}
    records = [dict(zip(in_words, values, strict=True)) for values in zip(*in_words.values(), strict=True)]

    files = [
        read("votes.csv", as_csv(records, line_end)),
        read("votes.parquet", columns),
        read("votes.json", json.dumps(records)),
    ]

    expected = [
        (row.rater, row.prompt, row.category, row.challenge, row.model_a, row.model_b, row.left, row.choice)
        for row in rows
    ]
    for file in files:
        assert said(file.table) == expected
        assert file.table.models == tuple(sorted({row.model_a for row in rows} | {row.model_b for row in rows}))
        assert file.latency_ms.tolist() == [-1.0 if row.latency_ms is None else row.latency_ms for row in rows]
        times = [row.ts for row in rows if row.ts]
        in_time = sorted(range(len(rows)), key=lambda number: times[number] if len(times) == len(rows) else number)
        assert file.order.tolist() == in_time
        assert file.notes == files[0].notes


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_the_arena_exports_says_the_same_as_its_records(
    things: Callable[[int], PromptSet], tmp_path: Path, suffix: str
) -> None:
    study = Study(
        name="shapes",
        question="Which?",
        reference="old",
        candidates=("ant", "zebra"),
        prompts=things(3),
        ties=True,
        both_bad=True,
    )
    rng = np.random.default_rng(4)
    prompts = list(study.prompts)
    records = []
    for number in range(200):
        prompt = prompts[rng.integers(3)]
        pair = ["old", str(rng.choice(study.candidates))]
        rng.shuffle(pair)
        records.append(
            VoteRecord(
                vote_id=number,
                ts=datetime(2024, 5, 1, 12, number % 60, tzinfo=UTC),
                rater=int(rng.integers(100, 112)),
                simulated=True,
                study="shapes",
                question="overall",
                prompt_id=prompt.id,
                prompt=prompt.text,
                category=prompt.category,
                left=pair[0],
                right=pair[1],
                choice=list(Choice)[rng.integers(4)],
                latency_ms=900,
                session="",
            )
        )

    write_votes(tmp_path / f"votes{suffix}", study, records)
    file = read_votes_file(tmp_path / f"votes{suffix}")

    known, text_of = from_records(records), {prompt.id: prompt.text for prompt in prompts}
    assert file.simulated == "simulated"
    assert file.notes == ()
    assert (file.table.raters, file.table.models) == (known.raters, known.models)
    assert Counter((vote[0], vote[1], vote[2]) for vote in said(file.table)) == Counter(
        (vote[0], text_of[str(vote[1])], vote[2]) for vote in said(known)
    )
    for entrant in study.candidates:
        read_back, original = (outcomes_against(table, entrant, "old") for table in (file.table, known))
        np.testing.assert_array_equal(read_back.value, original.value)
        np.testing.assert_array_equal(read_back.rater, original.rater)
        assert read_back.both_bad == original.both_bad
    stood_left = [
        Counter(vote[4] if vote[6] == "A" else vote[5] for vote in said(table)) for table in (file.table, known)
    ]
    assert stood_left[0] == stood_left[1]
    assert file.order.tolist() == sorted(range(200), key=lambda number: (number % 60, number))


def test_a_large_file_of_many_row_groups_is_read_alike_from_parquet_and_csv(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    votes = 100_000
    model_a = rng.integers(0, 30, votes)
    columns = {
        "vote_id": [f"v{number}" for number in range(votes)],
        "rater": [f"rater {number}" for number in rng.integers(0, 900, votes)],
        "prompt": [f'prompt "{number}",\nin oils' for number in rng.integers(0, 300, votes)],
        "model_a": [f"model {number}" for number in model_a],
        "model_b": [f"model {number}" for number in (model_a + rng.integers(1, 30, votes)) % 30],
        "choice": rng.choice(["A", "B", "tie"], votes).tolist(),
        "latency_ms": rng.integers(300, 9_000, votes).tolist(),
    }
    parquet.write_table(pa.table(columns), tmp_path / "votes.parquet", row_group_size=7_000)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    write(tmp_path / "votes.csv", as_csv(rows))

    one, other = (read_votes_file(tmp_path / f"votes.{kind}") for kind in ("parquet", "csv"))

    assert said(one.table) == said(other.table)
    assert [vote[4] for vote in said(one.table)] == columns["model_a"]
    assert [vote[1] for vote in said(one.table)] == columns["prompt"]
    assert one.latency_ms.tolist() == other.latency_ms.tolist() == columns["latency_ms"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_pandas_is_not_loaded_to_read_votes(tmp_path: Path, kind: str) -> None:
    columns = {"vote_id": ["x", "y"], "ts": ["2024-01-01", "2024-01-02"], "latency_ms": ["1", ""], "left": ["A", ""]}
    columns |= {"rater": ["r", ""], "model_a": ["a", "a"], "model_b": ["b", "b"], "choice": ["A", "B"]}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    write(tmp_path / f"votes.{kind}", as_csv(rows) if kind == "csv" else columns)
    program = (
        "import sys; from pathlib import Path; from arena.votes_file import read_votes_file; "
        "read_votes_file(Path(sys.argv[1])); print('pandas' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / f"votes.{kind}")], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"
