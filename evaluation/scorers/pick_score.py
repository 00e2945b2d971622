"""PickScore: which of two images people would pick for a prompt, by a CLIP trained on half a million such picks.

In: images and their prompts. Out: exp(logit scale) * cosine, about 15 to 25 for the published model. Scores compare
images of one prompt: their softmax is the chance of being picked. Across prompts they do not compare.
Source: Kirstain et al. (2023), arXiv:2305.01569, equations 1 and 2.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

from evaluation.features.base import with_hash
from evaluation.features.batches import bench
from evaluation.features.clip import ClipFeatures
from evaluation.metrics.base import Weights
from evaluation.scorers.base import ScorerSettings, Scores, check_pairs
from evaluation.scorers.pretrained import find_model, holds, load_model, load_part
from evaluation.weights import Located, locate

WHAT = "a PickScore model"
# The authors take images and texts through the processor of the model that they started from.
PROCESSOR = Weights(source="laion/CLIP-ViT-H-14-laion2B-s32B-b79K", revision="1c2b8495b28150b8a4922ee1c8edee224c284c0c")


def open_scorer(source: str, revision: str | None, settings: ScorerSettings) -> "PickScorer":
    """The CLIP model `source`, a folder or a hub id, with the processor `settings.companion`.

    Without a companion it is the folder's own processor, or the published one. Raises MissingWeightsError,
    NotWeightsError and DamagedWeightsError.
    """
    located, _ = find_model(source, revision, kinds=("clip",), what=WHAT)
    beside = _find_processor(located, settings)
    at = bench(settings)
    model = load_model(CLIPModel, located, what=WHAT, device=at.device)
    clip = ClipFeatures(
        model=model,
        processor=load_part(CLIPImageProcessor, beside, what="PickScore's processor"),
        tokenizer=load_part(CLIPTokenizerFast, beside, what="PickScore's tokenizer"),
        located=located,
        at=at,
    )
    return PickScorer(clip=clip, scale=float(model.logit_scale.detach().exp()), processor=beside)


def chances_of_being_picked(
    scores: Float[np.ndarray, " images"], prompts: Int[np.ndarray, " images"]
) -> Float64[np.ndarray, " images"]:
    """The softmax of `scores` among the images of the same prompt; the chances of a prompt's images add up to 1.

    `prompts[i]` numbers the prompt of image i. Source: arXiv:2305.01569, equation 2.
    """
    _, group = np.unique(prompts, return_inverse=True)
    highest = np.full(len(prompts), -np.inf)
    np.maximum.at(highest, group, scores.astype(np.float64))
    weight = np.exp(scores - highest[group])
    chances: Float64[np.ndarray, " images"] = weight / np.bincount(group, weights=weight)[group]
    return chances


class PickScorer:
    """An opened PickScore model; satisfies Scorer."""

    def __init__(self, *, clip: ClipFeatures, scale: float, processor: Located) -> None:
        """Take the opened parts; `open_scorer` opens them."""
        self._clip = clip
        self._scale = scale
        self._processor = processor

    @property
    def details(self) -> dict[str, Any]:
        """Model, processor, scale and preprocessing, as JSON values."""
        clip = self._clip.details
        details = {
            "scorer": "pick_score",
            "value": "exp(logit_scale) * cosine, comparable within a prompt only",
            "scale": self._scale,
            "processor": {"model": self._processor.source, "revision": self._processor.revision},
            **{
                name: clip[name]
                for name in ("model", "revision", "weights_sha256", "precision", "preprocessing", "text_tokens")
            },
        }
        return with_hash(details, "transformers")

    def score(
        self, images: Sequence[Image.Image], texts: Sequence[str], on_done: Callable[[int], None] = lambda done: None
    ) -> Scores:
        """The score of each image with its prompt. Raises MismatchedTextsError and PixelsError."""
        check_pairs(images, texts)
        wanted = self._clip.texts(texts)
        seen = _normalised(self._clip.images(images, on_done))
        values = np.float32(self._scale) * (seen * _normalised(wanted.features)).sum(axis=1)
        return Scores(values=values, truncated=wanted.truncated)


def _normalised(features: Float32[np.ndarray, "rows features"]) -> Float32[np.ndarray, "rows features"]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Float32[np.ndarray, "rows features"] = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit


def _find_processor(located: Located, settings: ScorerSettings) -> Located:
    marker, what = "preprocessor_config.json", "PickScore's processor"
    if settings.companion:
        return locate(settings.companion, marker=marker, what=what, option="--companion")
    if located.revision is None and holds(Path(located.source), marker):
        return locate(located.source, marker=marker, what=what)
    return locate(PROCESSOR.source, marker=marker, what=what, revision=PROCESSOR.revision, option="--companion")
