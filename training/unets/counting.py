"""How large a UNet is and what one forward pass costs, without memory or time: on torch's meta device.

1 MAC (multiply-accumulate) is 2 FLOP; a training step costs three forward passes. Only convolutions, linear layers and
attention's two products count, as in torch's own counter. Papers differ on whether the products do: both are given.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetSize:
    """`macs` of one forward pass of one image, of which `attention_core_macs` are attention's QK^T and AV products."""

    parameters: int
    macs: int
    attention_core_macs: int

    @property
    def macs_without_attention_core(self) -> int:
        """Convolutions and linear layers only, as the scalability paper (arXiv:2404.02883) counts."""
        return self.macs - self.attention_core_macs


def measure(build: Callable[[], UNet2DConditionModel], *, latent_px: int, text_tokens: int) -> UNetSize:
    """The size of the UNet that `build` returns, for latents of `latent_px` squared and texts of `text_tokens`."""
    with torch.device("meta"):
        unet = build().eval()
        latents = torch.zeros(1, unet.config.in_channels, latent_px, latent_px)
        text = torch.zeros(1, text_tokens, unet.config.cross_attention_dim)
        timestep = torch.zeros(1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        unet(latents, timestep, text)
    by_operation = counter.get_flop_counts().get("Global", {})
    core = sum(flop for operation, flop in by_operation.items() if _is_attention_core(str(operation)))
    return UNetSize(
        parameters=parameters(unet),
        macs=counter.get_total_flops() // 2,
        attention_core_macs=core // 2,
    )


def parameters(module: torch.nn.Module) -> int:
    """The number of weights, trained or not."""
    return sum(weight.numel() for weight in module.parameters())


def _is_attention_core(operation: str) -> bool:
    return "bmm" in operation or "attention" in operation
