"""What a rater labels next, and on which side: gold, a repeat, or an item that has the fewest labels. Pure.

In: what the study drew, what this rater was shown, how many labels each item has. Out: the next choice with the
probability it was drawn by. Gold and repeats are scheduled as in studies of pairs (`arena.matchmaking`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arena.labelling.label_study import LabelStudy, ShowingKind
from arena.ledger.label_records import HandedShowing
from arena.matchmaking import Comparison, Voted, choose_gold, choose_repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`place` counts into the study's items, or its gold. `flipped`: of a pair, the second entrant stands left."""

    kind: ShowingKind
    place: int
    flipped: bool
    propensity: float
    repeats: int | None = None


def choose_showing(
    study: LabelStudy, shown: Sequence[HandedShowing], taken: Mapping[int, int], rng: np.random.Generator
) -> Choice | None:
    """What this rater sees next; None when they have had all, or as many as are asked of one.

    `shown` is all that the rater was handed, in order; `taken` how many labels the items have or await.
    """
    places_taken = sum(not one.reported for one in shown)
    if places_taken >= study.labels_per_rater:
        return None
    return (
        _gold(study, shown, places_taken, rng)
        or _repeat(study, shown, places_taken, rng)
        or _item(study, shown, taken, rng)
    )


def labels_ahead(study: LabelStudy, shown: Sequence[HandedShowing], taken: Mapping[int, int]) -> int:
    """About how many labels this rater will have given at the end, those given already among them.

    What was handed out and what is free, with the share of repeats and gold that belongs to it; never more than is
    asked of one rater. It is less in the end where others take what is free now.
    """
    kept = [one for one in shown if not one.reported]
    plain = sum(one.kind == "study" for one in kept) + len(_free(study, shown, taken))
    whole = plain / (1 - study.repeats - study.gold_share)
    extra = min(len(study.gold), round(study.gold_share * whole)) + min(plain, round(study.repeats * whole))
    return min(study.labels_per_rater, max(len(kept), plain + extra))


def is_flipped(study: LabelStudy, showing: HandedShowing) -> bool:
    """Whether the second entrant of the showing's item stands left."""
    item = study.gold[showing.place].item if showing.kind == "gold" else study.items[showing.place]
    return showing.item.entrants != item.entrants


def _gold(study: LabelStudy, shown: Sequence[HandedShowing], done: int, rng: np.random.Generator) -> Choice | None:
    if not study.gold:
        return None
    seen = {one.place: is_flipped(study, one) for one in shown if one.kind == "gold"}
    right = sum(seen.values())
    found = choose_gold(
        range(len(study.gold)),
        seen,
        share=study.gold_share,
        done=done,
        rng=rng,
        times_left=len(seen) - right,
        times_right=right,
    )
    if found is None:
        return None
    flipped = study.mode == "pair" and not found.better_left
    return Choice(kind="gold", place=found.place, flipped=flipped, propensity=found.propensity)


def _repeat(study: LabelStudy, shown: Sequence[HandedShowing], done: int, rng: np.random.Generator) -> Choice | None:
    if study.repeats == 0:
        return None
    again = {one.repeats for one in shown if one.kind == "repeat"}
    judged = [one for one in shown if one.kind == "study" and one.is_labelled]
    voted = [
        Voted(
            comparison=Comparison(0, one.place, 0),
            candidate_left=not is_flipped(study, one),
            repeated=one.id in again,
        )
        for one in judged
    ]
    found = choose_repeat(voted, share=study.repeats, done=done, rng=rng)
    if found is None:
        return None
    earlier = judged[found.index]
    flipped = study.mode == "pair" and not found.candidate_left
    return Choice(kind="repeat", place=earlier.place, flipped=flipped, propensity=found.propensity, repeats=earlier.id)


def _item(
    study: LabelStudy, shown: Sequence[HandedShowing], taken: Mapping[int, int], rng: np.random.Generator
) -> Choice | None:
    counts = _free(study, shown, taken)
    if not counts:
        return None
    least = min(counts.values())
    free = [place for place, count in counts.items() if count == least]
    flipped = study.mode == "pair" and bool(rng.random() < 0.5)
    chance = 1 / len(free) / (2 if study.mode == "pair" else 1)
    return Choice(kind="study", place=free[int(rng.integers(len(free)))], flipped=flipped, propensity=chance)


def _free(study: LabelStudy, shown: Sequence[HandedShowing], taken: Mapping[int, int]) -> dict[int, int]:
    """The items that this rater may still see, with the labels that each has or awaits."""
    seen = {one.place for one in shown if one.kind == "study"}
    return {
        place: count
        for place in range(len(study.items))
        if place not in seen and (count := taken.get(place, 0)) < study.labels_per_image
    }
