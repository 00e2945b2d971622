"""Automatic metrics against people's votes, for one study and one of its questions: what page and command both show.

In: the ledger and a study's name. Out: a `MetricsBoard`. People's votes and simulated ones are never mixed.
"""

from dataclasses import dataclass
from typing import Any

from arena.board import RatersKind
from arena.ledger.ledger import Ledger
from arena.metric_values import metric_values
from arena.statistics.metric_agreement import MetricAgreement, metric_agreements
from arena.statistics.votes import from_records
from prompts.errors import CanvasError, quoted


class UnknownQuestionError(CanvasError):
    """A question that the study does not ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsBoard:
    """Every metric of the study's galleries held against its votes; `rows` hold each metric's whole before its
    categories."""

    study: str
    title: str
    reference: str
    question_key: str
    question: str
    raters_kind: RatersKind
    votes: int
    rows: tuple[MetricAgreement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "study": self.study,
            "title": self.title,
            "reference": self.reference,
            "question_key": self.question_key,
            "question": self.question,
            "raters_kind": self.raters_kind,
            "simulated": self.raters_kind == "simulated",
            "votes": self.votes,
            "metrics": [row.to_dict() for row in self.rows],
        }


def metrics_board(ledger: Ledger, study: str, *, raters: RatersKind, question: str | None = None) -> MetricsBoard:
    """The board of the study's question, or of its first. Raises UnknownStudyError and UnknownQuestionError."""
    record = ledger.study(study)
    asked = {one.key: one.text for one in record.study.asked}
    key = question or next(iter(asked))
    if key not in asked:
        raise UnknownQuestionError(
            f"The study '{study}' asks no question {quoted(key)}. Its questions: {', '.join(asked)}."
        )
    votes = [vote for vote in ledger.votes(study, raters=raters) if vote.question == key]
    scores = [
        score
        for score in ledger.scores()
        if score.entrant in record.study.entrants and score.prompt_set_id == record.study.prompts.id
    ]
    table = from_records(votes)
    rows = metric_agreements(table, metric_values(table, scores), reference=record.study.reference)
    return MetricsBoard(
        study=study,
        title=record.study.shown_title,
        reference=record.study.reference,
        question_key=key,
        question=asked[key],
        raters_kind=raters,
        votes=len(votes),
        rows=tuple(rows),
    )
