"""The door to label studies: what `Ledger` is for studies of pairs, over the same connections and its one writer."""

from concurrent.futures import Future
from datetime import datetime

from arena.labelling.label_study import LabelStudy
from arena.ledger import labels
from arena.ledger.label_records import (
    CastLabel,
    HandedShowing,
    LabelChange,
    LabelMaterial,
    LabelRecord,
    LabelReport,
    LabelStudyRecord,
    NewLabel,
    NewShowing,
)
from arena.ledger.ledger import Ledger


class LabelBook:
    """Label studies, showings and labels. Safe to use from many threads, as long as its ledger is open."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def open_study(self, study: LabelStudy, *, now: datetime) -> LabelStudyRecord:
        """Open it for labels; from then on it is frozen. The same declaration again changes nothing.

        Raises StudyChangedError, StudyClosedError, UnknownEntrantError, MissingImagesError, ShapesDifferError.
        """
        return self.ledger.submit(lambda batch: labels.open_label_study(batch, study, now)).result()

    def check_study(self, study: LabelStudy) -> None:
        """Raise what `open_study` would raise for what the ledger lacks; nothing is written."""
        with self.ledger.reading() as connection:
            labels.check_label_study(connection, study)

    def close_study(self, name: str, *, now: datetime) -> LabelStudyRecord:
        """Take no more labels in it. Closing a closed study changes nothing. Raises UnknownStudyError."""
        return self.ledger.submit(lambda batch: labels.close_label_study(batch, name, now)).result()

    def study(self, name: str) -> LabelStudyRecord:
        """The label study of this name. Raises UnknownStudyError."""
        with self.ledger.reading() as connection:
            return labels.find_label_study(connection, name)

    def studies(self) -> list[LabelStudyRecord]:
        """All label studies, by name."""
        with self.ledger.reading() as connection:
            return labels.label_studies(connection)

    def is_open(self, study_id: int) -> bool:
        """Whether the study takes labels."""
        with self.ledger.reading() as connection:
            return labels.is_open(connection, study_id)

    def labels(self, name: str) -> list[LabelRecord]:
        """The effective labels, repeats and gold among them, by label id. Raises UnknownStudyError."""
        with self.ledger.reading() as connection:
            return labels.labels(connection, labels.find_label_study(connection, name).id)

    def reports(self, name: str) -> list[LabelReport]:
        """What raters put aside. Raises UnknownStudyError."""
        with self.ledger.reading() as connection:
            return labels.label_reports(connection, labels.find_label_study(connection, name).id)

    # The labelling path; `arena.labelling.room` is its one user.

    def material(self, name: str) -> LabelMaterial:
        """All that does not change while raters label. Raises UnknownStudyError."""
        with self.ledger.reading() as connection:
            return labels.material(connection, name)

    def handed(self, study_id: int, rater: int) -> list[HandedShowing]:
        """All that this rater was shown in the study, in order."""
        with self.ledger.reading() as connection:
            return labels.handed_showings(connection, study_id, rater)

    def showing(self, token: str) -> HandedShowing | None:
        """The showing with this token."""
        with self.ledger.reading() as connection:
            return labels.showing_of_token(connection, token)

    def taken_places(self, study_id: int, *, since: datetime) -> dict[int, int]:
        """How many labels each item has, or awaits since then."""
        with self.ledger.reading() as connection:
            return labels.taken_places(connection, study_id, since)

    def hand_out(self, showings: list[NewShowing]) -> "Future[list[int]]":
        """Hand these out to one rater; the future has their ids, or StudyClosedError or StaleShowingError."""
        return self.ledger.submit(lambda batch: labels.hand_out_showings(batch, showings))

    def cast(self, label: NewLabel, following: NewShowing | None) -> "Future[CastLabel]":
        """Cast a label and hand out what follows; see `labels.cast_label` for what the future may raise."""
        return self.ledger.submit(lambda batch: labels.cast_label(batch, label, following))

    def undo(self, undo: LabelChange) -> "Future[int]":
        """Take a label back; see `labels.undo_label` for what the future may raise."""
        return self.ledger.submit(lambda batch: labels.undo_label(batch, undo))

    def report(self, report: LabelChange, following: NewShowing | None) -> "Future[CastLabel]":
        """Put a showing aside; see `labels.report_showing` for what the future may raise."""
        return self.ledger.submit(lambda batch: labels.report_showing(batch, report, following))

    def withdraw(self, study_id: int, rater: int, *, now: datetime) -> None:
        """Take the rater out of every export of the study, and delete what they typed and what identifies them."""
        self.ledger.submit(lambda batch: labels.withdraw_labels(batch, study_id, rater, now)).result()
