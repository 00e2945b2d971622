"""The parts of a declaration that a study may have besides its entrants and prompts. Frozen values; nothing else.

Each holds what a rater is asked, shown or told, as the study's file says it. What refers to entrants, prompts or images
is held against the ledger when the study opens.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prompts.errors import quoted
from prompts.toml_places import PlacedError

#: The key under which votes on a study's one question are kept.
OVERALL = "overall"

#: Repeats and gold pairs are there to know the raters by; the votes that count stay the greater part.
LARGEST_SHARE = 0.3

_KEY = re.compile(r"[a-z][a-z0-9_]{0,19}")
# Codes travel in it: in the clear on this machine only.
_RETURN = re.compile(r"https://|http://(127\.0\.0\.1|localhost)(:[0-9]+)?([/?#]|$)")


#: The ledger keeps seeds as 64-bit integers.
LARGEST_SEED = 2**63 - 1


class StudyError(PlacedError):
    """A declaration that cannot be a study; the sentence names the field and what it may be, `place` its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What raters are asked of each pair; `key` is the name under which the votes on it are kept.

    Raises StudyError for a key that is no short lower-case word and for a blank text.
    """

    key: str
    text: str

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise StudyError(
                f"The question's key {quoted(self.key)} is no name for a column: use 1 to 20 lower-case letters, "
                "digits and '_', and begin with a letter."
            ).at("key")
        if not self.text.strip():
            raise StudyError(f"The question '{self.key}' asks nothing. Write its text.").at("text")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPair:
    """A pair whose answer is known: for practice, where `feedback` is told, or as a gold pair among the others.

    The images are those that the entrants `better` and `worse` painted for `prompt` (its text) with `seed`; they need
    not be the study's own entrants. A gold pair with `attention` is an attention check.
    """

    prompt: str
    better: str
    worse: str
    seed: int = 0
    feedback: str = ""
    attention: bool = False

    def __post_init__(self) -> None:
        if self.better == self.worse:
            raise StudyError(
                f"A known pair on {quoted(self.prompt)} holds {quoted(self.better)} against itself. Name "
                "another entrant as the worse one."
            ).at("worse")
        if not self.prompt.strip():
            raise StudyError("A known pair has no prompt. Write its text as its prompt set has it.").at("prompt")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise StudyError(f"A known pair has seed = {self.seed}: it lies between 0 and {LARGEST_SEED}.").at("seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A comprehension question: its text, the answers to choose from, and which of them is right (0 is the first)."""

    text: str
    answers: tuple[str, ...]
    right: int

    def __post_init__(self) -> None:
        if len(self.answers) < 2 or len(set(self.answers)) < len(self.answers):
            raise StudyError(f"The check {quoted(self.text)} needs two different answers or more.").at("answers")
        if not 0 <= self.right < len(self.answers):
            raise StudyError(
                f"The check {quoted(self.text)} says right = {self.right}: count its answers from 0 to "
                f"{len(self.answers) - 1}."
            ).at("right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which of the prompt set's prompts are asked: `size` of them, spread over the categories, drawn by `seed`."""

    size: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """A crowd site's conventions: how many raters it pays, for how long a slot is kept, and its codes.

    Prolific names a rater PROLIFIC_PID, MTurk workerId. A rater who ends gets `completion_code`, one who fails the
    comprehension check `screen_out_code`, and `return_url` where the site takes raters back by an address; "{code}"
    in it stands for the code.
    """

    site: Literal["prolific", "mturk"]
    slots: int
    minutes: int = 60
    completion_code: str
    screen_out_code: str = ""
    return_url: str = ""

    def __post_init__(self) -> None:
        if self.site not in ("prolific", "mturk"):
            raise StudyError(f"[crowd] site is {quoted(self.site)}: it may be prolific or mturk.").at("site")
        for key, value in (("slots", self.slots), ("minutes", self.minutes)):
            if value < 1:
                raise StudyError(f"[crowd] {key} is {value}: ask for 1 or more.").at(key)
        if not self.completion_code.strip():
            raise StudyError("[crowd] has no completion_code. Write the one that the site gave you.").at(
                "completion_code"
            )
        if self.return_url and not _RETURN.match(self.return_url):
            raise StudyError(
                f"[crowd] return_url is {quoted(self.return_url)}: give an address with https://, or with http:// on "
                "127.0.0.1 or localhost."
            ).at("return_url")

    @property
    def id_parameter(self) -> str:
        """The query parameter under which the site names a rater."""
        return {"prolific": "PROLIFIC_PID", "mturk": "workerId"}[self.site]


def part_to_dict(part: Any) -> dict[str, Any]:
    """A part as JSON would have it."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(part).items()}


def check_from_dict(written: Mapping[str, Any]) -> Check:
    """What `part_to_dict` wrote."""
    return Check(text=written["text"], answers=tuple(written["answers"]), right=written["right"])
