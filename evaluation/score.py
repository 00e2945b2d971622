"""Scores: metrics over whole galleries, each with its interval and with all that a reader needs to compare it.

Features are made once per gallery and extractor, whatever number of metrics reads them. A score goes into the ledger
as soon as it is there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Score
from arena.metric_values import BETTER, PER_PROMPT
from evaluation.bench import Asked, Bench, MissingReferenceError
from evaluation.feature_store import FeatureStore
from evaluation.galleries import Gallery
from evaluation.metrics import METRICS
from evaluation.metrics.base import DrawsSubsets, GalleryFeatures, Metric, Weights
from evaluation.metrics.intervals import Method, MetricInterval, interval
from evaluation.reference import ReferenceImages
from evaluation.scorers.base import ScorerSettings
from prompts.console import progress
from prompts.errors import CanvasError
from prompts.plugins import load_plugin
from prompts.prompt import PromptSet

#: Where a score's details say how many images its subsets held.
SUBSET_SIZE = "subset_size"
_LIBRARIES = ("numpy", "pillow", "scipy", "torch", "transformers", "open_clip_torch")
# Values of more prompts than this would make the ledger's rows long; nobody votes on so many.
_PROMPTS_KEPT = 5_000
_DIGITS = 6
_OPTIONS = {"real": "--reference-images", "training": "--training-images"}


class TooLongPromptsError(CanvasError):
    """Prompts whose end the model does not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How scores are made. `weights` go in place of those that a metric's definition names, by metric or extractor.

    The interval has coverage `level`; `method` says how it is found, and where that is the bootstrap it comes from
    `resamples` draws of prompts by `seed`. Prompts that are longer than a model reads are refused unless
    `cuts_long_prompts`. Features of reference images are kept in `store`, where there is one.
    """

    weights: Mapping[str, Weights] = field(default_factory=dict)
    extractor: ScorerSettings = field(default_factory=ScorerSettings)
    companions: Mapping[str, str] = field(default_factory=dict)
    method: Method = "auto"
    resamples: int = 1000
    level: float = 0.95
    seed: int = 0
    cuts_long_prompts: bool = False
    store: FeatureStore | None = None


def score(
    ledger: Ledger,
    images: ImageStore,
    *,
    galleries: Sequence[Gallery],
    prompts: PromptSet,
    seeds: Sequence[int],
    metrics: Sequence[str],
    reference: ReferenceImages | None = None,
    training: ReferenceImages | None = None,
    settings: ScoreSettings | None = None,
) -> list[Score]:
    """Each metric of each gallery, metric by metric; kept in the ledger, and returned.

    `reference` are real images, `training` the images that the entrants learned from.
    Raises MissingReferenceError, TooLongPromptsError, UnknownPluginError for an unknown metric, and what extractors,
    scorers and metrics raise.
    """
    settings = settings or ScoreSettings()
    chosen = open_metrics(metrics)
    asked = what_is_asked(chosen, prompts, seeds, reference=reference, training=training)
    kept: list[Score] = []
    for bench, of_these in benches(chosen, settings, images=images, asked=asked):
        for gallery in galleries:
            for metric in of_these:
                one = _measure(bench, metric, gallery, asked, settings)
                ledger.keep_score(one)
                kept.append(one)
    order = {metric: number for number, metric in enumerate(metrics)}
    return sorted(kept, key=lambda one: order[one.metric])


def open_metrics(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names. Raises UnknownPluginError."""
    return [load_plugin(METRICS, name, "metric") for name in names]


def what_is_asked(
    metrics: Sequence[Metric],
    prompts: PromptSet,
    seeds: Sequence[int],
    *,
    reference: ReferenceImages | None,
    training: ReferenceImages | None,
) -> Asked:
    """The prompts with what they are compared with. Raises MissingReferenceError before anything is measured."""
    given = {"real": reference, "training": training}
    for metric in metrics:
        if metric.compares_with is not None and given[metric.compares_with] is None:
            raise MissingReferenceError(
                f"{metric.name} compares a gallery with {metric.compares_with} images: name their folder with "
                f"{_OPTIONS[metric.compares_with]}."
            )
    return Asked(
        prompts=prompts,
        seeds=seeds,
        references={kind: images for kind, images in given.items() if images is not None},
    )


def benches(
    metrics: Sequence[Metric], settings: ScoreSettings, *, images: ImageStore, asked: Asked
) -> Iterator[tuple[Bench, list[Metric]]]:
    """One bench after the other, each with the metrics that are measured on it: one model is open at a time."""
    for wanted in dict.fromkeys(_wanted(metric, settings) for metric in metrics):
        of_these = [metric for metric in metrics if _wanted(metric, settings) == wanted]
        extractor, weights = wanted
        companion = settings.companions.get(extractor)
        where = settings.extractor if companion is None else _with_companion(settings.extractor, companion)
        yield Bench(of_these[0], weights, where, images=images, asked=asked, store=settings.store), of_these


def measured(bench: Bench, metric: Metric, gallery: Gallery, settings: ScoreSettings) -> GalleryFeatures:
    """What `metric` reads of `gallery`. Raises TooLongPromptsError unless the settings allow them."""
    found = bench.measured(metric, gallery)
    cut = bench.notes(metric, gallery).get("texts_cut", 0)
    if cut and not settings.cuts_long_prompts:
        raise TooLongPromptsError(
            f"{cut:,} prompts are longer than {metric.extractor} reads, so that {metric.name} would not see their "
            "ends: leave them out, or say --cut-long-prompts to measure them as far as they are read."
        )
    return found


def interval_details(found: MetricInterval, seed: int) -> dict[str, Any]:
    """How an interval was found, as JSON values."""
    drawn = {"resamples": found.resamples, "seed": seed} if found.method == "bootstrap" else {}
    return {
        "level": found.level,
        "over": "prompts",
        "prompts": found.prompts,
        "method": found.method,
        "standard_error": found.standard_error,
        **drawn,
    }


def drawn_details(metric: Metric, features: GalleryFeatures) -> dict[str, Any]:
    """The size of the subsets that were drawn, where the metric draws any, as JSON values."""
    return {SUBSET_SIZE: metric.subset_size(features)} if isinstance(metric, DrawsSubsets) else {}


def _measure(bench: Bench, metric: Metric, gallery: Gallery, asked: Asked, settings: ScoreSettings) -> Score:
    features = measured(bench, metric, gallery, settings)
    with progress(f"{metric.name} of {gallery.entrant}", total=settings.resamples) as tick:
        found = interval(
            metric,
            features,
            method=settings.method,
            resamples=settings.resamples,
            level=settings.level,
            rng=np.random.default_rng(settings.seed),
            on_resample=tick,
        )
    details: dict[str, Any] = {
        "definition": metric.definition,
        BETTER: metric.better,
        "extractor": bench.details,
        "seeds": list(asked.seeds),
        "interval": interval_details(found, settings.seed),
        "versions": {library: version(library) for library in _LIBRARIES},
        **bench.notes(metric, gallery),
        **drawn_details(metric, features),
    }
    own = metric.per_image(features)
    if own is not None and len(asked.prompts) <= _PROMPTS_KEPT:
        by_prompt = own.reshape(len(asked.prompts), len(asked.seeds)).mean(axis=1)
        details[PER_PROMPT] = {
            prompt.id: float(f"{value:.{_DIGITS}g}") for prompt, value in zip(asked.prompts, by_prompt, strict=True)
        }
    return Score(
        entrant=gallery.entrant,
        prompt_set_id=asked.prompts.id,
        metric=metric.name,
        value=found.value,
        low=found.low,
        high=found.high,
        n=len(gallery.images),
        details=details,
    )


def _wanted(metric: Metric, settings: ScoreSettings) -> tuple[str, Weights]:
    named = settings.weights.get(metric.name, settings.weights.get(metric.extractor))
    return metric.extractor, named or metric.weights


def _with_companion(settings: ScorerSettings, companion: str) -> ScorerSettings:
    from dataclasses import replace

    return replace(settings, companion=companion)
