"""A study is what was declared before the first vote: who is compared with whom, on which prompts, and how it is read.

In: values, or a dictionary that `to_dict` wrote. Out: a frozen `Study` and its hash. Pure; `study_file.py` reads one
from a TOML file. Which entrants and images exist is the ledger's knowledge; `Ledger.open_study` holds the study
against it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from arena.canonical import canonical_json, sha256_hex
from arena.quality import Gates
from arena.statistics.stopping import StoppingRule
from arena.study_parts import (
    LARGEST_SEED,
    LARGEST_SHARE,
    OVERALL,
    Check,
    Crowd,
    KnownPair,
    Question,
    Sample,
    StudyError,
    check_from_dict,
    part_to_dict,
)
from arena.votes import Choice
from prompts.errors import quoted
from prompts.prompt import Prompt, PromptSet
from prompts.toml_places import PlacedError

Sampling = Literal["balanced", "active"]
Access = Literal["open", "link"]

#: How many pairs one rater judges at most where nothing is said.
VOTES_PER_RATER = 30

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Two entrants that are compared: a candidate and the reference, or the two candidates of a declared link."""

    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One comparison of candidates against a reference, as declared.

    `title` is shown to raters (the name where it is ""). `question` is the one that is asked; a study that asks several
    has them in `questions`. `seeds`: every prompt is compared once per seed. `ties` and `both_bad` say which choices
    are offered beside left and right. `delta` is the margin of equivalence on the preference rate, no unit, in
    (0, 0.5). `votes_per_rater` is how many pairs one rater judges at most. `stopping` says how the study may be watched
    and stopped; None declares no such rule.

    `sample` says which prompts of their set were drawn; `prompts` are those alone. `links` are candidates that are also
    compared with each other. `pairs_per_prompt` ends the showing of a comparison after so many (None: never).
    `sampling` draws lines evenly, or by how unsure they are. `repeats` and `gold_share` are the shares of a rater's
    pairs that repeat an earlier one, and that come from `gold`; `gates` say what a rater must pass. `consent`,
    `instructions`, `practice` and `checks` come before the first pair. `language` is the page's ("" takes the
    browser's). `access` lets anyone in, or those with a sign-up link. `crowd` is the crowd site that sends raters, if
    one does.

    Raises StudyError for a name that is no lower-case slug, a blank question, no candidates, a doubled candidate, the
    reference among the candidates, no, doubled or negative seeds, delta outside (0, 0.5), votes_per_rater below 1, a
    link of others than two candidates, a share outside [0, 0.3], and parts that lack one another.
    """

    name: str
    reference: str
    candidates: tuple[str, ...]
    prompts: PromptSet
    ties: bool
    both_bad: bool
    question: str = ""
    questions: tuple[Question, ...] = ()
    title: str = ""
    seeds: tuple[int, ...] = (0,)
    delta: float = 0.05
    votes_per_rater: int = VOTES_PER_RATER
    stopping: StoppingRule | None = None
    sample: Sample | None = None
    links: tuple[tuple[str, str], ...] = ()
    pairs_per_prompt: int | None = None
    sampling: Sampling = "balanced"
    repeats: float = 0.0
    gold: tuple[KnownPair, ...] = ()
    gold_share: float = 0.0
    gates: Gates | None = None
    consent: str = ""
    instructions: str = ""
    practice: tuple[KnownPair, ...] = ()
    checks: tuple[Check, ...] = ()
    language: str = ""
    access: Access = "open"
    crowd: Crowd | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise StudyError(
                f"The study's name {quoted(self.name)} is no name for an address: use 1 to 64 lower-case letters, "
                "digits, '-' and '_', and begin with a letter or a digit."
            ).at("name")
        self._check_questions()
        self._check_entrants()
        self._check_links()
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise StudyError(
                f"The study '{self.name}' has the seeds {list(self.seeds)}: give at least one, 0 or more, each once."
            ).at("seeds")
        if max(self.seeds) > LARGEST_SEED:
            raise StudyError(
                f"The study '{self.name}' has the seed {max(self.seeds)}: the largest is {LARGEST_SEED}."
            ).at("seeds")
        if not 0 < self.delta < 0.5:
            raise StudyError(f"The study '{self.name}' has delta = {self.delta}: it must lie between 0 and 0.5.").at(
                "delta"
            )
        for key, count in (("votes_per_rater", self.votes_per_rater), ("pairs_per_prompt", self.pairs_per_prompt)):
            if count is not None and count < 1:
                raise StudyError(f"The study '{self.name}' has {key} = {count}: ask for 1 or more.").at(key)
        self._check_known_pairs()

    def _check_questions(self) -> None:
        if bool(self.question.strip()) == bool(self.questions):
            asked = "asks nothing" if not self.questions else "has both a question and [[questions]]"
            raise StudyError(
                f"The study '{self.name}' {asked}. Write its question, or several under [[questions]]."
            ).at("question")
        keys = [question.key for question in self.questions]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise StudyError(
                    f"The study '{self.name}' has two questions of one key: {', '.join(keys)}. Give one another key."
                ).at("questions", number, "key")

    def _check_entrants(self) -> None:
        if not self.reference.strip():
            raise StudyError(
                f"The study '{self.name}' has no reference. Name the entrant the others are held against."
            ).at("reference")
        if not self.candidates:
            raise StudyError(f"The study '{self.name}' has no candidates. Name at least one entrant.").at("candidates")
        for candidate in self.candidates:
            if candidate == self.reference:
                raise StudyError(
                    f"The study '{self.name}' holds {quoted(candidate)} against itself: it is the reference and a "
                    "candidate. Take it out of the candidates."
                ).at("candidates")
            if self.candidates.count(candidate) > 1:
                raise StudyError(
                    f"The study '{self.name}' names the candidate {quoted(candidate)} "
                    f"{self.candidates.count(candidate)} times. Keep one of them."
                ).at("candidates")

    def _check_links(self) -> None:
        for link in self.links:
            if len(set(link)) != 2 or not set(link) <= set(self.candidates):
                raise StudyError(
                    f"The study '{self.name}' has the link {' - '.join(link)}: a link joins two different candidates. "
                    "Every candidate meets the reference without one."
                ).at("links")
        if len({frozenset(link) for link in self.links}) < len(self.links):
            raise StudyError(f"The study '{self.name}' has a link twice. Keep one of them.").at("links")

    def _check_known_pairs(self) -> None:
        for field, share in (("repeats", self.repeats), ("gold_share", self.gold_share)):
            if not 0 <= share <= LARGEST_SHARE:
                raise StudyError(
                    f"The study '{self.name}' has {field} = {share}: a share lies between 0 and {LARGEST_SHARE}."
                ).at(field)
        if bool(self.gold) != (self.gold_share > 0):
            lacking = "a gold_share above 0" if self.gold else "[[gold]] pairs"
            raise StudyError(
                f"The study '{self.name}' lacks {lacking}: gold pairs need both. Write it, or leave both out."
            ).at("gold" if self.gold else "gold_share")

    @property
    def asked(self) -> tuple[Question, ...]:
        """The questions in their order, the single one among them."""
        return self.questions or (Question(key=OVERALL, text=self.question),)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Who is compared with whom: every candidate with the reference, then the links."""
        against = (Line(first=candidate, second=self.reference) for candidate in self.candidates)
        return (*against, *(Line(first=first, second=second) for first, second in self.links))

    @property
    def comparisons(self) -> int:
        """How many there are: every line on every prompt, once per seed."""
        return len(self.lines) * len(self.prompts) * len(self.seeds)

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
        """The declaration as JSON would have it, with every prompt's text; parts stand there only if declared."""
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
        # Left out where they say what they say by default, so that a study keeps its hash when studies learn more.
        return declared | {
            field.name: _written(getattr(self, field.name))
            for field in fields(self)
            if field.name not in declared and getattr(self, field.name) != field.default
        }

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
        values: dict[str, Any] = {**declaration, "prompts": prompts}
        for field in ("candidates", "seeds"):
            values[field] = tuple(declaration[field])
        return cls(**{field: PARTS[field](value) if field in PARTS else value for field, value in values.items()})


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return [list(one) if isinstance(one, tuple) else part_to_dict(one) for one in value]
    if isinstance(value, (StoppingRule, Gates)):
        return value.to_dict()
    return part_to_dict(value) if isinstance(value, (Sample, Crowd)) else value


def _each(read: Callable[[Mapping[str, Any]], Any]) -> Callable[[Iterable[Mapping[str, Any]]], tuple[Any, ...]]:
    """Reads several parts; what is wrong in one of them has its number before its place."""

    def read_all(written: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
        found = []
        for number, one in enumerate(written):
            try:
                found.append(read(one))
            except PlacedError as error:
                raise error.at(number) from None
        return tuple(found)

    return read_all


#: How the parts are read back from what `to_dict` wrote, and from a study's file.
PARTS: dict[str, Any] = {
    "questions": _each(lambda written: Question(**written)),
    "stopping": StoppingRule.from_dict,
    "sample": lambda written: Sample(**written),
    "links": lambda written: tuple((str(first), str(second)) for first, second in written),
    "gold": _each(lambda written: KnownPair(**written)),
    "practice": _each(lambda written: KnownPair(**written)),
    "checks": _each(check_from_dict),
    "crowd": lambda written: Crowd(**written),
    "gates": Gates.from_dict,
}
