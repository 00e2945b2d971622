"""HPSv2 and v2.1, by tiny checkpoints of open_clip's own CLIP class."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image, ImageOps

from evaluation.scorers.base import ScorerSettings
from evaluation.scorers.hps import open_v2, open_v2_1
from evaluation.weights import DamagedWeightsError, NotWeightsError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def test_the_value_is_the_raw_cosine_of_open_clips_features(
    hps_folder: Path, pictures: list[Image.Image], texts: list[str], settings: ScorerSettings
) -> None:
    model = open_clip.CLIP(**json.loads((hps_folder / "open_clip_config.json").read_text())["model_cfg"]).eval()
    model.load_state_dict(torch.load(hps_folder / "HPS_v2_compressed.pt")["state_dict"])

    scores = open_v2(str(hps_folder), None, settings).score(pictures, texts)

    with torch.inference_mode():
        seen = model.encode_image(torch.stack([padded(picture) for picture in pictures])).numpy()
        meant = model.encode_text(open_clip.SimpleTokenizer(context_length=16)(texts)).numpy()
    cosines = (seen * meant).sum(1) / np.linalg.norm(seen, axis=1) / np.linalg.norm(meant, axis=1)
    np.testing.assert_allclose(scores.values, cosines, atol=1e-6)


def test_the_two_versions_are_two_checkpoints(
    hps_folder: Path, pictures: list[Image.Image], texts: list[str], settings: ScorerSettings
) -> None:
    second, third = (opened(str(hps_folder), None, settings) for opened in (open_v2, open_v2_1))

    assert not np.allclose(second.score(pictures, texts).values, third.score(pictures, texts).values, atol=1e-3)
    assert (second.details["version"], third.details["version"]) == ("v2", "v2.1")
    assert second.details["weights_sha256"] != third.details["weights_sha256"]


def test_texts_longer_than_the_context_are_counted_and_keep_their_end(
    hps_folder: Path, pictures: list[Image.Image], settings: ScorerSettings
) -> None:
    fits = " ".join(["red"] * 14)

    scores = open_v2(str(hps_folder), None, settings).score(pictures[:1] * 2, [fits, f"{fits} blue"])

    assert scores.truncated == 1
    np.testing.assert_allclose(scores.values[1], scores.values[0], atol=1e-6)


def test_without_a_description_a_checkpoint_must_be_a_vit_h_14(
    hps_folder: Path, tmp_path: Path, settings: ScorerSettings
) -> None:
    (tmp_path / "HPS_v2_compressed.pt").write_bytes((hps_folder / "HPS_v2_compressed.pt").read_bytes())

    # 30 more layers of images and 22 of texts, of 12 tensors each.
    with pytest.raises(NotWeightsError, match=r"is not the checkpoint of HPSv2: it lacks transformer.* and 623 more"):
        open_v2(str(tmp_path), None, settings)


def test_a_folder_without_the_checkpoint_is_named(tmp_path: Path, settings: ScorerSettings) -> None:
    (tmp_path / "notes.txt").write_text("nothing")

    with pytest.raises(NotWeightsError, match=r"holds no HPS_v2\.1_compressed\.pt"):
        open_v2_1(str(tmp_path), None, settings)


def test_a_description_of_no_network_is_damaged(hps_folder: Path, tmp_path: Path, settings: ScorerSettings) -> None:
    (tmp_path / "HPS_v2_compressed.pt").write_bytes((hps_folder / "HPS_v2_compressed.pt").read_bytes())
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": {"embed_dim": 4}}')

    with pytest.raises(DamagedWeightsError, match="describes no network of open_clip"):
        open_v2(str(tmp_path), None, settings)


def padded(picture: Image.Image) -> torch.Tensor:
    """The longer side resized to 32 with PIL's bicubic filter, black added on both sides, then normalised."""
    scale = 32 / max(picture.size)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
    wide, high = 32 - small.width, 32 - small.height
    square = ImageOps.expand(small, (wide // 2, high // 2, wide - wide // 2, high - high // 2), fill=0)
    scaled = (np.asarray(square, dtype=np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)
