"""The frozen parts that turn images into latents and captions into text embeddings, offline or online.

In: a base (folder or hub id in diffusers' layout: vae/, text_encoder/, tokenizer/). Out: latents, scaled exactly once,
and the text encoder's last hidden state, just as diffusers' Stable Diffusion pipelines compute them when they sample.
Source: Rombach et al. (2022), arXiv:2112.10752; the scaling factor is the autoencoder's own configuration.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer, PreTrainedModel

from prompts.errors import CanvasError
from training.decoding import centre_square
from training.models import ModelFolder, find_model

BASE_PARTS = ("vae", "text_encoder", "tokenizer")
_AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
_TEXT_ENCODERS = ("clip_text_model", "clip")


class BaseError(CanvasError):
    """A base whose parts are of a kind we cannot use, or an image size that its autoencoder cannot take."""


def find_base(base: str, *, revision: str = "") -> ModelFolder:
    """The folder of a base, and the hash of its frozen parts. Raises ModelNotFoundError."""
    return find_model(base, revision=revision, parts=BASE_PARTS, needs=("vae/config.json", "text_encoder/config.json"))


class FrozenBase:
    """A base's autoencoder, text encoder and tokenizer, without gradients, at one precision on one device."""

    def __init__(self, folder: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        """Load the parts from `folder`. Raises BaseError where one is of another kind."""
        kind = _config(folder / "vae").get("_class_name")
        if kind not in _AUTOENCODERS:
            raise BaseError(f"{folder / 'vae'} is a {kind}: a base needs one of {', '.join(_AUTOENCODERS)}.")
        encoder = _config(folder / "text_encoder").get("model_type")
        if encoder not in _TEXT_ENCODERS:
            raise BaseError(f"{folder / 'text_encoder'} is a {encoder}: a base needs a CLIP text encoder.")
        self._device, self._dtype = device, dtype
        self._is_tiny = kind == "AutoencoderTiny"
        self.vae: Any = _loaded(_AUTOENCODERS[kind], folder / "vae", device, dtype)
        self.text_encoder: Any = _loaded(CLIPTextModel, folder / "text_encoder", device, dtype)
        self.tokenizer: Any = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)

    @property
    def scaling_factor(self) -> float:
        """What latents are multiplied by, once, so that they have about unit variance."""
        return float(self.vae.config.scaling_factor)

    @property
    def shift_factor(self) -> float:
        """What is taken from latents before they are scaled; 0 where the autoencoder has no such factor."""
        return float(getattr(self.vae.config, "shift_factor", None) or 0.0)

    @property
    def pixels_per_latent(self) -> int:
        """How many pixels of an edge become one latent."""
        blocks = "encoder_block_out_channels" if self._is_tiny else "block_out_channels"
        return int(2 ** (len(getattr(self.vae.config, blocks)) - 1))

    def require_size(self, size_px: int) -> None:
        """Raise BaseError unless images of `size_px` come out as whole latents."""
        if size_px <= 0 or size_px % self.pixels_per_latent:
            raise BaseError(
                f"Images of {size_px} px do not divide into this base's latents: "
                f"name a size that is a multiple of {self.pixels_per_latent}."
            )

    @torch.inference_mode()
    def encode_images(
        self, pixels: Float[Tensor, "batch 3 height width"], *, noise: Float[Tensor, "batch c h w"] | None = None
    ) -> Float32[Tensor, "batch c h w"]:
        """Scaled latents of `pixels` in [-1, 1]: the posterior's mean, or with `noise` the sample that it picks.

        AutoencoderTiny has no posterior; its latents are what they are.
        """
        encoded = self.vae.encode(pixels.to(self._device, self._dtype))
        if self._is_tiny:
            latents = encoded.latents
        else:
            latents = encoded.latent_dist.mean
            if noise is not None:
                latents = latents + encoded.latent_dist.std * noise.to(latents)
        scaled: Tensor = (latents.float() - self.shift_factor) * self.scaling_factor
        return scaled.cpu()

    @torch.inference_mode()
    def encode_captions(self, captions: Sequence[str]) -> Float32[Tensor, "batch tokens width"]:
        """The text encoder's last hidden state, padded or cut to the tokenizer's length; "" is the empty prompt."""
        tokens = self.tokenizer(
            list(captions),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).to(self._device)
        # Stable Diffusion's pipelines hand the mask on only where the encoder's configuration asks for it.
        uses_mask = getattr(self.text_encoder.config, "use_attention_mask", False)
        mask = tokens.attention_mask if uses_mask else None
        hidden: Tensor = self.text_encoder(tokens.input_ids, attention_mask=mask)[0]
        return hidden.float().cpu()

    def is_cut(self, caption: str) -> bool:
        """Whether a caption has more tokens than the text encoder reads."""
        return len(self.tokenizer(caption).input_ids) > int(self.tokenizer.model_max_length)


def image_to_pixels(image: Image.Image, size_px: int) -> Float32[Tensor, "3 size size"]:
    """An RGB image as the autoencoder takes it: short side to `size_px`, centre square, values in [-1, 1]."""
    square = np.asarray(centre_square(image, size_px, enlarge=True), np.float32)
    return torch.from_numpy(square / 127.5 - 1.0).permute(2, 0, 1).contiguous()


def posterior_noise(image_id: str, seed: int, shape: tuple[int, int, int]) -> Float32[Tensor, "c h w"]:
    """Standard normal noise that depends on the image and the seed alone, not on batches or on what was interrupted."""
    digest = hashlib.sha256(f"{seed}:{image_id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    return torch.randn(shape, generator=generator)


def _loaded(kind: Any, part: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """A network of `kind` from the folder `part`, for use alone. Raises BaseError where its weights do not load."""
    try:
        # transformers calls the precision dtype, diffusers torch_dtype.
        precision = {"dtype": dtype} if issubclass(kind, PreTrainedModel) else {"torch_dtype": dtype}
        network = kind.from_pretrained(part, local_files_only=True, **precision)
    except (OSError, ValueError, RuntimeError) as error:
        raise BaseError(f"{part} cannot be loaded ({str(error).splitlines()[0]}): the base is damaged.") from error
    return network.requires_grad_(False).eval().to(device)


def _config(part: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((part / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError(f"{part / 'config.json'} cannot be read ({error}): the base is damaged.") from error
    return config
