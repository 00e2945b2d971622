"""A study's TOML file becomes a `Study`; what is wrong in it is named with its line.

In: a file, and who gives a prompt set for its name. Out: the declaration it makes. Nothing is guessed: an unknown key,
a missing one and one of another type are refused.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from arena.statistics.stopping import StoppingRule
from arena.study import PARTS, Study
from prompts.errors import CanvasError, quoted
from prompts.prompt import PromptSet


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

    Raises StudyFileError when the file is missing, is no TOML in UTF-8, or has an unknown, missing or mistyped key;
    StudyError when what it says is no study, StoppingRuleError when its [stopping] is no rule, SampleError for a sample
    that cannot be drawn; and whatever `prompt_set` raises for a name it does not know.
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
    _check_keys(path, text, written, _TYPES)
    for table, types in _TABLES.items():
        _check_table(path, text, written, table, types)
    missing = [key for key in _NEEDED if key not in written]
    if "question" not in written and "questions" not in written:
        missing.append("question")
    if missing:
        raise StudyFileError(f"{path} does not say {', '.join(missing)}. Add what is missing; nothing is guessed.")
    values: dict[str, Any] = {key: PARTS[key](value) if key in PARTS else value for key, value in written.items()}
    values["candidates"] = tuple(written["candidates"])
    values["prompts"] = prompt_set(written["prompts"])
    if "sample" in values:
        values["prompts"] = values["prompts"].sample(values["sample"].size, values["sample"].seed)
    if "seeds" in written:
        values["seeds"] = tuple(written["seeds"])
    return Study(**values)


def _check_table(path: Path, text: str, written: Mapping[str, Any], table: str, types: Mapping[str, str]) -> None:
    """The keys of one table, or of each of several under `table`; those marked "*" must be there."""
    plain = {key.rstrip("*"): kind for key, kind in types.items()}
    found = written.get(table, [])
    for one in found if isinstance(found, list) else [found]:
        _check_keys(path, text, one, plain, table=table)
        missing = [key.rstrip("*") for key in types if key.endswith("*") and key.rstrip("*") not in one]
        if missing:
            raise StudyFileError(f"{path}{_line(text, table)}: [{table}] does not say {', '.join(missing)}.")


def _check_keys(path: Path, text: str, written: Mapping[str, Any], types: Mapping[str, str], table: str = "") -> None:
    for key, value in written.items():
        # In an inline table the key has no line of its own.
        place = f"{path}{_line(text, key) or (_line(text, table) if table else '')}"
        if key not in types:
            known = f"Known keys of [{table}]" if table else "Known keys"
            raise StudyFileError(f"{place}: unknown key {quoted(key)}. {known}: {', '.join(types)}.")
        if not _fits(types[key], value):
            raise StudyFileError(f"{place}: '{key}' is {value!r}, but must be {types[key]}.")


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


def _line(text: str, key: str) -> str:
    """ ", line 7" where the key stands at the beginning of a line; tomllib keeps no positions of what it read."""
    opening = re.compile(rf"\s*(\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*([=.\]]|$)")
    for number, line in enumerate(text.splitlines(), start=1):
        if opening.match(line):
            return f", line {number}"
    return ""
