"""UNets small enough to learn the shapes world on two CPU cores in less than a minute; the same class as the large.

Both attend to the text at both of their levels: with attention at the lower one alone, colours were mixed up.
"""

from diffusers import UNet2DConditionModel


def small() -> UNet2DConditionModel:
    """1.1 M parameters."""
    return _tiny(widths=(32, 64))


def large() -> UNet2DConditionModel:
    """2.4 M parameters."""
    return _tiny(widths=(48, 96))


def _tiny(*, widths: tuple[int, int]) -> UNet2DConditionModel:
    """For 8 x 8 latents of 4 channels and texts of width 64; heads of width 16."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=64,
        # diffusers' name is misleading: these are numbers of heads.
        attention_head_dim=tuple(width // 16 for width in widths),
        norm_num_groups=8,
        use_linear_projection=True,
    )
