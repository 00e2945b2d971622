"""The admin page: every study with its votes, what the gates leave out, what was reported, and what calls for a look.

`admin_view` is pure: study records, votes and gates in, words and figures out. The page draws them, and keeps what it
drew of a study until something happens in it.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from arena.board import RatersKind
from arena.ledger.ledger import Ledger
from arena.ledger.records import StudyRecord
from arena.matchmaking import connectivity_warning
from arena.pages.gates import GATE_LABELS
from arena.pages.html import page
from arena.pages.reports import NO_REPORTS, StudyReports, study_reports
from arena.pages.studies import newest_versions
from arena.quality import (
    GATE_NAMES,
    Gates,
    GateState,
    QualityVote,
    RaterQuality,
    broken_gates,
    excluded_raters,
    exclusion_alarm,
    exclusion_history,
    judge_raters,
    mended_gates,
    with_and_without,
)
from arena.statistics.votes import from_records
from arena.statistics.watching import watch_votes
from arena.votes import VoteRecord

#: What a study declared as its gates, and its votes as the gates see them, of people or of simulated raters.
QualityReader = Callable[[StudyRecord, RatersKind], tuple[Gates, Sequence[QualityVote]]]

#: How long a study's figures are good for where nothing happened in it: the alarms look at the clock.
KEPT_FOR = timedelta(minutes=1)

_NONE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyVotes:
    """A study and all that was voted in it, by people or by simulated raters."""

    record: StudyRecord
    votes: Sequence[VoteRecord]
    gates: Gates
    quality_votes: Sequence[QualityVote]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One declared gate: how many raters pass it, fail it and cannot be judged by it, and what it excludes.

    `alone` are the raters whom it fails and no other gate does; `without` is the study's exclusion rate if this gate
    were not there.
    """

    label: str
    rule: str
    passed: str
    failed: str
    unavailable: str
    alone: str
    without: str
    tone: Literal["good", "poor", "open"]
    state: Literal["works", "broken", "no verdict yet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One study, in words and figures ready to be shown; `key` is its name in addresses."""

    key: str
    title: str
    version: int
    is_open: bool
    opened: str
    votes: str
    raters: str
    exclusion: str
    kept: str
    stopping: tuple[str, ...]
    gates: tuple[GateRow, ...]
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]
    reports: StudyReports = NO_REPORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminView:
    """What the page shows. `alarms` counts those of all studies."""

    studies: tuple[StudyRow, ...]
    raters_kind: RatersKind
    alarms: int


def admin_view(studies: Iterable[StudyVotes], *, raters_kind: RatersKind, now: datetime) -> AdminView:
    """The studies in the order in which they come."""
    return _view_of([_study_row(one, now) for one in studies], raters_kind)


class StudyRows:
    """Reads each study when its chain has grown or `KEPT_FOR` is over, and not in between. Thread-safe."""

    def __init__(self, ledger: Ledger, *, quality: QualityReader, clock: Callable[[], datetime]) -> None:
        """`clock` says what time it is."""
        self._ledger, self._quality, self._clock = ledger, quality, clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, RatersKind], tuple[int, datetime, StudyRow]] = {}

    def view(self, raters: RatersKind) -> AdminView:
        """Every study's newest version."""
        with self._lock:
            rows = [self._row(record, raters) for record in newest_versions(self._ledger.studies())]
        return _view_of(rows, raters)

    def _row(self, record: StudyRecord, raters: RatersKind) -> StudyRow:
        # Never kept: a withdrawal from one study deletes the rater's comments in every other, too.
        reports = study_reports(self._ledger, record.id, raters)
        return replace(self._figures(record, raters), reports=reports)

    def _figures(self, record: StudyRecord, raters: RatersKind) -> StudyRow:
        # Votes, undos, withdrawals and the end of a study are events. The number is read first: what happens while the
        # votes are read is then read once more.
        last_event = self._ledger.head(record.id).seq
        now = self._clock()
        known = self._kept.get((record.id, raters))
        if known is not None and known[0] == last_event and now - known[1] < KEPT_FOR:
            return known[2]
        gates, quality_votes = self._quality(record, raters)
        votes = self._ledger.votes(f"{record.name}@{record.version}", raters=raters)
        row = _study_row(StudyVotes(record=record, votes=votes, gates=gates, quality_votes=quality_votes), now)
        self._kept[record.id, raters] = (last_event, now, row)
        return row


def admin_page(view: AdminView) -> HTMLResponse:
    """The view as a page."""
    return page("admin.html", view=view, may_administer=True)


def admin_routes(ledger: Ledger, *, quality: QualityReader, clock: Callable[[], datetime]) -> APIRouter:
    """GET /admin/?raters=people: every study's newest version. Who may ask for it is decided before the routes."""
    router = APIRouter()
    rows = StudyRows(ledger, quality=quality, clock=clock)

    @router.get("/admin/")
    def admin(raters: RatersKind = "people") -> HTMLResponse:
        return admin_page(rows.view(raters))

    return router


def no_gates(record: StudyRecord, raters: RatersKind) -> tuple[Gates, Sequence[QualityVote]]:
    """The reader of an arena whose studies declare no gates."""
    return Gates(), ()


def _view_of(rows: Sequence[StudyRow], raters_kind: RatersKind) -> AdminView:
    return AdminView(studies=tuple(rows), raters_kind=raters_kind, alarms=sum(len(row.alarms) for row in rows))


def _study_row(one: StudyVotes, now: datetime) -> StudyRow:
    record, study = one.record, one.record.study
    # Rates, looks and wins are those of the first question; the others have their own boards.
    votes = [vote for vote in one.votes if vote.question == study.asked[0].key]
    quality = judge_raters(one.quality_votes, one.gates)
    both = with_and_without(votes, excluded_raters(quality))
    alarm = exclusion_alarm(exclusion_history(quality), now)
    raters = {vote.rater for vote in votes}
    gated = bool(one.gates.declared)
    return StudyRow(
        key=record.name,
        title=study.shown_title,
        version=record.version,
        is_open=record.is_open,
        opened=f"{record.opened_at:%Y-%m-%d}",
        votes=f"{len(votes):,}",
        raters=f"{len(raters):,}",
        exclusion=_rate(sum(rater.excluded for rater in quality), len(quality)) if gated else "no gates declared",
        kept=f"{len(both.with_gates):,}",
        stopping=_stopping(record, both.without_gates, both.with_gates),
        gates=tuple(_gate_row(name, one.gates, quality) for name in one.gates.declared),
        alarms=(*([] if alarm is None else [alarm.sentence]), *_named(broken_gates(quality))),
        warnings=(*_unconnected(record, votes), *_named(mended_gates(quality))),
    )


def _stopping(record: StudyRecord, every: Sequence[VoteRecord], kept: Sequence[VoteRecord]) -> tuple[str, ...]:
    """What the stopping rule says: of all votes, and of those that the gates let pass where it says something else."""
    if record.study.stopping is None:
        return ("No stopping rule was declared: it ends when it is closed.",)
    said = _decision(record, every)
    with_gates = said if len(kept) == len(every) else _decision(record, kept)
    return (said,) if with_gates == said else (said, f"With the gates: {with_gates}")


def _decision(record: StudyRecord, votes: Sequence[VoteRecord]) -> str:
    study = record.study
    assert study.stopping is not None, "asked only where there is a rule"
    watch = watch_votes(
        from_records(votes),
        np.arange(len(votes)),
        reference=study.reference,
        entrants=study.candidates,
        delta=study.delta,
        rule=study.stopping,
    )
    return watch.decision.reason


def _gate_row(name: str, gates: Gates, quality: Sequence[RaterQuality]) -> GateRow:
    results = [rater.gates[name] for rater in quality]
    counts = {state: sum(result.state is state for result in results) for state in GateState}
    others = [any(_fails(rater, other) for other in GATE_NAMES if other != name) for rater in quality]
    alone = sum(rater.excluded and not other for rater, other in zip(quality, others, strict=True))
    judged = counts[GateState.PASS] + counts[GateState.FAIL]
    is_broken = name in broken_gates(quality)
    return GateRow(
        label=GATE_LABELS[name],
        rule=_RULES[name](gates),
        passed=f"{counts[GateState.PASS]:,}",
        failed=_rate(counts[GateState.FAIL], judged),
        unavailable=f"{counts[GateState.UNAVAILABLE]:,}",
        alone=f"{alone:,}",
        without=_rate(sum(others), len(quality)),
        tone="poor" if is_broken else "good" if judged else "open",
        state="broken" if is_broken else "works" if judged else "no verdict yet",
    )


def _fails(rater: RaterQuality, name: str) -> bool:
    return rater.gates[name].state is GateState.FAIL


def _named(reasons: Mapping[str, str]) -> list[str]:
    return [f"{GATE_LABELS[name]}: {reason}" for name, reason in reasons.items()]


def _unconnected(record: StudyRecord, votes: Sequence[VoteRecord]) -> list[str]:
    names = record.study.entrants
    place = {name: number for number, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)), dtype=np.int64)
    for vote in votes:
        if vote.winner is not None:
            loser = vote.right if vote.winner == vote.left else vote.left
            wins[place[vote.winner], place[loser]] += 1
    warning = connectivity_warning(wins, names)
    return [] if warning is None else [warning]


def _rate(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({100 * count / total:.1f} %)" if total else _NONE


def _percent(share: float | None) -> str:
    assert share is not None, "asked only where it is declared"
    return f"{100 * share:g} %"


_RULES: dict[str, Callable[[Gates], str]] = {
    "latency": lambda gates: f"at most {_percent(gates.latency_share)} of the pairs within {gates.latency_floor_ms} ms",
    "left_share": lambda gates: f"one side preferred with p below {gates.left_share_p:g}",
    "repeats": lambda gates: f"at least {_percent(gates.repeat_agreement)} judged as before",
    "gold": lambda gates: f"at least {_percent(gates.gold_pass)} get their known answer",
    "attention": lambda _: "at most one check missed",
}
