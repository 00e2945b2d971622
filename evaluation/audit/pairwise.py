"""Which of two models' images resembles the target more, as people answered: the pair mode of a label study, analysed.

In: a table that `canvas arena labels export` wrote of a study of pairs. Out: for each model beside the reference how
often its image resembles the target more and how often the reference's, and the difference of the two. Raters' answers
to one pair are averaged first, then a character's pairs, so that each character counts once; interval and test are
those of the audit's rates (Student's t over characters, signs flipped by character). "Equally" and "neither" count for
nobody. Controls stay out, as in the audit. Pure but for reading the file.
Source: evaluation/audit/differences.py and sign_flip.py, which say where their methods come from.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from arena.statistics.multiplicity import holm
from evaluation.audit.differences import TooFewCharactersError, reach_of
from evaluation.audit.labels import LabelsError, read_table
from evaluation.audit.rates import mean_and_error
from evaluation.audit.sign_flip import SignFlip, sign_flip_test
from prompts.errors import quoted
from prompts.probes import CONTROLS

_NEEDED = ("character", "prompt", "seed", "kind", "model_a", "model_b", "left", "answer")
_SIDES = {"A", "B"}
#: For the first model, for the second, or for neither of them.
_ANSWERS = ("left", "right", "equally", "neither")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAnswer:
    """One rater's answer: `winner` is the model whose image resembles the target more, "" for equally and neither."""

    character: str
    prompt: str
    seed: int
    kind: str
    models: tuple[str, str]
    winner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterShares:
    """One character: in which share of pairs the model, and in which the reference, resembles it more."""

    character: str
    more: float
    reference_more: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """One model beside the reference; shares are means over characters, `difference` is `more` less `reference_more`.

    `p_holm` is corrected over the models. `interval` is by t over characters, at 95 %.
    """

    model: str
    more: float
    reference_more: float
    difference: float
    interval: tuple[float, float]
    test: SignFlip
    p_holm: float
    answers: int
    pairs: int
    characters: tuple[CharacterShares, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "more": self.more,
            "reference_more": self.reference_more,
            "difference": self.difference,
            "interval": list(self.interval),
            "p_signflip": self.test.p,
            "exact": self.test.exact,
            "p_holm": self.p_holm,
            "answers": self.answers,
            "pairs": self.pairs,
            "characters": {
                one.character: {"more": one.more, "reference_more": one.reference_more, "pairs": one.pairs}
                for one in self.characters
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAudit:
    """All models beside the reference; `controls` answers were left out, and `others` without the reference."""

    reference: str
    models: tuple[PairResult, ...]
    controls: int
    others: int

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "reference": self.reference,
            "models": {one.model: one.to_dict() for one in self.models},
            "left_out": {"controls": self.controls, "without_the_reference": self.others},
        }


def read_pairs(path: Path) -> list[PairAnswer]:
    """The answers in `path`. Raises LabelsError with the line."""
    table = read_table(path)
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise LabelsError(
            f"{path} has no column {', '.join(missing)}; its columns are {', '.join(table.columns) or 'none'}. Give "
            'the table that `canvas arena labels export` writes of a study with mode = "pair".'
        )
    if not table.rows:
        raise LabelsError(f"{path} has no answer: export a study that somebody has answered.")
    answers: list[PairAnswer] = []
    seen: dict[str, int] = {}
    for line, row in table.rows:
        answers.append(_answer(row, f"{path}, line {line}"))
        label = (row.get("label_id") or "").strip()
        if label and seen.setdefault(label, line) != line:
            raise LabelsError(f"{path} has the label {quoted(label)} twice (lines {seen[label]} and {line}): keep one.")
    return answers


def compare_pairs(answers: Sequence[PairAnswer], reference: str, *, seed: int = 0, draws: int = 100_000) -> PairAudit:
    """Every model beside `reference`; `seed` draws the signs where there are too many characters for all of them.

    Raises LabelsError for a reference that is in no pair, TooFewCharactersError for fewer than two characters.
    """
    models = sorted({model for one in answers for model in one.models})
    if reference not in models:
        raise LabelsError(f"There is no model {quoted(reference)} in the pairs. Models: {', '.join(models)}.")
    asked = [one for one in answers if one.kind not in CONTROLS]
    kept = [one for one in asked if reference in one.models]
    beside = [model for model in models if any({model, reference} == set(one.models) for one in kept)]
    results = [
        _result([one for one in kept if model in one.models], model, reference, seed=seed, draws=draws)
        for model in beside
        if model != reference
    ]
    if not results:
        raise LabelsError(
            f"No answer is left that is about {quoted(reference)} and no control: give answers about other kinds of "
            "prompts."
        )
    corrected = holm([one.test.p for one in results])
    return PairAudit(
        reference=reference,
        models=tuple(
            replace(one, p_holm=one.test.p if p is None else p) for one, p in zip(results, corrected, strict=True)
        ),
        controls=len(answers) - len(asked),
        others=len(asked) - len(kept),
    )


def _answer(row: dict[str, str | None], where: str) -> PairAnswer:
    texts = {column: (row.get(column) or "").strip() for column in _NEEDED}
    for column, text in texts.items():
        if not text:
            raise LabelsError(f"{where} has no {column}: every answer needs one.")
    if texts["answer"] not in _ANSWERS:
        raise LabelsError(f"{where} has the answer {quoted(texts['answer'])}: known are {', '.join(_ANSWERS)}.")
    if texts["left"] not in _SIDES:
        raise LabelsError(f"{where} has left {quoted(texts['left'])}: write A or B, for model_a or model_b.")
    if not texts["seed"].isdecimal():
        raise LabelsError(f"{where} has the seed {quoted(texts['seed'])}, which is no whole number from 0.")
    first, second = texts["model_a"], texts["model_b"]
    if first == second:
        raise LabelsError(f"{where} holds {quoted(first)} against itself: a pair has two models.")
    left, right = (first, second) if texts["left"] == "A" else (second, first)
    return PairAnswer(
        character=texts["character"],
        prompt=texts["prompt"],
        seed=int(texts["seed"]),
        kind=texts["kind"],
        models=(first, second),
        winner={"left": left, "right": right}.get(texts["answer"], ""),
    )


def _result(answers: Sequence[PairAnswer], model: str, reference: str, *, seed: int, draws: int) -> PairResult:
    pairs: dict[str, dict[tuple[str, str, int], list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in answers:
        pairs[one.character][one.kind, one.prompt, one.seed].append(one.winner)
    characters = tuple(
        CharacterShares(
            character=name,
            more=_share(of_character.values(), model),
            reference_more=_share(of_character.values(), reference),
            pairs=len(of_character),
        )
        for name, of_character in sorted(pairs.items())
    )
    if len(characters) < 2:
        raise TooFewCharactersError(
            f"There are too few characters for a test of {quoted(model)}: {len(characters)} "
            f"({characters[0].character}), and two are needed, better twelve or more. Label pairs of more characters."
        )
    differences = np.array([one.more - one.reference_more for one in characters], dtype=np.float64)
    difference, se = mean_and_error(differences)
    # A difference of two shares reaches from -1 to 1.
    reach = reach_of(se, len(differences))
    test = sign_flip_test(differences, rng=np.random.default_rng(seed), draws=draws)
    return PairResult(
        model=model,
        more=float(np.mean([one.more for one in characters])),
        reference_more=float(np.mean([one.reference_more for one in characters])),
        difference=difference,
        interval=(max(-1.0, difference - reach), min(1.0, difference + reach)),
        test=test,
        p_holm=test.p,
        answers=len(answers),
        pairs=sum(one.pairs for one in characters),
        characters=characters,
    )


def _share(pairs: Collection[Sequence[str]], model: str) -> float:
    """The mean over pairs of the share of raters who say that `model` resembles more."""
    return float(np.mean([np.mean([winner == model for winner in winners]) for winners in pairs]))
