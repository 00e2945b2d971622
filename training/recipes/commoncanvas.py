"""CommonCanvas, as far as its recipe is public: two stages, at 256 px and from there at 512 px.

Where a number comes from: "paper" is Gokaslan et al. (2023), arXiv:2310.16825; "configuration" is the authors' public
training configuration of their Stable Diffusion 2 run, which the paper says they follow; "ours" is what neither gives.
The numbers of steps of CommonCanvas-S and -L were never published: those of the Stable Diffusion 2 run stand in.
Of the large UNet the original also clipped queries, keys and values at 6; no pipeline samples that way, and it is
left out here.
"""

from dataclasses import replace

from training.run import Run

_STAGE_2_STEPS = 850_000  # configuration


def s_c_256() -> Run:
    """CommonCanvas-S-C at 256 px: Stable Diffusion 2's UNet on the images that allow commercial use."""
    return Run(
        name="commoncanvas-s-c-256",
        recipe="commoncanvas.s_c_256",
        unet="sd2",  # paper
        licence_split="commercial",
        weights_licence="CC-BY-SA-4.0",  # ours: the most demanding licence among the split's images
        prediction="epsilon",  # configuration
        beta_schedule="scaled_linear",  # configuration: 0.00085 to 0.012 over 1000 steps
        timestep_draw="uniform",  # configuration
        caption_dropout=0.1,  # configuration
        batch_size=2048,  # paper and configuration
        microbatch=16,  # configuration
        steps=550_000,  # configuration
        learning_rate=1e-4,  # configuration
        schedule="constant",  # configuration
        warmup_steps=10_000,  # configuration
        weight_decay=0.01,  # configuration
        betas=(0.9, 0.999),  # configuration
        eps=1e-8,  # configuration
        clip_norm=None,  # configuration
        ema_smoothing=None,  # paper: only the last 3.5 % of the whole training are averaged
        precision="bf16",  # ours: the paper's fp16 needs loss scaling and gains nothing where bf16 is at hand
        sharding="shard_grad_op",  # paper
        canonical_nodes=64,  # configuration
        checkpoint_every=5_000,  # ours
        sample_steps=50,  # ours: as Li et al. (2024), arXiv:2404.02883, sample the same architectures
        guidance=7.5,  # ours: the same
    )


def s_c_512() -> Run:
    """CommonCanvas-S-C at 512 px."""
    return _stage_2(s_c_256(), name="commoncanvas-s-c-512", recipe="commoncanvas.s_c_512")


def s_nc_256() -> Run:
    """CommonCanvas-S-NC at 256 px: also on the images that forbid commercial use."""
    return _non_commercial(s_c_256(), name="commoncanvas-s-nc-256", recipe="commoncanvas.s_nc_256")


def s_nc_512() -> Run:
    """CommonCanvas-S-NC at 512 px."""
    return _stage_2(s_nc_256(), name="commoncanvas-s-nc-512", recipe="commoncanvas.s_nc_512")


def l_nc_256() -> Run:
    """CommonCanvas-L-NC at 256 px: SDXL's UNet, attending to Stable Diffusion 2's text encoder."""
    return replace(s_nc_256(), name="commoncanvas-l-nc-256", recipe="commoncanvas.l_nc_256", unet="sdxl_1024")  # paper


def l_nc_512() -> Run:
    """CommonCanvas-L-NC at 512 px."""
    return _stage_2(l_nc_256(), name="commoncanvas-l-nc-512", recipe="commoncanvas.l_nc_512")


def _stage_2(stage_1: Run, *, name: str, recipe: str) -> Run:
    """What follows at 512 px, warm-up anew; the last 50,000 steps are averaged."""
    return replace(
        stage_1,
        name=name,
        recipe=recipe,
        continues=stage_1.recipe,
        steps=_STAGE_2_STEPS,
        ema_smoothing=0.9999,  # configuration
        ema_start=800_000 / _STAGE_2_STEPS,  # configuration, and the paper's 3.5 %
    )


def _non_commercial(run: Run, *, name: str, recipe: str) -> Run:
    return replace(
        run,
        name=name,
        recipe=recipe,
        licence_split="non-commercial",
        weights_licence="CC-BY-NC-SA-4.0",  # ours: the most demanding licence among the split's images
    )
