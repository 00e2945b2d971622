"""A tiny open_clip model with random weights, saved as published ones are, and pictures of noise."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TINY_OPEN_CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2},
}


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Five pictures of noise, of several shapes, on both sides of what the networks take."""
    rng = np.random.default_rng(0)
    sizes = [(40, 56), (32, 32), (350, 310), (90, 30), (299, 299)]
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes]


@pytest.fixture(scope="session")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open_clip CLIP with random weights on 32 px, as open_clip's own repositories on the hub lie."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("open_clip") / "tiny-open-clip"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY_OPEN_CLIP, "preprocess_cfg": {}}))
    save_file(open_clip.CLIP(**TINY_OPEN_CLIP).state_dict(), folder / "open_clip_model.safetensors")
    return folder
