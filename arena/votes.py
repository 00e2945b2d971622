"""What a rater said: the choice, and the vote as boards, exports and statistics read it.

Pure: the ledger makes these records from its rows or from its event log; everything after it only reads them.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Choice(StrEnum):
    """What was seen and chosen: a side of the page, never an entrant. `BOTH_BAD` is kept apart from `TIE`."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_BAD = "both_bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteRecord:
    """One effective vote (not undone, not excluded, no declared repeat), ready for analysis.

    `left` and `right` are entrants' names, one of them the study's reference. `latency_ms` runs from both images'
    appearance to the choice, as the page measured it. `question` is the question's key ("overall").
    `session` names the page load that cast the vote ("" where none is known). `ts` is UTC.
    """

    vote_id: int
    ts: datetime
    rater: int
    simulated: bool
    study: str
    question: str
    prompt_id: str
    prompt: str
    category: str
    left: str
    right: str
    choice: Choice
    latency_ms: int | None
    session: str

    @property
    def winner(self) -> str | None:
        """The preferred entrant's name; None for a tie and for both bad."""
        if self.choice is Choice.LEFT:
            return self.left
        return self.right if self.choice is Choice.RIGHT else None
