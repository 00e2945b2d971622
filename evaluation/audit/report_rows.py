"""An audit as the rows of a report's tables: numbers turned into text, and intervals into places on a strip.

In: an `Audit` and its labels. Out: frozen values that templates write down as they are. Pure.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.audit.analysis import ALL, Audit, ModelResult
from evaluation.audit.correction import Corrected
from evaluation.audit.differences import KindResult, rate_interval
from evaluation.audit.judge_agreement import JudgeAgreement
from evaluation.audit.labels import UNKNOWN, Labels
from evaluation.audit.rates import rates_by_character
from evaluation.audit.report_words import (
    bracket,
    consistency_sentence,
    correction_sentence,
    headline,
    in_order,
    kind_words,
    p_cell,
    percent,
    points,
    span,
    verdict_look,
    verdict_words,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A difference on a scale that is the same for all rows of a table: places in per cent of its width."""

    point: float
    left: float
    width: float
    band_left: float
    band_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRow:
    """One kind of prompts of one model."""

    kind: str
    label: str
    is_control: bool
    is_all: bool
    rate: str
    rate_interval: str
    reference_rate: str
    reference_interval: str
    difference: str
    interval: str
    p: str
    exact: bool
    p_holm: str
    verdict: str
    look: str
    gate: str
    gate_numbers: str
    characters: int
    items: int
    se: str
    bootstrap: str
    mcnemar: str
    model_only: int
    reference_only: int
    strip: Strip


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterRow:
    """One character: both rates and their difference, as text and as numbers to sort by; how many images of each."""

    character: str
    rate: str
    reference_rate: str
    difference: str
    values: tuple[float, float, float]
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSection:
    """What the report says of one model."""

    model: str
    headline: str
    gate: str | None
    correction: str | None
    verdict: str
    look: str
    kinds: tuple[KindRow, ...]
    reach: str
    characters: tuple[CharacterRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    """A model's rate with its interval, from so many characters and images."""

    name: str
    rate: str
    interval: str
    characters: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveRow:
    """One step of the ladder; `cells` are rate and interval for each curve."""

    label: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedRow:
    """A rate by the judge, by prediction-powered inference and by Rogan and Gladen; `note` says why one is missing."""

    name: str
    judge: str
    powered: str
    powered_interval: str
    turned: str
    turned_interval: str
    labelled: int
    images: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSection:
    """The judge beside people."""

    labelled: int
    kappa: str
    false_positives: str
    false_positive_interval: str
    false_negatives: str
    false_negative_interval: str
    table: JudgeAgreement
    rows: tuple[CorrectedRow, ...]


def model_sections(labels: Labels, audit: Audit, *, targets: str) -> list[ModelSection]:
    """One section per model beside the reference."""
    return [_section(labels, audit, found, targets) for found in audit.models.values()]


def control_rows(labels: Labels, audit: Audit) -> list[RateRow]:
    """What is detected on controls, model by model and the reference last; empty without controls."""
    codes = [labels.kinds.index(kind) for kind in audit.controls]
    rows = []
    for model in models_of(audit):
        kept = (labels.model == labels.models.index(model)) & np.isin(labels.kind, codes)
        if not kept.any():
            continue
        rates = rates_by_character(labels.detected[kept], labels.character[kept])
        rows.append(
            RateRow(
                name=model,
                rate=percent(float(rates.mean())),
                interval=span(rate_interval(rates)) if len(rates) > 1 else "–",
                characters=len(rates),
                images=int(kept.sum()),
            )
        )
    return rows


def curve_rows(audit: Audit) -> list[CurveRow]:
    """The figure's numbers, step by step."""
    kinds = list(dict.fromkeys(step.kind for curve in audit.curves for step in curve.steps))
    by_curve = [{step.kind: step for step in curve.steps} for curve in audit.curves]
    return [
        CurveRow(
            label=kind_words(kind),
            cells=tuple(
                (percent(steps[kind].rate), span(steps[kind].interval)) if kind in steps else ("–", "")
                for steps in by_curve
            ),
        )
        for kind in kinds
    ]


def slopes(audit: Audit) -> list[str]:
    """Each curve's slope in a sentence's part."""
    return [
        f"{curve.model} {curve.slope:+.2f} (standard error {curve.slope_se:.2f})"
        for curve in audit.curves
        if curve.slope is not None and curve.slope_se is not None
    ]


def judge_section(labels: Labels, audit: Audit) -> JudgeSection | None:
    """The judge's errors and what is left when they are corrected; None without people's labels."""
    found = audit.judge
    if found is None or audit.ppi is None or audit.rogan_gladen is None:
        return None
    told = found.to_dict()
    rows = [_corrected(labels, None, audit.ppi, audit.rogan_gladen)]
    for name, one in audit.models.items():
        if one.corrected is not None and one.rogan_gladen is not None:
            rows.append(_corrected(labels, name, one.corrected, one.rogan_gladen))
    return JudgeSection(
        labelled=found.labelled,
        kappa="not to be had" if found.kappa is None else f"{found.kappa:.2f}",
        false_positives=percent(found.false_positive_rate),
        false_positive_interval=_listed(told["false_positive_interval"]),
        false_negatives=percent(found.false_negative_rate),
        false_negative_interval=_listed(told["false_negative_interval"]),
        table=found,
        rows=tuple(rows),
    )


def models_of(audit: Audit) -> list[str]:
    """All models, the reference last."""
    return [*audit.models, audit.reference]


def _section(labels: Labels, audit: Audit, found: ModelResult, targets: str) -> ModelSection:
    whole = found.kinds[ALL]
    delta = audit.settings.delta
    reach = max(delta, *(abs(end) for kind in found.kinds.values() for end in kind.interval)) * 1.05
    return ModelSection(
        model=found.model,
        headline=headline(found.model, audit.reference, whole, targets=targets),
        gate=consistency_sentence(found.model, audit.reference, whole),
        correction=correction_sentence(found.corrected_difference),
        verdict=verdict_words(whole.verdict, delta),
        look=verdict_look(whole.verdict),
        kinds=tuple(_kind_row(kind, found.kinds[kind], audit, reach) for kind in in_order(found.kinds, audit.controls)),
        reach=f"{100 * reach:.0f}",
        characters=tuple(_character_rows(labels, audit, found)),
    )


def _kind_row(kind: str, found: KindResult, audit: Audit, reach: float) -> KindRow:
    gate = found.consistency
    place = _Scale(reach)
    low, high = found.interval
    return KindRow(
        kind=kind,
        label="all but controls" if kind == ALL and audit.controls else kind_words(kind),
        is_control=kind in audit.controls,
        is_all=kind == ALL,
        rate=percent(found.rate),
        rate_interval=span(found.rate_interval),
        reference_rate=percent(found.reference_rate),
        reference_interval=span(found.reference_interval),
        difference=points(found.difference),
        interval=bracket(found.interval),
        p=p_cell(found.test.p),
        exact=found.test.exact,
        p_holm="–" if kind == ALL else p_cell(found.p_holm),
        verdict=verdict_words(found.verdict, found.delta),
        look=verdict_look(found.verdict),
        gate="not asked" if gate is None else ("shown" if gate.kept else "not shown"),
        gate_numbers="" if gate is None else f"{percent(gate.rate, 0)} against {percent(gate.reference_rate, 0)}",
        characters=found.characters,
        items=found.items,
        se=f"{100 * found.se:.2f}",
        bootstrap=bracket(found.bootstrap),
        mcnemar=p_cell(found.mcnemar_p),
        model_only=found.model_only,
        reference_only=found.reference_only,
        strip=Strip(
            point=place.of(found.difference),
            left=place.of(low),
            width=round(place.of(high) - place.of(low), 2),
            band_left=place.of(-found.delta),
            band_width=round(place.of(found.delta) - place.of(-found.delta), 2),
        ),
    )


class _Scale:
    """Differences from -reach to reach, as per cent of a strip's width."""

    def __init__(self, reach: float) -> None:
        self._reach = reach

    def of(self, difference: float) -> float:
        """Where it lies."""
        return round(50 + 50 * max(-1.0, min(1.0, difference / self._reach)), 2)


def _character_rows(labels: Labels, audit: Audit, found: ModelResult) -> list[CharacterRow]:
    of_model = labels.model == labels.models.index(found.model)
    asking = ~np.isin(labels.kind, [labels.kinds.index(kind) for kind in audit.controls])
    counts = np.bincount(labels.character[of_model & asking], minlength=len(labels.characters))
    return [
        CharacterRow(
            character=name,
            rate=percent(rate, 0),
            reference_rate=percent(other, 0),
            difference=points(rate - other, 0),
            values=(rate, other, rate - other),
            images=int(counts[labels.characters.index(name)]),
        )
        for name, (rate, other) in sorted(found.by_character.items())
    ]


def _corrected(labels: Labels, model: str | None, powered: Corrected, turned: Corrected) -> CorrectedRow:
    kept = np.ones(len(labels), dtype=bool) if model is None else labels.model == labels.models.index(model)
    called = np.where(labels.judge == UNKNOWN, labels.detected, labels.judge)[kept]
    return CorrectedRow(
        name="all models" if model is None else model,
        judge=percent(float(called.mean())),
        powered=percent(powered.rate),
        powered_interval=_of(powered),
        turned=percent(turned.rate),
        turned_interval=_of(turned),
        labelled=powered.labelled,
        images=powered.images,
        note=" ".join(dict.fromkeys(one.reason for one in (powered, turned) if one.reason)),
    )


def _of(found: Corrected) -> str:
    return "–" if found.low is None or found.high is None else span((found.low, found.high))


def _listed(interval: list[float] | None) -> str:
    return "–" if interval is None else span((interval[0], interval[1]))
