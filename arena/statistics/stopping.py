"""The rule by which a study may be watched and stopped, declared before its first vote.

In: how often one looks, and from how many raters and votes on a look counts. Out: a frozen `StoppingRule`, part of the
study. It loads nothing heavy: declarations are read long before numbers are. What a look says is in `sequential.py`,
what the rule makes of it in `standings.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prompts.errors import CanvasError


class StoppingRuleError(CanvasError):
    """A stopping rule that cannot be followed; the sentence names the field and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRule:
    """Look after every `look_every` votes per entrant; stop when every entrant is decided or has `max_votes`.

    A look says nothing yet below `min_votes` votes, or where the votes weigh less than those of `min_raters` equally
    busy raters: the bound is asymptotic in both, and one rater who votes most makes the spread of raters look small.
    `max_votes` is per entrant, like the others; None sets no end.

    Raises StoppingRuleError for look_every or min_votes below 1, min_raters below 2, max_votes below min_votes.
    """

    look_every: int = 50
    min_raters: int = 12
    min_votes: int = 100
    max_votes: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("look_every", 1), ("min_raters", 2), ("min_votes", 1)):
            value = getattr(self, name)
            if value < least:
                raise StoppingRuleError(f"A stopping rule cannot have {name} = {value}: ask for {least} or more.")
        if self.max_votes is not None and self.max_votes < self.min_votes:
            raise StoppingRuleError(
                f"A stopping rule cannot have max_votes = {self.max_votes}, fewer than its "
                f"min_votes = {self.min_votes}: no look would count. Raise max_votes or lower min_votes."
            )

    def to_dict(self) -> dict[str, int | None]:
        """The four numbers, ready for JSON; null where no end is set."""
        return asdict(self)

    @classmethod
    def from_dict(cls, declared: Mapping[str, Any]) -> "StoppingRule":
        """What `to_dict` wrote."""
        return cls(**declared)
