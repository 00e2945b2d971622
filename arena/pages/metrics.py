"""The page that holds automatic metrics against people's votes: which metric sees what people see, and where.

A study's figures are computed when something happened in it or something was measured, and not in between: on 20,000
votes and ten metrics they take most of a second.
"""

import threading
from dataclasses import dataclass, replace

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse

from arena.board import RatersKind
from arena.doors import administers
from arena.ledger.errors import UnknownStudyError
from arena.ledger.ledger import Ledger
from arena.metrics_board import MetricsBoard, UnknownQuestionError, metrics_board
from arena.pages.html import page as answer
from arena.pages.studies import study_entries
from arena.statistics.metric_agreement import Correlation, MetricAgreement

NONE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A figure with its interval in words, and in per cent of the strip's width; `note` says why one is missing."""

    value: str
    interval: str
    left: float | None
    width: float
    point: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric over all prompts, and the categories in which it was held against votes."""

    metric: str
    votes: str
    agreement: Cell
    prompts: Cell
    entrants: Cell
    categories: tuple[tuple[str, str, Cell], ...]


class MetricsBoards:
    """Computes each board when its study's chain has grown or a score was kept, and not in between. Thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, RatersKind, str | None], tuple[tuple[int, int], MetricsBoard]] = {}

    def board(self, study: str, raters: RatersKind, question: str | None = None) -> MetricsBoard:
        """The board of the study's question, or of its first. Raises UnknownStudyError and UnknownQuestionError."""
        record = self._ledger.study(study)
        key = (record.id, raters, question)
        with self._lock:
            # Asked before the votes are read: what happens meanwhile is read once more, the next time.
            state = (self._ledger.head(record.id).seq, self._ledger.last_score())
            known = self._kept.get(key)
            if known is None or known[0] != state:
                version = f"{record.name}@{record.version}"
                known = (state, metrics_board(self._ledger, version, raters=raters, question=question))
                self._kept[key] = known
            return replace(known[1], study=study)


def metrics_routes(ledger: Ledger) -> APIRouter:
    """GET /metrics/ and GET /api/metrics/STUDY, both with ?raters=people&question=KEY; the page takes ?study=NAME."""
    router = APIRouter()
    boards = MetricsBoards(ledger)

    @router.get("/metrics/")
    def metrics(
        request: Request, study: str = "", raters: RatersKind | None = None, question: str | None = None
    ) -> HTMLResponse:
        may_administer = administers(request.state)
        studies = study_entries(ledger.studies())
        if not studies:
            return answer(
                "problem.html",
                heading="No study yet",
                sentence="Metrics are held against a study's votes. Open one with: canvas arena study open FILE.toml",
                may_administer=may_administer,
            )
        key = study or studies[0].key
        try:
            board = boards.board(key, raters or "people", question)
            if raters is None and not board.votes:
                simulated = boards.board(key, "simulated", question)
                board = simulated if simulated.votes else board
        except (UnknownStudyError, UnknownQuestionError) as error:
            return answer(
                "problem.html",
                status=404,
                heading="Nothing there",
                sentence=str(error),
                may_administer=may_administer,
            )
        declared = ledger.study(key).study
        return answer(
            "metrics.html",
            board=board,
            key=key,
            studies=studies,
            asked=declared.asked,
            prompts=declared.prompts.name,
            rows=metric_rows(board),
            may_administer=may_administer,
        )

    @router.get("/api/metrics/{study}")
    def metrics_json(study: str, raters: RatersKind, question: str | None = None) -> JSONResponse:
        try:
            board = boards.board(study, raters, question)
        except UnknownQuestionError as error:
            raise HTTPException(422, str(error)) from error
        return JSONResponse(board.to_dict(), headers={"Cache-Control": "no-store"})

    return router


def metric_rows(board: MetricsBoard) -> list[MetricRow]:
    """The board's metrics, ready to be shown; the one that agrees most with people comes first."""
    wholes = [row for row in board.rows if row.category is None]
    wholes.sort(key=lambda row: -1.0 if row.agreement.rate is None else row.agreement.rate, reverse=True)
    return [
        MetricRow(
            metric=whole.metric,
            votes=f"{whole.agreement.n:,}",
            agreement=_rate(whole),
            prompts=_correlation(whole.prompt_correlation),
            entrants=_correlation(whole.entrant_correlation),
            categories=tuple(
                (row.category, f"{row.agreement.n:,}", _rate(row))
                for row in board.rows
                if row.metric == whole.metric and row.category is not None and row.agreement.rate is not None
            ),
        )
        for whole in wholes
    ]


def _rate(row: MetricAgreement) -> Cell:
    found = row.agreement
    if found.rate is None:
        # The votes are there: without any, no table is drawn.
        return _missing("It has no value per image, or only for images without a decisive vote.")
    if found.interval is None:
        reason = found.missing[0].reason if found.missing else ""
        return Cell(value=_percent(found.rate), interval=NONE, left=None, width=0, point=100 * found.rate, note=reason)
    low, high = found.interval.low, found.interval.high
    return Cell(
        value=_percent(found.rate),
        interval=f"{_percent(low)} to {_percent(high)}",
        left=100 * low,
        width=100 * (high - low),
        point=100 * found.rate,
        note="",
    )


def _correlation(found: Correlation) -> Cell:
    if found.value is None:
        return _missing(found.reason)
    point = 50 * (found.value + 1)
    if found.low is None or found.high is None:
        return Cell(value=_signed(found.value), interval=NONE, left=None, width=0, point=point, note=found.reason)
    return Cell(
        value=_signed(found.value),
        interval=f"{_signed(found.low)} to {_signed(found.high)}",
        left=50 * (found.low + 1),
        width=50 * (found.high - found.low),
        point=point,
        note="",
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _signed(correlation: float) -> str:
    figure = f"{correlation:+.2f}".replace("-", "−")
    return "0.00" if figure in ("+0.00", "−0.00") else figure


def _missing(reason: str) -> Cell:
    return Cell(value=NONE, interval="", left=None, width=0, point=0, note=reason)
