"""Do raters who saw the same pair of images choose alike? Krippendorff's alpha and Fleiss' kappa.

In: a `VoteTable`, or how often each unit was put into each category. Out: 1 for agreement throughout, 0 for what chance
would give, less than 0 where raters part more often than chance. Descriptive only: people may differ in taste and both
be right, so a low value says that the images divide people and not that somebody judged badly.

A unit is one prompt with one pair of models. What chance would give is reckoned within each pair of models and then
summed: no rater can choose a model that was not shown, and to count that as agreement would lift both numbers far above
0 for raters who toss a coin. With a single pair of models this is the textbook's number.
Source: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability"; Fleiss (1971), doi:10.1037/h0031619; chance
within strata: Barlow, Lai & Azen (1991), doi:10.1002/sim.4780100913.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int, Int64

from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.votes import Chosen, VoteTable

# Where each choice stands between the two models, for the ordered alpha: model A, model B, tie.
_ORDERED = np.array([0.0, 1.0, 0.5])


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How much raters agree who judged the same unit; where a number is None, `missing` says why.

    `same_choice` is the plain share of pairs of votes on one unit that agree. `alpha` takes the choices as names,
    `alpha_ordered` takes a tie as half-way between the two models and leaves both-bad votes out. `kappa` needs equally
    many votes on every unit: it reads the `kappa_units` units of exactly `kappa_raters` raters. It does not correct for
    few units, as alpha does, and lies too low where each pair of models has only a few.
    """

    units: int
    votes: int
    raters: int
    same_choice: float | None = None
    alpha: float | None = None
    alpha_ordered: float | None = None
    kappa: float | None = None
    kappa_units: int = 0
    kappa_raters: int | None = None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; what is not estimable is null."""
        return {
            "units": self.units,
            "votes": self.votes,
            "raters": self.raters,
            "same_choice": self.same_choice,
            "alpha": self.alpha,
            "alpha_ordered": self.alpha_ordered,
            "kappa": self.kappa,
            "kappa_units": self.kappa_units,
            "kappa_raters": self.kappa_raters,
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def krippendorff_alpha(
    counts: Int[np.ndarray, "units categories"],
    *,
    stratum: Int[np.ndarray, " units"] | None = None,
    values: Float64[np.ndarray, " categories"] | None = None,
) -> float | None:
    """Krippendorff's alpha of raters who put each unit into a category; None where nothing could have disagreed.

    Units may have any number of raters; those with fewer than two are left out. Categories are names, unless `values`
    places them on a scale: then a disagreement weighs as the square of their distance. With `stratum`, a code per unit,
    chance is reckoned within each stratum.

    Two observers of ten units, Krippendorff (2011), section A:

    >>> import numpy as np
    >>> ones = np.array([1, 2, 1, 0, 0, 1, 0, 0, 1, 0])
    >>> round(krippendorff_alpha(np.column_stack([2 - ones, ones])), 3)
    0.095
    """
    size = counts.sum(axis=1)
    pairable = size > 1
    counts, size = counts[pairable].astype(np.float64), size[pairable]
    code = np.zeros(len(size), dtype=np.int64) if stratum is None else stratum[pairable].astype(np.int64)
    observed = float((_disagreements(counts, values) / (size - 1)).sum())
    totals = _summed_by(code, counts)
    n = totals.sum(axis=1)
    held = n > 0
    expected = float((_disagreements(totals[held], values) / (n[held] - 1)).sum())
    return 1 - observed / expected if expected > 0 else None


def fleiss_kappa(
    counts: Int[np.ndarray, "units categories"], *, stratum: Int[np.ndarray, " units"] | None = None
) -> float | None:
    """Fleiss' kappa of units that all have the same number of raters, two at least; None where all choices are alike.

    With `stratum`, a code per unit, chance is reckoned within each stratum.

    >>> import numpy as np
    >>> round(fleiss_kappa(np.array([[7, 1], [3, 5]])), 6)
    0.161905
    """
    if len(counts) == 0:
        return None
    raters = int(counts[0].sum())
    assert raters > 1, "agreement needs two raters"
    assert (counts.sum(axis=1) == raters).all(), "every unit has the same number of raters"
    code = np.zeros(len(counts), dtype=np.int64) if stratum is None else stratum.astype(np.int64)
    share = counts / raters
    alike = (raters * (share * share).sum(axis=1) - 1) / (raters - 1)
    units = np.bincount(code)
    held = units > 0
    shares = _summed_by(code, share)[held] / units[held, None]
    by_chance = (shares * shares).sum(axis=1)
    # Shares that are 0 or 1 up to rounding leave chance nothing to disagree on.
    room = float((units[held] * (1 - by_chance)).sum())
    if room <= 1e-12 * len(counts):
        return None
    return float(alike.sum() - (units[held] * by_chance).sum()) / room


def rater_agreement(table: VoteTable) -> Agreement:
    """Alpha and kappa over the units that at least two raters judged; of a rater's votes on one unit the first counts.

    Neither the sides of the page nor which model is called A matter. Votes of unknown rater or prompt are left out.

    Three raters on two prompts, model a against model b:

    >>> import numpy as np
    >>> from arena.statistics.votes import VoteTable
    >>> codes = lambda *numbers: np.array(numbers, dtype=np.int32)
    >>> table = VoteTable(
    ...     rater=codes(0, 1, 2, 0, 1, 2), prompt=codes(0, 0, 0, 1, 1, 1), category=codes(*[-1] * 6),
    ...     challenge=codes(*[-1] * 6), model_a=codes(*[0] * 6), model_b=codes(*[1] * 6),
    ...     left=codes(*[0] * 6).astype(np.int8), choice=codes(0, 0, 0, 1, 1, 2).astype(np.int8),
    ...     raters=("r", "s", "t"), prompts=("p", "q"), categories=(), challenges=(), models=("a", "b"),
    ... )
    >>> found = rater_agreement(table)
    >>> print(f"alpha {found.alpha:.3f}, the same choice in {found.same_choice:.0%} of the pairs")
    alpha 0.545, the same choice in 67% of the pairs
    """
    known = (table.rater >= 0) & (table.prompt >= 0)
    counts, stratum, raters = _judged_units(table.rows(known))
    if len(counts) == 0:
        gaps = tuple(_no_units(what, table) for what in ("alpha", "kappa"))
        return Agreement(units=0, votes=0, raters=0, missing=gaps)
    size = counts.sum(axis=1)
    pairs = float((size * (size - 1)).sum())
    common = _most_common(size)
    level = size == common
    alpha = krippendorff_alpha(counts, stratum=stratum)
    kappa = fleiss_kappa(counts[level], stratum=stratum[level])
    # Two raters who both call the same pair bad have said nothing about which of the two is better.
    ordered = krippendorff_alpha(counts[:, : Chosen.BOTH_BAD], stratum=stratum, values=_ORDERED)
    missing = [_alike(what) for what, value in (("alpha", alpha), ("kappa", kappa)) if value is None]
    if ordered is None and alpha is not None:
        missing.append(_alike("ordered alpha", votes="votes that two raters gave and that are not both-bad"))
    return Agreement(
        units=len(counts),
        votes=int(size.sum()),
        raters=raters,
        same_choice=float((counts * (counts - 1)).sum()) / pairs,
        alpha=alpha,
        alpha_ordered=ordered,
        kappa=kappa,
        kappa_units=int(np.count_nonzero(level)),
        kappa_raters=common,
        missing=tuple(missing),
    )


def _judged_units(
    table: VoteTable,
) -> tuple[Int64[np.ndarray, "units categories"], Int64[np.ndarray, " units"], int]:
    """Counts of the units with two raters, the pair of models of each, and how many raters judged them."""
    low, high = np.minimum(table.model_a, table.model_b), np.maximum(table.model_a, table.model_b)
    # A unit's categories: the model of lower code, of higher code, tie, both bad.
    swapped = (table.model_a > table.model_b) & (table.choice <= Chosen.B)
    category = np.where(swapped, 1 - table.choice, table.choice)
    _, pair = np.unique(low.astype(np.int64) * len(table.models) + high, return_inverse=True)
    units, unit = np.unique(pair * len(table.prompts) + table.prompt, return_inverse=True)
    _, first = np.unique(unit * len(table.raters) + table.rater, return_index=True)
    size = np.bincount(unit[first], minlength=len(units))
    kept = first[size[unit[first]] > 1]
    counts = np.bincount(unit[kept] * len(Chosen) + category[kept], minlength=len(units) * len(Chosen))
    judged = size > 1
    raters = int(np.count_nonzero(np.bincount(table.rater[kept])))
    return counts.reshape(-1, len(Chosen))[judged], units[judged] // max(1, len(table.prompts)), raters


def _disagreements(
    counts: Float64[np.ndarray, "units categories"], values: Float64[np.ndarray, " categories"] | None
) -> Float64[np.ndarray, " units"]:
    """Ordered pairs of votes within each unit that disagree, each weighed by its squared distance (1 for names)."""
    size = counts.sum(axis=1)
    if values is None:
        named: Float64[np.ndarray, " units"] = size * size - (counts * counts).sum(axis=1)
        return named
    distance = (values[:, None] - values[None, :]) ** 2
    placed: Float64[np.ndarray, " units"] = ((counts @ distance) * counts).sum(axis=1)
    return placed


def _summed_by(
    code: Int64[np.ndarray, " units"], table: Float64[np.ndarray, "units categories"]
) -> Float64[np.ndarray, "strata categories"]:
    strata = int(code.max(initial=-1)) + 1
    place = code[:, None] * table.shape[1] + np.arange(table.shape[1])
    sums = np.bincount(place.ravel(), weights=table.ravel(), minlength=strata * table.shape[1])
    return sums.reshape(strata, table.shape[1]).astype(np.float64, copy=False)


def _most_common(size: Int64[np.ndarray, " units"]) -> int:
    """The number of raters that most units have; of two equally common ones the larger."""
    frequency = np.bincount(size)
    return len(frequency) - 1 - int(np.argmax(frequency[::-1]))


def _no_units(what: str, table: VoteTable) -> NotEstimable:
    if len(table) == 0:
        obstacle, reason = Obstacle.NO_VOTES, "There are no votes yet."
    elif (table.rater < 0).all():
        obstacle, reason = Obstacle.UNKNOWN_RATERS, "The votes do not say who cast them, so nobody can be compared."
    elif (table.prompt < 0).all():
        reason = "The votes do not say on which prompt they were cast, so no two are known to judge the same images."
        obstacle = Obstacle.UNKNOWN_PROMPTS
    else:
        reason = "No two raters judged the same pair of models on the same prompt."
        obstacle = Obstacle.NO_SHARED_UNITS
    return NotEstimable(what=what, obstacle=obstacle, reason=reason)


def _alike(what: str, votes: str = "votes") -> NotEstimable:
    reason = f"On every pair of models all {votes} say the same, so agreement cannot be told from chance."
    return NotEstimable(what=what, obstacle=Obstacle.ALL_VOTES_ALIKE, reason=reason)
