"""A label study's raters judged by the arena's gates: the same rules and the same three states as for pairs. Pure.

In: labels, gold and repeats among them. Out: one `RaterQuality` each. An answer is put into a choice that the gates
know: of single images yes is left, no is right and not sure is a tie; of pairs, equally is a tie and neither is both
bad. So latency, gold and repeats are read by the functions of `arena.quality`, and a fault in one of them is one fault.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from arena.labelling.label_study import LabelStudy
from arena.ledger.label_records import LabelRecord
from arena.quality import Gates, QualityVote, RaterQuality, judge_raters, mirrored
from arena.votes import Choice

_CHOICES = {
    "yes": Choice.LEFT,
    "no": Choice.RIGHT,
    "not_sure": Choice.TIE,
    "left": Choice.LEFT,
    "right": Choice.RIGHT,
    "equally": Choice.TIE,
    "neither": Choice.BOTH_BAD,
}


def judge_labellers(study: LabelStudy, labels: Sequence[LabelRecord]) -> tuple[RaterQuality, ...]:
    """Every rater of these labels, by number; a study without gates has nothing to say of anybody."""
    return judge_raters(quality_votes(study, labels), study.gates or Gates())


def quality_votes(study: LabelStudy, labels: Sequence[LabelRecord]) -> list[QualityVote]:
    """The labels as gates read them. A repeat whose first label was taken back is left out."""
    first = {label.showing: label for label in labels}
    return [
        _vote(study, label, first.get(label.repeats) if label.repeats is not None else None)
        for label in labels
        if label.kind != "repeat" or label.repeats in first
    ]


def of_passing(labels: Iterable[LabelRecord], quality: Iterable[RaterQuality]) -> list[LabelRecord]:
    """The labels of raters who failed no gate, in their order."""
    out = {one.rater for one in quality if one.excluded}
    return [label for label in labels if label.rater not in out]


def _vote(study: LabelStudy, label: LabelRecord, earlier: LabelRecord | None) -> QualityVote:
    return QualityVote(
        rater=label.rater,
        pair=label.showing,
        pair_kind=label.kind,
        question="label",
        choice=_CHOICES[label.answer],
        latency_ms=label.latency_ms,
        cast_at=label.ts,
        first_choice=None if earlier is None else _as_shown_now(label, earlier),
        right_answer=_right_answer(study, label) if label.kind == "gold" else None,
    )


def _as_shown_now(label: LabelRecord, earlier: LabelRecord) -> Choice:
    """What was answered first, as it would read on the later page, where a pair's sides may have changed over."""
    choice = _CHOICES[earlier.answer]
    return choice if label.images == earlier.images else mirrored(choice)


def _right_answer(study: LabelStudy, label: LabelRecord) -> Literal[Choice.LEFT, Choice.RIGHT]:
    wanted = {(gold.item.prompt_id, gold.seed, *sorted(gold.item.entrants)): gold for gold in study.gold}
    gold = wanted[label.prompt_id, label.seed, *sorted(label.entrants)]
    if study.mode == "single":
        return Choice.LEFT if gold.answer == "yes" else Choice.RIGHT
    return Choice.LEFT if label.entrants[0] == gold.entrant else Choice.RIGHT
