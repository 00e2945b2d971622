"""Which target a rater means by the name that was typed. Pure.

In: the typed text and the study's targets. Out: the key of one target, or nothing. A name counts as a word of its own,
whatever its case and its accents, as it does where prompts are held against their probes.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from prompts.probes import name_pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A probe as raters may name it: `names` are its name and its aliases, the name first."""

    key: str
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.names[0]


def named_target(typed: str, targets: Iterable[Target], own: str) -> str | None:
    """The key of the target that `typed` names; of several `own`, the image's, else the one with the longest name.

    >>> elsa = Target(key="elsa", names=("Elsa", "Queen Elsa"))
    >>> named_target("i think elsa, from Frozen", [elsa], own="elsa")
    'elsa'
    >>> named_target("Elsass", [elsa], own="elsa") is None
    True
    """
    text = _bare(typed)
    found: dict[str, int] = {}
    for target in targets:
        lengths = [len(name) for name in map(_bare, target.names) if name_pattern(name).search(text)]
        if lengths:
            found[target.key] = max(lengths)
    if own in found:
        return own
    return max(found, key=lambda key: (found[key], key), default=None)


def _bare(text: str) -> str:
    """Without accents: who types on another keyboard means the same."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))
