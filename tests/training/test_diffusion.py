from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from training.diffusion import (
    BETA_END,
    BETA_START,
    DiffusionTask,
    add_noise,
    draw_timesteps,
    drop_captions,
    signal_levels,
    target,
)
from training.run import BetaSchedule, Prediction
from training.unets.tiny import small

SCHEDULES: list[BetaSchedule] = ["scaled_linear", "squaredcos_cap_v2"]
PREDICTIONS: list[Prediction] = ["epsilon", "v_prediction"]


def peer(beta_schedule: BetaSchedule) -> Any:
    return DDPMScheduler(beta_schedule=beta_schedule, beta_start=BETA_START, beta_end=BETA_END)


def task(*, prediction: Prediction = "v_prediction", caption_dropout: float = 0.1) -> DiffusionTask:
    return DiffusionTask(
        small(),
        empty_text=torch.full((16, 64), 7.0),
        prediction=prediction,
        beta_schedule="squaredcos_cap_v2",
        timestep_draw="uniform",
        caption_dropout=caption_dropout,
    )


@pytest.mark.parametrize("beta_schedule", SCHEDULES)
def test_signal_levels_are_those_that_diffusers_samples_with(beta_schedule: BetaSchedule) -> None:
    levels = signal_levels(beta_schedule)

    assert torch.allclose(levels, peer(beta_schedule).alphas_cumprod, atol=1e-6)
    assert bool((levels.diff() < 0).all())


@pytest.mark.parametrize("beta_schedule", SCHEDULES)
def test_noise_and_velocity_agree_with_diffusers(beta_schedule: BetaSchedule) -> None:
    scheduler = peer(beta_schedule)
    latents, noise = torch.randn(5, 4, 8, 8), torch.randn(5, 4, 8, 8)
    timesteps = torch.tensor([0, 1, 500, 998, 999])

    noisy = add_noise(latents, noise, signal_levels(beta_schedule)[timesteps])
    velocity = target("v_prediction", latents, noise, signal_levels(beta_schedule)[timesteps])

    assert torch.allclose(noisy, scheduler.add_noise(latents, noise, timesteps), atol=1e-5)
    assert torch.allclose(velocity, scheduler.get_velocity(latents, noise, timesteps), atol=1e-5)


@given(level=st.floats(0.001, 0.999), seed=st.integers(0, 2**31))
def test_latents_and_noise_can_be_found_again_from_what_the_unet_sees_and_gives(level: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    latents, noise = torch.randn(2, 1, 4, 2, 2, generator=generator).double()
    alpha_bar = torch.tensor([level], dtype=torch.float64)

    noisy, velocity = add_noise(latents, noise, alpha_bar), target("v_prediction", latents, noise, alpha_bar)

    assert torch.allclose(level**0.5 * noisy - (1 - level) ** 0.5 * velocity, latents)
    assert torch.allclose((1 - level) ** 0.5 * noisy + level**0.5 * velocity, noise)


def test_uniform_timesteps_cover_all_levels_alike() -> None:
    torch.manual_seed(0)

    timesteps = draw_timesteps("uniform", 10_000, torch.device("cpu"))

    assert (int(timesteps.min()), int(timesteps.max())) == (0, 999)
    assert timesteps.float().mean().item() == pytest.approx(499.5, abs=10)


def test_logit_normal_timesteps_prefer_the_middle_and_stay_in_range() -> None:
    torch.manual_seed(0)

    timesteps = draw_timesteps("logit_normal", 10_000, torch.device("cpu"))

    # A standard normal lies within ln(3) of 0 with probability 0.728; the logistic function of that is 1/4 to 3/4.
    within = ((timesteps >= 250) & (timesteps < 750)).float().mean().item()
    assert within == pytest.approx(0.728, abs=0.02)
    assert 0 <= int(timesteps.min()) <= int(timesteps.max()) <= 999


def test_dropped_captions_become_the_empty_caption_whole_and_the_others_stay() -> None:
    text, empty = torch.randn(3, 16, 64), torch.randn(16, 64)

    kept = drop_captions(text, empty, torch.tensor([True, False, True]))

    assert torch.equal(kept[0], empty)
    assert torch.equal(kept[1], text[1])
    assert torch.equal(kept[2], empty)


def test_the_given_share_of_captions_is_dropped_anew_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = task(caption_dropout=0.25)
    seen: list[torch.Tensor] = []

    def note(_noisy: Any, _timesteps: Any, encoder_hidden_states: torch.Tensor, return_dict: bool) -> Any:
        seen.append((encoder_hidden_states == 7.0).all(dim=(1, 2)))
        return (torch.zeros(1000, 4, 8, 8),)

    monkeypatch.setattr(learner.unet, "forward", note)
    batch = {"latents": torch.randn(1000, 4, 8, 8), "text": torch.randn(1000, 16, 64)}
    torch.manual_seed(0)

    for _ in range(2):
        learner.training_loss(batch)

    assert all(dropped.float().mean().item() == pytest.approx(0.25, abs=0.05) for dropped in seen)
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_perfect_unet_has_no_loss(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = task(prediction=prediction)
    latents, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    timesteps = torch.tensor([10, 900])
    wanted = target(prediction, latents, noise, learner.signal[timesteps])
    monkeypatch.setattr(learner.unet, "forward", lambda *args, **named: (wanted,))

    loss = learner.loss_at(latents, torch.zeros(2, 16, 64), noise, timesteps)

    assert loss.item() == 0.0


def test_half_precision_latents_are_trained_on_in_float32() -> None:
    learner = task()
    batch = {"latents": torch.randn(2, 4, 8, 8).half(), "text": torch.randn(2, 16, 64).half()}

    loss = learner.training_loss(batch)
    loss.backward()

    assert loss.dtype == torch.float32
    assert all(weight.grad is not None for weight in learner.parameters())


def test_the_task_saves_the_unet_s_weights_and_nothing_else() -> None:
    learner = task()

    names = learner.state_dict()

    assert names
    assert all(name.startswith("unet.") for name in names)
