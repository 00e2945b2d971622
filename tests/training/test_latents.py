"""Latents: what is computed offline is what would be computed online."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from training.data import latents_loader, read_empty_text
from training.decoding import decode_image
from training.frozen import BaseError, FrozenBase, image_to_pixels
from training.latents import LatentsSettings, LatentsSettingsError, precompute_latents
from training.mds import read_samples
from training.models import ModelNotFoundError
from training.shards import ForbiddenLicenceError, read_attributions
from training.stage import StageResult, read_manifest

Compute = Callable[..., StageResult]


@pytest.fixture
def compute(shards: Path, tiny_base: Path, tmp_path: Path, now: datetime) -> Compute:
    def run(out: str = "latents", base: Path = tiny_base, batch_size: int = 2, **settings: object) -> StageResult:
        chosen = LatentsSettings(**{"size_px": 16, **settings})  # type: ignore[arg-type]
        return precompute_latents(
            shards, tmp_path / out, base=str(base), settings=chosen, batch_size=batch_size, now=now
        )

    return run


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(1)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        norm_num_groups=8,
    ).eval()


def denoising_loss(unet: UNet2DConditionModel, latents: Tensor, text: Tensor) -> float:
    """Squared error of the predicted noise, by diffusers' own schedule and the same noise each time."""
    schedule = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(latents.shape, generator=generator)
    steps = torch.randint(0, 1000, (len(latents),), generator=generator)
    with torch.no_grad():
        predicted = unet(schedule.add_noise(latents, noise, steps), steps, text).sample
    return float(functional.mse_loss(predicted, noise))


def online(shards: Path, base: Path) -> dict[str, Tensor]:
    """Latents and text as a trainer would make them from the images, by transformers and diffusers alone."""
    samples = list(read_samples(shards))
    vae = AutoencoderKL.from_pretrained(base / "vae").eval()
    tokenizer = CLIPTokenizer.from_pretrained(base / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(base / "text_encoder").eval()
    pixels = torch.stack([image_to_pixels(decode_image(sample["image"], sample["id"]), 16) for sample in samples])
    tokens = tokenizer(
        [sample["caption"] for sample in samples], padding="max_length", truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        return {
            "latents": vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor,
            "text": encoder(tokens.input_ids).last_hidden_state,
        }


def test_offline_latents_give_the_loss_that_online_encoding_gives(
    shards: Path, latents: Path, tiny_base: Path, unet: UNet2DConditionModel
) -> None:
    [stored] = latents_loader(latents, batch_size=10, seed=0, shuffle=False)

    fresh = online(shards, tiny_base)

    assert denoising_loss(unet, stored["latents"], stored["text"]) == pytest.approx(
        denoising_loss(unet, fresh["latents"], fresh["text"]), abs=1e-5
    )
    torch.testing.assert_close(stored["latents"], fresh["latents"], atol=1e-5, rtol=0)
    torch.testing.assert_close(stored["text"], fresh["text"], atol=1e-5, rtol=0)


def test_half_precision_on_disk_is_close_but_not_the_same(compute: Compute, shards: Path, tiny_base: Path) -> None:
    folder = compute(storage="float16").folder
    [stored] = latents_loader(folder, batch_size=10, seed=0, shuffle=False)

    fresh = online(shards, tiny_base)

    assert stored["latents"].dtype == torch.float32
    torch.testing.assert_close(stored["latents"], fresh["latents"], atol=2e-3, rtol=0)
    assert not torch.equal(stored["latents"], fresh["latents"])
    assert read_manifest(folder).details["columns"]["latents"] == "ndarray:float16:4,8,8"


def test_text_and_the_empty_text_are_those_that_the_sampling_pipeline_uses(
    latents: Path, shards: Path, tiny_base: Path, unet: UNet2DConditionModel
) -> None:
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(tiny_base / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(tiny_base / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(tiny_base / "tokenizer"),
        unet=unet,
        scheduler=DDPMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    first = next(iter(read_samples(latents)))
    with torch.no_grad():
        prompted, unconditional = pipeline.encode_prompt(first["caption"], "cpu", 1, do_classifier_free_guidance=True)

    torch.testing.assert_close(torch.tensor(first["text"]), prompted[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(read_empty_text(latents), unconditional[0], atol=1e-5, rtol=0)


def test_no_caption_is_dropped_and_provenance_stays_with_every_sample(shards: Path, latents: Path) -> None:
    before = {sample["id"]: sample for sample in read_samples(shards)}

    after = list(read_samples(latents))

    assert [sample["id"] for sample in after] == list(before)
    for sample in after:
        for key in ("caption", "licence", "author", "origin", "title"):
            assert sample[key] == before[sample["id"]][key]
    assert [entry.line for entry in read_attributions(latents)] == [entry.line for entry in read_attributions(shards)]


def test_the_manifest_says_that_latents_are_scaled_and_by_what(latents: Path, shards: Path, tiny_base: Path) -> None:
    manifest = read_manifest(latents)

    details = manifest.details
    assert details["latents_scaled"] is True
    assert (details["scaling_factor"], details["shift_factor"]) == (0.4, 0.0)
    assert (details["dtype"], details["resolution_px"]) == ("float32", 16)
    assert (details["latents_shape"], details["text_shape"]) == ([4, 8, 8], [12, 32])
    assert details["base_sha256"] == manifest.inputs["base"]
    assert manifest.counts == {"images": 10, "enlarged": 0, "captions_cut": 0, "partitions": 4}
    assert manifest.settings["licence_split"] == "non-commercial"
    assert json.loads((latents / "index.json").read_text("utf-8"))["shards"]


def test_an_interrupted_computation_finished_later_gives_the_same_bytes(
    compute: Compute, tmp_path: Path, latents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = FrozenBase.encode_images
    calls = 0

    def interrupted(self: FrozenBase, pixels: Tensor, **settings: object) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return encode(self, pixels, **settings)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(FrozenBase, "encode_images", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compute()
    assert not (tmp_path / "latents").exists()
    assert (tmp_path / "latents.partial/commercial-000001").is_dir()

    resumed = compute().folder

    for path in latents.rglob("*"):
        if path.is_file():
            assert (resumed / path.relative_to(latents)).read_bytes() == path.read_bytes()


def test_a_posterior_sample_depends_on_the_seed_and_the_image_alone(compute: Compute, latents: Path) -> None:
    def stored(folder: Path) -> np.ndarray:
        return np.stack([sample["latents"] for sample in read_samples(folder)])

    sampled = stored(compute("a", posterior="sample", seed=3).folder)

    np.testing.assert_allclose(
        stored(compute("b", posterior="sample", seed=3, batch_size=5).folder), sampled, atol=1e-5
    )
    assert np.abs(stored(compute("c", posterior="sample", seed=4).folder) - sampled).max() > 1e-3
    assert np.abs(stored(latents) - sampled).max() > 1e-3


def test_the_tiny_autoencoder_serves_as_well(compute: Compute, tiny_base: Path, tmp_path: Path, shards: Path) -> None:
    base = tmp_path / "base"
    for part in ("text_encoder", "tokenizer"):
        (base / part).parent.mkdir(exist_ok=True)
        (base / part).symlink_to(tiny_base / part)
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
        scaling_factor=0.5,
    ).eval()
    vae.save_pretrained(base / "vae")

    result = compute(base=base)

    first, stored = next(iter(read_samples(shards))), next(iter(read_samples(result.folder)))
    with torch.no_grad():
        wanted = vae.encode(image_to_pixels(decode_image(first["image"], "x"), 16)[None]).latents[0] * 0.5
    torch.testing.assert_close(torch.tensor(stored["latents"]), wanted, atol=1e-5, rtol=0)
    assert result.manifest.details["autoencoder"] == "AutoencoderTiny"


def test_an_autoencoder_with_a_shift_has_it_taken_away_before_scaling(tiny_base: Path, tmp_path: Path) -> None:
    vae = AutoencoderKL.from_pretrained(tiny_base / "vae")
    vae.register_to_config(shift_factor=0.25)
    vae.save_pretrained(tmp_path / "vae")
    for part in ("text_encoder", "tokenizer"):
        (tmp_path / part).symlink_to(tiny_base / part)
    pixels = torch.rand(1, 3, 16, 16)
    plain, shifted = (
        FrozenBase(folder, device=torch.device("cpu"), dtype=torch.float32).encode_images(pixels)
        for folder in (tiny_base, tmp_path)
    )

    torch.testing.assert_close(shifted, plain - 0.25 * 0.4)


def test_images_and_captions_that_do_not_fit_are_counted(
    compute: Compute, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wordier(folder: Path) -> list[dict[str, object]]:
        samples = list(read_samples(folder))
        return [{**samples[0], "caption": "a red pattern " * 5}, *samples[1:]]

    monkeypatch.setattr("training.latents.read_samples", wordier)

    manifest = compute(size_px=32).manifest

    assert manifest.counts["captions_cut"] == manifest.counts["partitions"] == 4
    # Images with an even number are 24 px wide.
    assert manifest.counts["enlarged"] == sum(int(number) % 2 == 0 for number in (0, 1, 6, 7, 8, 13, 2, 3, 9, 10))


def test_a_licence_that_forbids_training_stops_the_latents_too(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def relabelled(folder: Path) -> list[dict[str, object]]:
        return [{**sample, "licence": "CC-BY-ND-2.0"} for sample in read_samples(folder)]

    monkeypatch.setattr("training.latents.read_samples", relabelled)

    with pytest.raises(ForbiddenLicenceError, match="'image-000' may not be trained on"):
        compute()


def test_wrong_settings_and_bases_are_one_sentence(compute: Compute, tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(LatentsSettingsError, match="no storage 'int8' for latents: name float32 or float16"):
        compute(storage="int8")
    with pytest.raises(LatentsSettingsError, match="no posterior 'mode'"):
        compute(posterior="mode")
    with pytest.raises(BaseError, match=r"15 px do not divide.*multiple of 2"):
        compute(size_px=15)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotFoundError, match=r"lacks vae/config\.json and text_encoder/config\.json"):
        compute(base=tmp_path / "empty")
    other = tmp_path / "other"
    for part in ("vae", "text_encoder"):
        (other / part).mkdir(parents=True)
        config = {"_class_name": "VQModel", "model_type": "t5"}
        (other / part / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(BaseError, match=r"is a VQModel: a base needs one of AutoencoderKL, AutoencoderTiny"):
        compute("again", base=other)
