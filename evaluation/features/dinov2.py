"""DINOv2 features: the class token after the last norm, of pictures squeezed to 224 x 224; float32, not normalised.

Weights come from a folder or the hub, in the layout of `transformers.Dinov2Model`. Pictures are resized with PIL's
bicubic filter on 8-bit pixels and scaled by ImageNet's mean and deviation, as the study that put Frechet distances on
these features does. The position embeddings were trained at 518 px; they are stretched to 224 px as the authors' own
code does it (by 16.1 / 37, where transformers takes 16 / 37), so that the features are the authors'.
Sources: Oquab et al. (2024), arXiv:2304.07193; Stein et al. (2023), arXiv:2306.04675, section 3.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import Dinov2Model
from transformers.utils import logging as transformers_logging

from evaluation.features.base import ExtractorSettings, TextFeatures, no_texts, with_hash
from evaluation.features.batches import Bench, bench
from evaluation.features.resizing import IMAGENET_MEAN, IMAGENET_STD, normalised, resize
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

SIDE_PX = 224
# The authors' code adds this to the number of patches of a side, against rounding, and so stretches a little more.
_OFFSET = 0.1
_WHAT = "a DINOv2 model"


def open_extractor(source: str, revision: str | None, settings: ExtractorSettings) -> "Dinov2Features":
    """The DINOv2 model `source`, a folder or a hub id with `revision`.

    Raises MissingWeightsError, NotWeightsError (no DINOv2 model) and DamagedWeightsError.
    """
    located = locate(source, marker="config.json", what=_WHAT, revision=revision, option="--weights")
    kind = read_json(located.marker, _WHAT).get("model_type")
    if kind != "dinov2":
        raise NotWeightsError(f"{located} is not {_WHAT}: its config.json says model_type {kind!r} and not 'dinov2'.")
    at = bench(settings)
    where: Any = {"revision": located.revision or "main", "local_files_only": located.offline}
    quiet = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        model = Dinov2Model.from_pretrained(located.source, dtype=torch.float32, **where)
    except Exception as error:  # what loading raises comes from the files, whichever library met them first
        raise DamagedWeightsError(
            f"The DINOv2 model {located} cannot be loaded ({reason(error)}): download or save it again."
        ) from error
    finally:
        transformers_logging.set_verbosity(quiet)
    if SIDE_PX % model.config.patch_size:
        raise NotWeightsError(
            f"{located} cuts pictures into patches of {model.config.patch_size} px, which do not fill {SIDE_PX} px: "
            "give a model with patches of 14 px, as the published ones have."
        )
    places = model.embeddings.position_embeddings
    stretched = stretched_places(places.detach(), SIDE_PX // model.config.patch_size)
    model.embeddings.position_embeddings = torch.nn.Parameter(stretched, requires_grad=False)
    return Dinov2Features(model=model.to(at.device).eval(), located=located, at=at)


class Dinov2Features:
    """An opened DINOv2 model; satisfies Extractor."""

    def __init__(self, *, model: Dinov2Model, located: Located, at: Bench) -> None:
        """Take the opened parts; `open_extractor` opens them."""
        self._model = model
        self._located = located
        self._bench = at

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision, weights' hash and preprocessing, as JSON values."""
        details = {
            "extractor": "dinov2",
            "model": self._located.source,
            "revision": self._located.revision,
            "weights_sha256": hash_of_files(weight_files(self._located.marker.parent)),
            "features": "class token, not normalised, float32",
            "position_embeddings": "bicubic, offset 0.1",
            "precision": self._bench.dtype,
            "preprocessing": {
                "pixels": "uint8 RGB",
                "resize": {"height": SIDE_PX, "width": SIDE_PX},
                "filter": "bicubic",
                "antialias": True,
                "crop": None,
                "mean": IMAGENET_MEAN,
                "std": IMAGENET_STD,
            },
        }
        return with_hash(details, "transformers")

    def images(
        self, images: Sequence[Image.Image], on_done: Callable[[int], None] = lambda done: None
    ) -> Float32[np.ndarray, "images features"]:
        """The features of `images`. Raises PixelsError for anything but decoded 8-bit pictures."""
        return self._bench.embed(
            images,
            prepare=network_input,
            embed=lambda pixels: self._model(pixel_values=pixels).last_hidden_state[:, 0],
            width=int(self._model.config.hidden_size),
            on_done=on_done,
        )

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """Raises NoTextsError: DINOv2 knows no texts."""
        raise no_texts("DINOv2")


def network_input(image: Image.Image) -> Float32[np.ndarray, "3 224 224"]:
    """What the network reads of a picture."""
    pixels = resize(image, width_px=SIDE_PX, height_px=SIDE_PX, way="bicubic")
    return normalised(pixels, IMAGENET_MEAN, IMAGENET_STD)


def stretched_places(places: Float[Tensor, "1 trained width"], side: int) -> Float[Tensor, "1 asked width"]:
    """The position embeddings of a square grid, brought to a grid of `side` x `side`; the class token's stays.

    Source: facebookresearch/dinov2, vision_transformer.py, interpolate_pos_encoding with an offset of 0.1.
    """
    own = round((places.shape[1] - 1) ** 0.5)
    if own == side:
        return places
    grid = places[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
    scale = (side + _OFFSET) / own
    asked = functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", align_corners=False)
    return torch.cat([places[:, :1], asked.permute(0, 2, 3, 1).reshape(1, side * side, -1)], dim=1)
