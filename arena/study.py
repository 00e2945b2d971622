"""A study is what was declared before the first vote: who is compared with whom, on which prompts, and how it is read.

In: a TOML file or a dictionary. Out: a frozen `Study` and its hash. Pure, except `read_study_file`, which reads one
file. Which entrants and images exist is the ledger's knowledge; `Ledger.open_study` holds the study against it.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from arena.canonical import canonical_json, sha256_hex
from arena.statistics.stopping import StoppingRule
from arena.votes import Choice
from prompts.errors import CanvasError, quoted
from prompts.prompt import Prompt, PromptSet

#: The key under which votes on a study's one question are kept.
OVERALL = "overall"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class StudyError(CanvasError):
    """A declaration that cannot be a study; the sentence names the field and what it may be."""


class StudyFileError(CanvasError):
    """A study file that cannot be read: missing, no TOML, an unknown, missing or mistyped key; names key and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One comparison of candidates against a reference, as declared.

    `title` is shown to raters (the name where it is ""). `seeds`: every prompt is compared once per seed. `ties` and
    `both_bad` say which choices are offered beside left and right. `delta` is the margin of equivalence on the
    preference rate, no unit, in (0, 0.5). `votes_per_rater` is how many votes one rater gives at most. `stopping` says
    how the study may be watched and stopped; None declares no such rule.

    Raises StudyError for a name that is no lower-case slug, a blank question, no candidates, a doubled candidate, the
    reference among the candidates, no, doubled or negative seeds, delta outside (0, 0.5), votes_per_rater below 1.
    """

    name: str
    question: str
    reference: str
    candidates: tuple[str, ...]
    prompts: PromptSet
    ties: bool
    both_bad: bool
    title: str = ""
    seeds: tuple[int, ...] = (0,)
    delta: float = 0.05
    votes_per_rater: int = 30
    stopping: StoppingRule | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise StudyError(
                f"The study's name {quoted(self.name)} is no name for an address: use 1 to 64 lower-case letters, "
                "digits, '-' and '_', and begin with a letter or a digit."
            )
        if not self.question.strip():
            raise StudyError(f"The study '{self.name}' asks nothing. Write its question.")
        self._check_entrants()
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise StudyError(
                f"The study '{self.name}' has the seeds {list(self.seeds)}: give at least one, 0 or more, each once."
            )
        if not 0 < self.delta < 0.5:
            raise StudyError(f"The study '{self.name}' has delta = {self.delta}: it must lie between 0 and 0.5.")
        if self.votes_per_rater < 1:
            raise StudyError(
                f"The study '{self.name}' has votes_per_rater = {self.votes_per_rater}: ask for 1 or more."
            )

    def _check_entrants(self) -> None:
        if not self.reference.strip():
            raise StudyError(f"The study '{self.name}' has no reference. Name the entrant the others are held against.")
        if not self.candidates:
            raise StudyError(f"The study '{self.name}' has no candidates. Name at least one entrant.")
        for candidate in self.candidates:
            if candidate == self.reference:
                raise StudyError(
                    f"The study '{self.name}' holds {quoted(candidate)} against itself: it is the reference and a "
                    "candidate. Take it out of the candidates."
                )
            if self.candidates.count(candidate) > 1:
                raise StudyError(
                    f"The study '{self.name}' names the candidate {quoted(candidate)} "
                    f"{self.candidates.count(candidate)} times. Keep one of them."
                )

    @property
    def entrants(self) -> tuple[str, ...]:
        """The reference, then the candidates."""
        return (self.reference, *self.candidates)

    @property
    def shown_title(self) -> str:
        """What raters see above the page."""
        return self.title or self.name

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The choices raters are offered."""
        extra = ((Choice.TIE, self.ties), (Choice.BOTH_BAD, self.both_bad))
        return (Choice.LEFT, Choice.RIGHT, *(choice for choice, offered in extra if offered))

    @property
    def hash(self) -> str:
        """SHA-256 of the whole declaration, prompts' texts included: what "frozen" means."""
        return sha256_hex(canonical_json(self.to_dict()))

    def to_dict(self) -> dict[str, Any]:
        """The declaration as JSON would have it, with every prompt's text; "stopping" stands there only if declared."""
        declared: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "question": self.question,
            "reference": self.reference,
            "candidates": list(self.candidates),
            "prompts": self.prompts.to_dict(),
            "seeds": list(self.seeds),
            "ties": self.ties,
            "both_bad": self.both_bad,
            "delta": self.delta,
            "votes_per_rater": self.votes_per_rater,
        }
        # Left out where there is none, so that a study opened before there were rules keeps its hash.
        return declared if self.stopping is None else declared | {"stopping": self.stopping.to_dict()}

    @classmethod
    def from_dict(cls, declaration: Mapping[str, Any]) -> "Study":
        """What `to_dict` wrote."""
        written = declaration["prompts"]
        prompts = PromptSet(
            name=written["name"],
            licence=written["licence"],
            source=written["source"],
            prompts=tuple(
                Prompt(**{field: prompt[field] for field in ("text", "category", "challenge", "note")})
                for prompt in written["prompts"]
            ),
        )
        stopping = declaration.get("stopping")
        values = {field.name: declaration[field.name] for field in fields(cls) if field.name != "stopping"} | {
            "prompts": prompts,
            "candidates": tuple(declaration["candidates"]),
            "seeds": tuple(declaration["seeds"]),
            "stopping": None if stopping is None else StoppingRule.from_dict(stopping),
        }
        return cls(**values)


#: The keys of a study file and what each holds; those in `_OPTIONAL` have the default that `Study` states.
_TYPES: dict[str, str] = {
    "name": "text",
    "title": "text",
    "question": "text",
    "reference": "text",
    "candidates": "a list of texts",
    "prompts": "text",
    "seeds": "a list of whole numbers",
    "ties": "true or false",
    "both_bad": "true or false",
    "delta": "a number",
    "votes_per_rater": "a whole number",
    "stopping": "a table",
}
_OPTIONAL = frozenset({"title", "seeds", "delta", "votes_per_rater", "stopping"})
#: The keys of the table [stopping] and what each holds; every one has the default that `StoppingRule` states.
_STOPPING_TYPES: dict[str, str] = {field.name: "a whole number" for field in fields(StoppingRule)}


def read_study_file(path: Path, prompt_set: Callable[[str], PromptSet]) -> Study:
    """The study that the TOML file at `path` declares; `prompt_set` gives the prompt set of a name.

    Raises StudyFileError when the file is missing, is no TOML in UTF-8, or has an unknown, missing or mistyped key;
    StudyError when what it says is no study, StoppingRuleError when its [stopping] is no rule; and whatever
    `prompt_set` raises for a name it does not know.
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
    _check_keys(path, text, written.get("stopping", {}), _STOPPING_TYPES, table="stopping")
    missing = [key for key in _TYPES if key not in written and key not in _OPTIONAL]
    if missing:
        raise StudyFileError(f"{path} does not say {', '.join(missing)}. Add what is missing; nothing is guessed.")
    values: dict[str, Any] = {
        **written,
        "candidates": tuple(written["candidates"]),
        "prompts": prompt_set(written["prompts"]),
    }
    if "seeds" in written:
        values["seeds"] = tuple(written["seeds"])
    if "stopping" in written:
        values["stopping"] = StoppingRule.from_dict(written["stopping"])
    return Study(**values)


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
