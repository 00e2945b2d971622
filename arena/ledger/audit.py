"""Whether the rows beside a study's chain still say what its events say. Pure.

Boards read the rows, which is quick; the chain protects the events. This is the bridge: an altered row shows here.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import zip_longest

from arena.canonical import sha256_hex
from arena.ledger.errors import BrokenChainError
from arena.ledger.events import CLOSED, OPENED, REPORT, WITHDRAWN
from arena.ledger.readings import Report
from arena.ledger.records import Event, StudyRecord
from arena.quality import QualityVote
from arena.votes import VoteRecord


def check_declaration(events: Sequence[Event], record: StudyRecord) -> None:
    """Raises BrokenChainError when the study's row differs from what was opened and closed according to its events."""
    if not events or events[0].kind != OPENED:
        raise BrokenChainError("Event 1 does not open the study. Restore the log from a copy.")
    opened = json.loads(events[0].body)
    if (opened["hash"], opened["declaration"], opened["version"]) != (
        record.hash,
        record.study.to_dict(),
        record.version,
    ) or record.study.hash != record.hash:
        raise BrokenChainError("The declaration differs from the one that event 1 opened. Restore it from a copy.")
    if record.is_open == any(event.kind == CLOSED for event in events):
        said = "open" if record.is_open else "closed"
        raise BrokenChainError(f"The study is marked {said}, and its events say otherwise.")


def check_withdrawals(events: Iterable[Event], from_rows: Iterable[int]) -> None:
    """Raises BrokenChainError where the raters whose votes are left out are not those who withdrew in the events.

    Asked before the votes: a withdrawal that was deleted brings all votes of its rater back.
    """
    said = {json.loads(event.body)["rater"]: event.seq for event in events if event.kind == WITHDRAWN}
    kept = set(from_rows)
    for rater, seq in said.items():
        if rater not in kept:
            raise BrokenChainError(
                f"Rater {rater} withdrew in event {seq}, and the row that says so was deleted: the rater's votes would "
                "count again. Restore the row."
            )
    for rater in sorted(kept - said.keys()):
        raise BrokenChainError(
            f"A row says that rater {rater} withdrew, and no event does: it hides the rater's votes. It was slipped in."
        )


def check_pairs(misplaced: Sequence[int]) -> None:
    """Raises BrokenChainError for the first pair whose images are not those of the entrants that it names.

    It finds a side that was turned in a pair without a vote. One that was turned together with its images is a pair
    like any other, and does not show before its vote: the events begin with the vote.
    """
    if misplaced:
        raise BrokenChainError(
            f"Pair {misplaced[0]} does not hold the images of its entrants left and right. Its row was altered; "
            "restore it."
        )


def check_reports(events: Iterable[Event], from_rows: Iterable[Report]) -> None:
    """Raises BrokenChainError, naming the first report whose row or comment is not what its event says.

    A comment that is missing is no fault: a withdrawal deletes it.
    """
    contents = [json.loads(event.body) for event in events if event.kind == REPORT]
    said = {content["report"]: content for content in contents}
    kept = {report.report_id: report for report in from_rows}
    for report_id in sorted(said.keys() | kept.keys()):
        if report_id not in kept:
            raise BrokenChainError(f"Report {report_id} is in the events and not among the rows. Restore the rows.")
        if report_id not in said:
            raise BrokenChainError(f"Report {report_id} is among the rows and in no event. It was slipped in.")
        content, report = said[report_id], kept[report_id]
        if (content["pair"], content["rater"], content["why"]) != (report.pair, report.rater, report.kind):
            raise BrokenChainError(f"Report {report_id} differs from its event. Its row was altered; restore it.")
        if report.comment and content["comment"] != sha256_hex(report.comment):
            raise BrokenChainError(f"The comment of report {report_id} is not the one that was sent. Restore it.")


def check_votes(from_events: Sequence[VoteRecord], from_rows: Sequence[VoteRecord]) -> None:
    """Raises BrokenChainError, naming the first vote that is not in both, or not alike in both."""
    said = {vote.vote_id: vote for vote in from_events}
    kept = {vote.vote_id: vote for vote in from_rows}
    for vote_id in sorted(said.keys() | kept.keys()):
        if vote_id not in kept:
            raise BrokenChainError(f"Vote {vote_id} is in the events and not among the votes' rows. Restore the rows.")
        if vote_id not in said:
            raise BrokenChainError(f"Vote {vote_id} is among the votes' rows and in no event. It was slipped in.")
        if said[vote_id] != kept[vote_id]:
            differing = [
                field.name
                for field in fields(VoteRecord)
                if getattr(said[vote_id], field.name) != getattr(kept[vote_id], field.name)
            ]
            raise BrokenChainError(
                f"Vote {vote_id} differs from its event in {', '.join(differing)}. Its row was altered; restore it."
            )


def check_quality(from_events: Sequence[QualityVote], from_rows: Sequence[QualityVote]) -> None:
    """Raises BrokenChainError where what the gates read from the rows is not what the events say."""
    for said, kept in zip_longest(from_events, from_rows):
        if said != kept:
            found = said or kept
            assert found is not None, "two that differ are not both missing"
            raise BrokenChainError(
                f"A vote on pair {found.pair}, a repeat or a gold pair, differs from its event. Restore its row."
            )
