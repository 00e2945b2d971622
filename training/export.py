"""The stage that hands a trained UNet over: a diffusers pipeline that any sampler opens, with its entrant.json.

In: a run's folder and the base it was trained with. Out: model_index.json, vae/, text_encoder/, tokenizer/, scheduler/,
unet/ (all safetensors), entrant.json. What was written is loaded again and must answer as the trained UNet did.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, DiffusionPipeline, StableDiffusionPipeline, UNet2DConditionModel

from evaluation.samplers.quiet import quiet_diffusers
from training.diffusion import BETA_END, BETA_START, TIMESTEPS
from training.engine.quiet import quietly
from training.frozen import FrozenBase, find_base
from training.launch import TrainedRun, UnfitError, read_trained_run
from training.parity import check_answer
from training.run import Run
from training.stage import Made, Stage, StageResult, input_hash, run_stage, write_atomically

ENTRANT_FILE = "entrant.json"


def export(
    run_folder: Path, *, base: str, out: Path, now: datetime, name: str | None = None, revision: str = ""
) -> StageResult:
    """Assemble the pipeline of a finished run in `out`; `name` is the entrant's, the run's own where it is None.

    `base` must be the one that the run was trained with. Raises UnfitError, ParityError and those of `run_stage`.
    """
    trained = read_trained_run(run_folder)
    base_folder = find_base(base, revision=revision)
    if base_folder.sha256 != trained.base:
        raise UnfitError(
            f"{run_folder} was trained with another base than {base}: name the base that its latents were made with."
        )
    entrant_name = name or trained.run.name
    stage = Stage(
        name="export",
        out=out,
        inputs={"run": run_folder, "base": base_folder.sha256},
        settings={"name": entrant_name},
    )

    def work(folder: Path) -> Made:
        frozen = FrozenBase(base_folder.path, device=torch.device("cpu"), dtype=torch.float32)
        with quietly(), quiet_diffusers():
            _pipeline(run_folder, trained.run, frozen).save_pretrained(folder, safe_serialization=True)
            loaded = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
        difference = check_answer(loaded.unet, run_folder, text_tokens=trained.text_tokens)
        entrant = entrant_details(trained, run_hash=input_hash(run_folder), name=entrant_name, now=now)
        write_atomically(folder / ENTRANT_FILE, (json.dumps(entrant, indent=2) + "\n").encode("utf-8"))
        return Made(counts={"parameters": trained.parameters}, details={"parity_difference": difference})

    return run_stage(stage, work, now=now)


def entrant_details(trained: TrainedRun, *, run_hash: str, name: str, now: datetime) -> dict[str, Any]:
    """What an arena is told of the model: where it comes from, how large it is, and how it is meant to be sampled."""
    run = trained.run
    return {
        "name": name,
        "kind": "diffusers",
        "recipe": run.recipe,
        "licence_split": run.licence_split,
        "weights_licence": run.weights_licence,
        "unet": run.unet,
        "parameters": trained.parameters,
        "steps_trained": trained.steps,
        "final_loss": trained.final_loss,
        "run": run_hash,
        "data": trained.data,
        "base": trained.base,
        "commit": trained.commit,
        "sampler": {"steps": run.sample_steps, "guidance": run.guidance, "size_px": trained.size_px},
        "made_at": now.astimezone(UTC).isoformat(timespec="seconds"),
    }


def sampling_scheduler(run: Run) -> DDIMScheduler:
    """DDIM over the noise levels of training; from the last level, which is all noise, down to none.

    Trailing spacing starts at the level that training saw as noise: Lin et al. (2023), arXiv:2305.08891, section 3.3.
    """
    return DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_start=BETA_START,
        beta_end=BETA_END,
        beta_schedule=run.beta_schedule,
        prediction_type=run.prediction,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def _pipeline(run_folder: Path, run: Run, frozen: FrozenBase) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=frozen.vae,
        text_encoder=frozen.text_encoder,
        tokenizer=frozen.tokenizer,
        unet=UNet2DConditionModel.from_pretrained(run_folder / "unet", local_files_only=True),
        scheduler=sampling_scheduler(run),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
