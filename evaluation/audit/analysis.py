"""The whole analysis of an audit's labels: every model beside the reference, the judge beside people, the curves.

In: `Labels` and the reference's name. Out: an `Audit`, which says itself as JSON. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from arena.statistics.multiplicity import holm
from evaluation.audit.correction import Corrected, powered_difference, prediction_powered, rogan_gladen
from evaluation.audit.differences import (
    AuditSettings,
    KindResult,
    TooFewCharactersError,
    compare_on,
    rate_interval,
    reach_of,
)
from evaluation.audit.dose_response import DoseResponse, dose_response
from evaluation.audit.judge_agreement import JudgeAgreement, judge_agreement
from evaluation.audit.labels import UNKNOWN, Labels, LabelsError, Pairs, paired
from evaluation.audit.rates import mean_and_error, rates_by_character

ALL = "all"
METHOD_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult:
    """One model beside the reference: by kind, over all kinds that are no controls (ALL), and character by character.

    `false_alarms` is its mean detection rate on controls with its interval, None without controls. `corrected` and
    `corrected_difference` come from people's labels, leave controls out as ALL does, and are None without any.
    `characters` say of each the rates, the difference with its interval over the character's own prompts (null for
    one), and the rates by kind, as JSON values.
    """

    model: str
    kinds: dict[str, KindResult]
    by_character: dict[str, tuple[float, float]]
    characters: dict[str, dict[str, Any]]
    false_alarms: tuple[float, float, float] | None
    corrected: Corrected | None
    rogan_gladen: Corrected | None
    corrected_difference: Corrected | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All of it. `left_out` says which kinds of which model have too few characters for a test.

    `reference_corrected` are the reference's rates by both corrections.
    """

    reference: str
    models: dict[str, ModelResult]
    curves: tuple[DoseResponse, ...]
    judge: JudgeAgreement | None
    ppi: Corrected | None
    rogan_gladen: Corrected | None
    reference_corrected: tuple[Corrected, Corrected] | None
    left_out: tuple[str, ...]
    settings: AuditSettings
    controls: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: `models` by model and kind, `judge` null without people's labels."""
        judge = None
        if self.judge is not None and self.ppi is not None and self.rogan_gladen is not None:
            judge = {
                **self.judge.to_dict(),
                "ppi": self.ppi.to_dict(),
                "rogan_gladen": self.rogan_gladen.to_dict(),
                "by_model": {
                    **(
                        {}
                        if self.reference_corrected is None
                        else {
                            self.reference: {
                                "ppi": self.reference_corrected[0].to_dict(),
                                "rogan_gladen": self.reference_corrected[1].to_dict(),
                                "ppi_difference": None,
                            }
                        }
                    ),
                    **{
                        name: {
                            "ppi": _said(found.corrected),
                            "rogan_gladen": _said(found.rogan_gladen),
                            "ppi_difference": _said(found.corrected_difference),
                        }
                        for name, found in self.models.items()
                    },
                },
            }
        return {
            "method_version": METHOD_VERSION,
            "reference": self.reference,
            "delta": self.settings.delta,
            "seed": self.settings.seed,
            "controls": list(self.controls),
            "models": {
                name: {kind: result.to_dict() for kind, result in found.kinds.items()}
                for name, found in self.models.items()
            },
            "characters": {name: found.characters for name, found in self.models.items()},
            "false_alarms": {
                name: {"rate": found.false_alarms[0], "interval": list(found.false_alarms[1:])}
                for name, found in self.models.items()
                if found.false_alarms is not None
            },
            "dose_response": {curve.model: curve.to_dict() for curve in self.curves},
            "judge": judge,
            "left_out": list(self.left_out),
        }


def analyse(
    labels: Labels, reference: str, *, controls: Sequence[str] = (), settings: AuditSettings | None = None
) -> Audit:
    """Every other model beside `reference`; kinds named as `controls` are not part of "all", and count false alarms.

    Raises LabelsError (no such reference, no other model, all kinds are controls), UnpairedLabelsError, and
    TooFewCharactersError where "all" has fewer than two characters.
    """
    settings = settings or AuditSettings()
    others = [name for name in labels.models if name != reference]
    if reference not in labels.models:
        raise LabelsError(
            f"The reference '{reference}' has no labels. Models: {', '.join(labels.models)}: name one with --reference."
        )
    if not others:
        raise LabelsError(f"All labels are of '{reference}': an audit compares another model with it.")
    if ALL in labels.kinds:
        raise LabelsError(f"A kind of prompts is called '{ALL}', which means all kinds together: give it another name.")
    if all(kind in controls for kind in labels.kinds):
        raise LabelsError("All kinds of prompts are controls: nothing asks for a character.")
    left_out: list[str] = []
    models = {name: _model(labels, name, reference, controls, settings, left_out) for name in others}
    asking = labels.rows(~np.array([kind in controls for kind in labels.kinds])[labels.kind])
    has_people = bool((labels.human != UNKNOWN).any())
    # Labels were drawn within models and kinds of prompts.
    cell = asking.model * len(labels.kinds) + asking.kind
    return Audit(
        reference=reference,
        models=models,
        curves=tuple(dose_response(labels)),
        judge=judge_agreement(_judged(labels), labels.human) if has_people else None,
        ppi=prediction_powered(_judged(asking), asking.human, asking.character, cell) if has_people else None,
        rogan_gladen=rogan_gladen(_judged(asking), asking.human, asking.character) if has_people else None,
        reference_corrected=_of_reference(asking, reference) if has_people else None,
        left_out=tuple(left_out),
        settings=settings,
        controls=tuple(kind for kind in controls if kind in labels.kinds),
    )


def _model(
    labels: Labels,
    model: str,
    reference: str,
    controls: Sequence[str],
    settings: AuditSettings,
    left_out: list[str],
) -> ModelResult:
    pairs = paired(labels, model, reference)
    of_kind = np.array([kind in controls for kind in labels.kinds])
    asking = ~of_kind[pairs.kind]
    results: dict[str, KindResult] = {}
    for number, kind in enumerate(labels.kinds):
        kept = pairs.kind == number
        if not kept.any():
            continue
        try:
            results[kind] = compare_on(labels, pairs, kept, settings)
        except TooFewCharactersError as error:
            left_out.append(f"{model}, {kind}: {error}")
    corrected = holm([result.test.p for result in results.values()])
    no_more = holm([result.p_no_more for result in results.values()])
    kinds = {
        kind: replace(result, p_holm=float(p), p_no_more_holm=float(other))
        for (kind, result), p, other in zip(results.items(), corrected, no_more, strict=True)
        if p is not None and other is not None
    }
    # One test of its own, asked before any kind: nothing to correct it for.
    kinds[ALL] = compare_on(labels, pairs, asking, settings)
    return ModelResult(
        model=model,
        kinds=kinds,
        by_character=_by_character(labels, pairs, asking),
        characters=_characters(labels, pairs, asking),
        false_alarms=_false_alarms(labels, pairs, ~asking),
        **_corrections(labels, pairs, asking),
    )


def _by_character(labels: Labels, pairs: Pairs, asking: Any) -> dict[str, tuple[float, float]]:
    character = pairs.character[asking]
    mine = rates_by_character(labels.detected[pairs.model[asking]], character)
    theirs = rates_by_character(labels.detected[pairs.reference[asking]], character)
    names = [labels.characters[code] for code in np.unique(character)]
    return {name: (float(one), float(other)) for name, one, other in zip(names, mine, theirs, strict=True)}


def _characters(labels: Labels, pairs: Pairs, asking: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    mine, theirs = labels.detected[pairs.model], labels.detected[pairs.reference]
    for code in np.unique(pairs.character):
        own = pairs.character == code
        counted = own & asking
        kinds = {
            labels.kinds[kind]: {
                "rate": float(mine[rows].mean()),
                "reference_rate": float(theirs[rows].mean()),
                "images": int(rows.sum()),
            }
            for kind in np.unique(pairs.kind[own])
            for rows in [own & (pairs.kind == kind)]
        }
        if not counted.any():
            continue
        by_prompt = rates_by_character(mine[counted], pairs.prompt[counted]) - rates_by_character(
            theirs[counted], pairs.prompt[counted]
        )
        interval = None
        if len(by_prompt) > 1:
            mean, se = mean_and_error(by_prompt)
            reach = reach_of(se, len(by_prompt))
            interval = [max(-1.0, mean - reach), min(1.0, mean + reach)]
        rate, other = float(mine[counted].mean()), float(theirs[counted].mean())
        found[labels.characters[code]] = {
            "rate": rate,
            "reference_rate": other,
            "difference": rate - other,
            "interval": interval,
            "prompts": len(by_prompt),
            "images": int(counted.sum()),
            "kinds": kinds,
        }
    return found


def _false_alarms(labels: Labels, pairs: Pairs, kept: Any) -> tuple[float, float, float] | None:
    if len(np.unique(pairs.character[kept])) < 2:
        return None
    rates = rates_by_character(labels.detected[pairs.model[kept]], pairs.character[kept])
    return (float(rates.mean()), *rate_interval(rates))


def _corrections(labels: Labels, pairs: Pairs, asking: Any) -> dict[str, Corrected | None]:
    known = _judged(labels)
    mine, theirs, character = pairs.model[asking], pairs.reference[asking], pairs.character[asking]
    kinds = pairs.kind[asking]
    if not (labels.human[mine] != UNKNOWN).any():
        return {"corrected": None, "rogan_gladen": None, "corrected_difference": None}
    return {
        "corrected": prediction_powered(known[mine], labels.human[mine], character, kinds),
        "rogan_gladen": rogan_gladen(known[mine], labels.human[mine], character),
        "corrected_difference": powered_difference(
            (known[mine], known[theirs]), (labels.human[mine], labels.human[theirs]), character, kinds
        ),
    }


def _of_reference(asking: Labels, reference: str) -> tuple[Corrected, Corrected]:
    own = asking.rows(asking.model == asking.models.index(reference))
    known = _judged(own)
    return prediction_powered(known, own.human, own.character, own.kind), rogan_gladen(known, own.human, own.character)


def _judged(labels: Labels) -> Any:
    """The judge's call on each image; what counts as detected where there is no call of its own."""
    return np.where(labels.judge == UNKNOWN, labels.detected, labels.judge)


def _said(found: Corrected | None) -> dict[str, Any] | None:
    return None if found is None else found.to_dict()
