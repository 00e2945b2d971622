"""Paints with a diffusers pipeline: a folder, or a repository on the Hugging Face hub.

Each image has its own generator, on the CPU whatever paints, so that it does not depend on the batch it is in. A
safety checker, where a pipeline comes with one, is left out: it would put black squares among the images that people
and metrics compare; `details` says so.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from PIL import Image

from evaluation.devices import DTYPES, choose_device, choose_dtype
from evaluation.samplers.base import PaintedNothingError, SamplerSettings, noise_seed
from evaluation.samplers.quiet import quiet_diffusers
from evaluation.weights import DamagedWeightsError, Located, NotWeightsError, locate, read_json, reason

WHAT = "a diffusers pipeline"
ARGUMENTS = ("prompt", "num_inference_steps", "guidance_scale", "generator", "output_type")


class NotAPipelineError(NotWeightsError):
    """A folder or repository that is no text-to-image pipeline of diffusers."""


class DamagedPipelineError(DamagedWeightsError):
    """A pipeline whose files cannot be read or do not fit together."""


def open_sampler(source: str, settings: SamplerSettings) -> "DiffusersSampler":
    """The pipeline in the folder `source` or on the hub under that id.

    Raises NotAPipelineError, DamagedPipelineError, MissingWeightsError and DeviceError.
    """
    try:
        located = locate(source, marker="model_index.json", what=WHAT, revision=settings.revision, option="--entrant")
    except NotWeightsError as error:
        raise NotAPipelineError(
            f"{str(error).rstrip('.')}. The folder of a pipeline has a model_index.json beside vae/, text_encoder/ and "
            "unet/ or transformer/, as diffusers' save_pretrained writes it."
        ) from error
    index = read_json(located.marker, WHAT)
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.dtype, device)
    has_checker = _is_component(index.get("safety_checker"))
    pipeline = _load(located, DTYPES[dtype], without_checker=has_checker)
    taken = inspect.signature(pipeline.__call__).parameters
    lacking = [name for name in ARGUMENTS if name not in taken]
    if lacking:
        raise NotAPipelineError(
            f"{located} is a {type(pipeline).__name__}, which takes no {' and no '.join(lacking)}: "
            "give a pipeline that goes from text to image."
        )
    return DiffusersSampler(
        pipeline=pipeline.to(device), located=located, settings=settings, dtype=dtype, checker_left_out=has_checker
    )


class DiffusersSampler:
    """An opened pipeline; satisfies Sampler."""

    def __init__(
        self,
        *,
        pipeline: Any,
        located: Located,
        settings: SamplerSettings,
        dtype: str,
        checker_left_out: bool,
    ) -> None:
        """Take the opened pipeline; `open_sampler` opens it."""
        self._pipeline = pipeline
        self._located = located
        self._settings = settings
        self._dtype = dtype
        self._checker_left_out = checker_left_out
        pipeline.set_progress_bar_config(disable=True)

    @property
    def details(self) -> dict[str, Any]:
        """Pipeline, scheduler and settings, with device and versions, as JSON values."""
        return {
            "sampler": "diffusers",
            "revision": self._located.revision,
            "pipeline": type(self._pipeline).__name__,
            "scheduler": type(self._pipeline.scheduler).__name__,
            "steps": self._settings.steps,
            "guidance": self._settings.guidance,
            "size_px": self._settings.size_px,
            "dtype": self._dtype,
            "safety_checker": "left out" if self._checker_left_out else "none",
            "made_with": {
                "device": self._pipeline.device.type,
                "diffusers": diffusers.__version__,
                "torch": torch.__version__,
            },
        }

    def cut(self, prompts: Sequence[str]) -> int:
        """How many have more tokens than the first text encoder takes; 0 where the pipeline tells no limit."""
        tokenizer = getattr(self._pipeline, "tokenizer", None)
        limit = getattr(tokenizer, "model_max_length", None)
        if tokenizer is None or limit is None:
            return 0
        with quiet_diffusers():
            return sum(len(tokenizer(prompt).input_ids) > limit for prompt in prompts)

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One image for each prompt and seed, all in one batch.

        Raises PaintedNothingError when the pipeline gives no image for a prompt, or one that holds NaN.
        """
        if not prompts:
            return []
        size = {} if self._settings.size_px is None else dict.fromkeys(("height", "width"), self._settings.size_px)
        generators = [
            torch.Generator("cpu").manual_seed(noise_seed(prompt, seed))
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        # Pipelines log the cut end of every long prompt, batch by batch; `cut` counts them once instead.
        with quiet_diffusers():
            output = self._pipeline(
                prompt=list(prompts),
                num_inference_steps=self._settings.steps,
                guidance_scale=self._settings.guidance,
                generator=generators,
                output_type="np",
                **size,
            )
        painted = getattr(output, "images", None)
        count = 0 if painted is None else len(painted)
        if painted is None or count != len(prompts):
            raise PaintedNothingError(
                f"{self._located} gave {count} images for {len(prompts)} prompts, the first of them '{prompts[0]}': "
                "look whether the pipeline runs by itself."
            )
        return [self._to_image(pixels, prompt) for pixels, prompt in zip(painted, prompts, strict=True)]

    def _to_image(self, pixels: Float[np.ndarray, "height width channels"], prompt: str) -> Image.Image:
        if not np.isfinite(pixels).all():
            raise PaintedNothingError(
                f"{self._located} painted NaN for '{prompt}' in {self._dtype}: paint in another precision, "
                "as with --dtype float32."
            )
        # Rounded, as diffusers does itself: cutting off would darken every image by half a level.
        return Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)).convert("RGB")


def _load(located: Located, dtype: torch.dtype, *, without_checker: bool) -> Any:
    pipelines: Any = DiffusionPipeline  # diffusers has no types
    left_out = {"safety_checker": None, "requires_safety_checker": False} if without_checker else {}
    with quiet_diffusers():
        try:
            return pipelines.from_pretrained(
                located.source,
                revision=located.revision,
                local_files_only=located.offline,
                torch_dtype=dtype,
                **left_out,
            )
        except Exception as error:  # what loading raises comes from the files, whichever library met them first
            raise DamagedPipelineError(
                f"The pipeline {located} cannot be loaded ({reason(error)}): export or download it again."
            ) from error


def _is_component(entry: object) -> bool:
    """Whether a line of model_index.json names a part: [library, class], where [null, null] is none."""
    return isinstance(entry, list) and len(entry) == 2 and entry[1] is not None
