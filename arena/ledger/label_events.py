"""What the events of a label study's chain say, the labels read back from them, and both held together. Pure.

Kinds: `opened`, `withdrawn` and `closed` as in every study; `label`, `label_undo` and `label_report`. What a rater
typed is there as a digest alone, so that a withdrawal can delete the words.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from arena.canonical import sha256_hex, utc_text
from arena.labelling.label_study import LabelStudy
from arena.ledger.errors import BrokenChainError
from arena.ledger.events import CLOSED, OPENED, WITHDRAWN
from arena.ledger.label_records import LabelChange, LabelRecord, LabelReport, LabelStudyRecord, NewLabel
from arena.ledger.records import Event

LABEL = "label"
LABEL_UNDO = "label_undo"
LABEL_REPORT = "label_report"


def label_opened_content(study: LabelStudy, at: datetime) -> dict[str, Any]:
    """The first event of a chain."""
    return {"at": utc_text(at), "version": 1, "hash": study.hash, "declaration": study.to_dict()}


def label_content(label_id: int, label: NewLabel, declaration: str) -> dict[str, Any]:
    """A label, as it enters the chain; `declaration` is the study's hash."""
    showing = label.showing
    return {
        "label": label_id,
        "at": utc_text(label.at),
        "declaration": declaration,
        "showing": showing.id,
        "showing_kind": showing.kind,
        "repeats": showing.repeats,
        "round": label.round,
        "rater": showing.rater,
        "prompt": showing.item.prompt_id,
        "seed": showing.item.seed,
        "entrants": list(showing.item.entrants),
        "images": list(showing.hashes),
        "answer": label.answer,
        "target": label.target,
        "words": sha256_hex(label.which) if label.which else None,
        "closeness": label.closeness,
        "latency_ms": label.latency_ms,
        "session": label.session,
    }


def label_undo_content(label_id: int, undo: LabelChange) -> dict[str, Any]:
    """A label taken back; the next round is open."""
    return {
        "label": label_id,
        "at": utc_text(undo.at),
        "showing": undo.showing.id,
        "round": undo.round,
        "rater": undo.showing.rater,
    }


def label_report_content(report_id: int, report: LabelChange) -> dict[str, Any]:
    """A showing that was put aside."""
    return {
        "report": report_id,
        "at": utc_text(report.at),
        "showing": report.showing.id,
        "round": report.round,
        "rater": report.showing.rater,
        "why": report.why,
    }


def labels_from_events(events: Iterable[Event]) -> list[LabelRecord]:
    """The effective labels, not undone and of nobody who withdrew, by label id; what was typed is not in them."""
    effective: dict[int, dict[str, Any]] = {}
    withdrawn: set[int] = set()
    for event in events:
        content = json.loads(event.body)
        if event.kind == LABEL:
            effective[content["label"]] = content
        elif event.kind == LABEL_UNDO:
            effective.pop(content["label"], None)
        elif event.kind == WITHDRAWN:
            withdrawn.add(content["rater"])
    return [_record(content) for _, content in sorted(effective.items()) if content["rater"] not in withdrawn]


def check_label_declaration(events: Sequence[Event], record: LabelStudyRecord) -> None:
    """Raises BrokenChainError when the study's row differs from what was opened and closed according to its events."""
    if not events or events[0].kind != OPENED:
        raise BrokenChainError("Event 1 does not open the study. Restore the log from a copy.")
    opened = json.loads(events[0].body)
    if (opened["hash"], opened["declaration"]) != (record.hash, record.study.to_dict()) or (
        record.study.hash != record.hash
    ):
        raise BrokenChainError("The declaration differs from the one that event 1 opened. Restore it from a copy.")
    if record.is_open == any(event.kind == CLOSED for event in events):
        raise BrokenChainError(
            f"The study is marked {'open' if record.is_open else 'closed'}, and its events say otherwise."
        )


def check_labels(events: Sequence[Event], from_rows: Sequence[LabelRecord]) -> None:
    """Raises BrokenChainError, naming the first label that is not in both, or not alike in both."""
    said = {label.label_id: label for label in labels_from_events(events)}
    kept = {label.label_id: label for label in from_rows}
    for label_id in sorted(said.keys() | kept.keys()):
        if label_id not in kept:
            raise BrokenChainError(f"Label {label_id} is in the events and not among the rows. Restore the rows.")
        if label_id not in said:
            raise BrokenChainError(f"Label {label_id} is among the rows and in no event. It was slipped in.")
        typed = kept[label_id].which
        if (sha256_hex(typed) if typed else None) != kept[label_id].digest:
            raise BrokenChainError(f"What was typed for label {label_id} is not what was sent. Restore it.")
        differing = _differing(said[label_id], replace(kept[label_id], which=""))
        if differing:
            raise BrokenChainError(
                f"Label {label_id} differs from its event in {', '.join(differing)}. Its row was altered; restore it."
            )


def check_label_reports(events: Iterable[Event], from_rows: Iterable[LabelReport]) -> None:
    """Raises BrokenChainError, naming the first report whose row is not what its event says."""
    contents = (json.loads(event.body) for event in events if event.kind == LABEL_REPORT)
    said = {content["report"]: _report(content) for content in contents}
    kept = {report.report_id: report for report in from_rows}
    for report_id in sorted(said.keys() | kept.keys()):
        if said.get(report_id) != kept.get(report_id):
            raise BrokenChainError(f"Report {report_id} differs from its event, or one of them is missing. Restore it.")


def _record(content: Mapping[str, Any]) -> LabelRecord:
    return LabelRecord(
        label_id=content["label"],
        ts=datetime.fromisoformat(content["at"]),
        rater=content["rater"],
        showing=content["showing"],
        kind=content["showing_kind"],
        repeats=content["repeats"],
        prompt_id=content["prompt"],
        seed=content["seed"],
        entrants=tuple(content["entrants"]),
        images=tuple(content["images"]),
        answer=content["answer"],
        target=content["target"],
        closeness=content["closeness"],
        latency_ms=content["latency_ms"],
        session=content["session"],
        digest=content["words"],
    )


def _report(content: Mapping[str, Any]) -> LabelReport:
    return LabelReport(
        report_id=content["report"],
        at=datetime.fromisoformat(content["at"]),
        rater=content["rater"],
        showing=content["showing"],
        why=content["why"],
    )


def _differing(said: LabelRecord, kept: LabelRecord) -> list[str]:
    return [field.name for field in fields(LabelRecord) if getattr(said, field.name) != getattr(kept, field.name)]
