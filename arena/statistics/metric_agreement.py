"""Do automatic metrics see what people see? Each metric against the votes: image by image, and entrant by entrant.

In: a `VoteTable`, and for each metric its values. Out: one `MetricAgreement` per metric and category, with

- `agreement`: among decisive votes, how often people chose the image that the metric holds for the better one (equal
  values count one half), with the two-way clustered interval of a preference rate; one half is blindness;
- `prompt_correlation`: over all candidates and prompts, the rank correlation between how far the metric puts the
  candidate above the reference and how often people preferred it. Candidates on one prompt share the reference's image,
  so its interval counts prompts and not points, which is on the safe side;
- `entrant_correlation`: the same over whole galleries, one point per candidate. This one exists for distances between
  sets too, which have no value per image.

Pure. Sources: Spearman (1904), doi:10.2307/1412159; the interval is Fisher's z with the variance
(1 + r^2 / 2) / (n - 3) of Bonett & Wright (2000), doi:10.1007/BF02294183.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int
from scipy import special, stats

from arena.statistics.interval import ALPHA
from arena.statistics.rates import PreferenceRate, preference_rate
from arena.statistics.votes import Chosen, Outcomes, VoteTable, outcomes_against

# The interval has n - 3 in it.
_FEWEST = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricValues:
    """One metric's values. NaN says that one is not known.

    `of_prompts[m, p]` belongs to model m and prompt p of the vote table (all NaN for a distance between sets), and
    `of_models[m]` to the model's whole gallery.
    """

    metric: str
    better: Literal["higher", "lower"]
    of_prompts: Float64[np.ndarray, "models prompts"]
    of_models: Float64[np.ndarray, " models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A rank correlation with the interval of `n` independent points; `reason` says why one of them is None."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the interval is [low, high] or null."""
        interval = None if self.low is None or self.high is None else [self.low, self.high]
        return {"spearman": self.value, "interval": interval, "n": self.n, "reason": self.reason or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAgreement:
    """One metric against people's votes, in one category of prompts or, where that is None, in all."""

    metric: str
    category: str | None
    agreement: PreferenceRate
    prompt_correlation: Correlation
    entrant_correlation: Correlation

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "metric": self.metric,
            "category": self.category,
            "agreement": self.agreement.to_dict(),
            "prompt_correlation": self.prompt_correlation.to_dict(),
            "entrant_correlation": self.entrant_correlation.to_dict(),
        }


def metric_agreements(table: VoteTable, metrics: Sequence[MetricValues], *, reference: str) -> list[MetricAgreement]:
    """Each metric over all votes, and then in each category; in the order given and the categories' order.

    Only the whole has an entrant correlation: a gallery's score is of all its prompts. Both-bad votes say nothing here.
    """
    found = []
    for values in metrics:
        found.append(_one(table, values, None, reference))
        for code, category in enumerate(table.categories):
            votes = table.rows(table.category == code)
            if len(votes):
                found.append(_one(votes, values, category, reference))
    return found


def _one(table: VoteTable, values: MetricValues, category: str | None, reference: str) -> MetricAgreement:
    entrants = Correlation(value=None, reason="A gallery's score is of all its prompts and not of one category.")
    if category is None:
        entrants = _over_entrants(table, values, reference)
    return MetricAgreement(
        metric=values.metric,
        category=category,
        agreement=preference_rate(agreeing(table, values), ties="half"),
        prompt_correlation=_over_prompts(table, values, reference),
        entrant_correlation=entrants,
    )


def agreeing(table: VoteTable, values: MetricValues) -> Outcomes:
    """Decisive votes as outcomes: 1 where the chosen image has the better value, .5 where the values are equal."""
    lead = _signed(values) * (
        values.of_prompts[table.model_a, table.prompt] - values.of_prompts[table.model_b, table.prompt]
    )
    kept = (table.choice <= Chosen.B) & np.isfinite(lead)
    towards_a = np.sign(lead[kept])
    chose_a = np.where(table.choice[kept] == Chosen.A, 1.0, -1.0)
    return Outcomes(value=(1 + towards_a * chose_a) / 2, rater=table.rater[kept], prompt=table.prompt[kept], both_bad=0)


def _over_prompts(table: VoteTable, values: MetricValues, reference: str) -> Correlation:
    leads, rates, prompts = _points(table, values, reference)
    if not len(leads):
        return Correlation(value=None, reason=f"{values.metric} has no value per image, or nobody voted on one.")
    return _correlation(leads, rates, n=len(np.unique(prompts)), what="prompts")


def _points(
    table: VoteTable, values: MetricValues, reference: str
) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"], Int[np.ndarray, " points"]]:
    """For each candidate and prompt with votes: how far the metric puts it above the reference, its preference rate,
    and the prompt's number."""
    leads, rates, prompts = [], [], []
    if reference in table.models:
        home = table.models.index(reference)
        for model, name in enumerate(table.models):
            if model == home:
                continue
            votes = outcomes_against(table, name, reference)
            counts = np.bincount(votes.prompt, minlength=len(table.prompts))
            sums = np.bincount(votes.prompt, weights=votes.value, minlength=len(table.prompts))
            lead = _signed(values) * (values.of_prompts[model] - values.of_prompts[home])
            kept = np.flatnonzero((counts > 0) & np.isfinite(lead))
            leads.append(lead[kept])
            rates.append(sums[kept] / counts[kept])
            prompts.append(kept)
    if not leads:
        return np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    return np.concatenate(leads), np.concatenate(rates), np.concatenate(prompts)


def _over_entrants(table: VoteTable, values: MetricValues, reference: str) -> Correlation:
    rates, scores = [], []
    for model, name in enumerate(table.models):
        if name == reference or not np.isfinite(values.of_models[model]):
            continue
        rate = preference_rate(outcomes_against(table, name, reference), ties="half").rate
        if rate is not None:
            rates.append(rate)
            scores.append(_signed(values) * values.of_models[model])
    return _correlation(np.array(scores), np.array(rates), n=len(rates), what="candidates with votes and a score")


def _correlation(
    x: Float64[np.ndarray, " points"], y: Float64[np.ndarray, " points"], *, n: int, what: str
) -> Correlation:
    """Their rank correlation, with the interval of `n` independent points."""
    if n < _FEWEST:
        return Correlation(value=None, n=n, reason=f"{n} {what} are too few, {_FEWEST} are wanted.")
    value = _spearman(x, y)
    if value is None:
        return Correlation(value=None, n=n, reason=f"All {what} are alike in one of the two.")
    if abs(value) == 1:
        reason = f"The ranks of {n} {what} agree whole or not at all, so their spread cannot be seen."
        return Correlation(value=value, n=n, reason=reason)
    half = float(special.ndtri(1 - ALPHA / 2)) * np.sqrt((1 + value**2 / 2) / (n - 3))
    z = np.arctanh(value)
    return Correlation(value=value, low=float(np.tanh(z - half)), high=float(np.tanh(z + half)), n=n)


def _signed(values: MetricValues) -> float:
    return 1.0 if values.better == "higher" else -1.0


def _spearman(x: Float64[np.ndarray, " points"], y: Float64[np.ndarray, " points"]) -> float | None:
    """The rank correlation; None where all of `x` or all of `y` are alike."""
    rank_x, rank_y = stats.rankdata(x), stats.rankdata(y)
    rank_x, rank_y = rank_x - rank_x.mean(), rank_y - rank_y.mean()
    spread = float(np.sqrt((rank_x @ rank_x) * (rank_y @ rank_y)))
    # Clipped: rounding may carry equal ranks a hair beyond 1.
    return None if spread == 0 else float(np.clip(rank_x @ rank_y / spread, -1, 1))
