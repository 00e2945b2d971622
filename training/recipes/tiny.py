"""The shapes world's recipes: what can be learned on one CPU core in less than a minute.

The figures were found by trial at 1 thread; "right" is the share of images in which an eye for shapes found the wanted
shape, colour and background, over the demo's 48 prompts four times (sampling noise about .03, between seeds .07):
- a small UNet for more steps beats a large one for fewer: widths 32,64 at 1000 steps, 54 s, .66 to .84 right;
  32,48 at 1200 steps, 56 s, .96; 32,48 at 900, 44 s, .82; 24,48 at 1000, 46 s, .84; 24,32 at 1200, 45 s, .85;
- a trapezoid beats a cosine: 24,32 at 1000 steps and guidance 4, two seeds each, .84 and .87 against .58 and .67;
  32,32 at 880 steps, three seeds each, .78 to .87 against .58 to .78;
- guidance 4 beats 3 (.79 -> .84, .82 -> .87), 2 (.72, .74) and 5 (.80, .85);
- attention to the text at one level only: .33 and .35 where both have .71;
- logit-normal timesteps (.72 -> .84) and a rate of 5e-3 (3e-3: .28 -> .35; 7e-3: .52) help, and batches of 32 beat
  16 for twice the steps (.65) and 48 for fewer (.70);
- EMA smoothing .98, beta_2 .99 or .95, weight decay .01 or .1: no difference to be seen.
"""

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
        steps=1_000,
        time_limit_s=42.0,
        learning_rate=5e-3,
        schedule="trapezoid",
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
        guidance=4.0,
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
    return replace(s_nc(), name="l-nc-tiny", recipe="tiny.l_nc", unet="tiny_l", steps=1_150, time_limit_s=57.0)


def sd2() -> Run:
    """The reference that the others are compared with: the small UNet from other noise."""
    return replace(s_nc(), name="sd2-tiny", recipe="tiny.sd2", seed=1)
