"""One column of a table as numpy arrays: texts as codes, numbers, moments, and what stands there twice.

In: a `TableFile` and a column's name. Out: an element per row. White space around a text is dropped; an empty text and
a null were not recorded. Whatever a file gives as a text is read as one: the number 1 as "1", and so is 1.0, as which
pandas writes whole numbers with gaps. Refused are lists and structures, bytes that are no UTF-8, NULs, and fields of
more than `LONGEST_FIELD` characters.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int32, Int64, Shaped

from arena.votes_formats import (
    LONGEST_FIELD,
    BadVoteError,
    TableFile,
    VotesColumnsError,
    VotesFileError,
    is_text_type,
    named,
    too_long,
)
from prompts.errors import quoted

# Numbers leave Arrow through its buffers: `to_numpy`, `pa.array` and every scalar import pandas where it is installed,
# which takes longer than reading a million votes and costs 60 MB.

_WHOLE = re.compile(r"-?\d+\.0+")

# Bytes that are no UTF-8, after errors="surrogateescape".
_UNDECODED = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Texts:
    """A column of texts: `place` counts into `known`, -1 where nothing was recorded.

    The known texts stand in no order; some may be equal, and some may not occur.
    """

    place: Int32[np.ndarray, " rows"]
    known: tuple[str, ...]

    def only(self, rows: Int64[np.ndarray, " chosen"]) -> "Texts":
        """The same for these rows alone."""
        return Texts(place=self.place[rows], known=self.known)

    def occurring(self) -> list[str]:
        """The texts that occur, each once, sorted."""
        counts = np.bincount(self.place[self.place >= 0], minlength=len(self.known))
        return sorted({self.known[place] for place in np.flatnonzero(counts)})

    def coded(self, codes: Mapping[str, int]) -> Int32[np.ndarray, " rows"]:
        """Each row's text as its code; -1 where nothing was recorded or the text has no code."""
        # The place -1 finds the last of these.
        code_of_place: Int32[np.ndarray, " places"] = np.array(
            [*(codes.get(text, -1) for text in self.known), -1], dtype=np.int32
        )
        return code_of_place.take(self.place)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """A column of numbers; `value` means nothing where it was not `recorded`. `written` is a row's own words."""

    value: Shaped[np.ndarray, " rows"]
    recorded: Bool[np.ndarray, " rows"]
    written: Callable[[int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A value that stands in two rows, which count from 0."""

    value: str
    first: int
    second: int


def texts(file: TableFile, column: str, *, whole: bool = False) -> Texts:
    """The column as texts. `whole`: where all of them read "1.0", "2.0", they are the whole numbers "1", "2".

    Raises VotesColumnsError and BadVoteError.
    """
    array, kind = _loaded(file, column)
    if pa.types.is_null(array.type):
        return Texts(place=np.full(file.rows, -1, dtype=np.int32), known=())
    distinct, place = _encoded(array)
    known = [_text(value, kind) for value in _python_values(distinct)]
    for number, text in enumerate(known):
        if problem := _problem_of(text):
            rows = np.flatnonzero(place == number)
            if len(rows):
                raise problem(file.place(int(rows[0])), column, text)
    known = [text.strip() for text in known]
    if whole and all(_WHOLE.fullmatch(text) for text in known if text):
        known = [text.partition(".")[0] for text in known]
    is_empty = np.array([*(not text for text in known), True])
    return Texts(place=np.where(is_empty[place], np.int32(-1), place), known=tuple(known))


def numbers(file: TableFile, column: str) -> Numbers:
    """The column as float64, with the NaN and the infinity that the file may hold.

    Raises VotesColumnsError for a column of another kind, BadVoteError for a text that is no number.
    """
    array, _ = _decoded(file, column)
    written = array
    if is_text_type(array.type):
        array = _cast(file, column, array, pa.float64(), "is no number. Write digits and a decimal point.")
    elif not _is_number(array.type):
        raise _unfit(file, column, array.type, "numbers")
    return _numbers(array.cast(pa.float64(), safe=False), np.float64, written)


def moments(file: TableFile, column: str) -> Numbers:
    """The column as numbers that grow with time: timestamps, dates, texts as in ISO 8601, or numbers as they are.

    Raises VotesColumnsError for a column of another kind, BadVoteError for a text that is no moment, or is not written
    as the first one is: as a number, with a time zone, or without.
    """
    array, _ = _decoded(file, column)
    written = array
    if is_text_type(array.type):
        problem = "is no moment, or not written as the first one is. Write all of them like 2024-05-01T12:00:00Z."
        array = _cast(file, column, array, _way_of_writing(array), problem)
    if pa.types.is_date32(array.type):
        array = array.cast(pa.int32())
    if pa.types.is_timestamp(array.type) or pa.types.is_date64(array.type) or pa.types.is_signed_integer(array.type):
        return _numbers(array.cast(pa.int64()), np.int64, written)
    if not _is_number(array.type):
        raise _unfit(file, column, array.type, "moments")
    found = _numbers(array.cast(pa.float64(), safe=False), np.float64, written)
    return replace(found, recorded=found.recorded & ~np.isnan(found.value))


def first_repeat(file: TableFile, column: str, among: Int64[np.ndarray, " chosen"]) -> Repeat | None:
    """The first row `among` these whose value another of them had before; what was not recorded repeats nothing.

    Raises VotesColumnsError and BadVoteError.
    """
    array, kind = _decoded(file, column)
    if pa.types.is_null(array.type) or _are_different_whole_numbers(array, among):
        return None
    distinct, place = _encoded(array)
    rows = among[place[among] >= 0]
    alike = rows[np.argsort(place[rows], kind="stable")]
    again = alike[1:][place[alike[1:]] == place[alike[:-1]]]
    if len(again) == 0:
        return None
    second = int(again.min())
    first = int(rows[place[rows] == place[second]][0])
    value = _python_values(distinct.slice(place[second], 1))[0]
    return Repeat(value=_text(value, kind), first=first, second=second)


def _loaded(file: TableFile, column: str) -> tuple[pa.ChunkedArray, pa.DataType]:
    """The column, freed of Arrow's extensions (UUID, JSON), and its type with them."""
    array = file.load(column)
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        array = pa.chunked_array([chunk.storage for chunk in array.chunks], kind.storage_type)
    if not _is_single(array.type.value_type if pa.types.is_dictionary(array.type) else array.type):
        raise _unfit(file, column, kind, "one text or number per row")
    return array, kind


def _decoded(file: TableFile, column: str) -> tuple[pa.ChunkedArray, pa.DataType]:
    """As `_loaded`, but values rather than codes; texts are checked, trimmed, and null where nothing is left."""
    array, kind = _loaded(file, column)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if not is_text_type(array.type):
        return array, kind
    array = _cast(file, column, array.cast(pa.large_binary()), pa.large_string(), "is not UTF-8. Save it as UTF-8.")
    is_strange = pc.match_substring(array, pattern="\0")
    is_long = _plain(pc.utf8_length(array), np.int64) > LONGEST_FIELD
    for row in np.flatnonzero((_flags(is_strange) | is_long) & _flags(array.is_valid()))[:1]:
        text = array[int(row)].as_py()
        if problem := _problem_of(text):
            raise problem(file.place(int(row)), column, text)
    trimmed = pc.utf8_trim_whitespace(array)
    is_written = pc.binary_length(trimmed).cast(pa.bool_())
    return pc.if_else(is_written, trimmed, pa.nulls(len(trimmed), trimmed.type)), kind


def _encoded(array: pa.ChunkedArray) -> tuple[pa.Array, Int32[np.ndarray, " rows"]]:
    """The distinct values, and each row's place among them; -1 for null."""
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    array = array.unify_dictionaries()
    places = pa.chunked_array([chunk.indices.cast(pa.int32()) for chunk in array.chunks])
    return array.chunk(0).dictionary, np.where(_flags(places.is_valid()), _plain(places, np.int32), np.int32(-1))


def _python_values(distinct: pa.Array) -> list[Any]:
    if pa.types.is_temporal(distinct.type):
        # Arrow's own words for a moment; Python's would need pandas for nanoseconds.
        return list(distinct.cast(pa.string()).to_pylist())
    # Bytes, because Arrow does not check that a Parquet file's text is UTF-8.
    return list((distinct.cast(pa.large_binary()) if is_text_type(distinct.type) else distinct).to_pylist())


def _text(value: Any, kind: pa.DataType) -> str:
    match value:
        case None:
            return ""
        case bytes():
            return str(UUID(bytes=value)) if kind == pa.uuid() else value.decode(errors="surrogateescape")
        case bool():
            return "true" if value else "false"
        case float() if np.isnan(value):
            return ""
        case float() | Decimal() if np.isfinite(float(value)) and value == int(value):
            return str(int(value))
        case _:
            return str(value)


def _problem_of(text: str) -> Callable[[str, str, str], VotesFileError] | None:
    if len(text) > LONGEST_FIELD:
        return too_long
    if "\0" in text:
        return _with_nul
    return None if text.isascii() or not _UNDECODED.search(text) else _undecodable


def _with_nul(place: str, column: str, text: str) -> VotesFileError:
    return BadVoteError(
        f"{place}: the column {quoted(column)} is {quoted(text)}, with a NUL character in it. Take the NUL out."
    )


def _undecodable(place: str, column: str, text: str) -> VotesFileError:
    return BadVoteError(
        f"{place}: the column {quoted(column)} is {quoted(text)}, which is not UTF-8. Save it as UTF-8."
    )


def _unfit(file: TableFile, column: str, kind: pa.DataType, wanted: str) -> VotesColumnsError:
    return VotesColumnsError(
        f"{named(file.path)}: the column {quoted(column)} has the type {quoted(str(kind))}, but must hold {wanted}. "
        "Convert it, or leave it out if it is not needed."
    )


def _cast(file: TableFile, column: str, array: pa.ChunkedArray, kind: pa.DataType, problem: str) -> pa.ChunkedArray:
    """The column as `kind`; the sentence of a value that cannot be says that it `problem`."""
    try:
        return array.cast(kind)
    except pa.ArrowInvalid as error:
        row = _first_refused(array, kind)
        value = array[row].as_py()
        text = value.decode(errors="surrogateescape") if isinstance(value, bytes) else value
        raise BadVoteError(
            f"{file.place(row)}: the column {quoted(column)} is {quoted(text)}, which {problem}"
        ) from error


def _first_refused(array: pa.ChunkedArray, kind: pa.DataType) -> int:
    """The first row that cannot be of `kind`, found by halving; there must be one."""
    start, end = 0, len(array)
    while end - start > 1:
        middle = (start + end) // 2
        try:
            array.slice(start, middle - start).cast(kind)
        except pa.ArrowInvalid:
            end = middle
        else:
            start = middle
    return start


def _way_of_writing(array: pa.ChunkedArray) -> pa.DataType:
    """How the first recorded moment is written: as a number, with a time zone, or without."""
    first = array.drop_null().slice(0, 1)
    for kind in (pa.float64(), pa.timestamp("ns", tz="UTC")):
        try:
            first.cast(kind)
        except pa.ArrowInvalid:
            continue
        return kind
    return pa.timestamp("ns")


def _are_different_whole_numbers(array: pa.ChunkedArray, among: Int64[np.ndarray, " chosen"]) -> bool:
    """A quick look at ids as they usually are; texts that are different numbers are different texts."""
    try:
        found = _numbers(array.cast(pa.int64()), np.int64, array)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    value = found.value[among][found.recorded[among]]
    return bool((np.diff(value) > 0).all()) or len(np.unique(value)) == len(value)


def _numbers(array: pa.ChunkedArray, kind: type[np.generic], written: pa.ChunkedArray) -> Numbers:
    return Numbers(
        value=_plain(array, kind), recorded=_flags(array.is_valid()), written=lambda row: str(written[row].as_py())
    )


def _plain(array: pa.ChunkedArray, kind: type[np.generic]) -> Shaped[np.ndarray, " rows"]:
    parts = [np.zeros(0, dtype=kind)]
    for chunk in array.chunks:
        _, data = chunk.buffers()
        is_void = data is None or len(chunk) == 0
        end = chunk.offset + len(chunk)
        parts.append(
            np.zeros(len(chunk), dtype=kind) if is_void else np.frombuffer(data, kind, count=end)[chunk.offset :]
        )
    return np.concatenate(parts)


def _flags(array: pa.ChunkedArray) -> Bool[np.ndarray, " rows"]:
    return _plain(array.cast(pa.uint8()), np.uint8).astype(np.bool_)


def _is_single(kind: pa.DataType) -> bool:
    """Whether such a value is one value and can be compared with others; lists, structures and intervals cannot."""
    of = pa.types
    is_moment = of.is_temporal(kind) and not of.is_interval(kind)
    return (
        is_text_type(kind)
        or _is_number(kind)
        or bool(is_moment or of.is_boolean(kind) or of.is_fixed_size_binary(kind))
    )


def _is_number(kind: pa.DataType) -> bool:
    of = pa.types
    return bool(of.is_integer(kind) or of.is_floating(kind) or of.is_decimal(kind) or of.is_null(kind))
