"""SSCD descriptors, in which a picture and its copy lie close together: 512 numbers of length 1.

The published file is a TorchScript module: weights and network in one. Pictures are squeezed to 320 x 320 with PIL's
bilinear filter on 8-bit pixels and scaled by ImageNet's mean and deviation, which the authors recommend for batches.
A cosine above 0.75 means a copy with 90% precision on the authors' set; studies of memorisation take 0.5.
Source: Pizzi et al. (2022), arXiv:2202.10261; Somepalli et al. (2023), arXiv:2212.03860, section 3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor
from torch.nn import functional

from evaluation.features.base import ExtractorSettings, TextFeatures, no_texts, with_hash
from evaluation.features.batches import Bench, bench
from evaluation.features.resizing import IMAGENET_MEAN, IMAGENET_STD, normalised, resize
from evaluation.weights import (
    DamagedWeightsError,
    LocatedFile,
    NotWeightsError,
    hash_of_files,
    locate_file,
    reason,
)

SIDE_PX = 320
FILE = "sscd_disc_mixup.torchscript.pt"
_WHAT = "an SSCD network in TorchScript"


def open_extractor(source: str, revision: str | None, settings: ExtractorSettings) -> "SscdFeatures":
    """The network from the file `source`, from an address, or from a folder or hub id that holds sscd_disc_mixup.

    A TorchScript file is a program: give only files that you trust. Raises MissingWeightsError, NotWeightsError (it
    makes no descriptors of pictures) and DamagedWeightsError.
    """
    located = locate_file(source, revision=revision, what=_WHAT, filename=FILE, option="--weights")
    at = bench(settings)
    try:
        network = torch.jit.load(located.path, map_location=at.device).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError, ValueError) as error:
        raise DamagedWeightsError(
            f"{located} cannot be loaded as TorchScript ({reason(error)}): download {FILE} again."
        ) from error
    return SscdFeatures(network=network, located=located, at=at, width=_width(network, located, at))


class SscdFeatures:
    """The opened network; satisfies Extractor."""

    def __init__(self, *, network: torch.jit.ScriptModule, located: LocatedFile, at: Bench, width: int) -> None:
        """Take the opened parts; `open_extractor` opens them."""
        self._network = network
        self._located = located
        self._bench = at
        self._width = width

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision, weights' hash and preprocessing, as JSON values."""
        details = {
            "extractor": "sscd",
            "model": self._located.source,
            "revision": self._located.revision,
            "weights_sha256": hash_of_files([self._located.path]),
            "features": "descriptor, of length 1, float32",
            "precision": self._bench.dtype,
            "preprocessing": {
                "pixels": "uint8 RGB",
                "resize": {"height": SIDE_PX, "width": SIDE_PX},
                "filter": "bilinear",
                "antialias": True,
                "crop": None,
                "mean": IMAGENET_MEAN,
                "std": IMAGENET_STD,
            },
        }
        return with_hash(details)

    def images(
        self, images: Sequence[Image.Image], on_done: Callable[[int], None] = lambda done: None
    ) -> Float32[np.ndarray, "images features"]:
        """The descriptors of `images`, each of length 1. Raises PixelsError for anything but decoded 8-bit pictures."""
        return self._bench.embed(
            images, prepare=network_input, embed=self._described, width=self._width, on_done=on_done
        )

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """Raises NoTextsError: SSCD knows no texts."""
        raise no_texts("SSCD")

    def _described(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch features"]:
        # The published module does this itself; one that does not must not change what a cosine is.
        return functional.normalize(self._network(pixels).float(), dim=1)


def network_input(image: Image.Image) -> Float32[np.ndarray, "3 320 320"]:
    """What the network reads of a picture."""
    pixels = resize(image, width_px=SIDE_PX, height_px=SIDE_PX, way="bilinear")
    return normalised(pixels, IMAGENET_MEAN, IMAGENET_STD)


def _width(network: torch.jit.ScriptModule, located: LocatedFile, at: Bench) -> int:
    """How many numbers a descriptor has, found by describing one grey picture. Raises NotWeightsError."""
    try:
        with at.computing():
            found = network(torch.zeros(1, 3, SIDE_PX, SIDE_PX, device=at.device))
    except RuntimeError as error:
        raise NotWeightsError(f"{located} is not {_WHAT}: it takes no pictures ({reason(error)}).") from error
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != 1:
        raise NotWeightsError(f"{located} is not {_WHAT}: one picture does not become one row; give {FILE}.")
    return int(found.shape[1])
