"""FID of two sets as users of pytorch-fid and clean-fid expect it: two folders of pictures, with nothing else.

In: two sets, A the real or reference one and B the generated one. Out: their Frechet distance with all that a reader
needs to compare it, and, where asked for, an interval over B's images; A is taken as given.
"""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import stats

from evaluation.image_sets import Extraction, ImageSet, ImageSets, refuse_other_extractor
from evaluation.metrics.base import MismatchedFeaturesError
from evaluation.metrics.bootstrap import interval_over_prompts
from evaluation.metrics.fid import frechet_influences
from evaluation.metrics.frechet import DistanceToReference, FrechetReference
from evaluation.metrics.intervals import ENOUGH_PROMPTS, clustered_standard_error
from prompts.console import progress
from prompts.errors import CanvasError

_LIBRARIES = ("canvas-arena", "numpy", "pillow", "scipy", "torch")


_LEVEL = 0.95
_RESAMPLES = 400


class NoIntervalError(CanvasError):
    """A set of which no interval can be had; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """An interval over B's images, each drawn for itself, by influences ("linear") or by redrawing ("bootstrap")."""

    low: float
    high: float
    method: Literal["linear", "bootstrap"]
    resamples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderDistance:
    """The Frechet distance of A and B, both sets, and notes that a reader must not miss."""

    value: float
    interval: Spread | None
    a: ImageSet
    b: ImageSet
    exact: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The result as one JSON value, the distance in full precision."""
        return {
            "frechet": self.value,
            "interval": None
            if self.interval is None
            else {"level": _LEVEL, "over": "B's images", **asdict(self.interval)},
            "a": _set_dict(self.a),
            "b": _set_dict(self.b),
            "extractor": self.a.extractor or self.b.extractor,
            "exact": self.exact,
            "notes": list(self.notes),
            "versions": {library: version(library) for library in _LIBRARIES},
        }


def fid(
    a: Path, b: Path, extraction: Extraction, *, both_real: bool = False, interval: bool = False, exact: bool = False
) -> FolderDistance:
    """The distance between the sets at `a` and `b`: folders, features or statistics.

    B is held to what generated pictures are like, unless `both_real`; `exact` takes every product in float64.
    Raises what `ImageSets.open` and `frechet_distance` raise, OtherExtractorError and NoIntervalError.
    """
    sets = ImageSets(extraction)
    first = sets.open(a, generated=False)
    second = sets.open(b, generated=not both_real)
    refuse_other_extractor(first, second)
    if first.width != second.width:
        raise MismatchedFeaturesError(
            f"{first.name} has {first.width:,} features per image and {second.name} has {second.width:,}: both must "
            "come from the same extractor."
        )
    reference = FrechetReference(first.subject, exact=exact, what=first.name)
    value = reference.distance(second.subject, what=second.name)
    spread = _spread(value, second, reference) if interval else None
    return FolderDistance(value=value, interval=spread, a=first, b=second, exact=exact, notes=_notes(first, second))


def _spread(value: float, b: ImageSet, reference: FrechetReference) -> Spread:
    """What other draws of B's images would have given. Raises NoIntervalError.

    Linear, from each image's influence; of fewer than ENOUGH_PROMPTS images a bootstrap.
    """
    if b.features is None:
        raise NoIntervalError(f"{b.name} holds statistics only, and an interval needs features: give the pictures.")
    each = np.arange(len(b.features))
    if len(each) >= ENOUGH_PROMPTS:
        influences = frechet_influences(b.features, reference, of_few=True)
        assert influences is not None, "of few images, too"
        reach = float(stats.t.ppf((1 + _LEVEL) / 2, len(each) - 1)) * clustered_standard_error(influences, each)
        return Spread(low=max(0.0, value - reach), high=value + reach, method="linear", resamples=0)
    with progress("Interval", total=_RESAMPLES) as tick:
        found = interval_over_prompts(
            DistanceToReference(b.features, reference),
            each,
            resamples=_RESAMPLES,
            level=_LEVEL,
            rng=np.random.default_rng(0),
            at_least=0.0,
            on_resample=tick,
        )
    return Spread(low=found.low, high=found.high, method="bootstrap", resamples=_RESAMPLES)


def _notes(a: ImageSet, b: ImageSet) -> tuple[str, ...]:
    notes = []
    for one in (a, b):
        if one.extractor is None:
            notes.append(f"{one.name} does not say which extractor and which resizing made it.")
        if one.count is None:
            notes.append(f"{one.name} does not say how many images it was made of.")
    counts = [one.count for one in (a, b) if one.count is not None]
    if counts:
        sizes = " and ".join(f"{count:,}" for count in counts)
        notes.append(f"The distance falls as sets grow: compare it only with others of {sizes} images.")
    return tuple(notes)


def _set_dict(one: ImageSet) -> dict[str, Any]:
    return {"name": one.name, "n": one.count, **one.details}
