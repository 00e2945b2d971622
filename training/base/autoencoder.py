"""A small image autoencoder: diffusers' AutoencoderKL, light enough to learn in half a minute on two cores.

In: images in [-1, 1]. Out: latents at a quarter of the width. Loss: squared error plus a small pull of the latents
towards unit scale, with noise added before decoding so that the decoder forgives a diffusion model's small errors.
Source: Rombach et al. (2022), arXiv:2112.10752, section 3.1 and its KL-regularised variant; the fixed posterior
noise in place of a learned one keeps it stable at this size.
"""

from collections.abc import Iterable, Mapping

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

_LATENT_NOISE = 0.05  # in units of the latents, whose scale the pull below keeps near one
_PULL = 1e-3


def tiny_autoencoder(image_px: int) -> AutoencoderKL:
    """0.23 M parameters; 3 x 32 x 32 pixels become 4 x 8 x 8 latents. The middle has no attention, for speed."""
    return AutoencoderKL(
        block_out_channels=(16, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=image_px,
        mid_block_add_attention=False,
    )


class AutoencoderTask(nn.Module):
    """Learn to give images back; a batch holds "images" in [-1, 1]."""

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def training_loss(self, batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Mean squared error of the reconstruction, plus the pull on the latents."""
        images = batch["images"]
        latents = self.autoencoder.encode(images).latent_dist.mean
        noisy = latents + _LATENT_NOISE * torch.randn_like(latents)
        rebuilt = self.autoencoder.decode(noisy).sample
        loss: Tensor = functional.mse_loss(rebuilt, images) + _PULL * latents.square().mean()
        return loss


@torch.no_grad()
def set_scaling_factor(autoencoder: AutoencoderKL, batches: Iterable[Float[Tensor, "batch 3 height width"]]) -> float:
    """Set the configuration's scaling factor so that scaled latents have unit standard deviation; return it."""
    autoencoder.eval()
    latents = torch.cat([autoencoder.encode(images).latent_dist.mean for images in batches])
    factor = 1.0 / latents.std().item()
    autoencoder.register_to_config(scaling_factor=factor)
    return factor
