"""Painting with a real, tiny diffusers pipeline, and what its folder can have wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DiffusionPipeline, UNet2DModel
from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput
from PIL import Image

from evaluation.devices import DeviceError
from evaluation.samplers.base import PaintedNothingError, SamplerSettings, noise_seed
from evaluation.samplers.diffusers import DamagedPipelineError, DiffusersSampler, NotAPipelineError, open_sampler
from evaluation.weights import DamagedWeightsError, Located, MissingWeightsError

PROMPTS = ["a red circle", "a blue square", "a green triangle", "a white cross"]
SETTINGS = SamplerSettings(steps=3, guidance=4.0)


@pytest.fixture(scope="module")
def sampler(pipeline_folder: Path) -> DiffusersSampler:
    return open_sampler(str(pipeline_folder), SETTINGS)


@pytest.fixture
def copied(pipeline_folder: Path, tmp_path: Path) -> Path:
    """A pipeline folder that a test may damage."""
    return Path(shutil.copytree(pipeline_folder, tmp_path / "damaged"))


def pixels(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image, dtype=np.int16) for image in images])


def test_it_paints_one_image_per_prompt_at_the_models_own_size(sampler: DiffusersSampler) -> None:
    images = sampler.paint(PROMPTS, [0] * 4)

    assert [(image.mode, image.size) for image in images] == [("RGB", (32, 32))] * 4
    assert len({image.tobytes() for image in images}) == 4


def test_an_image_does_not_depend_on_the_batch_it_is_painted_in(sampler: DiffusersSampler) -> None:
    seeds = [0, 1, 2, 3]

    together = pixels(sampler.paint(PROMPTS, seeds))
    alone = pixels([sampler.paint([prompt], [seed])[0] for prompt, seed in zip(PROMPTS, seeds, strict=True)])
    backwards = pixels(sampler.paint(PROMPTS[::-1], seeds[::-1])[::-1])

    assert np.abs(together - alone).max() <= 1
    assert np.abs(together - backwards).max() <= 1


def test_the_same_batch_gives_the_same_bytes_when_it_is_opened_again(
    sampler: DiffusersSampler, pipeline_folder: Path
) -> None:
    again = open_sampler(str(pipeline_folder), SETTINGS)

    assert (pixels(again.paint(PROMPTS[:2], [0, 0])) == pixels(sampler.paint(PROMPTS[:2], [0, 0]))).all()


def test_the_image_is_what_the_pipeline_itself_paints_from_that_seed(
    sampler: DiffusersSampler, pipeline_folder: Path
) -> None:
    pipeline: Any = DiffusionPipeline.from_pretrained(pipeline_folder)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(noise_seed(PROMPTS[0], 7))
    expected = pipeline(PROMPTS[0], num_inference_steps=3, guidance_scale=4.0, generator=generator).images[0]

    painted = sampler.paint(PROMPTS[:1], [7])[0]

    assert (pixels([painted]) == pixels([expected])).all()


def test_size_and_steps_are_taken_from_the_settings(pipeline_folder: Path, sampler: DiffusersSampler) -> None:
    larger = open_sampler(str(pipeline_folder), SamplerSettings(steps=2, guidance=4.0, size_px=48))

    image = larger.paint(PROMPTS[:1], [0])[0]

    assert image.size == (48, 48)
    assert (larger.details["steps"], sampler.details["steps"]) == (2, 3)


def test_a_prompt_longer_than_the_text_encoder_reads_is_counted_and_painted_without_noise(
    sampler: DiffusersSampler, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts = ["a red circle", "a red circle " * 60]

    painted = sampler.paint(prompts, [0, 0])

    assert sampler.cut(prompts) == 1
    assert len(painted) == 2
    assert "truncated" not in "".join(capfd.readouterr())


def test_details_say_what_painted(sampler: DiffusersSampler) -> None:
    details = json.loads(json.dumps(sampler.details))

    assert (details["pipeline"], details["scheduler"]) == ("StableDiffusionPipeline", "DDIMScheduler")
    assert (details["dtype"], details["safety_checker"]) == ("float32", "none")
    assert details["made_with"]["device"] == "cpu"


def test_a_safety_checker_is_left_out_and_said_to_be(copied: Path) -> None:
    """Its files are not even there: it must not be asked for."""
    index = json.loads((copied / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["requires_safety_checker"] = True
    (copied / "model_index.json").write_text(json.dumps(index))

    sampler = open_sampler(str(copied), SETTINGS)

    assert sampler.details["safety_checker"] == "left out"
    assert len(sampler.paint(PROMPTS[:1], [0])) == 1


def test_a_folder_that_is_no_pipeline_says_what_was_looked_for(clip_folder: Path) -> None:
    with pytest.raises(
        NotAPipelineError,
        match=r"tiny-clip is not a diffusers pipeline: it holds no model_index\.json but config\.json",
    ):
        open_sampler(str(clip_folder), SETTINGS)


def test_an_empty_folder_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(NotAPipelineError, match="it is empty"):
        open_sampler(str(tmp_path), SETTINGS)


def test_a_pipeline_that_takes_no_prompt_is_refused(tmp_path: Path) -> None:
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
    )
    DDPMPipeline(unet=unet, scheduler=DDIMScheduler()).save_pretrained(tmp_path)

    with pytest.raises(NotAPipelineError, match="is a DDPMPipeline, which takes no prompt"):
        open_sampler(str(tmp_path), SETTINGS)


@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"])
def test_a_damaged_file_is_one_sentence(copied: Path, file: str) -> None:
    whole = (copied / file).read_bytes()
    (copied / file).write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DamagedWeightsError, match=r"/damaged.* download") as caught:
        open_sampler(str(copied), SETTINGS)

    assert "\n" not in str(caught.value)


def test_a_missing_part_is_one_sentence(copied: Path) -> None:
    shutil.rmtree(copied / "vae")

    with pytest.raises(DamagedPipelineError, match=r"cannot be loaded .*: export or download it again"):
        open_sampler(str(copied), SETTINGS)


def test_weights_of_another_shape_are_one_sentence(copied: Path) -> None:
    config = json.loads((copied / "unet/config.json").read_text())
    config["block_out_channels"] = [32, 96]
    (copied / "unet/config.json").write_text(json.dumps(config))

    with pytest.raises(DamagedPipelineError, match="cannot be loaded") as caught:
        open_sampler(str(copied), SETTINGS)

    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("empty_hub_cache")
def test_a_hub_id_without_network_and_cache_is_one_sentence() -> None:
    with pytest.raises(MissingWeightsError, match="some-one/no-such-pipeline is no folder here, is not in the"):
        open_sampler("some-one/no-such-pipeline", SETTINGS)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"There is no folder .*nowhere"):
        open_sampler(str(tmp_path / "nowhere"), SETTINGS)


def test_a_cached_hub_repository_is_opened_at_the_commit_it_means(pipeline_folder: Path, empty_hub_cache: Path) -> None:
    """The cache's own layout: refs name commits, snapshots hold their files."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = empty_hub_cache / "models--some-one--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(pipeline_folder, repository / "snapshots" / commit)

    sampler = open_sampler("some-one/tiny", SETTINGS)

    assert sampler.details["revision"] == commit
    assert len(sampler.paint(PROMPTS[:1], [0])) == 1


@pytest.mark.parametrize("images", [None, [], np.zeros((1, 8, 8, 3))])
def test_a_pipeline_that_gives_too_few_images_is_refused(pipeline_folder: Path, images: Any) -> None:
    sampler = opened_with(lambda **given: StableDiffusionPipelineOutput(images=images, nsfw_content_detected=None))

    with pytest.raises(PaintedNothingError, match="images for 2 prompts, the first of them 'a red circle'"):
        sampler.paint(PROMPTS[:2], [0, 0])


def test_an_image_of_nan_is_refused_rather_than_kept_black() -> None:
    broken = np.full((1, 8, 8, 3), np.nan)
    sampler = opened_with(lambda **given: StableDiffusionPipelineOutput(images=broken, nsfw_content_detected=None))

    with pytest.raises(PaintedNothingError, match=r"painted NaN for 'a red circle' in float32: .*--dtype"):
        sampler.paint(PROMPTS[:1], [0])


def test_a_device_that_is_not_here_is_named(pipeline_folder: Path) -> None:
    with pytest.raises(DeviceError, match="There is no device 'abacus' here"):
        open_sampler(str(pipeline_folder), SamplerSettings(device="abacus"))


def test_an_unknown_precision_is_named(pipeline_folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"There is no precision 'float8'\. Known: auto, float32"):
        open_sampler(str(pipeline_folder), SamplerSettings(dtype="float8"))


def opened_with(call: Any) -> DiffusersSampler:
    """A sampler on a pipeline that answers as `call` does: no real one can be made to fail so."""

    class Pipeline:
        def __call__(self, **given: Any) -> Any:
            return call(**given)

        def set_progress_bar_config(self, disable: bool) -> None:
            assert disable

    return DiffusersSampler(
        pipeline=Pipeline(),
        located=Located(source="tiny", revision=None, marker=Path("model_index.json"), offline=True),
        settings=SETTINGS,
        dtype="float32",
        checker_left_out=False,
    )
