"""Denoising diffusion: noise, target and loss, in plain torch.

In: scaled latents and text embeddings, as the latents stage stored them. Out: a loss. The randomness of a step is
drawn from torch's default generator of the latents' device, which the engine seeds for each step.
Source: Ho et al. (2020), arXiv:2006.11239; v-prediction: Salimans & Ho (2022), arXiv:2202.00512, section 4; dropping
captions for classifier-free guidance: Ho & Salimans (2022), arXiv:2207.12598.
"""

import math
from collections.abc import Mapping

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from training.run import BetaSchedule, Prediction, TimestepDraw

TIMESTEPS = 1000
BETA_START, BETA_END = 0.00085, 0.012  # Stable Diffusion's; the cosine schedule has no use for them.
_MAX_BETA = 0.999


def signal_levels(beta_schedule: BetaSchedule) -> Float[Tensor, " timesteps"]:
    """alpha_bar for each of the 1000 timesteps: the share of the variance that is still signal, falling from 1 to 0.

    "scaled_linear" is Stable Diffusion's schedule, linear in the square roots of beta; "squaredcos_cap_v2" is the
    cosine schedule of Nichol & Dhariwal (2021), arXiv:2102.09672, section 3.2.
    """
    if beta_schedule == "scaled_linear":
        betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TIMESTEPS).square()
    else:

        def share(time: float) -> float:
            return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

        ratios = [share((step + 1) / TIMESTEPS) / share(step / TIMESTEPS) for step in range(TIMESTEPS)]
        betas = torch.tensor([min(1 - ratio, _MAX_BETA) for ratio in ratios])
    return torch.cumprod(1 - betas, dim=0)


def add_noise(
    latents: Float[Tensor, "batch channels height width"],
    noise: Float[Tensor, "batch channels height width"],
    alpha_bar: Float[Tensor, " batch"],
) -> Float[Tensor, "batch channels height width"]:
    """sqrt(alpha_bar) * latents + sqrt(1 - alpha_bar) * noise: latents of unit variance keep it."""
    level = alpha_bar[:, None, None, None]
    noisy: Tensor = level.sqrt() * latents + (1 - level).sqrt() * noise
    return noisy


def target(
    prediction: Prediction,
    latents: Float[Tensor, "batch channels height width"],
    noise: Float[Tensor, "batch channels height width"],
    alpha_bar: Float[Tensor, " batch"],
) -> Float[Tensor, "batch channels height width"]:
    """What the UNet learns to give: the noise ("epsilon"), or sqrt(alpha_bar) * noise - sqrt(1 - alpha_bar) * latents.

    `latents` are scaled to unit variance; `alpha_bar` has no unit and lies in (0, 1).
    """
    if prediction == "epsilon":
        return noise
    level = alpha_bar[:, None, None, None]
    velocity: Tensor = level.sqrt() * noise - (1 - level).sqrt() * latents
    return velocity


def draw_timesteps(draw: TimestepDraw, images: int, device: torch.device) -> Int[Tensor, " images"]:
    """One timestep for each image: all alike ("uniform"), or more often half-way ("logit_normal").

    The logistic function of a standard normal number: Esser et al. (2024), arXiv:2403.03206, section 3.1.
    """
    if draw == "uniform":
        return torch.randint(0, TIMESTEPS, (images,), device=device)
    share = torch.randn(images, device=device).sigmoid()
    return (share * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)


def drop_captions(
    text: Float[Tensor, "batch tokens width"],
    empty_text: Float[Tensor, "tokens width"],
    dropped: Bool[Tensor, " batch"],
) -> Float[Tensor, "batch tokens width"]:
    """`text` with the whole embedding of each `dropped` caption replaced by that of the empty caption."""
    return torch.where(dropped[:, None, None], empty_text.to(text.dtype), text)


class DiffusionTask(nn.Module):
    """A UNet that learns to denoise; a batch holds "latents" (scaled) and "text" (embeddings).

    `empty_text` is the embedding of the empty caption, the very one that sampling uses as its unconditional half.
    """

    signal: Tensor
    empty_text: Tensor

    def __init__(
        self,
        unet: UNet2DConditionModel,
        *,
        empty_text: Float[Tensor, "tokens width"],
        prediction: Prediction,
        beta_schedule: BetaSchedule,
        timestep_draw: TimestepDraw,
        caption_dropout: float,
    ) -> None:
        super().__init__()
        self.unet = unet
        self.prediction: Prediction = prediction
        self.timestep_draw: TimestepDraw = timestep_draw
        self.caption_dropout = caption_dropout
        # Buffers move with the module; they are no part of what is saved, for they follow from the settings.
        self.register_buffer("signal", signal_levels(beta_schedule), persistent=False)
        self.register_buffer("empty_text", empty_text.float(), persistent=False)

    def training_loss(self, batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Mean squared error of the prediction at drawn timesteps, computed in float32."""
        latents, text = batch["latents"].float(), batch["text"].float()
        images = latents.shape[0]
        noise = torch.randn_like(latents)
        timesteps = draw_timesteps(self.timestep_draw, images, latents.device)
        dropped = torch.rand(images, device=latents.device) < self.caption_dropout
        return self.loss_at(latents, drop_captions(text, self.empty_text, dropped), noise, timesteps)

    def loss_at(
        self,
        latents: Float[Tensor, "batch channels height width"],
        text: Float[Tensor, "batch tokens width"],
        noise: Float[Tensor, "batch channels height width"],
        timesteps: Int[Tensor, " batch"],
    ) -> Float[Tensor, ""]:
        """The loss for given noise and timesteps: no randomness, so that two ways to one batch can be compared."""
        alpha_bar = self.signal[timesteps]
        noisy = add_noise(latents, noise, alpha_bar)
        predicted = self.unet(noisy, timesteps, encoder_hidden_states=text, return_dict=False)[0]
        wanted = target(self.prediction, latents, noise, alpha_bar)
        return functional.mse_loss(predicted.float(), wanted)

    def shards_alone(self, module: nn.Module) -> bool:
        """Whether sharded training gathers `module`'s weights apart from the rest: the blocks that hold the most."""
        return isinstance(module, BasicTransformerBlock | ResnetBlock2D)
