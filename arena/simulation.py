"""Simulated raters: programs that look at the prompt and the pixels, and vote through the same door as people.

A judge is told nothing but what a person sees; which entrant painted what, it cannot know. Every vote is marked
simulated in the ledger, and no board, chart or export mixes it with people's.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import numpy as np
from PIL import Image

from arena.ballots import Ballot
from arena.rating import PairView, RatingRoom
from arena.votes import Choice

#: Sees the prompt, the left and the right image, and chooses: "left", "right", "tie" or "both_bad".
Judge = Callable[[str, Image.Image, Image.Image, np.random.Generator], str]


@dataclass(slots=True)
class _Rater:
    number: int
    judge: Judge
    waiting: PairView | None


def simulate(
    room: RatingRoom,
    study: str,
    *,
    raters: int,
    votes_each: int,
    judge: Judge | Sequence[Judge],
    rng: np.random.Generator,
    now: datetime,
) -> int:
    """Let `raters` new simulated raters cast up to `votes_each` votes each, and return how many were cast.

    `judge` judges for all of them, or one of the sequence for each, who then has a taste of its own. A rater stops
    early where the study asks for fewer votes per rater or has no more comparisons. No latency is kept: none was
    measured. Raises what the rating room raises, and ValueError for a choice that is none or too few judges.
    """
    judges = [judge] * raters if callable(judge) else list(judge)
    if len(judges) != raters:
        raise ValueError(f"{raters} raters need as many judges, not {len(judges)}.")
    if votes_each < 1:
        return 0
    present = [_enter(room, study, one, rng, now) for one in judges]
    cast = 0
    for _ in range(votes_each):
        # One vote of every rater at a time: they come in side by side, as people's do, and share a commit.
        voting = [(rater, rater.waiting) for rater in present if rater.waiting is not None]
        answers = [room.vote_soon(_ballot(room, study, rater, pair=pair, rng=rng, now=now)) for rater, pair in voting]
        for (rater, _), answer in zip(voting, answers, strict=True):
            rater.waiting = answer.result().next
        cast += len(answers)
    return cast


def _enter(room: RatingRoom, study: str, judge: Judge, rng: np.random.Generator, now: datetime) -> _Rater:
    number = room.join(study, now=now, simulated=True)
    pairs = room.next_pairs(rater=number, study=study, count=1, rng=rng, now=now)
    return _Rater(number, judge, pairs[0] if pairs else None)


def _ballot(
    room: RatingRoom, study: str, rater: _Rater, *, pair: PairView, rng: np.random.Generator, now: datetime
) -> Ballot:
    asked = [question.key for question in room.study(study).asked]
    left, right = (_decode(room.image(rater=rater.number, token=token)) for token in (pair.left, pair.right))
    return Ballot(
        rater=rater.number,
        study=study,
        pair=pair.pair,
        round=pair.round,
        choices=dict.fromkeys(asked, Choice(rater.judge(pair.prompt, left, right, rng))),
        key=str(uuid4()),
        latency_ms=None,
        session="simulated",
        rng=rng,
        now=now,
    )


def _decode(encoded: bytes) -> Image.Image:
    with Image.open(io.BytesIO(encoded), formats=["WEBP"]) as image:
        decoded: Image.Image = image.convert("RGB")
        return decoded
