"""A study's TOML file becomes a `Study`; what is wrong in it is named with its line.

In: a file, and who gives a prompt set for its name. Out: the declaration it makes. Nothing is guessed: an unknown key,
a missing one and one of another type are refused. The study and the ledger refuse by places in the declaration
(`PlacedError`); here these become lines.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from arena.quality import GatesError
from arena.statistics.stopping import StoppingRule, StoppingRuleError
from arena.study import PARTS, Study
from arena.study_parts import Sample
from arena.study_workable import check_workable, usual_votes
from prompts.errors import CanvasError, quoted
from prompts.prompt import PromptSet, SampleError
from prompts.toml_places import Place, PlacedError, line_of

#: Longer values are cut in what is said of them.
_LONGEST_VALUE = 80


class StudyFileError(CanvasError):
    """A study file that cannot be read: missing, no TOML, an unknown, missing or mistyped key; names key and line."""


#: The keys of a study file and what each holds; those in `_NEEDED` have no default.
_TYPES: dict[str, str] = {
    "name": "text",
    "title": "text",
    "question": "text",
    "questions": "tables",
    "reference": "text",
    "candidates": "a list of texts",
    "links": "a list of two candidates each",
    "prompts": "text",
    "sample": "a table",
    "seeds": "a list of whole numbers",
    "ties": "true or false",
    "both_bad": "true or false",
    "delta": "a number",
    "votes_per_rater": "a whole number",
    "pairs_per_prompt": "a whole number",
    "sampling": "balanced or active",
    "repeats": "a number",
    "gold": "tables",
    "gold_share": "a number",
    "gates": "a table",
    "consent": "text",
    "instructions": "text",
    "practice": "tables",
    "checks": "tables",
    "language": "text",
    "access": "open or link",
    "crowd": "a table",
    "stopping": "a table",
}
_NEEDED = ("name", "reference", "candidates", "prompts", "ties", "both_bad")
#: The keys of the tables; a "*" marks those without a default.
_TABLES: dict[str, dict[str, str]] = {
    "questions": {"key*": "text", "text*": "text"},
    "sample": {"size*": "a whole number", "seed": "a whole number"},
    "gold": {
        "prompt*": "text",
        "better*": "text",
        "worse*": "text",
        "seed": "a whole number",
        "attention": "true or false",
    },
    "practice": {"prompt*": "text", "better*": "text", "worse*": "text", "seed": "a whole number", "feedback": "text"},
    "checks": {"text*": "text", "answers*": "a list of texts", "right*": "a whole number"},
    "gates": {
        "latency_floor_ms": "a whole number",
        "latency_share": "a number",
        "left_share_p": "a number",
        "repeat_agreement": "a number",
        "gold_pass": "a number",
        "attention": "true or false",
    },
    "crowd": {
        "site*": "prolific or mturk",
        "slots*": "a whole number",
        "minutes": "a whole number",
        "completion_code*": "text",
        "screen_out_code": "text",
        "return_url": "text",
    },
    "stopping": {field.name: "a whole number" for field in fields(StoppingRule)},
}


def read_study_file(path: Path, prompt_set: Callable[[str], PromptSet]) -> Study:
    """The study that the TOML file at `path` declares; `prompt_set` gives the prompt set of a name.

    Without `votes_per_rater` it is 30, or as many as one rater can be asked where those are fewer.

    Raises StudyFileError when the file is missing, is no TOML in UTF-8, or has an unknown, missing or mistyped key;
    StudyError when what it says is no study or could never work, GatesError and StoppingRuleError when its [gates] or
    [stopping] cannot be followed, SampleError for a sample that cannot be drawn; and whatever `prompt_set` raises for a
    name it does not know. All name the file, and the line where there is one.
    """
    if not path.is_file():
        raise StudyFileError(f"There is no study file {path}. Write one; arena/README.md shows an example.")
    try:
        text = path.read_text(encoding="utf-8")
        written = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{path} is not in UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(f"{path} is no TOML: {error}. Mend that place.") from error
    file = _File(path, text)
    file.check_keys(written, _TYPES)
    for table, types in _TABLES.items():
        file.check_table(written, table, types)
    missing = [key for key in _NEEDED if key not in written]
    if "question" not in written and "questions" not in written:
        missing.append("question")
    if missing:
        raise StudyFileError(f"{path} does not say {', '.join(missing)}. Add what is missing; nothing is guessed.")
    with lines_named(path):
        study = _study(file, written, prompt_set)
        check_workable(study)
    return study


@contextmanager
def lines_named(path: Path) -> Iterator[None]:
    """Whatever refuses what the study file at `path` declares says so with the file and the line."""
    try:
        yield
    except PlacedError as error:
        if not error.place:
            raise
        raise _File(path, path.read_text(encoding="utf-8")).named(error, error.place) from error


@dataclass(frozen=True, slots=True)
class _File:
    """A study file and its text; says what is wrong in it, and on which line."""

    path: Path
    text: str

    def where(self, place: Place) -> str:
        """As in "shapes.toml, line 7"."""
        line = line_of(self.text, place)
        return f"{self.path}" if line is None else f"{self.path}, line {line}"

    def named(self, error: CanvasError, place: Place) -> CanvasError:
        """The same refusal, with file and line before its sentence."""
        found = type(error)(f"{self.where(place)}: {error}")
        return found.at(*place) if isinstance(found, PlacedError) else found

    def check_table(self, written: Mapping[str, Any], table: str, types: Mapping[str, str]) -> None:
        """The keys of one table, or of each of several under `table`; those marked "*" must be there."""
        plain = {key.rstrip("*"): kind for key, kind in types.items()}
        found = written.get(table, [])
        tables: dict[Place, Any] = (
            {(table, n): one for n, one in enumerate(found)} if isinstance(found, list) else {(table,): found}
        )
        for place, one in tables.items():
            self.check_keys(one, plain, place)
            missing = [key.rstrip("*") for key in types if key.endswith("*") and key.rstrip("*") not in one]
            if missing:
                raise StudyFileError(
                    f"{self.where(place)}: [{table}] does not say {', '.join(missing)}. Add what is missing."
                )

    def check_keys(self, written: Mapping[str, Any], types: Mapping[str, str], table: Place = ()) -> None:
        """That every key is known, and holds what it should."""
        for key, value in written.items():
            where = self.where((*table, key))
            if key not in types:
                known = f"Known keys of [{table[0]}]" if table else "Known keys"
                raise StudyFileError(f"{where}: unknown key {quoted(key)}. {known}: {', '.join(types)}.")
            if not _fits(types[key], value):
                raise StudyFileError(f"{where}: '{key}' is {_shown(value)}, but must be {types[key]}.")


def _study(file: _File, written: Mapping[str, Any], prompt_set: Callable[[str], PromptSet]) -> Study:
    """The study of a file whose keys are in order. Errors that know no places come with their line at once."""
    values: dict[str, Any] = {key: _value(file, key, value) for key, value in written.items()}
    try:
        values["prompts"] = prompt_set(written["prompts"])
    except PlacedError as error:
        raise error.at("prompts") from None
    sample: Sample | None = values.get("sample")
    if sample is not None:
        try:
            values["prompts"] = values["prompts"].sample(sample.size, sample.seed)
        except SampleError as error:
            raise file.named(error, ("sample", "seed" if sample.seed < 0 else "size")) from error
    study = Study(**values)
    return study if "votes_per_rater" in written else replace(study, votes_per_rater=usual_votes(study))


def _value(file: _File, key: str, written: Any) -> Any:
    if key in _TABLES and isinstance(written, dict):
        written = {name: _number(_TABLES[key].get(name, ""), value) for name, value in written.items()}
    if key not in PARTS:
        return tuple(written) if isinstance(written, list) else _number(_TYPES[key], written)
    try:
        return PARTS[key](written)
    except PlacedError as error:
        raise error.at(key) from None
    except (GatesError, StoppingRuleError) as error:
        raise file.named(error, (key, *_at_fault(PARTS[key], written, error))) from error


def _number(kind: str, value: Any) -> Any:
    """A whole number is a number too: 1 is 1.0 where a number is asked for."""
    return float(value) if kind == "a number" else value


def _at_fault(read: Callable[[Mapping[str, Any]], Any], table: Mapping[str, Any], refused: CanvasError) -> Place:
    """The key of the table that brings the same refusal by itself; () where it takes several."""
    for key, value in table.items():
        try:
            read({key: value})
        except type(refused) as error:
            if str(error) == str(refused):
                return (key,)
    return ()


def _fits(kind: str, value: object) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "text":
            return isinstance(value, str)
        case "true or false":
            return isinstance(value, bool)
        case "a number":
            return whole or isinstance(value, float)
        case "a whole number":
            return whole
        case "a table":
            return isinstance(value, dict)
        case "tables":
            return isinstance(value, list) and all(isinstance(item, dict) for item in value)
        case "a list of two candidates each":
            return isinstance(value, list) and all(_fits("a list of texts", item) and len(item) == 2 for item in value)
        case "balanced or active" | "open or link" | "prolific or mturk":
            return value in kind.split(" or ")
        case "a list of texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case _:
            return isinstance(value, list) and all(_fits("a whole number", item) for item in value)


def _shown(value: object) -> str:
    """As the file would say it, more or less, on one line."""
    shown = repr(value) if not isinstance(value, bool) else str(value).lower()
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[: _LONGEST_VALUE - 1]}…"
