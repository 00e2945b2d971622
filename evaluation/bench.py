"""The bench on which galleries are measured: one opened extractor or scorer, and what several metrics share.

Features of prompts and of reference images are made once; a gallery's are kept until another gallery comes, so that a
sweep over many galleries needs the memory of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from arena.images import ImageStore
from evaluation.feature_stage import stream_features
from evaluation.feature_store import FeatureStore
from evaluation.features import FEATURES
from evaluation.features.base import Extractor, TextFeatures
from evaluation.galleries import Gallery
from evaluation.kept_features import kept_features
from evaluation.metrics.base import GalleryFeatures, Metric, Weights
from evaluation.reference import ReferenceImages
from evaluation.scorers import SCORERS
from evaluation.scorers.base import Scorer, ScorerSettings, Scores
from prompts.console import progress
from prompts.errors import CanvasError
from prompts.plugins import load_plugin
from prompts.prompt import PromptSet

# Pictures in memory at once; the extractor makes its own batches of them.
_CHUNK = 256


class MissingReferenceError(CanvasError):
    """A metric that compares with other images, and none were named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What galleries are measured on: prompts with their seeds, and by kind the images they are compared with."""

    prompts: PromptSet
    seeds: Sequence[int]
    references: Mapping[str, ReferenceImages]

    @property
    def prompt_numbers(self) -> Any:
        """For each image of a gallery, the number of its prompt."""
        return np.repeat(np.arange(len(self.prompts)), len(self.seeds))


class Bench:
    """One line of FEATURES or SCORERS with its weights; all metrics that name it are measured on it."""

    def __init__(
        self,
        metric: Metric,
        weights: Weights,
        settings: ScorerSettings,
        *,
        images: ImageStore,
        asked: Asked,
        store: FeatureStore | None = None,
    ) -> None:
        """Open what `metric` names; features of references are kept in `store`, where there is one."""
        self._store = store
        self._images = images
        self._asked = asked
        table, kind = (SCORERS, "scorer") if metric.scored else (FEATURES, "extractor")
        self._opened: Extractor | Scorer = load_plugin(table, metric.extractor, kind)(
            weights.source, weights.revision, settings
        )
        self._gallery: tuple[Gallery, Float32[np.ndarray, "images features"]] | None = None
        self._scores: tuple[Gallery, Scores] | None = None
        self._texts: dict[str, TextFeatures] = {}
        self._references: dict[str, Float32[np.ndarray, "references features"]] = {}

    @property
    def details(self) -> dict[str, Any]:
        """What made the features or scores, as JSON values."""
        return self._opened.details

    def measured(self, metric: Metric, gallery: Gallery) -> GalleryFeatures:
        """What `metric` reads of `gallery`."""
        numbers = self._asked.prompt_numbers
        if metric.scored:
            return GalleryFeatures(prompts=numbers, scores=self._scored(gallery).values)
        texts = None if metric.text_prefix is None else self._text_features(metric.text_prefix).features
        return GalleryFeatures(
            images=self._image_features(gallery),
            prompts=numbers,
            texts=None if texts is None else np.repeat(texts, len(self._asked.seeds), axis=0),
            reference=None if metric.compares_with is None else self._reference_features(metric.compares_with),
        )

    def notes(self, metric: Metric, gallery: Gallery) -> dict[str, Any]:
        """What else is to be said of the score, as JSON values."""
        found: dict[str, Any] = {}
        if metric.scored:
            scores = self._scored(gallery)
            found = {"texts_cut": scores.truncated, **({"findings": scores.findings} if scores.findings else {})}
        elif metric.text_prefix is not None:
            found = {"texts_cut": self._text_features(metric.text_prefix).truncated}
        if metric.compares_with is not None:
            found["reference"] = self._asked.references[metric.compares_with].details
        return found

    def _scored(self, gallery: Gallery) -> Scores:
        assert isinstance(self._opened, Scorer)
        if self._scores is None or self._scores[0] is not gallery:
            texts = [prompt.text for prompt in self._asked.prompts for _ in self._asked.seeds]
            found = []
            with progress(f"Judging {gallery.entrant}", total=len(texts)) as tick:
                for start in range(0, len(texts), _CHUNK):
                    rows = range(start, min(start + _CHUNK, len(texts)))
                    pictures = [self._images.open(gallery.images[row].image_hash) for row in rows]
                    found.append(self._opened.score(pictures, texts[rows.start : rows.stop], tick))
            self._scores = gallery, _joined(found)
        return self._scores[1]

    def _image_features(self, gallery: Gallery) -> Float32[np.ndarray, "images features"]:
        if self._gallery is None or self._gallery[0] is not gallery:
            assert isinstance(self._opened, Extractor)
            hashes = [image.image_hash for image in gallery.images]
            with progress(f"Features of {gallery.entrant}", total=len(hashes)) as tick:
                blocks = stream_features(
                    [self._opened], len(hashes), lambda index: self._images.open(hashes[index]), on_done=tick
                )
                self._gallery = gallery, np.concatenate(list(blocks))
        return self._gallery[1]

    def _reference_features(self, kind: str) -> Float32[np.ndarray, "references features"]:
        if kind not in self._references:
            reference = self._asked.references[kind]
            assert isinstance(self._opened, Extractor)
            with progress(f"Features of {reference.folder.name}", total=len(reference.files)) as tick:
                self._references[kind] = kept_features(reference, [self._opened], self._store, on_done=tick)
        return self._references[kind]

    def _text_features(self, prefix: str) -> TextFeatures:
        assert isinstance(self._opened, Extractor)
        if prefix not in self._texts:
            self._texts[prefix] = self._opened.texts([prefix + prompt.text for prompt in self._asked.prompts])
        return self._texts[prefix]


def _joined(parts: Sequence[Scores]) -> Scores:
    """Scores of consecutive images as one; findings are counts, which add up."""
    findings: dict[str, Any] = {}
    for part in parts:
        for name, value in part.findings.items():
            findings[name] = findings[name] + value if name in findings else value
    return Scores(
        values=np.concatenate([part.values for part in parts]),
        truncated=sum(part.truncated for part in parts),
        findings=findings,
    )
