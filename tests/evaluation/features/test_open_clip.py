"""Features of open_clip's models from a real, tiny one, against open_clip used directly."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from evaluation.features.base import ExtractorSettings
from evaluation.features.open_clip import BrokenLibraryError, choose, open_extractor
from evaluation.weights import DamagedWeightsError, MissingWeightsError, NotWeightsError

TEXTS = ["a red circle", "a blue square on a white background", "green"]


def test_features_are_open_clips_own(open_clip_folder: Path, pictures: list[Image.Image]) -> None:
    name = f"local-dir:{open_clip_folder}"
    model, _, prepare = open_clip.create_model_and_transforms(name)
    with torch.inference_mode():
        expected = model.eval().encode_image(torch.stack([prepare(picture) for picture in pictures])).numpy()
        of_texts = model.encode_text(open_clip.get_tokenizer(name)(TEXTS)).numpy()

    extractor = open_extractor(str(open_clip_folder), None, ExtractorSettings(batch_size=2))

    assert extractor.images(pictures) == pytest.approx(expected, abs=1e-5)
    assert extractor.texts(TEXTS).features == pytest.approx(of_texts, abs=1e-5)
    assert extractor.texts([]).features.shape == (0, 16)


def test_a_text_that_is_too_long_keeps_its_end_and_is_counted(open_clip_folder: Path) -> None:
    extractor = open_extractor(str(open_clip_folder), None, ExtractorSettings())

    found = extractor.texts(["red " * 75, "red " * 76, "red " * 300])

    assert found.truncated == 2
    assert found.features[1] == pytest.approx(found.features[0], abs=1e-5)
    assert found.features[2] == pytest.approx(found.features[0], abs=1e-5)
    assert extractor.details["text_tokens"] == 77


def test_a_folder_with_its_own_tokenizer_uses_that(open_clip_folder: Path, tokenizer: Any, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(open_clip_folder, tmp_path / "copied"))
    tokenizer.save_pretrained(copied)
    config = json.loads((copied / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"hf_tokenizer_name": "its/own", "tokenizer_kwargs": {"strip_sep_token": False}}
    (copied / "open_clip_config.json").write_text(json.dumps(config))
    texts = [*TEXTS, "red " * 300]
    with torch.inference_mode():
        tokens = torch.tensor(tokenizer(texts, padding="max_length", truncation=True, max_length=77)["input_ids"])
        expected = open_clip.create_model(f"local-dir:{copied}").eval().encode_text(tokens).numpy()

    found = open_extractor(str(copied), None, ExtractorSettings()).texts(texts)

    assert found.features == pytest.approx(expected, abs=1e-5)
    assert found.truncated == 1


def test_a_hub_id_opens_from_the_cache_without_network(
    open_clip_folder: Path, empty_hub_cache: Path, pictures: list[Image.Image]
) -> None:
    commit = "b" * 40
    snapshot = empty_hub_cache / "models--someone--tiny" / "snapshots" / commit
    shutil.copytree(open_clip_folder, snapshot)

    opened = open_extractor("hf-hub:someone/tiny", commit, ExtractorSettings())

    folder = open_extractor(str(open_clip_folder), None, ExtractorSettings())
    assert (opened.details["model"], opened.details["revision"]) == ("someone/tiny", commit)
    assert opened.details["extractor_hash"] == folder.details["extractor_hash"]
    assert np.array_equal(opened.images(pictures), folder.images(pictures))


def test_a_folder_without_weights_is_refused_and_not_filled_with_random_ones(
    open_clip_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(open_clip_folder / "open_clip_config.json", tmp_path)

    with pytest.raises(NotWeightsError, match=r"beside open_clip_config\.json it holds no one file of weights"):
        open_extractor(str(tmp_path), None, ExtractorSettings())


def test_weights_of_another_model_are_refused(open_clip_folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(open_clip_folder, tmp_path / "copied"))
    config = json.loads((copied / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["width"] = 40
    (copied / "open_clip_config.json").write_text(json.dumps(config))

    with pytest.raises(DamagedWeightsError, match=r"cannot be loaded .*: download or save it again, whole with its"):
        open_extractor(str(copied), None, ExtractorSettings())


def test_a_configuration_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")

    with pytest.raises(NotWeightsError, match="holds no 'model_cfg'"):
        open_extractor(str(tmp_path), None, ExtractorSettings())


def test_a_tag_brings_the_activation_its_weights_were_trained_with(empty_hub_cache: Path) -> None:
    """OpenAI's weights want QuickGELU; open_clip's architecture ViT-B-32 has GELU, and only warns."""
    commit = "0" * 40
    kept = empty_hub_cache / "models--timm--vit_base_patch32_clip_224.openai"
    (kept / "snapshots" / commit).mkdir(parents=True)
    (kept / "snapshots" / commit / "open_clip_model.safetensors").write_bytes(b"weights")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)

    chosen = choose(open_clip, "ViT-B-32/openai", None)

    assert (chosen.name, chosen.revision) == ("ViT-B-32", commit)
    assert chosen.options["force_quick_gelu"] is True
    assert chosen.options["force_preprocess_cfg"]["mean"] == pytest.approx((0.48145466, 0.4578275, 0.40821073))


def test_an_unknown_tag_names_the_known() -> None:
    with pytest.raises(MissingWeightsError, match=r"no weights 'mine' of ViT-B-32\. Known: openai, laion400m_e31"):
        open_extractor("ViT-B-32/mine", None, ExtractorSettings())


@pytest.mark.usefixtures("empty_hub_cache")
def test_a_tag_without_network_is_one_sentence() -> None:
    with pytest.raises(MissingWeightsError, match=r"vit_base_patch32_clip_224\.openai is no folder here.*download it"):
        open_extractor("ViT-B-32/openai", None, ExtractorSettings())


def test_a_library_without_its_vocabulary_is_named(monkeypatch: pytest.MonkeyPatch, open_clip_folder: Path) -> None:
    """open_clip reads its vocabulary as it is imported: the real import, with the file's reader failing as it would."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "open_clip"]:
        monkeypatch.delitem(sys.modules, name)

    def missing(path: str, *_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr("gzip.open", missing)

    with pytest.raises(BrokenLibraryError, match=r"bpe_simple_vocab_16e6\.txt\.gz.*install open_clip_torch again"):
        open_extractor(str(open_clip_folder), None, ExtractorSettings())


def test_pictures_are_resized_and_cropped_as_the_model_says(open_clip_folder: Path) -> None:
    extractor = open_extractor(str(open_clip_folder), None, ExtractorSettings())
    wide = Image.new("RGB", (96, 32))
    wide.paste("white", (32, 0, 64, 32))

    found = extractor.images([wide, Image.new("RGB", (32, 32), "white")])

    assert np.array_equal(found[0], found[1])
    assert extractor.details["preprocessing"]["resize"] == {"size": [32, 32], "fit": "shortest"}
