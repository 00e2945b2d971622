"""What a judge is: images with their probes and prompts in, one number each out.

A judge gives a score and draws no line. The line comes from a calibration on people's labels, or, until there is one,
from the judge's own default, which is a convention and is written down as such.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from PIL import Image

from evaluation.features import FEATURES
from evaluation.features.base import Extractor, ExtractorSettings
from evaluation.metrics.base import Weights
from evaluation.metrics.published import CLIP_VIT_L_14, DINOV2_VIT_L, SSCD
from prompts.errors import CanvasError
from prompts.plugins import load_plugin
from prompts.probes import Probe

OPEN_CLIP_VIT_H_14 = Weights(
    source="laion/CLIP-ViT-H-14-laion2B-s32B-b79K", revision="1c2b8495b28150b8a4922ee1c8edee224c284c0c"
)
#: What a line of FEATURES means where no weights are named.
PUBLISHED: dict[str, Weights] = {
    "open_clip": OPEN_CLIP_VIT_H_14,
    "clip": CLIP_VIT_L_14,
    "dinov2": DINOV2_VIT_L,
    "sscd": SSCD,
}


class JudgeError(CanvasError):
    """A judge that cannot be used as it was asked for."""


class NoJudgeWeightsError(JudgeError):
    """A judge for which no weights are named, and none are published."""


class MismatchedProbesError(JudgeError):
    """Images, probes and prompts that do not belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings(ExtractorSettings):
    """Where a judge runs and what it is given; each judge reads what it needs.

    `weights` go in place of the published ones. `extractor` is a line of FEATURES. `references` is the user's folder
    with a folder of pictures per probe, named by its key. `address`, `model` and `key` are an endpoint's; `patience_s`
    is how long one request may take and `attempts` how often one is made.
    """

    weights: Weights | None = None
    extractor: str | None = None
    references: Path | None = None
    address: str | None = None
    model: str | None = None
    key: str = field(default="", repr=False)
    patience_s: float = 120.0
    attempts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeScores:
    """A value per image; the key of the probe that each shows, None where the judge cannot tell or sees none; and what
    the judge said of each in its own words, None where it has none."""

    values: Float32[np.ndarray, " images"]
    recognised: tuple[str | None, ...]
    said: tuple[str | None, ...]
    counts: dict[str, int] = field(default_factory=dict)
    """Counts by name, which add up over several calls; empty for most judges."""


@runtime_checkable
class Judge(Protocol):
    """Opened by a line of JUDGES with the set of probes and JudgeSettings."""

    @property
    def details(self) -> dict[str, Any]:
        """What decides the scores, as JSON values, with `judge_hash`, which stands for all of it."""

    @property
    def default_threshold(self) -> float:
        """The score from which on an image counts, where nothing was calibrated: a convention."""

    def judge(
        self,
        images: Sequence[Image.Image],
        probes: Sequence[Probe],
        prompts: Sequence[str],
        on_done: Callable[[int], None] = ...,
    ) -> JudgeScores:
        """How much each image looks like the target of the probe beside it; `on_done` hears how many more are done.

        Raises MismatchedProbesError where there is not one probe and one prompt per image.
        """


def check_asked(images: Sequence[Image.Image], probes: Sequence[Probe], prompts: Sequence[str]) -> None:
    """Raises MismatchedProbesError unless there are as many probes and prompts as images."""
    if not len(images) == len(probes) == len(prompts):
        raise MismatchedProbesError(
            f"There are {len(images)} images, {len(probes)} probes and {len(prompts)} prompts: give each image the "
            "probe and the prompt that it was painted for."
        )


def open_features(judge: str, settings: JudgeSettings, *, line: str) -> Extractor:
    """The extractor that a judge looks through: `settings.extractor`, or else `line`.

    Raises UnknownPluginError, NoJudgeWeightsError, and what the extractor raises.
    """
    chosen = settings.extractor or line
    open_extractor = load_plugin(FEATURES, chosen, "extractor")
    weights = settings.weights or PUBLISHED.get(chosen)
    if weights is None:
        raise NoJudgeWeightsError(
            f"The judge {judge} has no weights for {chosen}: name them with --weights {judge}=WHERE, or choose one of "
            f"{', '.join(PUBLISHED)} with --extractor."
        )
    opened: Extractor = open_extractor(weights.source, weights.revision, settings)
    return opened


def with_judge_hash(details: Mapping[str, Any], *libraries: str) -> dict[str, Any]:
    """`details` with `judge_hash` and the `versions` of `libraries`.

    The hash leaves out where weights came from, wherever that stands (`model` and `revision`: their own hash counts),
    versions, and the default line, which does not change a score.
    """
    plain: dict[str, Any] = json.loads(json.dumps(details, allow_nan=False))
    canonical = json.dumps(_deciding(plain), sort_keys=True).encode()
    versions = {library: version(library) for library in sorted({"numpy", "pillow", *libraries})}
    return {**plain, "judge_hash": hashlib.sha256(canonical).hexdigest(), "versions": versions}


def unit(rows: Float32[np.ndarray, "rows features"]) -> Float32[np.ndarray, "rows features"]:
    """`rows` at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Float32[np.ndarray, "rows features"] = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


_PLACE = {"model", "revision", "versions", "default_threshold", "folder"}


def _deciding(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _deciding(one) for key, one in value.items() if key not in _PLACE}
    return value
