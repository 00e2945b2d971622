"""Two galleries of the same prompts and seeds, compared image by image: which is better, by how much, how certainly.

What a prompt does to both cancels, so that a difference is known better than either value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from arena.images import ImageStore
from arena.statistics.multiplicity import holm
from evaluation.bench import Bench
from evaluation.galleries import Gallery
from evaluation.metrics.base import GalleryFeatures, Metric
from evaluation.metrics.intervals import PairedDifference, paired_difference
from evaluation.reference import ReferenceImages
from evaluation.score import (
    ScoreSettings,
    benches,
    drawn_details,
    interval_details,
    measured,
    open_metrics,
    what_is_asked,
)
from prompts.console import progress
from prompts.prompt import PromptSet

Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One metric of two entrants; `difference` is the first's value less the second's.

    `p_holm` is the p-value after Holm's correction over the metrics that were compared together.
    """

    metric: str
    better: Literal["higher", "lower"]
    values: tuple[float, float]
    difference: PairedDifference
    p_holm: float
    images: int
    details: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """What the first entrant is beside the second, at 5 % after Holm's correction."""
        if self.p_holm >= 1 - self.difference.level:
            return "undecided"
        return "better" if (self.difference.value > 0) == (self.better == "higher") else "worse"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "metric": self.metric,
            "better": self.better,
            "values": list(self.values),
            "difference": self.difference.value,
            "interval": [self.difference.low, self.difference.high],
            "standard_error": self.difference.standard_error,
            "p_value": self.difference.p_value,
            "p_holm": self.p_holm,
            "test": self.difference.test,
            "verdict": self.verdict,
            "images": self.images,
            "details": self.details,
        }


def compare(
    images: ImageStore,
    first: Gallery,
    second: Gallery,
    *,
    prompts: PromptSet,
    seeds: Sequence[int],
    metrics: Sequence[str],
    reference: ReferenceImages | None = None,
    training: ReferenceImages | None = None,
    settings: ScoreSettings | None = None,
) -> list[Comparison]:
    """Each metric of `first` beside `second`, in the order asked for. Raises as `evaluation.score.score` does."""
    settings = settings or ScoreSettings()
    chosen = open_metrics(metrics)
    asked = what_is_asked(chosen, prompts, seeds, reference=reference, training=training)
    found: dict[str, tuple[Metric, tuple[float, float], PairedDifference, dict[str, Any]]] = {}
    for bench, of_these in benches(chosen, settings, images=images, asked=asked):
        for metric in of_these:
            found[metric.name] = metric, *_one(bench, metric, (first, second), settings)
    corrected = holm([found[name][2].p_value for name in metrics])
    compared = []
    for name, p_holm in zip(metrics, corrected, strict=True):
        metric, values, difference, details = found[name]
        assert p_holm is not None, "every difference has a p-value"
        compared.append(
            Comparison(
                metric=name,
                better=metric.better,
                values=values,
                difference=difference,
                p_holm=p_holm,
                images=len(first.images),
                details=details,
            )
        )
    return compared


def _one(
    bench: Bench, metric: Metric, galleries: tuple[Gallery, Gallery], settings: ScoreSettings
) -> tuple[tuple[float, float], PairedDifference, dict[str, Any]]:
    one, other = (measured(bench, metric, gallery, settings) for gallery in galleries)
    with progress(f"{metric.name} of {galleries[0].entrant} and {galleries[1].entrant}", settings.resamples) as tick:
        difference = paired_difference(
            metric,
            one,
            other,
            rng=np.random.default_rng(settings.seed),
            method=settings.method,
            level=settings.level,
            resamples=settings.resamples,
            on_resample=tick,
        )
    details = {
        "definition": metric.definition,
        "extractor": bench.details,
        "interval": interval_details(difference, settings.seed),
        **bench.notes(metric, galleries[0]),
        **drawn_details(metric, one),
    }
    return (_value(metric, one), _value(metric, other)), difference, details


def _value(metric: Metric, features: GalleryFeatures) -> float:
    return metric.statistic(features)(np.arange(len(features.prompts)))
