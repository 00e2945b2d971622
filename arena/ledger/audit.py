"""Whether the rows beside a study's chain still say what its events say. Pure.

Boards read the rows, which is quick; the chain protects the events. This is the bridge: an altered row shows here.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from itertools import zip_longest

from arena.ledger.errors import BrokenChainError
from arena.ledger.events import CLOSED, OPENED
from arena.ledger.records import Event, StudyRecord
from arena.quality import QualityVote
from arena.votes import VoteRecord


def check_declaration(events: Sequence[Event], record: StudyRecord) -> None:
    """Raises BrokenChainError when the study's row differs from what was opened and closed according to its events."""
    if not events or events[0].kind != OPENED:
        raise BrokenChainError(f"Event 1 of '{record.name}' does not open the study. Restore the log from a copy.")
    opened = json.loads(events[0].body)
    if (opened["hash"], opened["declaration"], opened["version"]) != (
        record.hash,
        record.study.to_dict(),
        record.version,
    ) or record.study.hash != record.hash:
        raise BrokenChainError(
            f"The declaration of '{record.name}' differs from the one that event 1 opened. Restore it from a copy."
        )
    if record.is_open == any(event.kind == CLOSED for event in events):
        said = "open" if record.is_open else "closed"
        raise BrokenChainError(f"The study '{record.name}' is marked {said}, and its events say otherwise.")


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
