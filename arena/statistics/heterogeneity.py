"""Is an entrant liked alike in every category? One rate per label, a test that all are the same, and partial pooling.

In: 1 / .5 / 0 per vote with the label (category, challenge) of its prompt. Out: `Heterogeneity`. Labels are for
exploring: the test says whether they differ at all, the pooled rates say by how much each may, and no label is ever
called won. Labels of fewer than two raters or two prompts, or whose votes are all alike, are named and left out.

The test is a clustered Wald test in Hotelling's form, F = Q (eta - q + 1) / (eta q) on (q, eta - q + 1) degrees of
freedom for q = labels - 1. All raters see all labels, but each label has prompts of its own, and few of them; so eta
joins the effective raters (G* - 1) and each label's effective prompts (G* - 1), matching the variance of the covariance
as Satterthwaite does. Where prompts add nothing, eta is G* - 1 over raters. In simulations of equal labels the test
rejects in 2.5-7 %; with eta = G* - 1 throughout it rejects in up to 19 % where labels have five prompts each.
Source: Pustejovsky & Tipton (2018), doi:10.1080/07350015.2016.1247004 (the form, and eta for one kind of cluster).

Pooling takes the labels' rates as normal around one mean with spread tau, and the whole covariance of their errors.
tau itself is what Paule and Mandel say. The pooled rates are averaged over every tau that the votes leave possible:
intervals at that one tau are too short (they covered 86-95 % in simulations), and most where tau is found to be 0.
Source: Paule & Mandel (1982), doi:10.6028/jres.087.022, with a full covariance as in Jackson, White & Riley (2012),
doi:10.1002/sim.5453; flat in tau: Gelman (2006), doi:10.1214/06-BA117A; the share: Higgins & Thompson (2002),
doi:10.1002/sim.1186.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int32, Int64
from scipy import optimize, special

from arena.statistics.clustered import ROUNDING, cluster_count, effective_clusters, obstacle_to_clustering
from arena.statistics.interval import ALPHA, Interval
from arena.statistics.multiplicity import benjamini_hochberg
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.rates import Ties
from arena.statistics.stacked import stacked_rates
from arena.statistics.votes import Chosen, VoteTable, outcomes_against

By = Literal["category", "challenge"]

# Rates lie in [0, 1], so their standard deviation is at most one half.
_LARGEST_TAU = 0.5
# How small a direction of the covariance may be beside the raters' and prompts' part before it is no longer believed.
_SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRate:
    """One label's rate, for exploring.

    `exploratory_p` is against one half, on Student's t with `df`; `exploratory_p_bh` is adjusted over the labels by
    Benjamini and Hochberg. `pooled` and its interval are drawn towards the other labels.
    """

    label: str
    n: int
    raters: int
    prompts: int
    rate: float
    se: float | None = None
    df: float | None = None
    exploratory_p: float | None = None
    exploratory_p_bh: float | None = None
    pooled: float | None = None
    pooled_interval: Interval | None = None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the interval is [low, high], and what is not estimable is null."""
        interval = self.pooled_interval
        return {
            "label": self.label,
            "n": self.n,
            "raters": self.raters,
            "prompts": self.prompts,
            "rate": self.rate,
            "se": self.se,
            "df": self.df,
            "exploratory_p": self.exploratory_p,
            "exploratory_p_bh": self.exploratory_p_bh,
            "pooled": self.pooled,
            "pooled_interval": None if interval is None else [interval.low, interval.high],
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Homogeneity:
    """The test that all labels have the same rate: `p` of `f` on (`df_labels`, `df_votes`); `q` is the Wald statistic.

    `share` of the spread between the labels' rates is more than chance gives.
    """

    q: float
    share: float
    f: float
    df_labels: int
    df_votes: float
    p: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "q": self.q,
            "share": self.share,
            "f": self.f,
            "df_labels": self.df_labels,
            "df_votes": self.df_votes,
            "p": self.p,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """The labels' common mean, the standard deviation `tau` of their true rates, and each label's pooled rate."""

    mean: float
    tau: float
    tau_interval: Interval
    rates: tuple[float, ...]
    intervals: tuple[Interval, ...]

    def to_dict(self) -> dict[str, Any]:
        """The mean and tau, ready for JSON; the labels' rates are told with the labels."""
        return {
            "mean": self.mean,
            "tau": self.tau,
            "tau_interval": [self.tau_interval.low, self.tau_interval.high],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """Every label that has a vote; test and pooling over those not left out. Where None, `missing` says why."""

    labels: tuple[LabelRate, ...]
    without_label: int
    homogeneity: Homogeneity | None = None
    pooling: Pooling | None = None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; what is not estimable is null."""
        return {
            "labels": [label.to_dict() for label in self.labels],
            "without_label": self.without_label,
            "homogeneity": None if self.homogeneity is None else self.homogeneity.to_dict(),
            "pooling": None if self.pooling is None else self.pooling.to_dict(),
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def categories_of(table: VoteTable, entrant: str, reference: str, *, by: By, ties: Ties) -> Heterogeneity:
    """The entrant's rate against the reference by the prompts' category or challenge; a tie is half a win, or dropped.

    >>> import numpy as np
    >>> from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
    >>> design = ArenaDesign(raters=60, prompts=400, votes=8000, categories=4, sd_category=1.0)
    >>> votes = simulate_votes(design, np.random.default_rng(1))
    >>> found = categories_of(votes, "entrant-0", REFERENCE, by="category", ties="half")
    >>> found.homogeneity.p < 0.001
    True
    >>> all(0 < label.pooled_interval.low < label.pooled_interval.high < 1 for label in found.labels)
    True
    """
    pair = {table.models.index(name) for name in (entrant, reference) if name in table.models}
    met = np.isin(table.model_a, list(pair)) & np.isin(table.model_b, list(pair))
    judged = table.choice != Chosen.BOTH_BAD
    if ties == "drop":
        judged &= table.choice != Chosen.TIE
    kept = table.rows(met & judged)
    outcomes = outcomes_against(kept, entrant, reference)
    label, names = (kept.category, table.categories) if by == "category" else (kept.challenge, table.challenges)
    return rates_by_label(outcomes.value, outcomes.rater, outcomes.prompt, label, names)


def rates_by_label(
    value: Float64[np.ndarray, " votes"],
    rater: Int32[np.ndarray, " votes"],
    prompt: Int32[np.ndarray, " votes"],
    label: Int32[np.ndarray, " votes"],
    names: Sequence[str],
) -> Heterogeneity:
    """One rate per label that has a vote, in the order of `names`; a label of -1 stands for none."""
    held = [code for code in range(len(names)) if (label == code).any()]
    described = [_described(value, rater, prompt, label == code, names[code]) for code in held]
    without_label = int(np.count_nonzero(label < 0))
    counted = [place for place, one in enumerate(described) if not one.missing]
    if not counted:
        return Heterogeneity(labels=tuple(described), without_label=without_label, missing=(_too_few_labels(0),))
    code = np.full(len(names), -1, dtype=np.int32)
    code[[held[place] for place in counted]] = np.arange(len(counted))
    # A code of -1 must not wrap around to the last label.
    group = np.where(label < 0, np.int32(-1), code[label])
    kept = group >= 0
    errors = _errors(value[kept], rater[kept], prompt[kept], group[kept], len(counted))
    pooling = pool(errors.rates, errors.covariance, errors.df) if len(counted) > 1 else None
    homogeneity, gap = _homogeneity(errors)
    for number, place in enumerate(counted):
        described[place] = _with_errors(described[place], errors, number)
        if pooling is not None:
            pooled, interval = pooling.rates[number], pooling.intervals[number]
            described[place] = replace(described[place], pooled=pooled, pooled_interval=interval)
    adjusted = benjamini_hochberg([one.exploratory_p for one in described])
    return Heterogeneity(
        labels=tuple(replace(one, exploratory_p_bh=p) for one, p in zip(described, adjusted, strict=True)),
        without_label=without_label,
        homogeneity=homogeneity,
        pooling=pooling,
        missing=() if gap is None else (gap,),
    )


def paule_mandel(rates: Float64[np.ndarray, " labels"], covariance: Float64[np.ndarray, "labels labels"]) -> float:
    """tau^2, the variance of the true rates: where Q(tau^2) is what chance gives, labels - 1; 0 where Q(0) is less.

    Q(t) is the generalised sum of squares around the weighted mean, with `covariance` + t on the diagonal.

    >>> import numpy as np
    >>> round(paule_mandel(np.array([0.4, 0.5, 0.7]), np.diag([0.002, 0.001, 0.003])), 4)
    0.0208
    """
    axes = _Axes.of(rates, covariance)
    chance = len(rates) - 1

    def excess(tau_squared: float) -> float:
        return float(axes.sum_of_squares(np.array([tau_squared]))[0]) - chance

    if excess(0.0) <= 0:
        return 0.0
    high = float(axes.variances[-1])
    while excess(high) > 0:
        high *= 2
    return float(optimize.brentq(excess, 0.0, high, xtol=1e-16, rtol=1e-14))


def pool(
    rates: Float64[np.ndarray, " labels"],
    covariance: Float64[np.ndarray, "labels labels"],
    df: Float64[np.ndarray, " labels"],
) -> Pooling:
    """Rates drawn towards their mean, averaged over tau; the mean's prior is flat, and tau's on [0, .5].

    Each label's interval is the central 95 % of its mixture over tau, with Student's t on the label's `df` in place of
    the normal.
    """
    # Squares lay the grid densely where tau is small; the step's width makes up for it.
    root = np.linspace(0, 1, 101)
    tau = _LARGEST_TAU * root * root
    axes = _Axes.of(rates, covariance)
    mean, centre, spread, log_density = axes.posterior(tau)
    weight = np.exp(log_density - log_density.max()) * root
    weight /= weight.sum()
    # The grid's first point, tau 0, stands for no width, but it may be the likeliest.
    kept = (weight > 1e-9) | (tau == 0)
    tau, weight, mean, centre, spread = tau[kept], weight[kept], mean[kept], centre[kept], spread[kept]
    low, high = (_quantile(share, weight, centre, spread, df) for share in (ALPHA / 2, 1 - ALPHA / 2))
    return Pooling(
        mean=_within_one(float(weight @ mean)),
        tau=sqrt(paule_mandel(rates, covariance)),
        tau_interval=_densest(tau, weight, log_density[kept]),
        rates=tuple(_within_one(rate) for rate in (weight @ centre).tolist()),
        intervals=tuple(Interval(low=a, high=b) for a, b in zip(low.tolist(), high.tolist(), strict=True)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Errors:
    """The labels' rates and how far they may be off: by raters, by prompts and in all."""

    rates: Float64[np.ndarray, " labels"]
    covariance: Float64[np.ndarray, "labels labels"]
    by_rater: Float64[np.ndarray, "labels labels"]
    by_prompt: Float64[np.ndarray, "labels labels"]
    df: Float64[np.ndarray, " labels"]
    df_raters: float
    df_prompts: Float64[np.ndarray, " labels"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Axes:
    """The rates along the covariance's own axes, where it is diagonal and every tau costs but a division."""

    variances: Float64[np.ndarray, " labels"]
    axes: Float64[np.ndarray, "labels labels"]
    rates: Float64[np.ndarray, " labels"]
    ones: Float64[np.ndarray, " labels"]

    @classmethod
    def of(cls, rates: Float64[np.ndarray, " labels"], covariance: Float64[np.ndarray, "labels labels"]) -> "_Axes":
        variances, axes = np.linalg.eigh(covariance)
        assert variances[0] > 0, "the covariance is positive"
        return cls(variances=variances, axes=axes, rates=axes.T @ rates, ones=axes.sum(axis=0))

    def means(
        self, tau_squared: Float64[np.ndarray, " taus"]
    ) -> tuple[Float64[np.ndarray, "taus labels"], Float64[np.ndarray, " taus"], Float64[np.ndarray, " taus"]]:
        """For each tau^2 the weights along the axes, the weighted mean and its variance."""
        weights = 1 / (self.variances + tau_squared[:, None])
        variance = 1 / (weights @ (self.ones * self.ones))
        return weights, variance * (weights @ (self.ones * self.rates)), variance

    def sum_of_squares(self, tau_squared: Float64[np.ndarray, " taus"]) -> Float64[np.ndarray, " taus"]:
        """Q(tau^2)."""
        weights, mean, _ = self.means(tau_squared)
        residuals = self.rates - mean[:, None] * self.ones
        total: Float64[np.ndarray, " taus"] = (weights * residuals * residuals).sum(axis=1)
        return total

    def posterior(
        self, tau: Float64[np.ndarray, " taus"]
    ) -> tuple[
        Float64[np.ndarray, " taus"],
        Float64[np.ndarray, "taus labels"],
        Float64[np.ndarray, "taus labels"],
        Float64[np.ndarray, " taus"],
    ]:
        """For each tau: the mean, the labels' centres and spreads, and the log density of the votes."""
        squared = (tau * tau)[:, None]
        weights, mean, variance = self.means(squared[:, 0])
        residuals = self.rates - mean[:, None] * self.ones
        centre = mean[:, None] + squared * ((weights * residuals) @ self.axes.T)
        # What a label takes from the mean, and with it from the mean's own uncertainty.
        taken = 1 - squared * ((weights * self.ones) @ self.axes.T)
        own = squared - squared * squared * (weights @ (self.axes * self.axes).T)
        spread = np.sqrt(np.maximum(own, 0.0) + taken * taken * variance[:, None])
        squares = (weights * residuals * residuals).sum(axis=1)
        log_density = 0.5 * (np.log(weights).sum(axis=1) + np.log(variance) - squares)
        return mean, centre, spread, log_density


def _errors(
    value: Float64[np.ndarray, " votes"],
    rater: Int32[np.ndarray, " votes"],
    prompt: Int32[np.ndarray, " votes"],
    group: Int32[np.ndarray, " votes"],
    groups: int,
) -> _Errors:
    stacked = stacked_rates(value, group, rater, prompt, groups)
    rows = [group == number for number in range(groups)]
    # The stack corrects for how few raters and prompts there are in all; a label has fewer.
    by_rater = stacked.spread.by_rater + np.diag(_own_correction(rater, rows) * np.diag(stacked.spread.by_rater))
    by_prompt = stacked.spread.by_prompt + np.diag(_own_correction(prompt, rows) * np.diag(stacked.spread.by_prompt))
    two_way = stacked.spread.two_way + (by_rater - stacked.spread.by_rater) + (by_prompt - stacked.spread.by_prompt)
    votes = _vote_variances(value - stacked.rates[group], group, groups)
    # Where raters and prompts are exactly divided, they seem to have no spread: then that of single votes stands in.
    divided = np.diag(by_rater) + np.diag(by_prompt) <= ROUNDING * votes
    by_rater = by_rater + np.diag(votes * divided)
    covariance = _surely_positive(two_way + np.diag(votes * divided), by_rater + by_prompt, np.diag(votes))
    df_prompts = np.array([effective_clusters(prompt[kept]) for kept in rows]) - 1
    df_raters = np.array([effective_clusters(rater[kept]) for kept in rows]) - 1
    variance = np.diag(covariance)
    df = variance**2 / (np.diag(by_rater) ** 2 / df_raters + np.diag(by_prompt) ** 2 / df_prompts)
    return _Errors(
        rates=stacked.rates,
        covariance=covariance,
        by_rater=by_rater,
        by_prompt=by_prompt,
        df=np.minimum(df, df_raters),
        df_raters=stacked.df,
        df_prompts=df_prompts,
    )


def _surely_positive(
    two_way: Float64[np.ndarray, "labels labels"],
    both: Float64[np.ndarray, "labels labels"],
    votes: Float64[np.ndarray, "labels labels"],
) -> Float64[np.ndarray, "labels labels"]:
    """The two-way covariance, unless some mix of labels seems to have next to no spread; then one that is too wide.

    First what raters and prompts share is not subtracted any more; if that is not enough, single votes are added.
    """
    scale = np.sqrt(np.diag(both))
    for covariance in (two_way, both):
        if np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] >= _SMALLEST_SHARE:
            return covariance
    wide: Float64[np.ndarray, "labels labels"] = both + votes
    return wide


def _vote_variances(
    residuals: Float64[np.ndarray, " votes"], group: Int32[np.ndarray, " votes"], groups: int
) -> Float64[np.ndarray, " labels"]:
    """Each label's variance if votes were independent."""
    n = np.bincount(group, minlength=groups)
    variances: Float64[np.ndarray, " labels"] = np.bincount(group, weights=residuals**2, minlength=groups) / (n - 1) / n
    return variances


def _own_correction(cluster: Int32[np.ndarray, " votes"], rows: list[Any]) -> Float64[np.ndarray, " labels"]:
    """How much larger each label's own G / (G - 1) is than that of all labels together, as a share of the latter."""
    total = cluster_count(cluster)
    own = np.array([cluster_count(cluster[kept]) for kept in rows], dtype=np.float64)
    share: Float64[np.ndarray, " labels"] = own / (own - 1) / (total / (total - 1)) - 1
    return share


def _homogeneity(errors: _Errors) -> tuple[Homogeneity | None, NotEstimable | None]:
    restrictions = len(errors.rates) - 1
    if restrictions < 1:
        return None, _too_few_labels(1)
    inverse = np.linalg.inv(errors.covariance)
    weight = inverse.sum(axis=1)
    # What is left of the inverse when the common mean is taken out: Q is its quadratic form.
    contrast = inverse - np.outer(weight, weight) / weight.sum()
    q = max(0.0, float(errors.rates @ contrast @ errors.rates))
    eta = _degrees_of_freedom(errors, contrast)
    df_votes = eta - restrictions + 1
    if df_votes <= 0:
        reason = (
            f"{restrictions + 1} labels need more raters and prompts: the votes weigh like {max(eta, 0.0):.1f} free "
            f"comparisons, and the test takes more than {restrictions - 1}."
        )
        return None, NotEstimable(what="homogeneity", obstacle=Obstacle.TOO_FEW_CLUSTERS, reason=reason)
    f = q * df_votes / (eta * restrictions)
    found = Homogeneity(
        q=q,
        share=max(0.0, 1 - restrictions / q) if q > 0 else 0.0,
        f=f,
        df_labels=restrictions,
        df_votes=df_votes,
        p=float(special.fdtrc(restrictions, df_votes, f)),
    )
    return found, None


def _degrees_of_freedom(errors: _Errors, contrast: Float64[np.ndarray, "labels labels"]) -> float:
    """eta: of how many free observations a Wishart matrix would be as unsure as the covariance of the contrasts.

    A cluster that adds a share S to the covariance adds tr(S)^2 + tr(S^2) to its variance. Raters are taken to add
    alike to every label, in proportion to their votes; a prompt adds to its own label alone.
    """
    restrictions = len(errors.rates) - 1
    by_rater = contrast @ errors.by_rater
    raters = (np.trace(by_rater) ** 2 + np.trace(by_rater @ by_rater)) / errors.df_raters
    prompts = 2 * (np.diag(contrast) * np.diag(errors.by_prompt)) ** 2 / errors.df_prompts
    return float(restrictions * (restrictions + 1) / (raters + prompts.sum()))


def _described(
    value: Float64[np.ndarray, " votes"],
    rater: Int32[np.ndarray, " votes"],
    prompt: Int32[np.ndarray, " votes"],
    kept: Any,
    label: str,
) -> LabelRate:
    value, rater, prompt = value[kept], rater[kept], prompt[kept]
    gap = _obstacle(value, rater, prompt)
    return LabelRate(
        label=label,
        n=len(value),
        raters=_recorded(rater),
        prompts=_recorded(prompt),
        rate=float(value.sum()) / len(value),
        missing=() if gap is None else (gap,),
    )


def _obstacle(
    value: Float64[np.ndarray, " votes"], rater: Int32[np.ndarray, " votes"], prompt: Int32[np.ndarray, " votes"]
) -> NotEstimable | None:
    what = "standard error"
    gap = obstacle_to_clustering(rater, prompt)
    if gap is not None:
        return replace(gap, what=what)
    if (value == value[0]).all():
        reason = f"All {len(value)} votes with this label say the same, so the spread cannot be seen."
        return NotEstimable(what=what, obstacle=Obstacle.ALL_VOTES_ALIKE, reason=reason)
    return None


def _with_errors(one: LabelRate, errors: _Errors, number: int) -> LabelRate:
    se, df = sqrt(errors.covariance[number, number]), float(errors.df[number])
    p = min(1.0, 2 * float(special.stdtr(df, -abs(one.rate - 0.5) / se)))
    return replace(one, se=se, df=df, exploratory_p=p)


def _too_few_labels(labels: int) -> NotEstimable:
    reason = (
        f"{'Only one label has' if labels else 'No label has'} votes whose spread can be seen; comparing takes two."
    )
    return NotEstimable(what="homogeneity", obstacle=Obstacle.TOO_FEW_LABELS, reason=reason)


def _quantile(
    share: float,
    weight: Float64[np.ndarray, " taus"],
    centre: Float64[np.ndarray, "taus labels"],
    spread: Float64[np.ndarray, "taus labels"],
    df: Float64[np.ndarray, " labels"],
) -> Float64[np.ndarray, " labels"]:
    """Below which rate in [0, 1] this share of each label's mixture lies, by bisection."""
    low, high = np.zeros(len(df)), np.ones(len(df))
    for _ in range(34):
        middle = (low + high) / 2
        below = weight @ special.stdtr(df, (middle - centre) / spread) < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    # A quantile beyond 0 or 1 is cut off exactly there.
    found: Float64[np.ndarray, " labels"] = np.where(low == 0, 0.0, high)
    return found


def _densest(
    tau: Float64[np.ndarray, " taus"], weight: Float64[np.ndarray, " taus"], log_density: Float64[np.ndarray, " taus"]
) -> Interval:
    """The likeliest taus that together weigh 95 %: from 0 where 0 is the likeliest."""
    order = np.argsort(-log_density, kind="stable")
    enough = int(np.searchsorted(np.cumsum(weight[order]), 1 - ALPHA)) + 1
    held = tau[order[:enough]]
    return Interval(low=float(held.min()), high=float(held.max()))


def _within_one(rate: float) -> float:
    return min(1.0, max(0.0, rate))


def _recorded(code: Int32[np.ndarray, " votes"] | Int64[np.ndarray, " votes"]) -> int:
    return cluster_count(code[code >= 0]) if (code >= 0).any() else 0
