"""Why a rater's request is refused, in one word: by this code the rating page finds its own sentence.

Out: `Code`, and the JSON that carries it. The sentence beside a code is English, for programs. What a rater reads is
the text `refusal.CODE` of `pages/messages/`, in the study's language. A code keeps its meaning: programs know it too.
"""

from enum import StrEnum


class Code(StrEnum):
    """Every reason that a rater's browser can be given."""

    UNKNOWN_STUDY = "unknown_study"
    STUDY_CLOSED = "study_closed"
    NOT_INVITED = "not_invited"
    LINK_NOT_VALID = "link_not_valid"
    LINK_NOT_FILLED = "link_not_filled"
    UNKNOWN_RATER = "unknown_rater"
    STEP_NOT_OPEN = "step_not_open"
    UNKNOWN_PAIR = "unknown_pair"
    FOREIGN_PAIR = "foreign_pair"
    UNKNOWN_IMAGE = "unknown_image"
    ALREADY_VOTED = "already_voted"
    ROUND_NOT_OPEN = "round_not_open"
    KEY_REUSED = "key_reused"
    CHOICE_NOT_OFFERED = "choice_not_offered"
    ACCIDENTAL_VOTE = "accidental_vote"
    VOTE_NOT_VALID = "vote_not_valid"
    UNREADABLE_REQUEST = "unreadable_request"
    NOTHING_THERE = "nothing_there"
    FROM_ANOTHER_SITE = "from_another_site"
    TOO_MANY_REQUESTS = "too_many_requests"
    NOT_NOW = "not_now"


def refusal(sentence: str, code: Code | None, *, language: str = "") -> dict[str, str]:
    """A refusal as JSON: `error`, and `code` and `language` where there are.

    `language` is the study's, for a page that the study has not told yet.
    """
    given = {"error": sentence, "code": code or "", "language": language}
    return {name: value for name, value in given.items() if value}
