"""UNets small enough to learn the shapes world on one CPU core in less than a minute; the same class as the large.

Attention to the text stands on the way up only, and there is no middle block: at 8 x 8 latents both cost more time than
they brought likeness (the trials are in training/recipes/tiny.py).
"""

from diffusers import UNet2DConditionModel


def small() -> UNet2DConditionModel:
    """0.26 M parameters."""
    return _tiny(widths=(24, 32))


def large() -> UNet2DConditionModel:
    """0.52 M parameters."""
    return _tiny(widths=(32, 48))


def _tiny(*, widths: tuple[int, int]) -> UNet2DConditionModel:
    """For 8 x 8 latents of 4 channels and texts of width 64; heads of width 16."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2,
        mid_block_type=None,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=64,
        # diffusers' name is misleading: these are numbers of heads.
        attention_head_dim=tuple(max(1, width // 16) for width in widths),
        norm_num_groups=8,
        resnet_time_scale_shift="scale_shift",
        use_linear_projection=True,
    )
