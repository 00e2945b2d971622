"""A prompt is what every entrant is asked; a prompt set is the list of them that a study or a metric declares.

A prompt is known by its text: the same words are the same prompt in every set, file and ledger. A prompt set is known
by its prompts in their order, whatever it is called.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prompts.errors import CanvasError, quoted


class PromptError(CanvasError):
    """A text that cannot be a prompt: blank, or not Unicode that can be stored."""


class PromptSetError(CanvasError):
    """Prompts that cannot be a set: none at all, the same one twice, or no name, licence or source."""


class SampleError(CanvasError):
    """A sample that cannot be drawn: more prompts than there are, none at all, or a negative seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is asked, word for word; `category`, `challenge` and `note` are the set's own labels, "" where it has none.

    Raises PromptError for a blank text, and for one with a NUL or half a surrogate pair, which no database keeps.
    """

    text: str
    category: str = ""
    challenge: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked or stored."""
        if not self.text.strip():
            raise PromptError("A prompt has no text. Write what the image should show.")
        for field, value in self.to_dict().items():
            if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise PromptError(
                    f"The {field} {quoted(value)} of a prompt holds a character that is no text "
                    "(a NUL or half a surrogate pair). Save its file as UTF-8 and take the character out."
                )

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the text in UTF-8; labels have no part in it."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, str]:
        """The prompt's own fields, without the id, which follows from the text."""
        return {"text": self.text, "category": self.category, "challenge": self.challenge, "note": self.note}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Different prompts in a fixed order, with the licence they come under and where they come from.

    Raises PromptSetError when there is no prompt, the same text twice, or no name, licence or source.
    """

    name: str
    prompts: tuple[Prompt, ...]
    licence: str
    source: str

    def __post_init__(self) -> None:
        """Refuse what is no set."""
        for field, value in (("name", self.name), ("licence", self.licence), ("source", self.source)):
            if not value.strip():
                raise PromptSetError(
                    f"The prompt set {quoted(self.name)} has no {field}. Say it, or say that it is unknown."
                )
        if not self.prompts:
            raise PromptSetError(f"The prompt set {quoted(self.name)} is empty. Give it at least one prompt.")
        text, count = Counter(prompt.text for prompt in self.prompts).most_common(1)[0]
        if count > 1:
            raise PromptSetError(
                f"The prompt set {quoted(self.name)} asks {quoted(text)} {count} times. Keep one of them."
            )

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the prompts' ids, joined by newlines in their order."""
        return hashlib.sha256("\n".join(prompt.id for prompt in self.prompts).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        """How many prompts there are."""
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        """The prompts, in their order."""
        return iter(self.prompts)

    def categories(self) -> dict[str, int]:
        """How many prompts each category has, in the order in which the categories first appear."""
        return dict(Counter(prompt.category for prompt in self.prompts))

    def challenges(self) -> dict[str, int]:
        """How many prompts each challenge has, in the order in which the challenges first appear."""
        return dict(Counter(prompt.challenge for prompt in self.prompts))

    def sample(self, count: int, seed: int) -> "PromptSet":
        """`count` of the prompts, drawn without replacement, in their original order.

        Each category gets its share by the method of largest remainders; within a category every choice is equally
        likely. The same set, count and seed give the same sample.

        Raises SampleError when `count` is below 1 or above the number of prompts, or `seed` is negative.
        """
        if not 1 <= count <= len(self):
            raise SampleError(
                f"Cannot draw {count:,} of the {len(self):,} prompts of '{self.name}': ask for 1 to {len(self)}."
            )
        if seed < 0:
            raise SampleError(f"A seed is 0 or more, not {seed}. Choose another seed.")
        # One key per prompt, and each category gives its smallest keys: a single draw decides the whole sample.
        keys = np.random.default_rng(seed).random(len(self))
        free = largest_remainders(self.categories(), count)
        kept = []
        for index in np.argsort(keys, kind="stable"):
            category = self.prompts[index].category
            if free[category]:
                free[category] -= 1
                kept.append(index)
        return replace(
            self, name=f"{self.name}-{count}-seed{seed}", prompts=tuple(self.prompts[index] for index in sorted(kept))
        )

    def to_dict(self) -> dict[str, Any]:
        """The set as JSON would have it: name, id, licence, source, categories and the prompts with their ids."""
        return {
            "name": self.name,
            "id": self.id,
            "licence": self.licence,
            "source": self.source,
            "categories": self.categories(),
            "prompts": [{"id": prompt.id, **prompt.to_dict()} for prompt in self.prompts],
        }


def largest_remainders(sizes: dict[str, int], seats: int) -> dict[str, int]:
    """`seats` shared out in proportion to `sizes`: whole quotas first, the rest to the largest remainders.

    Of equal remainders the earlier one wins. Exact, in integers; `seats` may not exceed the sizes' sum.
    Source: Hamilton's method, Balinski & Young (1982), "Fair Representation".
    """
    total = sum(sizes.values())
    assert 0 <= seats <= total
    shares = {name: seats * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: seats * sizes[name] % total, reverse=True)
    for name in by_remainder[: seats - sum(shares.values())]:
        shares[name] += 1
    return shares
