"""The tiny checkpoints that the rooms' own tests build, and a source of shapes, for what is composed of both."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from canvas.demo.shapes_world import write_source_images

TESTS = Path(__file__).resolve().parents[1]


def _module(path: str) -> ModuleType:
    name = f"canvas_tests_{Path(path).stem}_{Path(path).parent.name}"
    spec = importlib.util.spec_from_file_location(name, TESTS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_evaluation = _module("evaluation/conftest.py")
one_thread = _evaluation.one_thread
empty_hub_cache = _evaluation.empty_hub_cache
tokenizer_files, tokenizer = _evaluation.tokenizer_files, _evaluation.tokenizer
pipeline_folder, clip_folder = _evaluation.pipeline_folder, _evaluation.clip_folder
dinov2_folder, sscd_file = _evaluation.dinov2_folder, _evaluation.sscd_file
tiny_blip2 = _module("training/test_blip2.py").tiny_blip2


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of the shapes world with their catalogue. Not to be changed."""
    folder = tmp_path_factory.mktemp("shapes") / "source"
    assert len(list(write_source_images(folder, count=12, seed=3))) == 12
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
