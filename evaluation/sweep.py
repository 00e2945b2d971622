"""A sweep: every entrant painted at every guidance scale, measured, and read as curves, best scales and a frontier.

The real images' features are made once for all scales. Each scale's gallery is an entrant's variant in the arena, so
that a sweep which was interrupted goes on where it stopped, and another scale costs only its own images.
Source: Gokaslan et al. (2023), CommonCanvas, figures 7 and 8.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant, Score
from evaluation.galleries import whole_gallery
from evaluation.generate import generate
from evaluation.guidance import variant
from evaluation.reference import ReferenceImages
from evaluation.score import ScoreSettings, score
from prompts.prompt import PromptSet

_TEXT_METRICS = ("clip_score", "clip_score_hessel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One entrant at one guidance scale, with its score of each metric."""

    entrant: str
    guidance: float
    scores: Mapping[str, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """All points, entrant by entrant and scale by scale; `metrics` in the order asked for."""

    metrics: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def entrants(self) -> tuple[str, ...]:
        """Their names, in the order asked for."""
        return tuple(dict.fromkeys(point.entrant for point in self.points))

    def of(self, entrant: str) -> list[Point]:
        """The entrant's points, by scale."""
        return [point for point in self.points if point.entrant == entrant]

    @property
    def distances(self) -> tuple[str, ...]:
        """The metrics for which lower is better."""
        return tuple(metric for metric in self.metrics if not self._rises(metric))

    @property
    def text_metric(self) -> str | None:
        """The measure of agreement with the prompt that distances are drawn against; None where none was asked for."""
        return next((metric for metric in self.metrics if metric in _TEXT_METRICS), None)

    def best(self, entrant: str, metric: str) -> Point:
        """The entrant's point with the best value of `metric`; of equal ones the lower scale."""
        sign = -1 if self._rises(metric) else 1
        return min(self.of(entrant), key=lambda point: (sign * point.scores[metric].value, point.guidance))

    def frontier(self, distance: str) -> list[Point]:
        """The points that no other one betters in both `distance` and the text metric, by rising text metric.

        Points of all entrants compete. Empty where no text metric was asked for.
        """
        text = self.text_metric
        if text is None:
            return []

        def values(point: Point) -> tuple[float, float]:
            return point.scores[text].value, -point.scores[distance].value

        kept = [
            point for point in self.points if not any(_dominates(values(other), values(point)) for other in self.points)
        ]
        return sorted(kept, key=values)

    def to_dict(self) -> dict[str, Any]:
        """Points, best scales and frontiers, as JSON values."""
        return {
            "metrics": list(self.metrics),
            "points": [
                {
                    "entrant": point.entrant,
                    "guidance": point.guidance,
                    "scores": {metric: asdict(one) for metric, one in point.scores.items()},
                }
                for point in self.points
            ],
            "best": {
                entrant: {
                    metric: {
                        "guidance": self.best(entrant, metric).guidance,
                        "value": self.best(entrant, metric).scores[metric].value,
                    }
                    for metric in self.metrics
                }
                for entrant in self.entrants
            },
            "frontier": {
                distance: [{"entrant": point.entrant, "guidance": point.guidance} for point in self.frontier(distance)]
                for distance in (self.distances if self.text_metric is not None else ())
            },
        }

    def _rises(self, metric: str) -> bool:
        return bool(self.points[0].scores[metric].details["better"] == "higher")


def sweep(
    ledger: Ledger,
    images: ImageStore,
    *,
    entrants: Sequence[Entrant],
    scales: Sequence[float],
    prompts: PromptSet,
    seeds: Sequence[int],
    metrics: Sequence[str],
    reference: ReferenceImages | None,
    training: ReferenceImages | None = None,
    clock: Callable[[], datetime],
    settings: ScoreSettings | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> Sweep:
    """Paint and measure `entrants` at all `scales`; `sampling` are other fields of SamplerSettings.

    Raises GuidanceError before anything is painted, and what `generate` and `score` raise.
    """
    asked = [(entrant.name, scale, variant(entrant, scale)) for entrant in entrants for scale in scales]
    for _, scale, one in asked:
        options = {**(sampling or {}), "guidance": scale}
        generate(ledger, images, entrant=one, prompts=prompts, seeds=seeds, settings=options, clock=clock)
    galleries = [whole_gallery(ledger, one.name, prompts, seeds) for _, _, one in asked]
    scores = score(
        ledger,
        images,
        galleries=galleries,
        prompts=prompts,
        seeds=seeds,
        metrics=metrics,
        reference=reference,
        training=training,
        settings=settings,
    )
    found = {(one.entrant, one.metric): one for one in scores}
    points = [
        Point(entrant=name, guidance=scale, scores={metric: found[one.name, metric] for metric in metrics})
        for name, scale, one in asked
    ]
    return Sweep(metrics=tuple(metrics), points=tuple(points))


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether `one` is at least as good in both and better in one; higher is better in each place."""
    return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))
