"""What the ledger refuses, by name."""

from prompts.errors import CanvasError
from prompts.toml_places import PlacedError


class NotALedgerError(CanvasError):
    """A file or address that is no database of an arena."""


class NewerSchemaError(CanvasError):
    """A database written by a newer canvas-arena."""


class LedgerWriteError(CanvasError):
    """The database could not be written (full disk, lock held too long, connection lost); nothing was kept."""


class LedgerReadError(CanvasError):
    """The database does not answer (it restarts, or the connection was lost)."""


class UnknownEntrantError(PlacedError):
    """A name under which no entrant is entered."""


class EntrantConflictError(CanvasError):
    """A name that already stands for another entrant."""


class UnknownPromptSetError(PlacedError):
    """A name or id of no kept prompt set, or a name that stands for several."""


class PromptSetConflictError(CanvasError):
    """A prompt set that is kept under the same name with other labels."""


class UnknownPromptError(PlacedError):
    """A prompt id that stands in no kept prompt set."""


class GalleryConflictError(CanvasError):
    """A second, different image for the same entrant, prompt and seed."""


class UnknownGeneratedImageError(CanvasError):
    """An id of no generated image."""


class UnknownStudyError(CanvasError):
    """A name of no opened study."""


class StudyChangedError(CanvasError):
    """A declaration that differs from the frozen one of the same name."""


class MissingImagesError(PlacedError):
    """A study whose galleries are not whole."""


class ShapesDifferError(PlacedError):
    """Entrants whose images have different proportions, by which raters could tell them apart."""


class BrokenChainError(CanvasError):
    """An event log, or the rows beside it, that was altered; the sentence names the first broken event."""


class HeadFormatError(CanvasError):
    """A noted head of a chain that is not written as one, or says not which study it belongs to."""


class RatingError(CanvasError):
    """What the rating path refuses; the pages show the sentence to the rater."""


class StudyClosedError(RatingError):
    """The study takes no more votes (HTTP 409)."""


class UnknownRaterError(RatingError):
    """A rater number that nobody was given (HTTP 403): join again."""


class UnknownPairError(RatingError):
    """A token of no pair (HTTP 404)."""


class ForeignPairError(RatingError):
    """A token of another rater's pair, or of another study's (HTTP 403)."""


class AlreadyVotedError(RatingError):
    """The pair has its vote in this round; the first one stands (HTTP 409)."""


class KeyReusedError(RatingError):
    """An idempotency key that came before with other content (HTTP 409)."""


class RoundError(RatingError):
    """A round that is over or not open yet (HTTP 409)."""


class ChoiceNotOfferedError(RatingError):
    """A choice that the study does not offer (HTTP 422)."""


class AccidentalVoteError(RatingError):
    """A choice that came too soon after its pair to be a judgement."""


class StageError(RatingError):
    """A step out of its order: a vote before consent, a check after it was passed."""


class NotInvitedError(RatingError):
    """A study that takes raters with a sign-up link, and no link, or one that is forged, foreign or over."""


class UnfilledLinkError(RatingError):
    """An address in which a crowd site left a placeholder for the rater's id (HTTP 403)."""


class VoteFormError(RatingError):
    """A vote whose key, session or latency is out of bounds (HTTP 422)."""
