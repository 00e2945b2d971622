"""The files that votes come in, each opened as a `TableFile`: CSV, TSV, Parquet and JSON.

In: a path and the names of the columns that somebody may ask for. Out: the file's column names, its number of rows, and
one column at a time, as Arrow read it. Nothing is known here of votes.
A .csv is quoted as RFC 4180 says; a .tsv has no quoting (IANA, text/tab-separated-values); .json and .jsonl hold an
array of objects, or objects one after the other. Text is UTF-8, with or without a byte order mark.
"""

import csv
import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from prompts.errors import CanvasError, quoted

#: The longest field that is read, in characters: what is longer is more likely a quotation mark left open.
LONGEST_FIELD = 10_000

# Arrow reads block by block, and no row that is longer than a block.
_BLOCK_BYTES = 1 << 22

# Python's own limit of 131,072 would keep us from saying which column holds a field that is too long.
_PYTHON_FIELD_CHARACTERS = 100_000_000

# How bytes that are no UTF-8 look after errors="surrogateescape".
_UNDECODED = re.compile("[\ud800-\udfff]")

_BLANK = re.compile(r"[ \t\r\n]*")


class VotesFileError(CanvasError):
    """A file of votes that cannot be read; the subclasses say why."""


class MissingVotesFileError(VotesFileError):
    """There is no such file, or it cannot be opened."""


class VotesFormatError(VotesFileError):
    """The file's ending is none that we read, or its content is not what the ending promises."""


class VotesColumnsError(VotesFileError):
    """A column is missing, stands there twice, or has a type that cannot be read."""


class BadVoteError(VotesFileError):
    """A row that is no vote; the sentence names the row and what is wrong with it."""


class NoVotesError(VotesFileError):
    """There is no vote in the file, or none of those asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """An opened table. `columns` are all that it has; `load` reads one of those that were asked for.

    `line_of` gives the line on which a row begins (rows count from 0, lines from 1); None where a file has no lines.
    """

    path: Path
    columns: tuple[str, ...]
    rows: int
    load: Callable[[str], pa.ChunkedArray]
    line_of: Callable[[int], int | None]

    def place(self, row: int) -> str:
        """Where the row stands, as an error says it; people count rows from 1, without the header."""
        return _place(self.path, row + 1, self.line_of(row))


def named(path: Path) -> str:
    """The file inside a sentence."""
    return quoted(str(path), longest=200)


def too_long(place: str, column: str, field: str) -> BadVoteError:
    """The error of a field beyond `LONGEST_FIELD`."""
    return BadVoteError(
        f"{place}: the column {quoted(column)} holds {len(field):,} characters, beginning with {quoted(field, 30)}, "
        f"but a field has at most {LONGEST_FIELD:,}. Shorten it, or look for a quotation mark that was left open."
    )


def is_text_type(kind: pa.DataType) -> bool:
    """Whether Arrow holds such a column as texts, or as bytes that may be texts."""
    of = pa.types
    return bool(
        any(is_one(kind) for is_one in (of.is_string, of.is_large_string, of.is_string_view))
        or any(is_one(kind) for is_one in (of.is_binary, of.is_large_binary, of.is_binary_view))
    )


def open_table(path: Path, *, coded: frozenset[str], plain: frozenset[str]) -> TableFile:
    """The table at `path`, of which `coded` columns (few names, many rows) and `plain` ones may be asked for.

    Raises MissingVotesFileError, VotesFormatError, VotesColumnsError for a column that stands there twice, BadVoteError
    for a row that does not fit the header, and NoVotesError.
    """
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise MissingVotesFileError(f"{named(path)} {what}. Give the path of a file of votes.")
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        raise VotesFormatError(
            f"{named(path)} ends in none of {', '.join(_OPENERS)}. Save the votes as one of these, unpacked."
        )
    try:
        if path.stat().st_size == 0:
            raise VotesFormatError(f"{named(path)} is empty. Give a file with named columns and a row for each vote.")
        return opener(path, coded, plain)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _place(path: Path, row: int, line: int | None) -> str:
    return f"{named(path)}, row {row} of the votes" + (f" (line {line} of the file)" if line else "")


def _unreadable(path: Path, error: Exception) -> VotesFileError:
    # What Arrow says about damaged content is an OSError too, but one that no system call made.
    if isinstance(error, OSError) and error.errno is not None:
        return MissingVotesFileError(f"{named(path)} cannot be opened: {error.strerror}. Make the file readable.")
    return VotesFormatError(
        f"{named(path)} cannot be read as {path.suffix.lower()}: {quoted(str(error), 160)}. "
        "Check that the file is whole and of the kind that its name says."
    )


def _refuse_doubled(path: Path, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        # Columns without a name are nobody's; a spreadsheet leaves several.
        if name and name in seen:
            raise VotesColumnsError(f"{named(path)} has the column {quoted(name)} twice. Keep one of them.")
        seen.add(name)


# --- CSV and TSV -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    delimiter: str
    quotes: bool


def _open_csv(path: Path, coded: frozenset[str], plain: frozenset[str]) -> TableFile:
    return _open_text(path, coded, plain, _Dialect(delimiter=",", quotes=True))


def _open_tsv(path: Path, coded: frozenset[str], plain: frozenset[str]) -> TableFile:
    return _open_text(path, coded, plain, _Dialect(delimiter="\t", quotes=False))


def _open_text(path: Path, coded: frozenset[str], plain: frozenset[str], dialect: _Dialect) -> TableFile:
    header = _header(path, dialect)
    names = tuple(name.strip() for name in header)
    _refuse_doubled(path, names)
    written = {name: as_written for name, as_written in zip(names, header, strict=True) if name in coded | plain}
    names_type = pa.dictionary(pa.int32(), pa.string())
    types = {written[name]: names_type if name in coded else pa.string() for name in written}
    table = _read_text(path, dialect, types) if types else pa.table({})
    return TableFile(
        path=path,
        columns=names,
        rows=table.num_rows,
        load=lambda name: table[written[name]],
        line_of=lambda row: _line_of(path, dialect, row),
    )


def _read_text(path: Path, dialect: _Dialect, types: dict[str, pa.DataType]) -> pa.Table:
    try:
        table = arrow_csv.read_csv(
            str(path),
            read_options=arrow_csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char='"' if dialect.quotes else False,
                newlines_in_values=dialect.quotes,
            ),
            # Only an empty field is null: a model may be called "NA".
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(types), column_types=types, null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise _text_trouble(path, dialect, error) from error
    if dialect.quotes and _line_count(path) != table.num_rows + 1:
        # A field spans lines, or a line is blank. Arrow takes an open quotation mark for a field that spans all the
        # lines up to the next mark, and whole votes would vanish in it; so the slow reader looks at every mark.
        for _ in _records(path, dialect, strict=True):
            pass
    return table


def _header(path: Path, dialect: _Dialect) -> list[str]:
    with closing(_records(path, dialect, strict=False)) as records:
        header = next((fields for _, fields in records), None)
    if header is None:
        raise VotesFormatError(f"{named(path)} holds blank lines alone. Begin with a row of column names.")
    if not _is_text(header):
        raise VotesFormatError(f"{named(path)} is not UTF-8 text in its first line. Save it as UTF-8.")
    return header


def _records(path: Path, dialect: _Dialect, *, strict: bool) -> Generator[tuple[int, list[str]], None, None]:
    """Every record that is not blank, the header first, with the line on which it begins: slow and exact.

    `strict` refuses a quotation mark that is left open, or closed before its field ends. Bytes that are not UTF-8 come
    as surrogates.
    """
    usual_limit = csv.field_size_limit(_PYTHON_FIELD_CHARACTERS)
    row, line = 0, 1
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            lines = iter(lambda: text.readline(_PYTHON_FIELD_CHARACTERS), "")
            quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quotes else csv.QUOTE_NONE
            reader = csv.reader(lines, delimiter=dialect.delimiter, quoting=quoting, strict=strict)
            for fields in reader:
                if fields:
                    yield line, fields
                    row += 1
                line = reader.line_num + 1
    except csv.Error as error:
        raise BadVoteError(
            f"{_place(path, row, line)} has a quotation mark that opens a field and is not closed at the field's end. "
            "Close it there, and double the marks that belong to the text."
        ) from error
    finally:
        csv.field_size_limit(usual_limit)


def _line_of(path: Path, dialect: _Dialect, row: int) -> int | None:
    with closing(_records(path, dialect, strict=False)) as records:
        return next((line for line, _ in islice(records, row + 1, None)), None)


def _line_count(path: Path) -> int:
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")


def _text_trouble(path: Path, dialect: _Dialect, error: pa.ArrowInvalid) -> VotesFileError:
    """Why Arrow gave up: the slow reader finds the row."""
    names: list[str] = []
    number = -1
    for number, (line, fields) in enumerate(_records(path, dialect, strict=True)):
        names = names or fields
        place = _place(path, number, line)
        if sum(map(len, fields)) > _BLOCK_BYTES // 4:  # a character has up to four bytes
            longest = max(range(len(fields)), key=lambda at: len(fields[at]))
            return too_long(place, (names + fields)[longest], fields[longest])
        if len(fields) != len(names):
            return BadVoteError(
                f"{place} has {len(fields)} field{'' if len(fields) == 1 else 's'}, but the header names {len(names)} "
                "columns. Give each row a field for each column."
            )
        if not _is_text(fields):
            column = next(name for name, field in zip(names, fields, strict=True) if not _is_text([field]))
            return VotesFormatError(f"{place} is not UTF-8 in the column {quoted(column)}. Save the file as UTF-8.")
    if number == 0:
        return NoVotesError(f"{named(path)} holds no votes: below its column names there is no row. Add the votes.")
    return _unreadable(path, error)


def _is_text(fields: Sequence[str]) -> bool:
    return not any(not field.isascii() and _UNDECODED.search(field) for field in fields)


# --- Parquet -----------------------------------------------------------------------------------------------------


def _open_parquet(path: Path, coded: frozenset[str], _plain: frozenset[str]) -> TableFile:
    schema = parquet.read_schema(path)
    _refuse_doubled(path, schema.names)
    text = [field.name for field in schema if field.name in coded and is_text_type(field.type)]
    file = parquet.ParquetFile(path, read_dictionary=text, page_checksum_verification=True)

    def load(name: str) -> pa.ChunkedArray:
        try:
            return file.read(columns=[name])[name]
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error

    return TableFile(
        path=path, columns=tuple(schema.names), rows=file.metadata.num_rows, load=load, line_of=lambda _: None
    )


# --- JSON --------------------------------------------------------------------------------------------------------


def _open_json(path: Path, coded: frozenset[str], plain: frozenset[str]) -> TableFile:
    names: dict[str, None] = {}
    columns: dict[str, list[Any]] = {}
    alike: dict[str, str] = {}
    count = 0
    for row in _objects(path):
        for name in row.keys() - names.keys():
            if name in coded | plain:
                columns[name] = [None] * count
        names.update(dict.fromkeys(row))
        for name, values in columns.items():
            value = row.get(name)
            # A name that comes a million times is kept in memory once.
            values.append(alike.setdefault(value, value) if isinstance(value, str) and name in coded else value)
        count += 1
    if not count:
        raise NoVotesError(f"{named(path)} holds no votes. Write an object for each vote.")
    return TableFile(
        path=path,
        columns=tuple(names),
        rows=count,
        load=lambda name: _json_column(path, name, columns[name]),
        line_of=lambda _: None,
    )


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(fields := dict(pairs)) < len(pairs):
            _refuse_doubled(path, [name for name, _ in pairs])
        return fields

    try:
        decode = json.JSONDecoder(object_pairs_hook=once).raw_decode
        for number, value in enumerate(_values(path.read_text(encoding="utf-8-sig"), decode), start=1):
            if not isinstance(value, dict):
                raise BadVoteError(
                    f"{_place(path, number, None)} is {quoted(json.dumps(value))}, but must be an object. "
                    "Write an object for each vote."
                )
            yield value
    except UnicodeDecodeError as error:
        raise VotesFormatError(f"{named(path)} is not UTF-8 text. Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _values(text: str, decode: Callable[[str, int], tuple[Any, int]]) -> Iterator[Any]:
    """The values of the array that `text` is, or those that stand there one after the other."""
    at = _after_blank(text, 0)
    is_array = text.startswith("[", at)
    if is_array:
        at = _after_blank(text, at + 1)
    more = at < len(text) and not (is_array and text.startswith("]", at))
    while more:
        value, at = decode(text, at)
        yield value
        at = _after_blank(text, at)
        more = text.startswith(",", at) if is_array else at < len(text)
        at = _after_blank(text, at + 1) if is_array and more else at
    if is_array and not (text.startswith("]", at) and _after_blank(text, at + 1) == len(text)):
        raise json.JSONDecodeError("Expecting ',' or the closing ']'", text, at)


def _after_blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _json_column(path: Path, name: str, values: list[Any]) -> pa.ChunkedArray:
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowException, ValueError, OverflowError, TypeError) as error:
        kinds = [_json_kind(value) for value in values]
        first = next((kind for kind in kinds if kind), "")
        other = next((row for row, kind in enumerate(kinds) if kind not in {"", first}), None)
        if other is None:
            raise VotesColumnsError(
                f"{named(path)} has values that cannot be read in the column {quoted(name)}: "
                f"{quoted(str(error), 160)}. Write them as plain texts."
            ) from error
        raise BadVoteError(
            f"{_place(path, other + 1, None)}: the column {quoted(name)} is {quoted(json.dumps(values[other]))}, "
            f"{kinds[other]} after {first}. Write all of them alike."
        ) from error


def _json_kind(value: Any) -> str:
    kinds = ((type(None), ""), (bool, "true or false"), (int | float, "a number"), (str, "a text"), (dict, "an object"))
    return next((words for kind, words in kinds if isinstance(value, kind)), "a list")


_OPENERS: dict[str, Callable[[Path, frozenset[str], frozenset[str]], TableFile]] = {
    ".csv": _open_csv,
    ".tsv": _open_tsv,
    ".parquet": _open_parquet,
    ".json": _open_json,
    ".jsonl": _open_json,
}
