"""A request to label, and whether it may stand. Pure."""

from dataclasses import dataclass

from arena.ballots import GUARD_MS, check_texts
from arena.labelling.label_study import CLOSEST, LabelStudy
from arena.ledger.errors import AccidentalVoteError, ChoiceNotOfferedError, RoundError, VoteFormError
from arena.ledger.label_records import HandedShowing

#: Of what a rater types.
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelBallot:
    """What a rater sends. `key` is the request's own: the same request again gets the same answer. `which` is the typed
    name and `closeness` 1 to 3, both where the answer is yes. `latency_ms` runs from the image's appearance."""

    rater: int
    study: str
    showing: str
    round: int
    key: str
    answer: str
    which: str
    closeness: int | None
    latency_ms: int
    session: str


def check_label(ballot: LabelBallot, study: LabelStudy, showing: HandedShowing) -> None:
    """Raises VoteFormError, ChoiceNotOfferedError, AccidentalVoteError, or RoundError for a round that is not open."""
    check_texts(ballot.key, ballot.session)
    if ballot.answer not in study.answers:
        raise ChoiceNotOfferedError(f"This study does not offer '{ballot.answer}'. Choose one of its answers.")
    if ballot.latency_ms < GUARD_MS:
        raise AccidentalVoteError(
            f"An answer within {GUARD_MS} ms of an image's appearance is taken for a slip. Choose again."
        )
    which = ballot.which.strip()
    if ballot.answer == "yes":
        if not 1 <= len(which) <= LONGEST_NAME or not which.isprintable():
            raise VoteFormError(f"Say whom or what you recognise, in 1 to {LONGEST_NAME} printable characters.")
        if ballot.closeness not in range(1, CLOSEST + 1):
            raise VoteFormError(f"Say how close it is, from 1 to {CLOSEST}.")
    elif which or ballot.closeness is not None:
        raise VoteFormError("A name and a closeness belong to the answer yes alone.")
    if showing.reported:
        raise RoundError("You put this image aside. Load the page anew.")
    if not 1 <= ballot.round <= showing.round:
        raise RoundError(f"Round {ballot.round} of this image is not open. Load the page anew.")
