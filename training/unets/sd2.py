"""The UNet of Stable Diffusion 2: 865.9 M parameters, the reference's and CommonCanvas-S's.

Source: the public configuration of stable-diffusion-2-base; Rombach et al. (2022), arXiv:2112.10752.
"""

from diffusers import UNet2DConditionModel


def build() -> UNet2DConditionModel:
    """4 latent channels, 1024 numbers per text token, heads of width 64 at every level."""
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=4,
        out_channels=4,
        block_out_channels=(320, 640, 1280, 1280),
        layers_per_block=2,
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        cross_attention_dim=1024,
        # diffusers' name is misleading: these are numbers of heads, each 64 wide.
        attention_head_dim=(5, 10, 20, 20),
        use_linear_projection=True,
    )
