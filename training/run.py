"""A Run: everything that decides how a UNet is trained, as one frozen value.

Recipes are functions that return one; `--set field=value` makes another through `apply_overrides`; the Run is saved
beside the weights. Pure: no torch, no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from prompts.errors import CanvasError

Prediction = Literal["epsilon", "v_prediction"]
BetaSchedule = Literal["scaled_linear", "squaredcos_cap_v2"]
TimestepDraw = Literal["uniform", "logit_normal"]
ScheduleShape = Literal["constant", "cosine", "trapezoid"]
Precision = Literal["fp32", "bf16", "fp16"]
Sharding = Literal["none", "shard_grad_op"]
LicenceSplit = Literal["commercial", "non-commercial"]


class BadRunError(CanvasError):
    """A field of a Run that does not exist, or a value it cannot have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one UNet is trained, on what, and how it is meant to be sampled.

    `batch_size` counts images over all devices, `microbatch` those that one device holds at a time. `ema_smoothing` is
    the share of the average that stays at each step (None: no average), `ema_start` the fraction of the run after which
    averaging begins, and `ema_warm_up` lets a young average forget faster. `time_limit_s` ends the run, annealed, when
    it is used up before `steps`. `canonical_nodes` shapes the shuffled order: it is the same on every number of
    machines that divides it. `continues` names the recipe whose weights this run starts from (None: from noise).
    Raises BadRunError, naming the field.
    """

    name: str
    recipe: str
    unet: str
    licence_split: LicenceSplit
    weights_licence: str
    continues: str | None = None
    # objective
    prediction: Prediction
    beta_schedule: BetaSchedule
    timestep_draw: TimestepDraw
    caption_dropout: float
    # optimiser
    batch_size: int
    microbatch: int
    steps: int
    time_limit_s: float | None = None
    learning_rate: float
    schedule: ScheduleShape
    warmup_steps: int
    weight_decay: float
    betas: tuple[float, float]
    eps: float
    clip_norm: float | None
    # average of the weights
    ema_smoothing: float | None
    ema_start: float = 0.0
    ema_warm_up: bool = False
    # machine
    precision: Precision
    sharding: Sharding
    seed: int = 0
    canonical_nodes: int = 1
    checkpoint_every: int
    # how the result is meant to be sampled
    sample_steps: int
    guidance: float

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            _check_choice(field.name, getattr(self, field.name), hints[field.name])
        positive = ("batch_size", "microbatch", "steps", "learning_rate", "eps", "canonical_nodes", "checkpoint_every")
        for name in (*positive, "sample_steps"):
            _require(name, getattr(self, name), "greater than 0", getattr(self, name) > 0)
        for name in ("warmup_steps", "weight_decay", "seed", "guidance"):
            _require(name, getattr(self, name), "0 or greater", getattr(self, name) >= 0)
        for name in ("clip_norm", "time_limit_s"):
            value = getattr(self, name)
            _require(name, value, "greater than 0, or none", value is None or value > 0)
        _require("caption_dropout", self.caption_dropout, "in [0, 1]", 0 <= self.caption_dropout <= 1)
        _require("ema_start", self.ema_start, "in [0, 1)", 0 <= self.ema_start < 1)
        smoothing = self.ema_smoothing
        _require("ema_smoothing", smoothing, "in (0, 1), or none", smoothing is None or 0 < smoothing < 1)
        _require("betas", self.betas, "two numbers in [0, 1)", all(0 <= beta < 1 for beta in self.betas))
        for name in ("name", "recipe", "unet", "weights_licence"):
            _require(name, getattr(self, name), "some text", bool(getattr(self, name).strip()))


def apply_overrides(run: Run, assignments: Sequence[str]) -> Run:
    """`run` with each "field=value" of `assignments` applied, read as the field's own type ("none" for None).

    Raises BadRunError for an unknown field (it lists the fields), text that is no assignment, or a bad value.
    """
    hints = get_type_hints(Run)
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip()
        if not equals:
            raise BadRunError(f"'{assignment}' changes nothing: write field=value, as in --set steps=200.")
        if name not in hints:
            raise BadRunError(f"A run has no field '{name}'. Its fields: {', '.join(hints)}.")
        changes[name] = _read(name, text.strip(), hints[name])
    return replace(run, **changes)


def _read(name: str, text: str, kind: Any) -> Any:
    """`text` as a value of the type `kind`."""
    options = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    if NoneType in options and text.lower() == "none":
        return None
    wanted = next(option for option in options if option is not NoneType)
    if get_origin(wanted) is Literal:
        return text  # Run checks the choice.
    try:
        if wanted is bool:
            return {"true": True, "false": False}[text.lower()]
        if get_origin(wanted) is tuple:
            members = get_args(wanted)
            parts = text.strip("()").split(",")
            return tuple(member(part) for member, part in zip(members, parts, strict=True))
        return wanted(text)
    except (ValueError, KeyError) as error:
        raise BadRunError(f"The run's field '{name}' is {_wording(kind)}, and '{text}' is none.") from error


def _wording(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is UnionType:
        return " or ".join("none" if option is NoneType else _wording(option) for option in get_args(kind))
    if get_origin(kind) is tuple:
        return "two numbers parted by a comma"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]


def _check_choice(name: str, value: Any, kind: Any) -> None:
    if get_origin(kind) is Literal and value not in get_args(kind):
        choices = ", ".join(get_args(kind))
        raise BadRunError(f"The run's field '{name}' is one of {choices}, and '{value}' is none of them.")


def _require(name: str, value: object, rule: str, holds: bool) -> None:
    if not holds:
        raise BadRunError(f"The run's field '{name}' must be {rule}, and is {value!r}.")
