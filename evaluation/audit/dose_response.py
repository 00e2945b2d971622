"""The dose-response curve: how often a target comes out as a prompt says more of it, step by step of the ladder.

In: labels. Out: for each model and step the mean detection rate over characters with its interval, and the slope of a
logistic line over the steps. Pure.
Source: He et al. (2024), arXiv:2406.14526, section 4 (keywords k = 3, 5, 10, 20, description, name); the slope's error
is clustered by character (Liang & Zeger (1986), doi:10.1093/biomet/73.1.13).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int
from scipy import special

from evaluation.audit.differences import rate_interval
from evaluation.audit.labels import Labels
from evaluation.audit.rates import mean_and_error, rates_by_character
from prompts.probes import LADDER

_ROUNDS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One model at one step of the ladder."""

    kind: str
    rate: float
    se: float | None
    interval: tuple[float, float] | None
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseResponse:
    """One model's curve; `slope` is the change in log odds per step, None where the rates show none."""

    model: str
    steps: tuple[Step, ...]
    slope: float | None
    slope_se: float | None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "steps": [
                {
                    "kind": step.kind,
                    "rate": step.rate,
                    "interval": None if step.interval is None else list(step.interval),
                    "characters": step.characters,
                }
                for step in self.steps
            ],
            "slope": self.slope,
            "slope_se": self.slope_se,
        }


def dose_response(labels: Labels, ladder: Sequence[str] = LADDER) -> list[DoseResponse]:
    """The curve of each model over the steps that occur; models without two steps are left out."""
    present = [kind for kind in ladder if kind in labels.kinds]
    curves = []
    for number, model in enumerate(labels.models):
        rows = labels.model == number
        steps = []
        for kind in present:
            kept = rows & (labels.kind == labels.kinds.index(kind))
            if kept.any():
                rates = rates_by_character(labels.detected[kept], labels.character[kept])
                many = len(rates) > 1
                steps.append(
                    Step(
                        kind=kind,
                        rate=float(rates.mean()),
                        se=mean_and_error(rates)[1] if many else None,
                        interval=rate_interval(rates) if many else None,
                        characters=len(rates),
                    )
                )
        if len(steps) > 1:
            place = np.array([present.index(kind) if kind in present else -1 for kind in labels.kinds])
            dose = place[labels.kind]
            used = rows & (dose >= 0)
            slope = _logistic_slope(
                dose[used].astype(np.float64),
                labels.detected[used].astype(np.float64),
                labels.character[used],
            )
            curves.append(DoseResponse(model=model, steps=tuple(steps), slope=slope[0], slope_se=slope[1]))
    return curves


def _logistic_slope(
    dose: Float64[np.ndarray, " images"], shown: Float64[np.ndarray, " images"], character: Int[np.ndarray, " images"]
) -> tuple[float | None, float | None]:
    """Slope and its clustered standard error; None where all images say the same, or a step divides them cleanly."""
    clusters = len(np.unique(character))
    if shown.min() == shown.max() or clusters < 2:
        return None, None
    design = np.stack([np.ones_like(dose), dose - dose.mean()], axis=1)
    beta = np.zeros(2)
    information = np.eye(2)
    for _ in range(_ROUNDS):
        chance = special.expit(design @ beta)
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        if np.linalg.cond(information) > 1e12:
            return None, None
        step = np.linalg.solve(information, design.T @ (shown - chance))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    else:
        return None, None
    _, place = np.unique(character, return_inverse=True)
    scores = np.zeros((clusters, 2))
    np.add.at(scores, place, design * (shown - special.expit(design @ beta))[:, None])
    bread = np.linalg.inv(information)
    covariance = clusters / (clusters - 1) * bread @ (scores.T @ scores) @ bread
    return float(beta[1]), float(np.sqrt(covariance[1, 1]))
