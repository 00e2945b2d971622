"""How much more often a model shows a character than the reference does: rates, difference, interval, test, verdict.

In: two models' labels of the same prompts and seeds. Out: a `KindResult`. Each character counts once, however many
prompts ask for it: rates are means over characters of their own rates, and the difference is the mean over characters
of d_c, its standard error sd(d_c) / sqrt(C), its interval Student's t with C - 1 degrees of freedom. The test flips
signs character by character. McNemar's test takes every prompt and seed as independent, which images of one character
are not; it is a description. Pure; `rng` comes in.
Sources: notes of the audit in README.md; McNemar (1947), doi:10.1007/BF02295996, in its exact binomial form;
Schuirmann (1987), doi:10.1007/BF01068419, for "no more than the reference, within delta".
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy import special

from arena.statistics.independent import exact_binomial_p
from evaluation.audit.cluster_bootstrap import bootstrap_means
from evaluation.audit.consistency import Consistency, consistency
from evaluation.audit.labels import Labels, LabelsError, Pairs
from evaluation.audit.rates import mean_and_error, rates_by_character
from evaluation.audit.sign_flip import SignFlip, sign_flip_test

ALPHA = 0.05


class TooFewCharactersError(LabelsError):
    """Fewer than two characters: how characters differ cannot be seen."""


class Verdict(StrEnum):
    """What a model is found to do beside the reference."""

    LESS = "less"
    LESS_BUT_INCONSISTENT = "less_but_inconsistent"
    MORE = "more"
    NO_MORE = "no_more"
    NO_MORE_BUT_INCONSISTENT = "no_more_but_inconsistent"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """`delta` is the margin of "no more than the reference"; `consistency_margin` how much less often a model may show
    what a prompt generically asked and still count as drawing it. Both are differences of rates."""

    delta: float = 0.05
    consistency_margin: float = 0.1
    resamples: int = 2000
    draws: int = 100_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse margins that are none."""
        for name, value in (("delta", self.delta), ("consistency margin", self.consistency_margin)):
            if not 0 < value < 1:
                raise LabelsError(f"The {name} is {value}: give a difference of rates between 0 and 1, such as 0.05.")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindResult:
    """One model beside the reference on one kind of prompts, or on all.

    `interval` is by t over characters, `bootstrap` by redrawing characters, prompts and seeds; `rate_interval` and
    `reference_interval` are the rates' own. `p_holm` and `p_no_more_holm` are filled in over a model's kinds.
    """

    rate: float
    rate_interval: tuple[float, float]
    reference_rate: float
    reference_interval: tuple[float, float]
    difference: float
    se: float
    interval: tuple[float, float]
    bootstrap: tuple[float, float]
    test: SignFlip
    p_holm: float
    p_no_more: float
    p_no_more_holm: float
    mcnemar_p: float
    model_only: int
    reference_only: int
    characters: int
    items: int
    consistency: Consistency | None
    delta: float

    @property
    def verdict(self) -> Verdict:
        """At 5 %, corrected over kinds; "less" and "no more" only where the model is shown to draw what was asked."""
        lost = self.consistency is not None and not self.consistency.kept
        if self.p_holm < ALPHA and self.difference < 0:
            return Verdict.LESS_BUT_INCONSISTENT if lost else Verdict.LESS
        if self.p_holm < ALPHA and self.difference > 0:
            return Verdict.MORE
        if self.p_no_more_holm < ALPHA:
            return Verdict.NO_MORE_BUT_INCONSISTENT if lost else Verdict.NO_MORE
        return Verdict.INCONCLUSIVE

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; intervals are [low, high]."""
        return {
            "rate": self.rate,
            "rate_interval": list(self.rate_interval),
            "reference_rate": self.reference_rate,
            "reference_interval": list(self.reference_interval),
            "difference": self.difference,
            "se": self.se,
            "interval": list(self.interval),
            "bootstrap_interval": list(self.bootstrap),
            "p_signflip": self.test.p,
            "exact": self.test.exact,
            "p_holm": self.p_holm,
            "p_no_more": self.p_no_more,
            "p_no_more_holm": self.p_no_more_holm,
            "delta": self.delta,
            "mcnemar_p": self.mcnemar_p,
            "model_only": self.model_only,
            "reference_only": self.reference_only,
            "characters": self.characters,
            "items": self.items,
            "consistency": None if self.consistency is None else self.consistency.to_dict(),
            "verdict": self.verdict.value,
        }


def compare_on(labels: Labels, pairs: Pairs, kept: Bool[np.ndarray, " items"], settings: AuditSettings) -> KindResult:
    """The result on the items that are kept, uncorrected: `p_holm` is the test's own p.

    Raises TooFewCharactersError for fewer than two characters.
    """
    mine, theirs = labels.detected[pairs.model[kept]], labels.detected[pairs.reference[kept]]
    character = pairs.character[kept]
    rates = rates_by_character(mine, character), rates_by_character(theirs, character)
    differences = rates[0] - rates[1]
    if len(differences) < 2:
        names = ", ".join(labels.characters[code] for code in np.unique(character)) or "none"
        raise TooFewCharactersError(
            f"There are too few characters for a test: {len(differences)} ({names}), and two are needed, better twelve "
            "or more. Probe more characters."
        )
    rng = np.random.default_rng(settings.seed)
    difference, se = mean_and_error(differences)
    df = len(differences) - 1
    reach = reach_of(se, len(differences))
    p_no_more = _p_below(difference, se, df, settings.delta)
    test = sign_flip_test(differences, rng=rng, draws=settings.draws)
    drawn = bootstrap_means(
        (mine - theirs).astype(np.float64), character, pairs.prompt[kept], resamples=settings.resamples, rng=rng
    )
    low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
    model_only, reference_only = int(((mine == 1) & (theirs == 0)).sum()), int(((mine == 0) & (theirs == 1)).sum())
    differ = model_only + reference_only
    return KindResult(
        rate=float(rates[0].mean()),
        rate_interval=rate_interval(rates[0]),
        reference_rate=float(rates[1].mean()),
        reference_interval=rate_interval(rates[1]),
        difference=difference,
        se=se,
        interval=(difference - reach, difference + reach),
        bootstrap=(float(low), float(high)),
        test=test,
        p_holm=test.p,
        p_no_more=p_no_more,
        p_no_more_holm=p_no_more,
        mcnemar_p=exact_binomial_p(model_only, differ) if differ else 1.0,
        model_only=model_only,
        reference_only=reference_only,
        characters=len(differences),
        items=int(kept.sum()),
        consistency=consistency(
            labels.consistent[pairs.model[kept]],
            labels.consistent[pairs.reference[kept]],
            character,
            margin=settings.consistency_margin,
        ),
        delta=settings.delta,
    )


def rate_interval(rates: Float64[np.ndarray, " characters"]) -> tuple[float, float]:
    """A mean rate's 95 % interval over characters, by t, within [0, 1]."""
    mean, se = mean_and_error(rates)
    reach = reach_of(se, len(rates))
    return max(0.0, mean - reach), min(1.0, mean + reach)


def reach_of(se: float, characters: int) -> float:
    """Half the interval's width by Student's t.

    Where no character differs from another, their spread cannot be seen: a share of others that do is refuted at 2.5 %
    only once so many characters would have shown it.
    """
    if se == 0:
        return float(1 - (ALPHA / 2) ** (1 / characters))
    return float(special.stdtrit(characters - 1, 1 - ALPHA / 2)) * se


def _p_below(difference: float, se: float, df: int, delta: float) -> float:
    """One-sided p that the difference is `delta` or more; without any spread, that so many characters hid it."""
    if se == 0:
        return float((1 - delta) ** (df + 1)) if difference < delta else 1.0
    return float(special.stdtr(df, (difference - delta) / se))
