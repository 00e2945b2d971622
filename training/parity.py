"""Whether what was handed over is what was trained: a UNet's answer to a fixed input, taken then and now.

In: a UNet. Out: its answer, stored beside the weights at the end of training and compared after export.
"""

from pathlib import Path
from typing import cast

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from prompts.errors import CanvasError

TOLERANCE = 1e-5  # of the largest number in the answer, or of 1 where that is smaller
_FILE = "parity.safetensors"
_KEY = "answer"


class ParityError(CanvasError):
    """A UNet that does not answer as the one that was trained."""


def keep_answer(unet: UNet2DConditionModel, folder: Path, *, text_tokens: int) -> None:
    """Store what the trained `unet` answers, in `folder`."""
    save_file({_KEY: answer(unet, text_tokens=text_tokens)}, folder / _FILE)


def check_answer(unet: UNet2DConditionModel, folder: Path, *, text_tokens: int) -> float:
    """The largest difference from the answer stored in `folder`; more than TOLERANCE raises ParityError."""
    kept = load_file(folder / _FILE)[_KEY]
    difference = (answer(unet, text_tokens=text_tokens) - kept).abs().max().item()
    if not difference <= TOLERANCE * max(1.0, kept.abs().max().item()):
        raise ParityError(
            f"The exported UNet answers differently from the one trained in {folder}, by {difference:.2g}: "
            "the weights were changed or damaged after training. Train again, or restore the folder."
        )
    return difference


@torch.no_grad()
def answer(unet: UNet2DConditionModel, *, text_tokens: int) -> Float[Tensor, "1 channels height width"]:
    """What `unet`, on the CPU in float32, predicts for noise and text drawn from a fixed seed, half-way in time."""
    generator = torch.Generator().manual_seed(0)
    config = unet.config
    size = config.sample_size
    latents = torch.randn(1, config.in_channels, size, size, generator=generator)
    text = torch.randn(1, text_tokens, config.cross_attention_dim, generator=generator)
    was_training = unet.training
    predicted = unet.eval()(latents, torch.tensor([500]), encoder_hidden_states=text, return_dict=False)[0]
    unet.train(was_training)
    return cast(Tensor, predicted)
