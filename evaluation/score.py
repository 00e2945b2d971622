"""Scores: metrics over whole galleries, each with its interval and with all that a reader needs to compare it.

Features are made once per gallery and extractor, whatever number of metrics reads them. A score goes into the ledger
as soon as it is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Score
from evaluation.features import FEATURES
from evaluation.features.base import Extractor, ExtractorSettings, TextFeatures
from evaluation.galleries import Gallery
from evaluation.metrics import METRICS
from evaluation.metrics.base import GalleryFeatures, Metric, Weights
from evaluation.metrics.bootstrap import interval_over_prompts
from evaluation.reference import ReferenceImages
from prompts.console import progress
from prompts.errors import CanvasError
from prompts.plugins import load_plugin
from prompts.prompt import PromptSet

# Pictures in memory at once; the extractor makes its own batches of them.
_CHUNK = 256
_LIBRARIES = ("numpy", "pillow", "scipy", "torch", "transformers")


class MissingReferenceError(CanvasError):
    """A metric that compares with real images, and none were named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How scores are made. `weights` go in place of those that a metric's definition names.

    The interval has coverage `level` and comes from `resamples` draws of prompts by `seed`.
    """

    weights: Weights | None = None
    extractor: ExtractorSettings = field(default_factory=ExtractorSettings)
    resamples: int = 1000
    level: float = 0.95
    seed: int = 0


def score(
    ledger: Ledger,
    images: ImageStore,
    *,
    galleries: Sequence[Gallery],
    prompts: PromptSet,
    seeds: Sequence[int],
    metrics: Sequence[str],
    reference: ReferenceImages | None = None,
    settings: ScoreSettings | None = None,
) -> list[Score]:
    """Each metric of each gallery, metric by metric; kept in the ledger, and returned.

    Raises MissingReferenceError, UnknownPluginError for an unknown metric, and what extractors and metrics raise.
    """
    settings = settings or ScoreSettings()
    chosen: list[Metric] = [load_plugin(METRICS, name, "metric") for name in metrics]
    for metric in chosen:
        if metric.needs_reference and reference is None:
            raise MissingReferenceError(
                f"{metric.name} compares a gallery with real images: name their folder with --reference-images."
            )
    kept: list[Score] = []
    for extractor_name, weights in _extractors(chosen, settings):
        extractor: Extractor = load_plugin(FEATURES, extractor_name, "extractor")(
            weights.source, weights.revision, settings.extractor
        )
        of_these = [metric for metric in chosen if _wanted(metric, settings) == (extractor_name, weights)]
        bench = _Bench(extractor=extractor, images=images, prompts=prompts, seeds=seeds, reference=reference)
        for gallery in galleries:
            for metric in of_these:
                one = bench.measure(metric, gallery, settings)
                ledger.keep_score(one)
                kept.append(one)
    return sorted(kept, key=lambda one: metrics.index(one.metric))


class _Bench:
    """One opened extractor, and the features that several metrics or galleries share."""

    def __init__(
        self,
        *,
        extractor: Extractor,
        images: ImageStore,
        prompts: PromptSet,
        seeds: Sequence[int],
        reference: ReferenceImages | None,
    ) -> None:
        self._extractor = extractor
        self._images = images
        self._prompts = prompts
        self._seeds = seeds
        self._reference = reference
        self._of_galleries: dict[str, Float32[np.ndarray, "images features"]] = {}
        self._of_texts: dict[str, TextFeatures] = {}
        self._of_reference: Float32[np.ndarray, "references features"] | None = None

    def measure(self, metric: Metric, gallery: Gallery, settings: ScoreSettings) -> Score:
        texts = None if metric.text_prefix is None else self._texts(metric.text_prefix)
        reference = self._reference if metric.needs_reference else None
        each = len(self._seeds)
        features = GalleryFeatures(
            images=self._gallery(gallery),
            prompts=np.repeat(np.arange(len(self._prompts)), each),
            texts=None if texts is None else np.repeat(texts.features, each, axis=0),
            reference=None if reference is None else self._references(reference),
        )
        with progress(f"{metric.name} of {gallery.entrant}", total=settings.resamples) as tick:
            interval = interval_over_prompts(
                metric.statistic(features),
                features.prompts,
                resamples=settings.resamples,
                level=settings.level,
                rng=np.random.default_rng(settings.seed),
                at_least=metric.at_least,
                on_resample=tick,
            )
        details: dict[str, Any] = {
            "definition": metric.definition,
            "better": metric.better,
            "extractor": self._extractor.details,
            "seeds": list(self._seeds),
            "interval": {
                "level": settings.level,
                "over": "prompts",
                "prompts": interval.prompts,
                "resamples": settings.resamples,
                "seed": settings.seed,
            },
            "versions": {library: version(library) for library in _LIBRARIES},
        }
        if texts is not None:
            details["texts_cut"] = texts.truncated
        if reference is not None:
            details["reference"] = reference.details
        return Score(
            entrant=gallery.entrant,
            prompt_set_id=self._prompts.id,
            metric=metric.name,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=len(features.images),
            details=details,
        )

    def _gallery(self, gallery: Gallery) -> Float32[np.ndarray, "images features"]:
        if gallery.entrant not in self._of_galleries:
            hashes = [image.image_hash for image in gallery.images]
            self._of_galleries[gallery.entrant] = self._features(
                f"Features of {gallery.entrant}", len(hashes), lambda index: self._images.open(hashes[index])
            )
        return self._of_galleries[gallery.entrant]

    def _references(self, reference: ReferenceImages) -> Float32[np.ndarray, "references features"]:
        if self._of_reference is None:
            self._of_reference = self._features(
                f"Features of {reference.folder.name}", len(reference.files), reference.read
            )
        return self._of_reference

    def _texts(self, prefix: str) -> TextFeatures:
        if prefix not in self._of_texts:
            self._of_texts[prefix] = self._extractor.texts([prefix + prompt.text for prompt in self._prompts])
        return self._of_texts[prefix]

    def _features(
        self, title: str, count: int, read: Callable[[int], Image.Image]
    ) -> Float32[np.ndarray, "images features"]:
        found = []
        with progress(title, total=count) as tick:
            for start in range(0, count, _CHUNK):
                pictures = [read(index) for index in range(start, min(start + _CHUNK, count))]
                found.append(self._extractor.images(pictures, tick))
        return np.concatenate(found)


def _wanted(metric: Metric, settings: ScoreSettings) -> tuple[str, Weights]:
    return metric.extractor, settings.weights or metric.weights


def _extractors(metrics: Sequence[Metric], settings: ScoreSettings) -> list[tuple[str, Weights]]:
    """Each extractor with its weights once, in the order of the metrics."""
    return list(dict.fromkeys(_wanted(metric, settings) for metric in metrics))
