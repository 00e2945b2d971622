"""People's own prompts, read from a file: .tsv, .csv, .txt (one prompt a line) or .jsonl.

A table has a column Prompt, prompt or text, and may have Category, Challenge and Note; other columns are left alone.
White space around a field is dropped, and so are blank lines at the end; a byte order mark is allowed.
A .tsv has no quoting (IANA, text/tab-separated-values): in PartiPrompts a prompt opens with a quotation mark that
belongs to it. A .csv is quoted as RFC 4180 says.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prompts.errors import CanvasError, printable, quoted
from prompts.prompt import Prompt, PromptError, PromptSet

_WANTED = {"text": ("prompt", "text"), "category": ("category",), "challenge": ("challenge",), "note": ("note",)}


class PromptFileError(CanvasError):
    """A prompt file that cannot be read; the subclasses say why."""


class MissingPromptFileError(PromptFileError):
    """There is no such file, or it cannot be opened."""


class PromptFormatError(PromptFileError):
    """The file's ending is none that we read, or its content is not what the ending promises."""


class PromptEncodingError(PromptFileError):
    """The file is not UTF-8."""


class PromptColumnsError(PromptFileError):
    """No column holds the prompts, two do, or a row does not fit its header."""


class EmptyPromptFileError(PromptFileError):
    """There is no prompt in the file."""


class BlankPromptError(PromptFileError):
    """A line has no prompt."""


class DuplicatePromptError(PromptFileError):
    """Two lines ask the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One prompt's fields as they stand in the file, and the line on which they begin, counted from 1."""

    line: int
    text: str
    category: str = ""
    challenge: str = ""
    note: str = ""


def read_prompt_file(path: Path, *, licence: str = "not stated") -> PromptSet:
    """The prompts in `path`, in the file's order; the set has the file's name.

    Raises a subclass of PromptFileError when the file is missing, of an unknown format, not UTF-8, without a column of
    prompts or without prompts, or when a prompt is blank or asked twice.
    """
    prompts = parse_prompts(read_bytes(path), path)
    return PromptSet(name=path.name, prompts=prompts, licence=licence, source=str(path))


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises MissingPromptFileError when it is not there or cannot be opened."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingPromptFileError(f"There is no prompt file {path}. Check the path.") from error
    except IsADirectoryError as error:
        raise MissingPromptFileError(f"{path} is a folder. Name the prompt file in it.") from error
    except OSError as error:
        raise MissingPromptFileError(
            f"The prompt file {path} cannot be opened: {error.strerror}. Check the path and who may read it."
        ) from error


def parse_prompts(content: bytes, path: Path) -> tuple[Prompt, ...]:
    """The prompts in `content`, whose format the ending of `path` tells. Raises as read_prompt_file does."""
    read_rows = FORMATS.get(path.suffix.lower())
    if read_rows is None:
        raise PromptFormatError(
            f"{path} is of no kind that prompts are read from. Save it as one of {', '.join(FORMATS)}."
        )
    text = re.sub(r"\n\s*\Z", "\n", _decoded(content, path))
    if not text.strip():
        raise EmptyPromptFileError(f"{path} is empty. Give it at least one prompt.")
    lines: dict[str, int] = {}
    prompts = []
    for row in read_rows(text, path):
        prompt = _prompt(row, path)
        if prompt.text in lines:
            raise DuplicatePromptError(
                f"Lines {lines[prompt.text]} and {row.line} of {path} ask the same: {quoted(prompt.text)}. "
                "Keep one of them."
            )
        lines[prompt.text] = row.line
        prompts.append(prompt)
    if not prompts:
        raise EmptyPromptFileError(f"{path} has a header and no prompts. Give it at least one.")
    return tuple(prompts)


def _decoded(content: bytes, path: Path) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PromptEncodingError(
            f"{path} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}. Save it as UTF-8."
        ) from error
    if "\x00" in text:  # UTF-16 without its mark is valid UTF-8 as long as every letter is ASCII
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise PromptEncodingError(f"{path} is not UTF-8 text: line {line} has a NUL byte. Save it as UTF-8.")
    return text


def _prompt(row: _Row, path: Path) -> Prompt:
    if not row.text.strip():
        raise BlankPromptError(f"Line {row.line} of {path} has no prompt. Write one, or take the line out.")
    try:
        return Prompt(
            text=row.text.strip(),
            category=row.category.strip(),
            challenge=row.challenge.strip(),
            note=row.note.strip(),
        )
    except PromptError as error:
        raise PromptEncodingError(f"Line {row.line} of {path}: {error}") from error


def _tsv_rows(text: str, path: Path) -> Iterator[_Row]:
    for row in _table_rows(text, path, delimiter="\t", quoting=csv.QUOTE_NONE):
        # Doubled quotation marks inside a pair of them: a spreadsheet's quoting, which would end up in the prompt.
        if re.fullmatch(r'"(?:[^"]|"")*""(?:[^"]|"")*"', row.text.strip()):
            raise PromptFormatError(
                f"Line {row.line} of {path} is quoted, and a .tsv has no quoting. Save the table as .csv instead."
            )
        yield row


def _csv_rows(text: str, path: Path) -> Iterator[_Row]:
    return _table_rows(text, path, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def _table_rows(text: str, path: Path, *, delimiter: str, quoting: Literal[0, 3]) -> Iterator[_Row]:
    """The rows under the header; `quoting` is one of the csv module's constants."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    places: Mapping[str, str] = {}
    header: list[str] = []
    line = 1
    try:
        for fields in reader:
            if not header:
                header = [name.strip() for name in fields]
                places = _places(header, f"{path}")
            elif not any(field.strip() for field in fields):
                raise BlankPromptError(f"Line {line} of {path} is blank. Take it out.")
            elif len(fields) != len(header):
                raise PromptColumnsError(
                    f"Line {line} of {path} has {len(fields)} fields under a header of {len(header)}. "
                    "Give every line as many fields as the header."
                )
            else:
                cells = dict(zip(header, fields, strict=True))
                yield _Row(line=line, **{field: cells[name] for field, name in places.items()})
            line = reader.line_num + 1
    except csv.Error as error:
        raise PromptFormatError(f"Line {line} of {path} cannot be read as a table: {error}. Mend the line.") from error


def _txt_rows(text: str, path: Path) -> Iterator[_Row]:
    del path  # a line of text cannot be malformed
    for number, line in enumerate(_lines(text), start=1):
        yield _Row(line=number, text=line)


def _jsonl_rows(text: str, path: Path) -> Iterator[_Row]:
    for number, line in enumerate(_lines(text), start=1):
        where = f"Line {number} of {path}"
        if not line.strip():
            raise BlankPromptError(f"{where} is blank. Take it out.")
        try:
            value = json.loads(line)
        except ValueError as error:
            raise PromptFormatError(f"{where} is no JSON: {error}. Mend the line.") from error
        if not isinstance(value, dict):
            raise PromptFormatError(f'{where} is no JSON object. Write it as {{"prompt": "..."}}.')
        fields = {field: value[name] for field, name in _places(list(value), where).items()}
        for field, content in fields.items():
            if not isinstance(content, str):
                raise PromptFormatError(
                    f"{where} has a {field} that is no string: {printable(repr(content))[:80]}. Put it in quotes."
                )
        yield _Row(line=number, **fields)


def _lines(text: str) -> list[str]:
    """The lines; only a line end parts them, not the rarer separators that str.splitlines() takes for one."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _places(names: Sequence[str], where: str) -> dict[str, str]:
    """Which of the columns `names` holds which field of a prompt. Raises PromptColumnsError."""
    places: dict[str, str] = {}
    for field, spellings in _WANTED.items():
        found = [name for name in names if name.lower() in spellings]
        if len(found) > 1:
            raise PromptColumnsError(f"{where} has more than one column for the {field}: {_named(found)}. Keep one.")
        if found:
            places[field] = found[0]
    if "text" not in places:
        raise PromptColumnsError(
            f"{where} has no column of prompts: wanted is Prompt, prompt or text (Category, Challenge and Note are "
            f"optional), found: {_named(names)}. Name the column Prompt."
        )
    return places


def _named(names: Sequence[str]) -> str:
    return ", ".join(quoted(name, longest=30) if name else "one without a name" for name in names) or "none"


FORMATS: dict[str, Callable[[str, Path], Iterator[_Row]]] = {
    ".tsv": _tsv_rows,
    ".csv": _csv_rows,
    ".txt": _txt_rows,
    ".jsonl": _jsonl_rows,
}
