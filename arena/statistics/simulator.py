"""Arenas whose truth is known: votes from raters with tastes, on prompts that suit one model or the other.

In: an `ArenaDesign` and a generator. Out: a `VoteTable`, and the true values that its intervals should cover. Used to
calibrate the intervals and to plan studies. Nobody votes here: these votes never enter a ledger.

Where every pair is an entrant and the reference (`pairs="star"`), the logit of preferring entrant e is
theta_e + rater + rater-by-entrant + prompt, each effect normal. Where every two models meet (`pairs="all"`), each model
has its own effect with every rater and every prompt, and the logit of preferring i to j is the difference of the two;
the effects are as large as gives every pair's logit the spread that it has in a star.

Truth is the population's: over new raters, new prompts and both sides of the page, spammers in their share. It lies
nearer to one half than the preference of one rater on one prompt, because a mean of chances is flatter than each.
theta_e is set so that this truth is the declared rate. A Bradley-Terry model cannot hold such flattened rates exactly;
its true strengths are what it would find in endless votes: White (1982), doi:10.2307/1912526.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from math import isfinite, sqrt
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int32
from scipy import special

from arena.statistics.rates import Ties
from arena.statistics.votes import Chosen, Left, VoteTable
from prompts.errors import CanvasError, quoted

REFERENCE = "reference"

Pairs = Literal["star", "all"]


class DesignError(CanvasError):
    """A design of an arena in which nobody could vote, or whose truth nobody could know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaDesign:
    """Sizes, spreads and truth of a simulated arena.

    `rates`: each entrant's true rate against the reference among the decisive votes of honest raters. `sd_*` and
    `side_bias` are logits, `side_bias` towards the left image. Whatever the images, an honest rater calls both bad with
    chance `both_bad_share` and, of the rest, a tie with chance `tie_share`. `activity` is the log-normal sd of how much
    a rater votes, or every rater's weight. The first `spammers` raters always press left. The prompts are dealt evenly
    to `categories`, which are no sample: an entrant's rates in them are the same in every draw, `sd_category` apart.
    """

    raters: int
    prompts: int
    votes: int
    rates: tuple[float, ...] = (0.5,)
    names: tuple[str, ...] | None = None
    pairs: Pairs = "star"
    sd_rater: float = 0.45
    sd_rater_entrant: float = 0.20
    sd_prompt: float = 0.90
    tie_share: float = 0.0
    both_bad_share: float = 0.0
    side_bias: float = 0.0
    activity: float | tuple[float, ...] = 0.5
    spammers: int = 0
    categories: int = 0
    sd_category: float = 0.0
    entrants: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Name the entrants. Raises DesignError for a design that nobody could vote in."""
        for name, (low, high) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high)
        for rate in self.rates:
            _check_rate(rate)
        if not self.rates:
            raise DesignError("The design has no entrants. Give at least one rate.")
        if self.spammers >= self.raters:
            raise DesignError(
                f"The design has {self.spammers} spammers among {self.raters} raters. Leave somebody who looks."
            )
        _check_activity(self.activity, self.raters, self.spammers)
        object.__setattr__(self, "entrants", _checked_names(self.names, len(self.rates)))

    @property
    def models(self) -> tuple[str, ...]:
        """The entrants and, last, the reference: the models of the vote table."""
        return (*self.entrants, REFERENCE)

    @property
    def spam_share(self) -> float:
        """The share of all votes that spammers cast: in the population that raters are drawn from, or by weight."""
        if isinstance(self.activity, tuple):
            return sum(self.activity[: self.spammers]) / sum(self.activity)
        return self.spammers / self.raters

    def signal(self, ties: Ties) -> float:
        """The share of the counted votes in which an honest rater prefers one image; the others are worth a half."""
        judged = (1 - self.spam_share) * (1 - self.both_bad_share)
        decisive = judged * (1 - self.tie_share)
        return decisive / ((judged if ties == "half" else decisive) + self.spam_share)

    def true_half_tie(self) -> tuple[float, ...]:
        """The half-tie rates of the population, spammers among it: they prefer either model half the time."""
        return tuple(0.5 + self.signal("half") * (rate - 0.5) for rate in self.rates)

    def true_ties_dropped(self) -> tuple[float, ...]:
        """The rates among the decisive votes of the population; spammers never call a tie."""
        return tuple(0.5 + self.signal("drop") * (rate - 0.5) for rate in self.rates)

    def with_truth(self, rate: float, *, ties: Ties) -> "ArenaDesign":
        """The same arena, but with this true rate for every entrant; DesignError where no preference reaches it."""
        among_honest = 0.5 + (rate - 0.5) / self.signal(ties)
        if not 0 < among_honest < 1:
            raise DesignError(
                f"No entrant of this design can have the true rate {rate:g}: ties and spammers leave only "
                f"{self.signal(ties):.0%} of the votes to preferences. Give fewer of them."
            )
        return replace(self, rates=(among_honest,) * len(self.rates))

    def true_category_rates(self, *, ties: Ties) -> Float64[np.ndarray, "entrants categories"]:
        """Each entrant's true rate against the reference on the prompts of each category; no columns without any."""
        spread = _spread(self)
        effects = _category_effects(self)[:-1]
        logits = _thetas(self)[:-1, None] + effects
        rates = [[_mean_rate(float(logit), spread, self.side_bias) for logit in row] for row in logits]
        honest = np.array(rates, dtype=np.float64)[:, : self.categories]
        return 0.5 + self.signal(ties) * (honest - 0.5)

    def true_strengths(self, *, side_term: bool = False) -> Float64[np.ndarray, " models"]:
        """The Bradley-Terry strengths that endless decisive votes would lead to, in logits, the reference's being 0.

        `side_term`: whether the fitted model has one for the left image.
        """
        k = len(self.rates)
        columns, shares = _expected_preferences(self)
        start = np.append(special.logit(self.true_ties_dropped()), 0.0)
        kept = k + side_term
        return np.append(_logistic_fit(columns[:, :kept], shares, start[:kept])[:k], 0.0)


def design_from_json(value: object) -> ArenaDesign:
    """The star design that a JSON object describes; DesignError, in one sentence, for anything that it cannot mean.

    Keys: raters, prompts, votes (needed), entrants (a count or names), rates (one for all or one each), tie_share,
    spammers, sd_rater, sd_rater_entrant, sd_prompt, activity; what is left out is as in `ArenaDesign`.
    """
    if not isinstance(value, dict):
        raise DesignError('A design is one JSON object, such as {"raters": 48, "prompts": 200, "votes": 1500}.')
    known = (*_COUNTS, *_NUMBERS, "entrants", "rates")
    for key in value:
        if key not in known:
            raise DesignError(f"A design has no key {quoted(str(key))}. Its keys are {', '.join(known)}.")
    for key in ("raters", "prompts", "votes"):
        if key not in value:
            raise DesignError(f'The design does not say how many {key} there are. Add "{key}".')
    fields: dict[str, Any] = {key: _number(key, value[key]) for key in _NUMBERS if key in value}
    fields |= {key: _count(key, value[key]) for key in _COUNTS if key in value}
    names, entrants = _entrants(value.get("entrants"))
    return ArenaDesign(names=names, rates=_rates(value.get("rates", 0.5), entrants), **fields)


def simulate_votes(design: ArenaDesign, rng: np.random.Generator) -> VoteTable:
    """`design.votes` votes, each by a rater drawn by activity, on a prompt, a pair and a side drawn evenly."""
    n = design.votes
    rater = _drawn_raters(design, rng)
    prompt = rng.integers(0, design.prompts, n, dtype=np.int32)
    category = prompt % design.categories if design.categories else np.full(n, -1, dtype=np.int32)
    model_a, model_b = _drawn_pairs(design, rng)
    on_left = rng.random(n) < 0.5
    logit = (_star_logits if design.pairs == "star" else _all_pairs_logits)(
        design, rng, rater, prompt, model_a, model_b
    )
    if design.categories and design.sd_category:
        effects = _category_effects(design)
        logit += effects[model_a, category] - effects[model_b, category]
    if design.side_bias:
        logit += np.where(on_left, design.side_bias, -design.side_bias)

    left = np.where(on_left, np.int8(Left.A), np.int8(Left.B))
    choice = np.where(rng.random(n) < special.expit(logit), np.int8(Chosen.A), np.int8(Chosen.B))
    if design.tie_share or design.both_bad_share:
        fate = rng.random(n)
        choice[fate < design.both_bad_share + (1 - design.both_bad_share) * design.tie_share] = Chosen.TIE
        choice[fate < design.both_bad_share] = Chosen.BOTH_BAD
    if design.spammers:
        spam = rater < design.spammers
        choice[spam] = left[spam]
    return VoteTable(
        rater=rater,
        prompt=prompt,
        category=category,
        challenge=np.full(n, -1, dtype=np.int32),
        model_a=model_a,
        model_b=model_b,
        left=left,
        choice=choice,
        raters=_numbered("", design.raters),
        prompts=_numbered("", design.prompts),
        categories=_numbered("category-", design.categories),
        challenges=(),
        models=design.models,
    )


def _drawn_raters(design: ArenaDesign, rng: np.random.Generator) -> Int32[np.ndarray, " votes"]:
    if isinstance(design.activity, tuple):
        weight = np.array(design.activity, dtype=np.float64)
    else:
        weight = np.exp(rng.normal(0, design.activity, design.raters))
    # Counts first, then a shuffle: twice as quick as a search for each vote, and the same in distribution.
    counts = rng.multinomial(design.votes, weight / weight.sum())
    rater: Int32[np.ndarray, " votes"] = np.repeat(np.arange(design.raters, dtype=np.int32), counts)
    rng.shuffle(rater)
    return rater


def _drawn_pairs(
    design: ArenaDesign, rng: np.random.Generator
) -> tuple[Int32[np.ndarray, " votes"], Int32[np.ndarray, " votes"]]:
    pairs = np.array(_pairs(design), dtype=np.int32)
    if len(pairs) == 1:
        return np.full(design.votes, pairs[0, 0]), np.full(design.votes, pairs[0, 1])
    met = rng.integers(0, len(pairs), design.votes)
    return pairs[met, 0], pairs[met, 1]


def _star_logits(
    design: ArenaDesign,
    rng: np.random.Generator,
    rater: Int32[np.ndarray, " votes"],
    prompt: Int32[np.ndarray, " votes"],
    model_a: Int32[np.ndarray, " votes"],
    model_b: Int32[np.ndarray, " votes"],
) -> Float64[np.ndarray, " votes"]:
    taste = rng.normal(0, design.sd_rater, (design.raters, 1))
    taste = taste + rng.normal(0, design.sd_rater_entrant, (design.raters, len(design.rates)))
    suits = rng.normal(0, design.sd_prompt, design.prompts)
    logits: Float64[np.ndarray, " votes"] = (_thetas(design)[:-1] + taste)[rater, model_a] + suits[prompt]
    return logits


def _all_pairs_logits(
    design: ArenaDesign,
    rng: np.random.Generator,
    rater: Int32[np.ndarray, " votes"],
    prompt: Int32[np.ndarray, " votes"],
    model_a: Int32[np.ndarray, " votes"],
    model_b: Int32[np.ndarray, " votes"],
) -> Float64[np.ndarray, " votes"]:
    # A difference of two effects has twice the variance of one.
    models = len(design.models)
    sd_rater = sqrt((design.sd_rater**2 + design.sd_rater_entrant**2) / 2)
    taste = _thetas(design) + rng.normal(0, sd_rater, (design.raters, models))
    suits = rng.normal(0, design.sd_prompt / sqrt(2), (design.prompts, models))
    logits: Float64[np.ndarray, " votes"] = taste[rater, model_a] - taste[rater, model_b]
    logits += suits[prompt, model_a] - suits[prompt, model_b]
    return logits


def _pairs(design: ArenaDesign) -> list[tuple[int, int]]:
    """The pairs that meet; the reference is the last model, and B of every pair that it is in."""
    reference = len(design.rates)
    if design.pairs == "star":
        return [(entrant, reference) for entrant in range(reference)]
    return list(combinations(range(reference + 1), 2))


def _spread(design: ArenaDesign) -> float:
    return sqrt(design.sd_rater**2 + design.sd_rater_entrant**2 + design.sd_prompt**2)


@lru_cache(maxsize=64)
def _thetas(design: ArenaDesign) -> Float64[np.ndarray, " models"]:
    """Each model's theta; the reference's is 0."""
    spread, effects = _spread(design), _category_effects(design)
    shares = _category_shares(design)
    thetas = [
        _intercept(rate, spread, design.side_bias, tuple(row), tuple(shares))
        for rate, row in zip(design.rates, effects[:-1], strict=True)
    ]
    return np.array([*thetas, 0.0], dtype=np.float64)


@lru_cache(maxsize=64)
def _category_effects(design: ArenaDesign) -> Float64[np.ndarray, "models effects"]:
    """Each model's logit in each category (one, where there are none): normal scores of sd `sd_category`, in turn."""
    categories = max(1, design.categories)
    scores = special.ndtri((np.arange(categories) + 0.5) / categories)
    scores *= design.sd_category / (scores.std() or 1.0)
    # Each entrant has the same scores, one category further on, so that no two are strong in the same ones.
    rows = [np.roll(scores, entrant) for entrant in range(len(design.rates))]
    return np.array([*rows, np.zeros(categories)], dtype=np.float64)


def _category_shares(design: ArenaDesign) -> Float64[np.ndarray, " effects"]:
    """The share of the prompts in each category; one holds them all where there are no categories."""
    categories = max(1, design.categories)
    counts = np.bincount(np.arange(design.prompts) % categories, minlength=categories)
    shares: Float64[np.ndarray, " effects"] = counts / design.prompts
    return shares


@lru_cache(maxsize=1024)
def _intercept(
    rate: float, spread: float, side_bias: float, effects: tuple[float, ...], shares: tuple[float, ...]
) -> float:
    """The theta at which expit(theta + effect + N(0, spread) +- side_bias) has the mean `rate`, by bisection."""
    low, high = -200.0, 200.0
    for _ in range(64):
        middle = (low + high) / 2
        means = [_mean_rate(middle + effect, spread, side_bias) for effect in effects]
        if float(np.dot(means, shares)) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _mean_rate(theta: float, spread: float, side_bias: float) -> float:
    left = special.expit(theta + side_bias + spread * _NODES)
    right = special.expit(theta - side_bias + spread * _NODES)
    return float(_WEIGHTS @ (left + right) / 2)


def _expected_preferences(
    design: ArenaDesign,
) -> tuple[Float64[np.ndarray, "rows columns"], Float64[np.ndarray, " rows"]]:
    """For each pair with A on the left, then on the right: its logistic regression's row, and how often A wins there.

    The columns are the entrants' strengths and, last, the side of the page.
    """
    pairs = np.array(_pairs(design) * 2, dtype=np.int32)
    a, b = pairs[:, 0], pairs[:, 1]
    side = np.repeat([1.0, -1.0], len(pairs) // 2)
    thetas, effects, spread = _thetas(design), _category_effects(design), _spread(design)
    honest = np.zeros(len(pairs))
    for share, effect in zip(_category_shares(design), effects.T, strict=True):
        logit = (thetas + effect)[a] - (thetas + effect)[b] + side * design.side_bias
        honest += share * (special.expit(logit[:, None] + spread * _NODES) @ _WEIGHTS)
    signal = design.signal("drop")

    rows = np.arange(len(pairs))
    columns = np.zeros((len(pairs), len(design.models)))
    columns[rows, a] += 1
    columns[rows, b] -= 1
    columns[:, -1] = side  # The reference, whose strength is 0, leaves its column to the side.
    return columns, signal * honest + (1 - signal) * (side > 0)


def _logistic_fit(
    columns: Float64[np.ndarray, "rows columns"],
    shares: Float64[np.ndarray, " rows"],
    start: Float64[np.ndarray, " columns"],
) -> Float64[np.ndarray, " columns"]:
    """The coefficients at which the logistic model's scores vanish, by Newton's steps from nearby."""
    found = start.copy()
    for _ in range(100):
        fitted = special.expit(columns @ found)
        information = (columns.T * (fitted * (1 - fitted))) @ columns
        step = np.linalg.solve(information, columns.T @ (shares - fitted))
        found += step
        if np.abs(step).max() < 1e-12:
            break
    return found


def _normal_rule() -> tuple[Float64[np.ndarray, " nodes"], Float64[np.ndarray, " nodes"]]:
    """Nodes and weights of a mean over the standard normal; even ones stay exact where expit is steep."""
    nodes = np.linspace(-9, 9, 601)
    weights = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()


_NODES, _WEIGHTS = _normal_rule()


@lru_cache(maxsize=64)
def _numbered(prefix: str, count: int) -> tuple[str, ...]:
    """Names that sort as their numbers do where they have a prefix."""
    width = len(str(count - 1)) if prefix else 1
    return tuple(f"{prefix}{number:0{width}}" for number in range(count))


# The least and the largest value of each number; beyond them lies a slip of the pen, or a truth beyond quadrature.
_RANGES = {
    "raters": (1, 1_000_000),
    "prompts": (1, 1_000_000),
    "votes": (0, 10_000_000),
    "spammers": (0, 1_000_000),
    "categories": (0, 1_000_000),
    "tie_share": (0, 0.99),
    "both_bad_share": (0, 0.99),
    "sd_rater": (0, 10),
    "sd_rater_entrant": (0, 10),
    "sd_prompt": (0, 10),
    "sd_category": (0, 10),
    "side_bias": (-10, 10),
}
_MOST_ENTRANTS = 1000
_COUNTS = ("raters", "prompts", "votes", "spammers")
_NUMBERS = ("sd_rater", "sd_rater_entrant", "sd_prompt", "tie_share", "activity")


def _check_range(name: str, value: int | float, low: int | float, high: int | float) -> None:
    if not low <= value <= high:  # NaN fails this, as it should.
        raise DesignError(f"The design's {name} is {value:g}. Give a number from {low:,} to {high:,}.")


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise DesignError(f"The design's rates hold {rate:g}. Give a number between 0 and 1, both left out.")


def _check_activity(activity: float | tuple[float, ...], raters: int, spammers: int) -> None:
    if not isinstance(activity, tuple):
        _check_range("activity", activity, 0, 5)
        return
    if len(activity) != raters:
        raise DesignError(f"The design's activity weighs {len(activity)} raters of {raters}. Give one weight each.")
    if not all(0 <= weight < float("inf") for weight in activity) or not 0 < sum(activity[spammers:]) < float("inf"):
        raise DesignError("The design's activity leaves no honest rater a vote. Give weights of 0 or more.")


def _checked_names(names: tuple[str, ...] | None, entrants: int) -> tuple[str, ...]:
    if entrants > _MOST_ENTRANTS:
        raise DesignError(f"The design has {entrants:,} entrants. Give at most {_MOST_ENTRANTS:,}.")
    if names is None:
        return _numbered("entrant-", entrants)
    if len(names) != entrants:
        raise DesignError(f"The design names {len(names)} entrants and gives {entrants} rates. Give one rate each.")
    if len({*names, REFERENCE}) != entrants + 1 or not all(name.strip() for name in names):
        raise DesignError(f"The design's entrants need names of their own, none of them '{REFERENCE}'.")
    return names


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DesignError(f"The design's {key} is {_shown(value)}. Give a number.")
    if abs(value) > 1e300 or not isfinite(value):
        raise DesignError(f"The design's {key} is not a finite number. Give one that is.")
    return float(value)


def _count(key: str, value: object) -> int:
    number = _number(key, value)
    if number != int(number):
        raise DesignError(f"The design's {key} is {number:g}. Give a whole number.")
    return int(number)


def _entrants(value: object) -> tuple[tuple[str, ...] | None, int | None]:
    """The entrants' names, if they have any, and how many there are, if that is said."""
    if value is None:
        return None, None
    if isinstance(value, list):
        for name in value:
            if not isinstance(name, str):
                raise DesignError(f"The design's entrants hold {_shown(name)}. Give names, or how many there are.")
        return tuple(value), len(value)
    count = _count("entrants", value)
    _check_range("entrants", count, 1, _MOST_ENTRANTS)
    return None, count


def _rates(value: object, entrants: int | None) -> tuple[float, ...]:
    if not isinstance(value, list):
        return (_number("rates", value),) * (1 if entrants is None else entrants)
    rates = tuple(_number("rates", rate) for rate in value)
    if entrants is not None and len(rates) != entrants:
        raise DesignError(f"The design has {entrants} entrants and {len(rates)} rates. Give one rate for all, or each.")
    return rates


def _shown(value: object) -> str:
    return quoted(value if isinstance(value, str) else repr(value), longest=40)
