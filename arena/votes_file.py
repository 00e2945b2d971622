"""A file of votes becomes a `VoteTable`; for every column that it lacks, a sentence says what that switches off.

In: a CSV, TSV, Parquet or JSON file in one of two formats. Out: a frozen `VotesFile`. Nothing is repaired: a row that
is no vote is refused, and the sentence names it.
Our own format is what `arena/export.py` writes. It needs `model_a`, `model_b` and `choice` (A, B, tie or both_bad), and
may have `left` (A or B), `rater`, `prompt`, `category`, `challenge`, `vote_id`, `ts`, `latency_ms`, `simulated` and
`question`. The public arenas' format has `winner` (model_a, model_b, tie, "tie (bothbad)", bothbad or both_bad) in
place of `choice`; `judge` or `user_id` are read as `rater`, `question_id` as `vote_id` and `tstamp` as `ts`. Without
a column `left` nobody knows which model stood there, so what needs the sides is switched off. White space around a
field does not matter, nor does the case of such words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int8, Int32, Int64

from arena.statistics.votes import Chosen, Left, VoteTable
from arena.votes_columns import Texts, first_repeat, moments, numbers, texts
from arena.votes_formats import (
    BadVoteError,
    NoVotesError,
    TableFile,
    VotesColumnsError,
    VotesFileError,
    named,
    open_table,
)
from prompts.errors import quoted

RatersKind = Literal["people", "simulated"]


class MixedVotesFileError(VotesFileError):
    """Votes of two kinds stand in one file, and nobody has said which are meant."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VotesFile:
    """The votes of a file, in the file's order. `notes` says what was read as what, and what is not estimable.

    `order` are the table's rows in the order in which the votes were cast: by time, equal times as in the file, and all
    as in the file where a time is missing. `latency_ms` is -1 where it was not recorded.
    """

    table: VoteTable
    notes: tuple[str, ...]
    simulated: RatersKind
    order: Int64[np.ndarray, " votes"]
    latency_ms: Float64[np.ndarray, " votes"]


def read_votes_file(path: Path, *, raters: RatersKind | None = None, question: str | None = None) -> VotesFile:
    """The votes in `path`; where `raters` or `question` is given, those alone.

    Raises a subclass of VotesFileError: for a file, a column or a row that cannot be read, a model against itself, a
    vote id that comes twice, votes of people among simulated ones or on several questions, and for no votes.
    """
    file = open_table(path, coded=_CODED, plain=_PLAIN)
    columns = _columns(file)
    if file.rows == 0:
        raise NoVotesError(f"{named(path)} holds no votes: below its column names there is no row. Add the votes.")
    rows = _answering(file, columns, np.arange(file.rows), question)
    rows, kind = _of_one_kind(file, columns, rows, raters)
    votes = _Votes(file=file, columns=columns, rows=rows)
    votes, id_notes = _without_repeats(votes)
    order, order_notes = _order(votes)
    table = _table(votes)
    return VotesFile(
        table=table,
        notes=(*_reading_notes(votes), *id_notes, *_gap_notes(votes, table), *order_notes),
        simulated=kind,
        order=order,
        latency_ms=_latency(votes),
    )


# How a column may be called; the first name that is there counts.
_NAMES: dict[str, tuple[str, ...]] = {
    "vote_id": ("vote_id", "question_id"),
    "ts": ("ts", "tstamp"),
    "rater": ("rater", "judge", "user_id"),
    "prompt": ("prompt",),
    "category": ("category",),
    "challenge": ("challenge",),
    "model_a": ("model_a",),
    "model_b": ("model_b",),
    "left": ("left",),
    "choice": ("choice", "winner"),
    "latency_ms": ("latency_ms",),
    "simulated": ("simulated",),
    "question": ("question",),
}
_NEEDED = ("model_a", "model_b", "choice")
_PLAIN = frozenset({"vote_id", "question_id", "ts", "tstamp", "latency_ms"})
_CODED = frozenset(name for names in _NAMES.values() for name in names) - _PLAIN

# Ours, and of no use here.
_UNREAD = frozenset({"session"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The words of a column and what they mean; `allowed` is how an error lists them."""

    meaning: Mapping[str, int]
    allowed: str


_CHOICES = _Words(
    meaning={"a": Chosen.A, "b": Chosen.B, "tie": Chosen.TIE, "both_bad": Chosen.BOTH_BAD},
    allowed="A, B, tie or both_bad",
)
_WINNERS = _Words(
    meaning={
        "model_a": Chosen.A,
        "model_b": Chosen.B,
        "tie": Chosen.TIE,
        "tie (bothbad)": Chosen.BOTH_BAD,
        "bothbad": Chosen.BOTH_BAD,
        "both_bad": Chosen.BOTH_BAD,
    },
    allowed="model_a, model_b, tie, tie (bothbad), bothbad or both_bad",
)
_SIDES = _Words(meaning={"a": Left.A, "b": Left.B}, allowed="A, B or nothing")
_YES_OR_NO = _Words(meaning={"false": 0, "0": 0, "true": 1, "1": 1}, allowed="true or false")

_KINDS: tuple[RatersKind, RatersKind] = ("people", "simulated")
_KIND_WORDS: dict[RatersKind, str] = {"people": "people", "simulated": "simulated raters"}

# What a column switches off where it is missing.
_SWITCHED_OFF = {
    "rater": "standard errors, intervals and tests that cluster by rater are not estimable",
    "prompt": "standard errors, intervals and tests that cluster by prompt are not estimable",
    "left": "the position test and the effect of the side are not estimable",
    "category": "results by category are not estimable",
}
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Votes:
    """An opened file, the name of each column that it has, and the rows that are votes to be read."""

    file: TableFile
    columns: Mapping[str, str]
    rows: Int64[np.ndarray, " votes"]

    def texts(self, column: str) -> Texts:
        """The votes' texts in a column that is there."""
        found = texts(self.file, self.columns[column], whole=column in {"rater", "prompt"})
        return found if len(self.rows) == self.file.rows else found.only(self.rows)

    def meant(self, column: str, words: _Words, *, may_be_empty: bool = False) -> Int32[np.ndarray, " votes"]:
        """What the votes say in a column of few words; -1 for nothing. Raises BadVoteError for any other word."""
        found = self.texts(column)
        meaning = {text: words.meaning[text.casefold()] for text in found.known if text.casefold() in words.meaning}
        meant = found.coded(meaning)
        strange = np.flatnonzero((meant < 0) & ((found.place >= 0) | (not may_be_empty)))
        if len(strange):
            place = found.place[strange[0]]
            problem = f"is {quoted(found.known[place])}" if place >= 0 else "is empty"
            raise self.refused(int(strange[0]), column, f"{problem}, but must be {words.allowed}. Correct it")
        return meant

    def refused(self, vote: int, column: str, problem: str) -> BadVoteError:
        """The error of a vote, counted among those to be read."""
        place = self.file.place(int(self.rows[vote]))
        return BadVoteError(f"{place}: the column {quoted(self.columns[column])} {problem}, or take the row out.")


def _columns(file: TableFile) -> dict[str, str]:
    there = [name for name in file.columns if name]
    columns = {
        column: next(name for name in names if name in there)
        for column, names in _NAMES.items()
        if any(name in there for name in names)
    }
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        near = {column: get_close_matches(column, there, n=1) for column in missing}
        hints = [f"{quoted(names[0])} could be {column}" for column, names in near.items() if names]
        raise VotesColumnsError(
            f"{named(file.path)} lacks {_listed(missing)}; its columns are {_listed(there)}. Votes need model_a, "
            f"model_b and choice (or winner): name the columns so{' (' + ', '.join(hints) + ')' if hints else ''}."
        )
    return columns


def _answering(
    file: TableFile, columns: Mapping[str, str], rows: Int64[np.ndarray, " rows"], question: str | None
) -> Int64[np.ndarray, " votes"]:
    """The rows that answer the question, or all where there is one."""
    # In the public arenas' files a question is what a model was asked, not what a rater was.
    asks_raters = "question" in columns and columns["choice"] == "choice"
    found = texts(file, columns["question"]) if asks_raters else None
    asked = found.occurring() if found else []
    if found is None or not asked:
        if question is None:
            return rows
        raise VotesColumnsError(
            f"{named(file.path)} does not say in a column 'question' which votes answer {quoted(question)}. "
            "Read it without --question."
        )
    if question is None:
        if len(asked) > 1 or found.place.min() < 0:
            gap = "" if found.place.min() >= 0 else " and on none"
            raise MixedVotesFileError(
                f"{named(file.path)} holds votes on the questions {_listed(asked)}{gap}. Choose one with --question."
            )
        return rows
    chosen: Int64[np.ndarray, " votes"] = rows[found.coded({question: 1}) == 1]
    if len(chosen) == 0:
        raise NoVotesError(
            f"{named(file.path)} holds no votes on the question {quoted(question)}, only on {_listed(asked)}. "
            "Choose one of them with --question."
        )
    return chosen


def _of_one_kind(
    file: TableFile, columns: Mapping[str, str], rows: Int64[np.ndarray, " votes"], raters: RatersKind | None
) -> tuple[Int64[np.ndarray, " votes"], RatersKind]:
    """The votes of people or of simulated raters; a file that does not say holds people's."""
    votes = _Votes(file=file, columns=columns, rows=rows)
    if "simulated" not in columns or not votes.texts("simulated").occurring():
        if raters == "simulated":
            raise NoVotesError(
                f"{named(file.path)} does not say in a column 'simulated' that its raters are. Read it without "
                "--raters simulated."
            )
        return rows, "people"
    simulated = votes.meant("simulated", _YES_OR_NO)
    if raters is None:
        if simulated.min() != simulated.max():
            raise MixedVotesFileError(
                f"{named(file.path)} holds votes of people and of simulated raters, which never mix. "
                "Choose one kind with --raters people or --raters simulated."
            )
        return rows, _KINDS[simulated[0]]
    chosen = rows[simulated == _KINDS.index(raters)]
    if len(chosen) == 0:
        raise NoVotesError(
            f"{named(file.path)} holds no votes of {_KIND_WORDS[raters]}. Choose the other kind with --raters."
        )
    return chosen, raters


def _without_repeats(votes: _Votes) -> tuple[_Votes, list[str]]:
    """The votes, once no vote id comes twice; a `question_id` that does is no vote id."""
    if "vote_id" not in votes.columns:
        return votes, []
    column = votes.columns["vote_id"]
    repeat = first_repeat(votes.file, column, votes.rows)
    if repeat is None:
        return votes, []
    if column == "vote_id":
        raise BadVoteError(
            f"{votes.file.place(repeat.second)}: the vote id {quoted(repeat.value)} stood in row {repeat.first + 1} "
            "before. Give each vote once."
        )
    columns = {role: name for role, name in votes.columns.items() if role != "vote_id"}
    note = (
        f"The column 'question_id' is not read as vote id: {quoted(repeat.value)} stands in rows {repeat.first + 1} "
        f"and {repeat.second + 1}."
    )
    return _Votes(file=votes.file, columns=columns, rows=votes.rows), [note]


def _order(votes: _Votes) -> tuple[Int64[np.ndarray, " votes"], list[str]]:
    as_in_file = np.arange(len(votes.rows))
    if "ts" not in votes.columns:
        return as_in_file, ["There is no column 'ts': the votes are taken as cast in the file's order."]
    column = votes.columns["ts"]
    found = moments(votes.file, column)
    gaps = int(np.count_nonzero(~found.recorded[votes.rows]))
    if gaps:
        without = f"{_share(gaps, len(votes.rows))} no moment in the column {quoted(column)}"
        return as_in_file, [f"{without}: all are taken as cast in the file's order."]
    return np.argsort(found.value[votes.rows], kind="stable"), []


def _latency(votes: _Votes) -> Float64[np.ndarray, " votes"]:
    if "latency_ms" not in votes.columns:
        return np.full(len(votes.rows), -1.0)
    found = numbers(votes.file, votes.columns["latency_ms"])
    value, recorded = found.value[votes.rows], found.recorded[votes.rows]
    impossible = np.flatnonzero(recorded & ~((value >= 0) & (value < np.inf)))
    if len(impossible):
        written = quoted(found.written(int(votes.rows[impossible[0]])))
        problem = f"is {written}, but must be a number of milliseconds, 0 or more, or nothing. Correct it"
        raise votes.refused(int(impossible[0]), "latency_ms", problem)
    return np.where(recorded, value, -1.0)


def _table(votes: _Votes) -> VoteTable:
    choice = votes.meant("choice", _CHOICES if votes.columns["choice"] == "choice" else _WINNERS)
    model_a, model_b = votes.texts("model_a"), votes.texts("model_b")
    for column, model in (("model_a", model_a), ("model_b", model_b)):
        for vote in np.flatnonzero(model.place < 0)[:1]:
            raise votes.refused(int(vote), column, "is empty. Name the model")
    models = sorted({*model_a.occurring(), *model_b.occurring()})
    code = {name: number for number, name in enumerate(models)}
    code_a, code_b = model_a.coded(code), model_b.coded(code)
    for vote in np.flatnonzero(code_a == code_b)[:1]:
        problem = f"is {quoted(models[code_a[vote]])}, and so is the other model. Name two different ones"
        raise votes.refused(int(vote), "model_a", problem)
    rater, prompt, category, challenge = (
        _names(votes, column) for column in ("rater", "prompt", "category", "challenge")
    )
    return VoteTable(
        rater=rater.code,
        prompt=prompt.code,
        category=category.code,
        challenge=challenge.code,
        model_a=code_a,
        model_b=code_b,
        left=_left(votes),
        choice=choice.astype(np.int8),
        raters=rater.names,
        prompts=prompt.names,
        categories=category.names,
        challenges=challenge.names,
        models=tuple(models),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Names:
    code: Int32[np.ndarray, " votes"]
    names: tuple[str, ...]


def _names(votes: _Votes, column: str) -> _Names:
    if column not in votes.columns:
        return _Names(code=np.full(len(votes.rows), -1, dtype=np.int32), names=())
    found = votes.texts(column)
    names = found.occurring()
    return _Names(code=found.coded({name: number for number, name in enumerate(names)}), names=tuple(names))


def _left(votes: _Votes) -> Int8[np.ndarray, " votes"]:
    if "left" in votes.columns:
        return votes.meant("left", _SIDES, may_be_empty=True).astype(np.int8)
    return np.full(len(votes.rows), Left.UNKNOWN, dtype=np.int8)


def _reading_notes(votes: _Votes) -> list[str]:
    columns = votes.columns
    notes = []
    renamed = [f"{quoted(name)} as {column}" for column, name in columns.items() if name != column]
    if renamed:
        notes.append(f"Read {', '.join(renamed)}.")
    unread = set(_UNREAD)
    if columns["choice"] == "choice" and "winner" in votes.file.columns:
        notes.append("The columns 'choice' and 'winner' both say who was preferred: 'choice' is read.")
        unread.add("winner")
    if "vote_id" not in columns:
        unread.add("question_id")
    ignored = [name for name in votes.file.columns if name and name not in unread and name not in columns.values()]
    if ignored:
        notes.append(f"Not read: the column{'' if len(ignored) == 1 else 's'} {_listed(ignored)}.")
    return notes


def _gap_notes(votes: _Votes, table: VoteTable) -> list[str]:
    notes = []
    for column, consequence in _SWITCHED_OFF.items():
        gaps = int(np.count_nonzero(getattr(table, column) < 0))
        if gaps == len(table):
            what = f"The column {quoted(votes.columns[column])} is empty" if column in votes.columns else ""
            notes.append(f"{what or f'There is no column {quoted(column)}'}: {consequence}.")
        # A prompt may well have no category.
        elif gaps and column != "category":
            what = "they tell nothing about sides" if column == "left" else f"where they count, {consequence}"
            notes.append(f"{_share(gaps, len(table))} nothing in the column {quoted(votes.columns[column])}: {what}.")
    return notes


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} votes have"


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = [quoted(name) for name in names[:_MOST_NAMED]]
    if len(names) > _MOST_NAMED:
        return f"{', '.join(shown)} and {len(names) - _MOST_NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
