"""What raters reported and skipped, for the admin page and on pages of its own: the people behind a study do look.

In: the ledger's reports. Out: words and image addresses, newest first. A rater's own words are shown as text, whatever
they hold; those of a rater who withdrew are gone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from arena.board import RatersKind
from arena.ledger.errors import UnknownStudyError
from arena.ledger.ledger import Ledger
from arena.ledger.readings import REPORT_KINDS, Report, ReportKind, Shown
from arena.pages.html import page as answer

#: How many stand on the admin page below each study, and on a page of their own.
NEWEST = 3
PER_PAGE = 20

_KINDS: dict[ReportKind, str] = {"skip": "skipped", "broken": "broken", "offensive": "offensive"}
_NOT_ANALYSED = {"repeat": "a repeat", "gold": "a gold pair", "practice": "a practice pair"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One report, in words. `about` says what else is to be known of it; `hidden` images are shown when asked for."""

    kind: str
    tone: str
    at: str
    prompt: str
    comment: str
    about: str
    images: tuple[Shown, Shown]
    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReports:
    """How many reports a study has, in a sentence ("" where there are none), and the newest of them."""

    sentence: str = ""
    more: int = 0
    rows: tuple[ReportRow, ...] = ()


NO_REPORTS = StudyReports()


def study_reports(ledger: Ledger, study_id: int, raters: RatersKind) -> StudyReports:
    """The study's reports in short."""
    counts = ledger.report_counts(study_id, raters=raters)
    if not any(counts.values()):
        return NO_REPORTS
    rows = report_rows(ledger.reports(study_id, raters=raters, limit=NEWEST))
    return StudyReports(sentence=in_short(counts), more=sum(counts.values()) - len(rows), rows=tuple(rows))


def in_short(counts: Mapping[ReportKind, int]) -> str:
    """The counts in a sentence."""
    total = sum(counts.values())
    pairs = "One pair was" if total == 1 else f"{total:,} pairs were"
    parts = [f"{count:,} {_KINDS[kind]}" for kind, count in counts.items() if count]
    return f"{pairs} not judged: {', '.join(parts)}."


def report_rows(reports: Sequence[Report]) -> list[ReportRow]:
    """The reports, ready to be shown."""
    return [
        ReportRow(
            kind=_KINDS[report.kind],
            tone="open" if report.kind == "skip" else "poor",
            at=f"{report.at:%Y-%m-%d %H:%M}",
            prompt=report.prompt,
            comment=report.comment,
            about=_about(report),
            images=(report.left, report.right),
            hidden=report.kind == "offensive",
        )
        for report in reports
    ]


def reports_routes(ledger: Ledger) -> APIRouter:
    """GET /admin/reports/?study=NAME&raters=people&kind=broken&page=1."""
    router = APIRouter()

    @router.get("/admin/reports/")
    def reports(
        study: str,
        raters: RatersKind = "people",
        kind: ReportKind | None = None,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    ) -> HTMLResponse:
        try:
            record = ledger.study(study)
        except UnknownStudyError as error:
            return answer("problem.html", status=404, heading="No such study", sentence=str(error))
        counts = ledger.report_counts(record.id, raters=raters)
        total = sum(counts.values()) if kind is None else counts[kind]
        pages = max(1, -(-total // PER_PAGE))
        page = min(page, pages)
        start = (page - 1) * PER_PAGE
        found = ledger.reports(record.id, raters=raters, kind=kind, limit=PER_PAGE, offset=start)
        address = _address(study, raters)
        return answer(
            "reports.html",
            title=record.study.shown_title,
            key=study,
            raters_kind=raters,
            sentence=in_short(counts) if any(counts.values()) else "",
            kind=kind,
            kinds=[(one, _KINDS[one], counts[one]) for one in REPORT_KINDS if counts[one]],
            rows=report_rows(found),
            address=address,
            page=page,
            pages=pages,
            first=start + 1,
            last=start + len(found),
            total=total,
            may_administer=True,
        )

    return router


def _about(report: Report) -> str:
    parts = [f"seed {report.seed}", f"rater {report.rater}"]
    if report.pair_kind in _NOT_ANALYSED:
        parts.append(_NOT_ANALYSED[report.pair_kind])
    if report.simulated:
        parts.append("simulated rater")
    if report.withdrawn:
        parts.append("withdrew since: what they wrote is deleted")
    return " · ".join(parts)


def _address(study: str, raters: RatersKind) -> Callable[..., str]:
    def address(*, kind: ReportKind | None = None, page: int = 1) -> str:
        wanted = {"study": study, "raters": raters, "kind": kind, "page": None if page == 1 else page}
        return "/admin/reports/?" + urlencode({name: value for name, value in wanted.items() if value is not None})

    return address
