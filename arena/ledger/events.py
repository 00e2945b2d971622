"""What the events of a study's chain say, and the votes read back from them alone. Pure.

Kinds: `opened` (the whole declaration, prompts' texts included), `vote`, `undo`, `report` (a pair that a rater would
not judge), `withdrawn` (a rater who took consent back), `closed`. They hold rater numbers, entrants' names and a
comment's digest, and nothing that leads back to a person.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arena.canonical import utc_text
from arena.ledger.records import Event
from arena.quality import QualityVote, mirrored
from arena.study import Study
from arena.votes import Choice, VoteRecord
from prompts.prompt import Prompt

OPENED = "opened"
VOTE = "vote"
UNDO = "undo"
REPORT = "report"
WITHDRAWN = "withdrawn"
CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteFacts:
    """All that a board needs of one vote, without the words that the study's declaration already has.

    `kind` is the pair's: study, repeat, gold or practice. `images` are the content hashes of what was shown left and
    right; `repeats` is the pair that this one repeats.
    """

    study: str
    version: int
    declaration: str
    pair: int
    question: str
    round: int
    rater: int
    simulated: bool
    prompt_id: str
    category: str
    seed: int
    left: str
    right: str
    images: tuple[str, str]
    kind: str
    repeats: int | None
    choice: Choice
    latency_ms: int | None
    session: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoFacts:
    """Which vote was taken back: that of the pair, question and round."""

    pair: int
    question: str
    round: int
    rater: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """A pair that a rater would not judge, and why: skip, broken or offensive. `comment` is a digest, or nothing."""

    pair: int
    round: int
    rater: int
    kind: str
    comment: str | None
    at: datetime


def opened_content(study: Study, version: int, at: datetime) -> dict[str, Any]:
    """The first event of a chain."""
    return {"at": utc_text(at), "version": version, "hash": study.hash, "declaration": study.to_dict()}


def closed_content(reason: str, at: datetime) -> dict[str, Any]:
    """The last event of a chain."""
    return {"at": utc_text(at), "reason": reason}


def vote_content(vote_id: int, facts: VoteFacts) -> dict[str, Any]:
    """A vote, as it enters the chain."""
    return {
        "vote": vote_id,
        "at": utc_text(facts.at),
        "study": facts.study,
        "version": facts.version,
        "declaration": facts.declaration,
        "pair": facts.pair,
        "question": facts.question,
        "round": facts.round,
        "rater": facts.rater,
        "simulated": facts.simulated,
        "prompt": facts.prompt_id,
        "category": facts.category,
        "seed": facts.seed,
        "left": facts.left,
        "right": facts.right,
        "images": list(facts.images),
        "pair_kind": facts.kind,
        "repeats": facts.repeats,
        "choice": str(facts.choice),
        "latency_ms": facts.latency_ms,
        "session": facts.session,
    }


def undo_content(vote_id: int, facts: UndoFacts) -> dict[str, Any]:
    """A vote taken back; the next round is open."""
    return {
        "vote": vote_id,
        "at": utc_text(facts.at),
        "pair": facts.pair,
        "question": facts.question,
        "round": facts.round,
        "rater": facts.rater,
    }


def report_content(report_id: int, facts: ReportFacts) -> dict[str, Any]:
    """A pair that was reported."""
    return {
        "report": report_id,
        "at": utc_text(facts.at),
        "pair": facts.pair,
        "round": facts.round,
        "rater": facts.rater,
        "why": facts.kind,
        "comment": facts.comment,
    }


def withdrawn_content(rater: int, at: datetime) -> dict[str, Any]:
    """A rater who took consent back: from here on, no analysis counts that rater's votes."""
    return {"at": utc_text(at), "rater": rater}


def study_from_events(events: Iterable[Event]) -> Study:
    """The declaration, as the chain's first event holds it. The chain must have been verified, and is not empty."""
    return Study.from_dict(json.loads(next(iter(events)).body)["declaration"])


def votes_from_events(events: Iterable[Event]) -> list[VoteRecord]:
    """The effective votes (not undone, on study pairs, not withdrawn) of people and simulated raters, by vote id.

    Everything comes from the events: it is what `Ledger.votes` reads from the rows, and what they are held against.
    """
    texts: dict[str, str] = {}
    effective: dict[int, dict[str, Any]] = {}
    withdrawn: set[int] = set()
    for event in events:
        content = json.loads(event.body)
        match event.kind:
            case "opened":
                texts = {prompt["id"]: prompt["text"] for prompt in content["declaration"]["prompts"]["prompts"]}
            case "vote":
                # Before there were kinds of pairs, all but repeats were the study's own.
                if content.get("pair_kind", "study") == "study" and content["repeats"] is None:
                    effective[content["vote"]] = content
            case "undo":
                effective.pop(content["vote"], None)
            case "withdrawn":
                withdrawn.add(content["rater"])
            case _:
                pass
    return [_record(content, texts) for _, content in sorted(effective.items()) if content["rater"] not in withdrawn]


def quality_votes_from_events(events: Iterable[Event]) -> list[QualityVote]:
    """The effective votes as gates read them, by vote id: what `Ledger.quality_votes` reads from the rows."""
    effective: dict[int, dict[str, Any]] = {}
    latest: dict[tuple[int, str], dict[str, Any]] = {}
    withdrawn: set[int] = set()
    gold: dict[tuple[str, str, str, int], bool] = {}
    better: set[tuple[str, str, str, int]] = set()
    for event in events:
        content = json.loads(event.body)
        if event.kind == OPENED:
            study = Study.from_dict(content["declaration"])
            gold = {
                (pair.better, pair.worse, Prompt(text=pair.prompt).id, pair.seed): pair.attention for pair in study.gold
            }
            better = set(gold)
        elif event.kind == VOTE:
            effective[content["vote"]] = content
            latest[content["pair"], content["question"]] = content
        elif event.kind == UNDO:
            undone = effective.pop(content["vote"], None)
            if undone is not None:
                latest.pop((undone["pair"], undone["question"]), None)
        elif event.kind == WITHDRAWN:
            withdrawn.add(content["rater"])
    return [
        _quality(content, latest, gold, left_is_better=_ends(content, "left", "right") in better)
        for _, content in sorted(effective.items())
        if content["rater"] not in withdrawn and content.get("pair_kind", "study") != "practice"
    ]


def _ends(content: dict[str, Any], first: str, second: str) -> tuple[str, str, str, int]:
    return content[first], content[second], content["prompt"], content["seed"]


def _quality(
    content: dict[str, Any],
    latest: dict[tuple[int, str], dict[str, Any]],
    gold: dict[tuple[str, str, str, int], bool],
    *,
    left_is_better: bool,
) -> QualityVote:
    kind = content.get("pair_kind", "study")
    earlier = latest.get((content["repeats"], content["question"])) if content["repeats"] is not None else None
    is_gold = kind == "gold"
    known = _ends(content, "left", "right") if left_is_better else _ends(content, "right", "left")
    return QualityVote(
        rater=content["rater"],
        pair=content["pair"],
        pair_kind=kind,
        question=content["question"],
        choice=Choice(content["choice"]),
        latency_ms=content["latency_ms"],
        cast_at=datetime.fromisoformat(content["at"]),
        first_choice=None if earlier is None else mirrored(Choice(earlier["choice"])),
        right_answer=(Choice.LEFT if left_is_better else Choice.RIGHT) if is_gold else None,
        attention=is_gold and gold.get(known, False),
    )


def _record(content: dict[str, Any], texts: dict[str, str]) -> VoteRecord:
    return VoteRecord(
        vote_id=content["vote"],
        ts=datetime.fromisoformat(content["at"]),
        rater=content["rater"],
        simulated=content["simulated"],
        study=content["study"],
        question=content["question"],
        prompt_id=content["prompt"],
        prompt=texts[content["prompt"]],
        category=content["category"],
        left=content["left"],
        right=content["right"],
        choice=Choice(content["choice"]),
        latency_ms=content["latency_ms"],
        session=content["session"],
    )
