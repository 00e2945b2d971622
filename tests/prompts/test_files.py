"""People's own prompt files: what is read from them, and what is said of a bad one."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.errors import CanvasError
from prompts.files import (
    BlankPromptError,
    DuplicatePromptError,
    EmptyPromptFileError,
    MissingPromptFileError,
    PromptColumnsError,
    PromptEncodingError,
    PromptFileError,
    PromptFormatError,
    parse_prompts,
    read_prompt_file,
)
from prompts.prompt import Prompt

CAT_AND_DOG = (
    Prompt(text="a cat", category="Animals", challenge="Basic", note="easy"),
    Prompt(text="a dog, asleep", category="Animals"),
)


def parsed(name: str, content: str | bytes) -> tuple[Prompt, ...]:
    return parse_prompts(content.encode() if isinstance(content, str) else content, Path(name))


def texts(name: str, content: str | bytes) -> list[str]:
    return [prompt.text for prompt in parsed(name, content)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.tsv", "Prompt\tCategory\tChallenge\tNote\na cat\tAnimals\tBasic\teasy\na dog, asleep\tAnimals\t\t\n"),
        ("mine.csv", 'Prompt,Category,Challenge,Note\na cat,Animals,Basic,easy\n"a dog, asleep",Animals,,\n'),
        (
            "mine.jsonl",
            """{"prompt": "a cat", "category": "Animals", "challenge": "Basic", "note": "easy"}
            {"prompt": "a dog, asleep", "category": "Animals"}""",
        ),
    ],
)
def test_a_table_gives_prompts_with_their_labels(name: str, content: str) -> None:
    assert parsed(name, content) == CAT_AND_DOG


def test_a_text_file_gives_one_prompt_a_line() -> None:
    assert parsed("mine.txt", "a cat\na dog, asleep\n") == (Prompt(text="a cat"), Prompt(text="a dog, asleep"))


def test_the_set_has_the_files_name_and_says_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("a cat\n", encoding="utf-8")

    prompts = read_prompt_file(file)

    assert (prompts.name, prompts.source, prompts.licence) == ("mine.txt", str(file), "not stated")
    assert read_prompt_file(file, licence="CC0-1.0").licence == "CC0-1.0"
    assert read_prompt_file(file, licence="CC0-1.0").id == prompts.id


@pytest.mark.parametrize("heading", ["Prompt", "prompt", "text", "Text", " PROMPT "])
def test_the_column_of_prompts_has_several_spellings(heading: str) -> None:
    assert texts("mine.csv", f"{heading}\na cat\n") == ["a cat"]


def test_columns_come_in_any_order_and_others_are_left_alone() -> None:
    assert parsed("mine.csv", "id,category,TEXT,,\n7,Animals,a cat,x,y\n") == (
        Prompt(text="a cat", category="Animals"),
    )


def test_the_format_is_told_by_the_ending_in_any_case() -> None:
    assert texts("MINE.TSV", "Prompt\na cat\n") == ["a cat"]


@pytest.mark.parametrize("name", ["mine.tsv", "mine.csv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read_in_tables(name: str, end: str) -> None:
    assert texts(name, f"Prompt{end}a cat{end}a dog{end}") == ["a cat", "a dog"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read_in_lines(end: str) -> None:
    assert texts("mine.txt", f"a cat{end}a dog{end}") == ["a cat", "a dog"]
    assert texts("mine.jsonl", f'{{"text": "a cat"}}{end}{{"text": "a dog"}}{end}') == ["a cat", "a dog"]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n", "\n  \n\t\n", "\r\n\r\n"])
def test_blank_lines_at_the_end_do_not_count(ending: str) -> None:
    assert texts("mine.txt", "a cat\na dog" + ending) == ["a cat", "a dog"]
    assert texts("mine.csv", "Prompt,Note\na cat,\na dog," + ending) == ["a cat", "a dog"]
    assert texts("mine.tsv", "Prompt\tNote\na cat\t\na dog\t" + ending) == ["a cat", "a dog"]
    assert texts("mine.jsonl", '{"text": "a cat"}\n{"text": "a dog"}' + ending) == ["a cat", "a dog"]


def test_white_space_around_fields_is_dropped_and_inside_it_is_kept() -> None:
    assert parsed("mine.tsv", "Prompt\tCategory\n  a  cat \t Animals \n") == (
        Prompt(text="a  cat", category="Animals"),
    )


def test_a_byte_order_mark_is_allowed() -> None:
    assert texts("mine.csv", b"\xef\xbb\xbfPrompt\na cat\n") == ["a cat"]


def test_quotation_marks_in_a_tsv_belong_to_the_prompt() -> None:
    assert texts("mine.tsv", 'Prompt\n"STOP" on a sign\na sign that says "GO"\n"HI"\n') == [
        '"STOP" on a sign',
        'a sign that says "GO"',
        '"HI"',
    ]


def test_a_tsv_quoted_by_a_spreadsheet_is_refused_before_its_marks_end_up_in_a_prompt() -> None:
    with pytest.raises(PromptFormatError, match=r"Line 2 of mine\.tsv is quoted, and a \.tsv has no quoting"):
        parsed("mine.tsv", 'Prompt\n"""STOP"" on a sign"\n')


def test_a_csv_field_may_span_lines_and_hold_quotation_marks() -> None:
    assert texts("mine.csv", 'prompt\n"a sign:\nit says ""GO"""\n') == ['a sign:\nit says "GO"']


def test_rarer_separators_do_not_part_a_prompt() -> None:
    assert texts("mine.txt", "a cat\u2028and\x0ba dog\x85too\n") == ["a cat\u2028and\x0ba dog\x85too"]


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1).map(str.strip)
any_texts = st.lists(storable.filter(bool), min_size=1, max_size=8, unique=True)
one_line_texts = st.lists(
    storable.filter(lambda text: text and not set(text) & set("\t\n\r\ufeff") and '""' not in text),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(written=any_texts)
def test_what_a_csv_writer_wrote_is_read_back(written: list[str]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["prompt"], *([text] for text in written)])

    assert texts("mine.csv", file.getvalue()) == written


@given(written=any_texts, ascii_only=st.booleans())
def test_what_a_json_writer_wrote_is_read_back(written: list[str], ascii_only: bool) -> None:
    lines = [json.dumps({"prompt": text, "category": "any"}, ensure_ascii=ascii_only) for text in written]

    assert texts("mine.jsonl", "\n".join(lines)) == written


@given(written=one_line_texts)
def test_what_stands_on_lines_is_read_back(written: list[str]) -> None:
    assert texts("mine.txt", "\n".join(written)) == written
    assert texts("mine.tsv", "\n".join(["Prompt", *written]) + "\n") == written


@given(content=st.binary(max_size=200), ending=st.sampled_from([".tsv", ".csv", ".txt", ".jsonl"]))
def test_any_bytes_are_read_or_refused_by_name(content: bytes, ending: str) -> None:
    def outcome() -> str:
        try:
            return f"{len(parsed('mine' + ending, content))} prompts"
        except PromptFileError as error:
            return str(error)

    assert re.fullmatch(r"[1-9]\d* prompts|.*mine\.(tsv|csv|txt|jsonl).*", outcome())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPromptFileError, match=re.escape(f"There is no prompt file {tmp_path / 'no.tsv'}.")):
        read_prompt_file(tmp_path / "no.tsv")


def test_a_folder_is_no_prompt_file(tmp_path: Path) -> None:
    with pytest.raises(MissingPromptFileError, match=r"is a folder\. Name the prompt file in it"):
        read_prompt_file(tmp_path)


def test_a_path_through_a_file_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a cat", encoding="utf-8")

    with pytest.raises(MissingPromptFileError, match="cannot be opened: Not a directory"):
        read_prompt_file(tmp_path / "mine.txt" / "deeper.txt")


@pytest.mark.parametrize("name", ["mine.xlsx", "mine.json", "mine"])
def test_another_ending_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(PromptFormatError, match=rf"{name} .*Save it as one of \.tsv, \.csv, \.txt, \.jsonl"):
        parsed(name, "a cat")


def test_an_encoding_other_than_utf_8_is_named_with_its_line() -> None:
    with pytest.raises(PromptEncodingError, match=r"mine\.txt is not UTF-8: line 3 has the byte 0xe9\. Save it"):
        parsed("mine.txt", "a cat\na dog\na café\n".encode("latin-1"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wider_encodings_are_refused_with_and_without_their_mark(encoding: str) -> None:
    with pytest.raises(PromptEncodingError, match="Save it as UTF-8"):
        parsed("mine.txt", "a cat\na dog\n".encode(encoding))


def test_half_a_surrogate_pair_in_json_is_refused_with_its_line() -> None:
    with pytest.raises(PromptEncodingError, match=r"Line 2 of mine\.jsonl: .*half a surrogate pair"):
        parsed("mine.jsonl", '{"text": "a cat"}\n{"text": "a \\ud83d dog"}\n')


@pytest.mark.parametrize("name", ["mine.tsv", "mine.csv", "mine.txt", "mine.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"])
def test_an_empty_file_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(EmptyPromptFileError, match=f"{name} is empty"):
        parsed(name, content)


@pytest.mark.parametrize("name", ["mine.tsv", "mine.csv"])
def test_a_header_alone_is_no_prompt(name: str) -> None:
    with pytest.raises(EmptyPromptFileError, match="has a header and no prompts"):
        parsed(name, "Prompt\n")


def test_without_a_column_of_prompts_the_columns_found_and_wanted_are_named() -> None:
    with pytest.raises(PromptColumnsError) as raised:
        parsed("mine.csv", "Caption,,Category\na cat,1,Animals\n")

    assert str(raised.value) == (
        "mine.csv has no column of prompts: wanted is Prompt, prompt or text (Category, Challenge and Note are "
        "optional), found: 'Caption', one without a name, 'Category'. Name the column Prompt."
    )


def test_two_columns_of_prompts_are_refused() -> None:
    with pytest.raises(PromptColumnsError, match=r"more than one column for the text: 'Prompt', 'text'\. Keep one"):
        parsed("mine.csv", "Prompt,text\na cat,a dog\n")


@pytest.mark.parametrize(("row", "count"), [("a cat", 1), ("a cat\tAnimals\tBasic", 3)])
def test_a_row_that_does_not_fit_its_header_is_named(row: str, count: int) -> None:
    with pytest.raises(PromptColumnsError, match=rf"Line 3 of mine\.tsv has {count} fields under a header of 2"):
        parsed("mine.tsv", f"Prompt\tCategory\na dog\tAnimals\n{row}\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.txt", "a cat\n\na dog\n"),
        ("mine.txt", "a cat\n  \na dog\n"),
        ("mine.csv", "Prompt,Category\n,Animals\na dog,Animals\n"),
        ("mine.csv", "Prompt,Category\n\na dog,Animals\n"),
        ("mine.tsv", "Prompt\tCategory\n\t\na dog\tAnimals\n"),
        ("mine.jsonl", '{"text": "a cat"}\n\n{"text": "a dog"}\n'),
        ("mine.jsonl", '{"text": "a cat"}\n{"text": " "}\n'),
    ],
)
def test_a_blank_prompt_is_named_with_its_line(name: str, content: str) -> None:
    with pytest.raises(BlankPromptError, match=rf"Line 2 of {name}"):
        parsed(name, content)


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("mine.txt", "a cat\na dog\na cat \n", "1 and 3"),
        ("mine.tsv", "Prompt\tNote\na cat\tx\na dog\t\na cat\ty\n", "2 and 4"),
        ("mine.csv", 'Prompt\n"a\ndog"\na cat\n"a\ndog"\n', "2 and 5"),
        ("mine.jsonl", '{"text": "a cat"}\n{"prompt": "a cat"}\n', "1 and 2"),
    ],
)
def test_a_prompt_asked_twice_is_named_with_both_lines(name: str, content: str, lines: str) -> None:
    with pytest.raises(DuplicatePromptError, match=rf"Lines {lines} of {name} ask the same: '.*'. Keep one of them"):
        parsed(name, content)


def test_a_csv_with_an_open_quotation_mark_is_refused_with_its_line() -> None:
    with pytest.raises(PromptFormatError, match=r"Line 3 of mine\.csv cannot be read as a table"):
        parsed("mine.csv", 'Prompt\na cat\n"a dog\na bird\n')


def test_a_field_too_long_for_a_table_is_refused() -> None:
    with pytest.raises(PromptFormatError, match=r"Line 2 of mine\.csv cannot be read as a table: field larger"):
        parsed("mine.csv", "Prompt\n" + "a cat " * 30_000)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a cat", "is no JSON"),
        ('["a cat"]', "is no JSON object"),
        ('{"prompt": 7}', "has a text that is no string: 7"),
        ('{"prompt": "a dog", "category": null}', "has a category that is no string: None"),
    ],
)
def test_a_line_that_is_no_json_object_of_strings_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(PromptFormatError, match=f"Line 2 of mine.jsonl {complaint}"):
        parsed("mine.jsonl", f'{{"prompt": "a cat"}}\n{line}\n')


def test_a_json_object_without_a_prompt_is_refused_with_its_line() -> None:
    with pytest.raises(PromptColumnsError, match=r"Line 1 of mine\.jsonl has no column of prompts.*found: 'caption'"):
        parsed("mine.jsonl", '{"caption": "a cat"}\n')


def test_every_error_of_a_file_is_one_to_catch_and_is_peoples_own() -> None:
    assert issubclass(PromptFileError, CanvasError)
    assert {error.__name__ for error in PromptFileError.__subclasses__()} == {
        "MissingPromptFileError",
        "PromptFormatError",
        "PromptEncodingError",
        "PromptColumnsError",
        "EmptyPromptFileError",
        "BlankPromptError",
        "DuplicatePromptError",
    }
