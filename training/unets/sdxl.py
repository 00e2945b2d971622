"""UNets of SDXL's family: few levels, most of the transformer blocks at the lowest resolution.

`build` is CommonCanvas-L's: SDXL's UNet that attends to a text encoder of width 1024 and takes no pooled text and no
image size, 2,391.8 M parameters. (Full SDXL, which its paper's supplement counts, has 2,567 M.)
Source: Podell et al. (2023), arXiv:2307.01952, table 1; Li et al. (2024), arXiv:2404.02883, table 1, for the family.
"""

from diffusers import UNet2DConditionModel

_HEAD_WIDTH = 64


def build() -> UNet2DConditionModel:
    """The UNet of CommonCanvas-L."""
    return family(channels=320, depths=(0, 2, 10))


def family(*, channels: int, depths: tuple[int, int, int], text_width: int = 1024) -> UNet2DConditionModel:
    """A UNet with `channels`, twice and four times as many at its three levels.

    `depths` are the transformer blocks per attention layer at each level; 0 means a level without attention.
    """
    widths = (channels, 2 * channels, 4 * channels)
    down = tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths)
    up = tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths))
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=4,
        out_channels=4,
        block_out_channels=widths,
        layers_per_block=2,
        down_block_types=down,
        up_block_types=up,
        cross_attention_dim=text_width,
        # diffusers' name is misleading: these are numbers of heads.
        attention_head_dim=tuple(width // _HEAD_WIDTH for width in widths),
        # A level without attention is skipped by its block type, and diffusers still wants a positive number here.
        transformer_layers_per_block=tuple(max(depth, 1) for depth in depths),
        use_linear_projection=True,
    )
