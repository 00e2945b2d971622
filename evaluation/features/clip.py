"""CLIP features: images and texts in one space, after the projections, in float32 and not normalised.

Weights come from a folder or the hub, in the layout of `transformers.CLIPModel`. Images are resized and cropped by the
model's own processor on their 8-bit pixels; texts that are too long are cut so that the end token, which CLIP reads
the whole text from, stays.
Source: Radford et al. (2021), arXiv:2103.00020.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast
from transformers.utils import logging as transformers_logging

from evaluation.features.base import ExtractorSettings, TextFeatures, with_hash
from evaluation.features.batches import Bench, bench
from evaluation.weights import (
    DamagedWeightsError,
    Located,
    NotWeightsError,
    hash_of_files,
    locate,
    read_json,
    reason,
    weight_files,
)


def open_extractor(source: str, revision: str | None, settings: ExtractorSettings) -> "ClipFeatures":
    """The CLIP model `source`, a folder or a hub id with `revision`.

    Raises MissingWeightsError, NotWeightsError (no CLIP model) and DamagedWeightsError.
    """
    what = "a CLIP model"
    located = locate(source, marker="config.json", what=what, revision=revision, option="--weights")
    kind = read_json(located.marker, what).get("model_type")
    if kind != "clip":
        raise NotWeightsError(f"{located} is not {what}: its config.json says model_type {kind!r} and not 'clip'.")
    at = bench(settings)
    where: Any = {"revision": located.revision or "main", "local_files_only": located.offline}
    quiet = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        model = CLIPModel.from_pretrained(located.source, dtype=torch.float32, **where)
        # The processor that works on PIL images: it resizes 8-bit pixels with PIL's bicubic filter, as CLIP's own did.
        processor = CLIPImageProcessor.from_pretrained(located.source, **where)
        tokenizer = CLIPTokenizerFast.from_pretrained(located.source, **where)
    except Exception as error:  # what loading raises comes from the files, whichever library met them first
        raise DamagedWeightsError(
            f"The CLIP model {located} cannot be loaded ({reason(error)}): download or save it again."
        ) from error
    finally:
        transformers_logging.set_verbosity(quiet)
    return ClipFeatures(
        model=model.to(at.device).eval(),
        processor=processor,
        tokenizer=tokenizer,
        located=located,
        at=at,
    )


class ClipFeatures:
    """An opened CLIP model; satisfies Extractor."""

    def __init__(
        self,
        *,
        model: CLIPModel,
        processor: CLIPImageProcessor,
        tokenizer: CLIPTokenizerFast,
        located: Located,
        at: Bench,
    ) -> None:
        """Take the opened parts; `open_extractor` opens them."""
        self._model = model
        self._processor = processor
        self._tokenizer = tokenizer
        self._located = located
        self._bench = at
        self._longest = int(model.config.text_config.max_position_embeddings)

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision, weights' hash and preprocessing, as JSON values."""
        processor = self._processor
        details = {
            "extractor": "clip",
            "model": self._located.source,
            "revision": self._located.revision,
            "weights_sha256": hash_of_files(weight_files(self._located.marker.parent)),
            "features": "projected, not normalised, float32",
            "precision": self._bench.dtype,
            "preprocessing": {
                "pixels": "uint8 RGB",
                "resize": processor.size if processor.do_resize else None,
                "filter": Image.Resampling(processor.resample).name.lower(),
                "antialias": True,
                "crop": processor.crop_size if processor.do_center_crop else None,
                "mean": processor.image_mean,
                "std": processor.image_std,
            },
            "text_tokens": self._longest,
        }
        return with_hash(details, "transformers")

    def images(
        self, images: Sequence[Image.Image], on_done: Callable[[int], None] = lambda done: None
    ) -> Float32[np.ndarray, "images features"]:
        """The features of `images`, not normalised. Raises PixelsError for anything but decoded 8-bit pictures."""
        return self._bench.embed(
            images,
            prepare=lambda image: self._processor(images=image, return_tensors="np")["pixel_values"][0],
            embed=lambda pixels: self._model.get_image_features(pixel_values=pixels),
            width=int(self._model.config.projection_dim),
            on_done=on_done,
        )

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """The features of `texts`, not normalised, and how many of them were cut."""
        found: list[Float32[np.ndarray, "_ features"]] = []
        truncated = 0
        for start in range(0, len(texts), self._bench.batch_size):
            batch = list(texts[start : start + self._bench.batch_size])
            whole = self._tokenizer(batch, truncation=False, verbose=False)["input_ids"]
            truncated += sum(len(tokens) > self._longest for tokens in whole)
            tokens = self._tokenizer(
                batch, truncation=True, max_length=self._longest, padding=True, return_tensors="pt"
            ).to(self._model.device)
            with self._bench.computing():
                features = self._model.get_text_features(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                )
            found.append(features.float().cpu().numpy())
        none = np.empty((0, int(self._model.config.projection_dim)), dtype=np.float32)
        return TextFeatures(features=np.concatenate([none, *found]), truncated=truncated)
