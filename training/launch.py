"""The stage that trains: latents and a run become a folder with the trained UNet.

In: a Run, the folder of a latents stage, the base it was made with. Out: unet/ (diffusers' layout, safetensors; the
averaged weights where the run asks for an average), run.json, losses.csv, checkpoints/. Every process of a distributed
training calls `train`; the first one alone writes.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from prompts.errors import CanvasError
from prompts.plugins import load_plugin
from training.data import read_empty_text
from training.diffusion import DiffusionTask
from training.engine.fit import EmaSettings, FitReport, FitSettings, fit
from training.engine.ranks import rank, world_size
from training.frozen import find_base
from training.loading import training_loader
from training.parity import keep_answer
from training.run import Run
from training.stage import (
    MANIFEST,
    Made,
    Manifest,
    Stage,
    StageResult,
    code_version,
    input_hash,
    read_manifest,
    require_stage,
    run_stage,
    write_atomically,
)
from training.unets import UNETS
from training.unets.counting import parameters

RUN_FILE = "run.json"
Build = Callable[[], UNet2DConditionModel]


class UnfitError(CanvasError):
    """A run, data, a base or a start that do not go together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun:
    """What run.json holds beside the weights: the run, what it was trained on, and what came of it.

    `data` and `base` are hashes, `size_px` the edge of the images that it draws, `text_tokens` the length of its texts.
    """

    run: Run
    data: str
    base: str
    commit: str
    parameters: int
    size_px: int
    text_tokens: int
    steps: int
    seconds: float
    final_loss: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def read_trained_run(folder: Path) -> TrainedRun:
    """The run.json of a finished run's folder. Raises MissingInputError, and UnfitError where it is damaged."""
    require_stage(folder, "run")
    try:
        values = json.loads((folder / RUN_FILE).read_text("utf-8"))
        run = values.pop("run")
        return TrainedRun(run=Run(**{**run, "betas": tuple(run["betas"])}), **values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UnfitError(f"{folder / RUN_FILE} is damaged ({error}): train again into another folder.") from error


def train(
    run: Run,
    *,
    data: Path,
    base: str,
    out: Path,
    now: datetime,
    revision: str = "",
    start_from: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> StageResult:
    """Train `run` on the latents folder `data` into `out`; interrupted, the same call goes on from the last checkpoint.

    `base` (a folder, or a hub id at `revision`) must be the one that the latents were made with. `start_from` is a
    folder with a unet/ to go on from, as a run that `continues` another one asks. `on_step` hears step and loss.
    Raises UnfitError, the errors of `fit` and those of `run_stage`.
    """
    manifest = require_stage(data, "latents")
    build: Build = load_plugin(UNETS, run.unet, "UNet")
    base_sha256 = find_base(base, revision=revision).sha256
    _require_fitting(run, build, manifest, data=data, base=base, base_sha256=base_sha256, start_from=start_from)
    inputs: dict[str, Path | str] = {"latents": data, "base": base_sha256}
    if start_from is not None:
        inputs["start"] = start_from
    stage = Stage(name="run", out=out, inputs=inputs, settings=asdict(run))

    def work(folder: Path) -> Made:
        return _train_into(folder, run, build, data=data, start_from=start_from, base=base_sha256, on_step=on_step)

    if rank() == 0:
        return run_stage(stage, work, now=now)
    # The first process holds the stage's lock and makes the folder; the others only share in the work.
    already_made = (out / MANIFEST).is_file()
    if not already_made:
        work(stage.partial)
    return StageResult(folder=out, manifest=manifest, already_made=already_made)


def fit_settings(run: Run) -> FitSettings:
    """What the engine needs to know of a run."""
    average = None
    if run.ema_smoothing is not None:
        average = EmaSettings(smoothing=run.ema_smoothing, start=run.ema_start, warm_up=run.ema_warm_up)
    return FitSettings(
        steps=run.steps,
        microbatch=run.microbatch,
        learning_rate=run.learning_rate,
        checkpoint_every=run.checkpoint_every,
        schedule=run.schedule,
        warmup_steps=run.warmup_steps,
        time_limit_s=run.time_limit_s,
        weight_decay=run.weight_decay,
        betas=run.betas,
        eps=run.eps,
        clip_norm=run.clip_norm,
        ema=average,
        precision=run.precision,
        sharding=run.sharding,
        seed=run.seed,
    )


def _train_into(
    folder: Path,
    run: Run,
    build: Build,
    *,
    data: Path,
    start_from: Path | None,
    base: str,
    on_step: Callable[[int, float], None] | None,
) -> Made:
    details = read_manifest(data).details
    text_tokens = details["text_shape"][0]
    task = DiffusionTask(
        _starting_unet(run, build, sample_size=details["latents_shape"][1], start_from=start_from),
        empty_text=read_empty_text(data),
        prediction=run.prediction,
        beta_schedule=run.beta_schedule,
        timestep_draw=run.timestep_draw,
        caption_dropout=run.caption_dropout,
    )
    loader = training_loader(data, batch_size=run.batch_size, seed=run.seed, canonical_nodes=run.canonical_nodes)
    report = fit(task, loader, fit_settings(run), folder, on_step, description=f"Training {run.name}")
    unet = _whole(task.unet, build, run)
    trained = TrainedRun(
        run=run,
        data=input_hash(data),
        base=base,
        commit=code_version(),
        parameters=parameters(unet),
        size_px=details["resolution_px"],
        text_tokens=text_tokens,
        steps=report.steps,
        seconds=report.seconds,
        final_loss=report.final_loss,
    )
    if rank() == 0:
        unet.save_pretrained(folder / "unet", safe_serialization=True)
        keep_answer(unet, folder, text_tokens=text_tokens)
        write_atomically(folder / RUN_FILE, json.dumps(trained.to_dict(), indent=2).encode("utf-8"))
    return _made(report, trained)


def _made(report: FitReport, trained: TrainedRun) -> Made:
    return Made(
        counts={"steps": report.steps, "parameters": trained.parameters},
        details={"seconds": report.seconds, "final_loss": report.final_loss},
    )


def _starting_unet(run: Run, build: Build, *, sample_size: int, start_from: Path | None) -> UNet2DConditionModel:
    """The UNet before its first step: drawn from the run's seed, or another run's."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(run.seed)
        unet = build()
    if start_from is not None:
        unet.load_state_dict(UNet2DConditionModel.from_pretrained(start_from / "unet").state_dict())
    # Pipelines take the size of their images from here.
    unet.register_to_config(sample_size=sample_size)
    return unet


def _whole(unet: UNet2DConditionModel, build: Build, run: Run) -> UNet2DConditionModel:
    """The trained UNet on the CPU in one piece; under sharding only the first process gets the weights."""
    if run.sharding == "none":
        return unet.to("cpu").eval()
    weights = get_model_state_dict(unet, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    whole = build()
    whole.register_to_config(sample_size=unet.config.sample_size)
    if weights:
        whole.load_state_dict(weights)
    return whole.eval()


def _require_fitting(
    run: Run,
    build: Build,
    manifest: Manifest,
    *,
    data: Path,
    base: str,
    base_sha256: str,
    start_from: Path | None,
) -> None:
    """Refuse, before anything is spent, what cannot be trained together."""
    with torch.device("meta"):
        unet = build()
    channels, height, width = manifest.details["latents_shape"]
    _, text_width = manifest.details["text_shape"]
    smallest = 2 ** (len(unet.config.block_out_channels) - 1)
    if channels != unet.config.in_channels:
        raise UnfitError(
            f"The UNet '{run.unet}' takes latents of {unet.config.in_channels} channels, and those in {data} have "
            f"{channels}: name another UNet, or compute latents with another base."
        )
    if height % smallest or width % smallest:
        raise UnfitError(
            f"The UNet '{run.unet}' halves its latents down to 1/{smallest}, and those in {data} are {height} x {width}"
            f": compute latents at a size that {smallest} divides."
        )
    if text_width != unet.config.cross_attention_dim:
        raise UnfitError(
            f"The UNet '{run.unet}' attends to texts of width {unet.config.cross_attention_dim}, and those in {data} "
            f"have {text_width}: name another UNet, or compute latents with another base."
        )
    if manifest.details["base_sha256"] != base_sha256:
        raise UnfitError(
            f"{data} was made with another base ({manifest.details['base']}) than {base}: name that base, or compute "
            "the latents anew."
        )
    if (split := manifest.settings["licence_split"]) != run.licence_split:
        raise UnfitError(
            f"The run '{run.name}' is for {run.licence_split} data, and {data} holds {split} data: "
            "name the latents of that licence split, or another recipe."
        )
    if run.batch_size % world_size():
        raise UnfitError(
            f"A batch of {run.batch_size} does not divide among {world_size()} processes: change one (--set "
            "batch_size=...)."
        )
    _require_start(run, unet, start_from)


def _require_start(run: Run, unet: UNet2DConditionModel, start_from: Path | None) -> None:
    """A run that continues another one must be given that one's folder, with a UNet of the same shape; no other may."""
    if run.continues is None:
        if start_from is not None:
            raise UnfitError(f"The run '{run.name}' starts from noise: leave --start-from out (here {start_from}).")
        return
    if start_from is None:
        raise UnfitError(
            f"The run '{run.name}' goes on from the weights of '{run.continues}': name that run's folder with "
            "--start-from."
        )
    recipe = read_trained_run(start_from).run.recipe
    if recipe != run.continues:
        raise UnfitError(f"{start_from} was trained by '{recipe}', and '{run.name}' goes on from '{run.continues}'.")
    config = UNet2DConditionModel.load_config(start_from / "unet")
    differing = [key for key, value in unet.config.items() if key in config and _plain(config[key]) != _plain(value)]
    if set(differing) - {"sample_size"}:
        raise UnfitError(f"The UNet in {start_from} differs from '{run.unet}' in {', '.join(sorted(differing))}.")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
