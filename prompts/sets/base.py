"""What every module in this folder offers: `load`, which returns the set, and `FACTS`, which are known beforehand."""

from dataclasses import dataclass
from typing import Protocol

from prompts.prompt import PromptSet


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSetFacts:
    """A line of `canvas prompts list`; `count` is the number of prompts, None where only a download would tell."""

    about: str
    count: int | None
    licence: str
    source: str


class LoadPromptSet(Protocol):
    """The attribute that a line of PROMPT_SETS points at; every argument of it has a default."""

    def __call__(self) -> PromptSet:
        """The whole set, or a CanvasError that says why it cannot be had."""
        ...
