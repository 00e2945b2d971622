"""Where to draw a judge's line: its scores held against what people said of the same images.

In: scores and people's 0/1. Out: the ROC curve, the area under it, an operating point, and all of it as a file that
says which judge it is of. The area is the chance that an image in which people saw the target scores above one in which
they did not. Its variance counts characters, because images of one are alike; with one image each it is DeLong's.
Pure, but for reading and writing the file.
Sources: DeLong et al. (1988), doi:10.2307/2531595; Obuchowski (1997), doi:10.2307/2533958; Youden (1950),
doi:10.1002/1097-0142(1950)3:1<32::aid-cncr2820030106>3.0.co;2-3.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy import special, stats

from evaluation.folder_stage import json_bytes, write_atomically
from prompts.errors import CanvasError, quoted

LEVEL = 0.95


class CalibrationError(CanvasError):
    """Labels from which no line can be drawn, or a file that holds no calibration."""


class OtherJudgeError(CalibrationError):
    """A calibration of another judge, or of the same with other weights."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roc:
    """For each line, from the strictest: the shares of hits and of false alarms where scores of at least it count.

    The first line is infinite, above every score.
    """

    thresholds: Float64[np.ndarray, " lines"]
    hits: Float64[np.ndarray, " lines"]
    false_alarms: Float64[np.ndarray, " lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The area under the ROC curve with its 95 % interval; None where there is no spread to tell one from."""

    value: float
    se: float | None
    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A line with its shares of hits and false alarms on the labels it was drawn from, and the rule that chose it."""

    threshold: float
    hits: float
    false_alarms: float
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A judge's line, with what a reader needs to trust it.

    `held_out` are the shares where each character's line is drawn from the others' labels: nearer to what another
    character will meet. None where it cannot be had. `labelled_at` is ISO 8601 in UTC.
    """

    judge: str
    judge_hash: str
    judge_details: dict[str, Any]
    point: OperatingPoint
    held_out: dict[str, float] | None
    area: Area
    roc: list[list[float]]
    """Rows of threshold, hits and false alarms, from the strictest line; without the infinite one."""
    positives: int
    negatives: int
    characters: int
    probes: str
    kinds: list[str]
    labelled_at: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def roc_curve(scores: Float[np.ndarray, " images"], human: Bool[np.ndarray, " images"]) -> Roc:
    """The curve, a line per distinct score. Raises CalibrationError unless both answers and only numbers are there."""
    positives, negatives = int(human.sum()), int((~human).sum())
    if not positives or not negatives:
        raise CalibrationError(
            f"People saw the target in {positives} of {len(human)} labelled images: a line needs images of both kinds. "
            "Label more."
        )
    broken = int((~np.isfinite(scores)).sum())
    if broken:
        raise CalibrationError(f"{broken} of {len(scores)} scores are no numbers: judge the images again.")
    values, place = np.unique(scores.astype(np.float64), return_inverse=True)
    seen = np.bincount(place, weights=human.astype(np.float64), minlength=len(values))[::-1].cumsum()
    others = np.bincount(place, weights=(~human).astype(np.float64), minlength=len(values))[::-1].cumsum()
    return Roc(
        thresholds=np.concatenate([[np.inf], values[::-1]]),
        hits=np.concatenate([[0.0], seen / positives]),
        false_alarms=np.concatenate([[0.0], others / negatives]),
    )


def area_under(
    scores: Float[np.ndarray, " images"], human: Bool[np.ndarray, " images"], character: Int[np.ndarray, " images"]
) -> Area:
    """The area under the curve; its interval lies on the logit scale, with a t of characters less one.

    Raises CalibrationError unless both answers are there.
    """
    roc_curve(scores, human)
    seen, others = scores[human].astype(np.float64), scores[~human].astype(np.float64)
    # Of each image, the share of the other kind that it stands on the right side of; a tie is half.
    above = _share_below(seen, others)
    below = 1.0 - _share_below(others, seen)
    value = float(above.mean())
    _, cluster = np.unique(character, return_inverse=True)
    clusters = int(cluster.max()) + 1
    if clusters < 2:
        return Area(value=value, se=None, low=None, high=None, reason="Labels of one character tell no spread.")
    se = sqrt(_clustered_variance(above, below, cluster[human], cluster[~human], value))
    if not 0 < value < 1 or se == 0:
        return Area(value=value, se=None, low=None, high=None, reason="No image stands on the wrong side.")
    reach = float(special.stdtrit(clusters - 1, 0.5 + LEVEL / 2)) * se / (value * (1 - value))
    middle = float(special.logit(value))
    return Area(value=value, se=se, low=float(special.expit(middle - reach)), high=float(special.expit(middle + reach)))


def youden(roc: Roc) -> OperatingPoint:
    """The line with the most hits less false alarms; the strictest of equal ones."""
    gain = roc.hits[1:] - roc.false_alarms[1:]
    # A last digit must not decide between equal gains.
    best = 1 + int(np.flatnonzero(gain >= gain.max() - 1e-12)[0])
    return _point(roc, best, "youden")


def at_most_false_alarms(roc: Roc, share: float) -> OperatingPoint:
    """The line with the most hits among those with no larger a share of false alarms; the strictest of equal ones.

    Raises CalibrationError for a share outside [0, 1), and where even the strictest line has more.
    """
    if not 0 <= share < 1:
        raise CalibrationError(f"The share of false alarms is {share:g}: give one from 0 to below 1.")
    allowed = roc.false_alarms <= share + 1e-12
    most = float(roc.hits[allowed].max())
    if not most:
        raise CalibrationError(
            f"The images that score highest already give {roc.false_alarms[1]:.1%} false alarms: this judge cannot "
            f"keep to {share:.1%}. Allow more, or take another judge."
        )
    return _point(roc, int(np.flatnonzero(roc.hits >= most)[0]), f"at most {share:g} false alarms")


def calibrate(
    scores: Float[np.ndarray, " images"],
    human: Bool[np.ndarray, " images"],
    characters: Sequence[str],
    *,
    judge: str,
    details: Mapping[str, Any],
    probes: str,
    kinds: Sequence[str],
    labelled_at: datetime,
    max_false_alarms: float | None = None,
) -> Calibration:
    """Draw the judge's line by Youden's rule, or by the largest share of false alarms that is allowed.

    `details` are the judge's, with its `judge_hash`. Raises CalibrationError.
    """
    _, code = np.unique(np.array(characters), return_inverse=True)
    roc = roc_curve(scores, human)
    area = area_under(scores, human, code)
    if area.value <= 0.5:
        raise CalibrationError(
            f"The judge {judge} ranks images no better than a coin would: of an image that shows its target and one "
            f"that does not, the first scores higher in {area.value:.0%}. Take another judge, or look whether the "
            "answers are those of these images."
        )
    return Calibration(
        judge=judge,
        judge_hash=str(details["judge_hash"]),
        judge_details=dict(details),
        point=_drawn(roc, max_false_alarms),
        held_out=_held_out(scores, human, code, max_false_alarms),
        area=area,
        roc=np.stack([roc.thresholds, roc.hits, roc.false_alarms], axis=1)[1:].tolist(),
        positives=int(human.sum()),
        negatives=int((~human).sum()),
        characters=int(code.max()) + 1,
        probes=probes,
        kinds=sorted(kinds),
        labelled_at=labelled_at.astimezone(UTC).isoformat(timespec="seconds"),
    )


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write `path` as JSON, whole or not at all."""
    write_atomically(path, json_bytes(calibration.to_dict()))


def read_calibration(path: Path, *, judge_hash: str | None = None) -> Calibration:
    """The calibration in `path`. Raises CalibrationError, and OtherJudgeError where it is of another `judge_hash`."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = _calibration(told)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CalibrationError(
            f"{path} cannot be read as a calibration ({error}): name one that `canvas evaluate audit calibrate` wrote."
        ) from error
    if judge_hash is not None and found.judge_hash != judge_hash:
        raise OtherJudgeError(
            f"{path} is the calibration of {quoted(found.judge)} with other weights, settings or references (hash "
            f"{found.judge_hash[:12]} and not {judge_hash[:12]}): calibrate this judge on labels of its own."
        )
    return found


def _calibration(told: dict[str, Any]) -> Calibration:
    unknown = set(told) ^ {field.name for field in fields(Calibration)}
    if unknown:
        raise ValueError(f"its keys differ by {', '.join(sorted(unknown))}")
    point = OperatingPoint(**told["point"])
    if not isfinite(point.threshold):
        raise ValueError("its threshold is no number")
    return Calibration(**{**told, "point": point, "area": Area(**told["area"])})


def _drawn(roc: Roc, max_false_alarms: float | None) -> OperatingPoint:
    return youden(roc) if max_false_alarms is None else at_most_false_alarms(roc, max_false_alarms)


def _point(roc: Roc, place: int, rule: str) -> OperatingPoint:
    return OperatingPoint(
        threshold=float(roc.thresholds[place]),
        hits=float(roc.hits[place]),
        false_alarms=float(roc.false_alarms[place]),
        rule=rule,
    )


def _held_out(
    scores: Float[np.ndarray, " images"],
    human: Bool[np.ndarray, " images"],
    code: Int[np.ndarray, " images"],
    max_false_alarms: float | None,
) -> dict[str, float] | None:
    """Hits and false alarms with each character called by the line of the others; None where some have no line."""
    called = np.zeros(len(scores), dtype=bool)
    for one in np.unique(code):
        mine = code == one
        try:
            point = _drawn(roc_curve(scores[~mine], human[~mine]), max_false_alarms)
        except CalibrationError:
            return None
        called[mine] = scores[mine].astype(np.float64) >= point.threshold
    return {"hits": float(called[human].mean()), "false_alarms": float(called[~human].mean())}


def _share_below(
    values: Float64[np.ndarray, " values"], others: Float64[np.ndarray, " others"]
) -> Float64[np.ndarray, " values"]:
    """For each value, the share of `others` below it, equal ones counting half; by ranks, in n log n."""
    together = stats.rankdata(np.concatenate([values, others]))[: len(values)]
    share: Float64[np.ndarray, " values"] = (together - stats.rankdata(values)) / len(others)
    return share


def _clustered_variance(
    above: Float64[np.ndarray, " seen"],
    below: Float64[np.ndarray, " others"],
    of_seen: Int[np.ndarray, " seen"],
    of_others: Int[np.ndarray, " others"],
    value: float,
) -> float:
    """Obuchowski's variance (1997, equations 4 to 7): the components of each character are summed before they vary."""
    clusters = int(max(of_seen.max(), of_others.max())) + 1
    first = np.bincount(of_seen, weights=above - value, minlength=clusters)
    second = np.bincount(of_others, weights=below - value, minlength=clusters)
    with_first, with_second = len(np.unique(of_seen)), len(np.unique(of_others))
    m, n = len(above), len(below)
    # A kind that only one character has tells no spread of its own: its part is left out.
    s10 = with_first / max(1, with_first - 1) / m * float(first @ first)
    s01 = with_second / max(1, with_second - 1) / n * float(second @ second)
    s11 = clusters / (clusters - 1) * float(first @ second)
    return max(0.0, s10 / m + s01 / n + 2 * s11 / (m * n))
