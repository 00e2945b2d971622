"""A trained UNet becomes a pipeline that diffusers opens and a sampler paints with."""

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler, DiffusionPipeline
from safetensors.torch import load_file, save_file

from evaluation.samplers.base import settings_from
from evaluation.samplers.diffusers import open_sampler
from training.data import read_empty_text
from training.diffusion import signal_levels
from training.export import export, sampling_scheduler
from training.launch import UnfitError, read_trained_run
from training.parity import ParityError
from training.recipes import find_recipe
from training.run import Run
from training.stage import MissingInputError, input_hash, read_manifest


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, trained: Path, base: Path, now: datetime) -> Path:
    return export(trained, base=str(base), out=tmp_path_factory.mktemp("exported") / "entrant", now=now).folder


def test_the_folder_is_a_pipeline_whose_parts_are_the_base_s_and_the_trained_unet(exported: Path, base: Path) -> None:
    pipeline = DiffusionPipeline.from_pretrained(exported)

    assert type(pipeline).__name__ == "StableDiffusionPipeline"
    assert pipeline.safety_checker is None
    assert {path.name for path in exported.iterdir()} == {
        "entrant.json", "manifest.json", "model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae",
    }  # fmt: skip
    original = load_file(base / "vae" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(pipeline.vae.state_dict()[name], weight) for name, weight in original.items())
    assert read_manifest(exported).details["parity_difference"] <= 1e-5


def test_a_sampler_paints_with_it_as_its_entrant_file_asks(exported: Path) -> None:
    entrant = json.loads((exported / "entrant.json").read_text())

    images = open_sampler(str(exported), settings_from(entrant["sampler"])).paint(["a red pattern"], [0])

    assert [image.size for image in images] == [(16, 16)]


def test_the_entrant_file_says_where_the_model_comes_from(exported: Path, trained: Path, data: Path) -> None:
    entrant = json.loads((exported / "entrant.json").read_text())

    kept = read_trained_run(trained)
    assert entrant == {
        "name": "s-nc-tiny",
        "kind": "diffusers",
        "recipe": "tiny.s_nc",
        "licence_split": "non-commercial",
        "weights_licence": kept.run.weights_licence,
        "unet": "tiny_s",
        "parameters": kept.parameters,
        "steps_trained": 6,
        "final_loss": kept.final_loss,
        "run": input_hash(trained),
        "data": input_hash(data),
        "base": kept.base,
        "commit": kept.commit,
        "sampler": {"steps": 2, "guidance": kept.run.guidance, "size_px": 16},
        "made_at": "2024-05-17T12:30:00+00:00",
    }


def test_the_pipeline_s_unconditional_text_is_the_one_that_dropped_captions_were_trained_with(
    exported: Path, data: Path
) -> None:
    pipeline = DiffusionPipeline.from_pretrained(exported)

    _, unconditional = pipeline.encode_prompt("a red pattern", "cpu", 1, True)

    assert torch.allclose(unconditional[0], read_empty_text(data), atol=1e-5)


@pytest.mark.parametrize("recipe", ["tiny.s_c", "commoncanvas.s_c_512"])
def test_the_scheduler_samples_over_the_noise_levels_of_training(recipe: str) -> None:
    run: Run = find_recipe(recipe)

    scheduler = sampling_scheduler(run)
    scheduler.set_timesteps(25)

    assert torch.allclose(scheduler.alphas_cumprod, signal_levels(run.beta_schedule), atol=1e-6)
    assert scheduler.config.prediction_type == run.prediction
    assert scheduler.timesteps[0] == 999
    assert scheduler.final_alpha_cumprod == 1.0
    assert torch.allclose(
        DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012).alphas_cumprod,
        signal_levels("scaled_linear"),
        atol=1e-6,
    )


def test_weights_that_changed_after_training_are_not_handed_over(
    trained: Path, base: Path, tmp_path: Path, now: datetime
) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_in.bias"] += 1e-3
    save_file(weights, file, metadata={"format": "pt"})

    with pytest.raises(ParityError, match="answers differently from the one trained"):
        export(copy, base=str(base), out=tmp_path / "out", now=now)

    assert not (tmp_path / "out").exists()


def test_another_base_is_refused(trained: Path, tiny_base: Path, tmp_path: Path, now: datetime) -> None:
    with pytest.raises(UnfitError, match="was trained with another base"):
        export(trained, base=str(tiny_base), out=tmp_path / "out", now=now)


def test_a_folder_that_is_no_run_is_refused(data: Path, base: Path, tmp_path: Path, now: datetime) -> None:
    with pytest.raises(MissingInputError, match="'run' is needed here"):
        export(data, base=str(base), out=tmp_path / "out", now=now)


def test_a_name_of_its_own_can_be_given(trained: Path, base: Path, tmp_path: Path, now: datetime) -> None:
    folder = export(trained, base=str(base), out=tmp_path / "out", now=now, name="my-model").folder

    assert json.loads((folder / "entrant.json").read_text())["name"] == "my-model"
