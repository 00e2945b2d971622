"""Why a number cannot be had: a value with a name and a sentence, so that nobody meets a NaN instead."""

from dataclasses import dataclass
from enum import StrEnum


class Obstacle(StrEnum):
    """What stands in the way."""

    NO_VOTES = "no_votes"
    UNKNOWN_RATERS = "unknown_raters"
    UNKNOWN_PROMPTS = "unknown_prompts"
    UNKNOWN_SIDES = "unknown_sides"
    ONE_RATER = "one_rater"
    ONE_PROMPT = "one_prompt"
    FEW_VOTES = "few_votes"
    FEW_RATERS = "few_raters"
    NOT_CONNECTED = "not_connected"
    ALL_VOTES_ALIKE = "all_votes_alike"
    NO_SHARED_UNITS = "no_shared_units"
    TOO_FEW_LABELS = "too_few_labels"
    TOO_FEW_CLUSTERS = "too_few_clusters"
    NO_CHANGE = "no_change"
    NO_DIFFERENCE = "no_difference"
    OUTSIDE_MARGIN = "outside_margin"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEstimable:
    """`what` cannot be estimated from these votes; `reason` is for people, `obstacle` for programs."""

    what: str
    obstacle: Obstacle
    reason: str

    def to_dict(self) -> dict[str, str]:
        """The three texts, ready for JSON."""
        return {"what": self.what, "obstacle": self.obstacle.value, "reason": self.reason}
