"""The captioner of CommonCanvas: BLIP-2 looks at the image and writes what it sees.

In: images. Out: captions, by greedy decoding, of at most `max_new_tokens`; the paper does not state its decoding.
Images are cropped to their centre square and shrunk to at most 512 px, as in the paper, then handed to the model's own
processor. Source: Li et al. (2023), arXiv:2301.12597; CommonCanvas (arXiv:2310.16825), section 4.2, which names
"BLIP-2 OPT-2.7B" and 1,120 A100-hours for its captions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from training.captioners.base import CaptionerSettings
from training.catalogue import SourceImage
from training.decoding import centre_square
from training.devices import choose_device, choose_dtype
from training.models import ModelFolder, find_model

DEFAULT_MODEL = "Salesforce/blip2-opt-2.7b"
MAX_IMAGE_PX = 512


class Blip2Captioner:
    """BLIP-2 from a folder or a hub. fp32 on a CPU; bf16, or fp16 where the GPU lacks it, on a GPU."""

    needs_pixels = True

    def __init__(self, folder: ModelFolder, settings: CaptionerSettings) -> None:
        """Remember what to load; the weights are read when the first caption is asked for."""
        self._folder = folder
        self._settings = settings
        self._device = choose_device(settings.device)
        self._dtype = choose_dtype(settings.precision, self._device)
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """ "blip2", the model's name, and its revision where it has one."""
        return f"blip2 {self._folder.name}"

    @property
    def identity(self) -> Mapping[str, str | int]:
        """The weights by their hash, and what else decides the words."""
        return {
            "captioner": "blip2",
            "model": self._folder.sha256,
            "max_new_tokens": self._settings.max_new_tokens,
            "max_image_px": MAX_IMAGE_PX,
            "precision": str(self._dtype).removeprefix("torch."),
        }

    @property
    def batch_size(self) -> int:
        """As the settings say."""
        return self._settings.batch_size

    @torch.inference_mode()
    def caption(self, images: Sequence[SourceImage], pixels: Sequence[Image.Image]) -> list[str]:
        """What BLIP-2 sees in each of `pixels`, tidied to one line."""
        processor, model = self._load()
        squares = [centre_square(picture, MAX_IMAGE_PX, enlarge=False) for picture in pixels]
        inputs = processor(images=squares, return_tensors="pt").to(self._device, self._dtype)
        tokens = model.generate(**inputs, max_new_tokens=self._settings.max_new_tokens, do_sample=False, num_beams=1)
        return [" ".join(text.split()) for text in processor.batch_decode(tokens, skip_special_tokens=True)]

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            processor = Blip2Processor.from_pretrained(self._folder.path, local_files_only=True)
            model = Blip2ForConditionalGeneration.from_pretrained(
                self._folder.path, local_files_only=True, dtype=self._dtype
            )
            self._loaded = (processor, model.eval().to(self._device))
        return self._loaded


def open_captioner(settings: CaptionerSettings) -> Blip2Captioner:
    """BLIP-2 as `settings` say. Raises ModelNotFoundError where neither folder nor hub has it."""
    model = settings.model or DEFAULT_MODEL
    return Blip2Captioner(find_model(model, revision=settings.revision, needs=("config.json",)), settings)
