"""The second road: licensed images become a model, stage by stage, and the model enters the arena."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diffusers import DiffusionPipeline

from canvas.demo.shapes_world import write_source_images


@pytest.mark.slow
def test_a_source_image_travels_from_its_licence_to_the_arena(tmp_path: Path, command: Callable[..., Any]) -> None:
    source = tmp_path / "source"
    forbidden = {row.id for row in write_source_images(source, count=260, seed=3) if "ND" in row.licence}
    split, captions, shards, base, latents, run, model, home = (
        tmp_path / name for name in ("split", "captions", "shards", "base", "latents", "run", "model", "arena")
    )
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red circle on a white background\na blue square on a black background\n", "utf-8")

    command("train", "split", source, "--out", split)
    command("train", "caption", split, "--source", source, "--captioner", "alt_text", "--out", captions)
    command(
        "train", "shards", split, "--source", source, "--captions", captions,
        "--split", "commercial", "--out", shards,
    )  # fmt: skip
    command("train", "base", shards, "--effort", "0.01", "--out", base)
    command("train", "latents", shards, "--base", base, "--size", "32", "--out", latents)
    command("train", "run", "tiny.s_c", "--data", latents, "--base", base, "--set", "steps=6", "--out", run)
    command("train", "export", run, "--base", base, "--out", model)
    command("arena", "enter", model, "--arena", home)
    painted = command(
        "evaluate", "generate", "--entrant", model, "--prompts", prompts, "--steps", "3", "--arena", home, "--json"
    ).json
    scored = command(
        "evaluate", "score", "--entrant", "s-c-tiny", "--prompts", prompts, "--metrics", "clip_score",
        "--clip", base / "clip", "--arena", home, "--json",
    ).json  # fmt: skip

    attributed = command("train", "attribution", latents, "--json").json
    pipeline = DiffusionPipeline.from_pretrained(model, local_files_only=True)
    entrant = json.loads((model / "entrant.json").read_text("utf-8"))
    assert forbidden
    assert forbidden.isdisjoint(line["id"] for line in attributed)
    assert all("NC" not in line["licence"] for line in attributed)
    assert pipeline.unet.config.cross_attention_dim == pipeline.text_encoder.config.hidden_size
    assert entrant["name"] == "s-c-tiny"
    assert entrant["licence_split"] == "commercial"
    assert painted["new"] == 2
    assert scored[0]["n"] == 2
