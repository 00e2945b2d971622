"""The shapes world's recipes: what can be learned on two CPU cores in less than a minute."""

from dataclasses import replace

from training.run import Run


def s_c() -> Run:
    """The small UNet on the images that allow commercial use."""
    return Run(
        name="s-c-tiny",
        recipe="tiny.s_c",
        unet="tiny_s",
        licence_split="commercial",
        weights_licence="CC-BY-SA-4.0",
        prediction="v_prediction",
        beta_schedule="squaredcos_cap_v2",
        timestep_draw="logit_normal",
        caption_dropout=0.1,
        batch_size=32,
        microbatch=32,
        steps=1_200,
        time_limit_s=35.0,
        learning_rate=3e-3,
        schedule="cosine",
        warmup_steps=30,
        weight_decay=0.01,
        betas=(0.9, 0.99),
        eps=1e-8,
        clip_norm=1.0,
        ema_smoothing=0.98,
        ema_warm_up=True,
        precision="fp32",
        sharding="none",
        checkpoint_every=200,
        sample_steps=25,
        guidance=3.0,
    )


def s_nc() -> Run:
    """The small UNet, also on the images that forbid commercial use."""
    return replace(
        s_c(),
        name="s-nc-tiny",
        recipe="tiny.s_nc",
        licence_split="non-commercial",
        weights_licence="CC-BY-NC-SA-4.0",
    )


def l_nc() -> Run:
    """The large UNet on the same images."""
    return replace(s_nc(), name="l-nc-tiny", recipe="tiny.l_nc", unet="tiny_l", time_limit_s=50.0)


def sd2() -> Run:
    """The reference that the others are compared with: the small UNet."""
    return replace(s_nc(), name="sd2-tiny", recipe="tiny.sd2")
