"""A run through the real engine: latents in, a UNet in diffusers' layout out."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

from training.launch import UnfitError, read_trained_run, train
from training.run import Run
from training.stage import MissingInputError, OtherSettingsError, input_hash, read_manifest

Start = Callable[..., Path]


@pytest.fixture
def start(data: Path, base: Path, tmp_path: Path, now: datetime) -> Start:
    def start_run(run: Run, **changes: object) -> Path:
        arguments = {"data": data, "base": str(base), "out": tmp_path / "run", "now": now, **changes}
        return train(run, **arguments).folder  # type: ignore[arg-type]

    return start_run


def losses(folder: Path) -> list[str]:
    with (folder / "losses.csv").open(newline="") as file:
        return [row["loss"] for row in csv.DictReader(file)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")


def test_a_run_leaves_a_unet_that_diffusers_loads_and_says_what_it_was_made_from(
    trained: Path, short_run: Run, data: Path
) -> None:
    unet = UNet2DConditionModel.from_pretrained(trained / "unet")
    kept, manifest = read_trained_run(trained), read_manifest(trained)

    assert unet.config.sample_size == 8
    assert kept.run == short_run
    assert kept.data == manifest.inputs["latents"] == input_hash(data)
    assert kept.parameters == unet.num_parameters()
    assert (kept.steps, kept.size_px, kept.text_tokens) == (6, 16, 12)
    assert kept.final_loss == pytest.approx(sum(float(loss) for loss in losses(trained)) / 6, rel=1e-4)
    assert manifest.commit == kept.commit


def crash_at(step: int) -> Callable[[int, float], None]:
    def on_step(now: int, _loss: float) -> None:
        if now == step:
            raise RuntimeError("the power went")

    return on_step


def test_a_run_that_crashed_goes_on_to_the_same_weights(start: Start, trained: Path, short_run: Run) -> None:
    with pytest.raises(RuntimeError, match="the power went"):
        start(short_run, on_step=crash_at(5))
    folder = start(short_run)

    assert losses(folder) == losses(trained)
    assert all(torch.equal(weights(folder)[name], weight) for name, weight in weights(trained).items())


def test_a_run_on_streamed_latents_goes_on_within_the_epoch_it_was_in(
    start: Start, short_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loading.IN_MEMORY_BYTES", 0)
    whole = start(short_run, out=tmp_path / "whole")

    # An epoch has two batches: crashes within one, at its end, and within a later one.
    for step in (1, 2, 3):
        folder = tmp_path / f"crashed-at-{step}"
        with pytest.raises(RuntimeError, match="the power went"):
            start(short_run, out=folder, on_step=crash_at(step))
        start(short_run, out=folder)

        assert losses(folder) == losses(whole)
        assert all(torch.equal(weights(folder)[name], weight) for name, weight in weights(whole).items())


def test_a_run_that_is_done_is_not_trained_again(
    trained: Path, short_run: Run, data: Path, base: Path, now: datetime
) -> None:
    result = train(short_run, data=data, base=str(base), out=trained, now=now)

    assert result.already_made


def test_another_run_into_the_same_folder_is_refused(
    trained: Path, short_run: Run, data: Path, base: Path, now: datetime
) -> None:
    with pytest.raises(OtherSettingsError, match="setting learning_rate"):
        train(replace(short_run, learning_rate=1.0), data=data, base=str(base), out=trained, now=now)


def test_a_unet_for_texts_of_another_width_is_refused(start: Start, short_run: Run) -> None:
    with pytest.raises(UnfitError, match=r"'sd2' halves its latents down to 1/8|'sd2' attends to texts of width 1024"):
        start(replace(short_run, unet="sd2"))


def test_latents_of_another_base_are_refused(start: Start, short_run: Run, tiny_base: Path) -> None:
    with pytest.raises(UnfitError, match="was made with another base"):
        start(short_run, base=str(tiny_base))


def test_latents_of_another_licence_split_are_refused(start: Start, short_run: Run) -> None:
    with pytest.raises(UnfitError, match=r"is for commercial data, and .* holds non-commercial data"):
        start(replace(short_run, licence_split="commercial"))


def test_a_folder_of_another_stage_is_refused(start: Start, short_run: Run, shards: Path) -> None:
    with pytest.raises(MissingInputError, match="was made by the stage 'shards', and 'latents' is needed"):
        start(short_run, data=shards)


def test_a_run_that_continues_another_starts_from_its_weights(
    start: Start, trained: Path, short_run: Run, tmp_path: Path
) -> None:
    # With no rate there is no learning: what comes out is what went in.
    still = replace(short_run, recipe="tiny.next", continues=short_run.recipe, learning_rate=1e-30, weight_decay=0.0)

    folder = start(still, start_from=trained)

    assert all(torch.allclose(weights(folder)[name], weight, atol=1e-6) for name, weight in weights(trained).items())
    assert read_manifest(folder).inputs["start"] == input_hash(trained)


def test_a_run_that_continues_another_needs_that_one_s_folder(start: Start, trained: Path, short_run: Run) -> None:
    next_run = replace(short_run, continues="tiny.other")

    with pytest.raises(UnfitError, match=r"goes on from the weights of 'tiny\.other': name that run's folder"):
        start(next_run)
    with pytest.raises(UnfitError, match=r"was trained by 'tiny\.s_nc', and .* goes on from 'tiny\.other'"):
        start(next_run, start_from=trained)
    with pytest.raises(UnfitError, match="starts from noise"):
        start(short_run, start_from=trained)


def test_a_run_cannot_continue_a_unet_of_another_shape(start: Start, trained: Path, short_run: Run) -> None:
    larger = replace(short_run, unet="tiny_l", continues=short_run.recipe)

    with pytest.raises(UnfitError, match=r"differs from 'tiny_l' in .*block_out_channels"):
        start(larger, start_from=trained)


def test_a_damaged_record_of_a_run_is_named(trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    values = json.loads((copy / "run.json").read_text())
    del values["run"]["steps"]
    (copy / "run.json").write_text(json.dumps(values))

    with pytest.raises(UnfitError, match=r"run\.json is damaged"):
        read_trained_run(copy)
