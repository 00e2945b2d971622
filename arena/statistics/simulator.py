"""Arenas whose truth is known: votes from raters with tastes, on prompts that suit one model or the other.

In: an `ArenaDesign` and a generator. Out: a `VoteTable`, and the true rates that its intervals should cover. Used to
calibrate the intervals and to plan studies. Nobody votes here: these votes never enter a ledger.

The logit of preferring entrant e to the reference is theta_e + rater + rater-by-entrant + prompt, each effect normal;
theta_e is set so that the rate over new raters and new prompts is the wanted one.
"""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from jaxtyping import Float64
from scipy import special

from arena.statistics.votes import Chosen, Left, VoteTable

REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaDesign:
    """Sizes, spreads and truth of a simulated arena.

    `rates`: each entrant's true rate among the decisive votes of honest raters, 0 < rate < 1. `sd_*` and `side_bias`
    are logits, `side_bias` towards the left image. `tie_share` is the chance of a tie, whatever the images.
    `activity` is the log-normal sd of how much a rater votes. The first `spammers` raters always press left.
    """

    raters: int
    prompts: int
    votes: int
    rates: tuple[float, ...] = (0.5,)
    sd_rater: float = 0.45
    sd_rater_entrant: float = 0.20
    sd_prompt: float = 0.90
    tie_share: float = 0.0
    side_bias: float = 0.0
    activity: float = 0.5
    spammers: int = 0
    entrants: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Name the entrants; a design that nobody could vote in is our own mistake."""
        assert 0 <= self.spammers < self.raters, "somebody must look at the images"
        assert 0 <= self.tie_share < 1, "a tie share lies in [0, 1)"
        assert all(0 < rate < 1 for rate in self.rates), "a rate lies between 0 and 1"
        object.__setattr__(self, "entrants", tuple(f"entrant-{number}" for number in range(len(self.rates))))

    def true_half_tie(self) -> tuple[float, ...]:
        """The half-tie rates of the population, spammers among it: they prefer either model half the time."""
        honest = 1 - self.spammers / self.raters
        return tuple(0.5 + honest * (1 - self.tie_share) * (rate - 0.5) for rate in self.rates)

    def true_ties_dropped(self) -> tuple[float, ...]:
        """The rates among the decisive votes of the population; spammers never call a tie."""
        spam = self.spammers / self.raters
        decisive = (1 - spam) * (1 - self.tie_share)
        return tuple(0.5 + decisive / (decisive + spam) * (rate - 0.5) for rate in self.rates)


def simulate_votes(design: ArenaDesign, rng: np.random.Generator) -> VoteTable:
    """`design.votes` votes, each by a rater drawn by activity, on a prompt, an entrant and a side drawn evenly."""
    k = len(design.rates)
    spread = sqrt(design.sd_rater**2 + design.sd_rater_entrant**2 + design.sd_prompt**2)
    theta = np.array([_intercept(rate, spread, design.side_bias) for rate in design.rates])
    taste = rng.normal(0, design.sd_rater, design.raters)
    taste_for = rng.normal(0, design.sd_rater_entrant, (design.raters, k))
    suits = rng.normal(0, design.sd_prompt, design.prompts)
    activity = np.exp(rng.normal(0, design.activity, design.raters))

    rater = rng.choice(design.raters, design.votes, p=activity / activity.sum())
    prompt = rng.integers(0, design.prompts, design.votes)
    entrant = rng.integers(0, k, design.votes)
    on_left = rng.random(design.votes) < 0.5
    logit = theta[entrant] + taste[rater] + taste_for[rater, entrant] + suits[prompt]
    logit += np.where(on_left, design.side_bias, -design.side_bias)
    choice = np.where(rng.random(design.votes) < special.expit(logit), Chosen.A, Chosen.B)
    choice = np.where(rng.random(design.votes) < design.tie_share, Chosen.TIE, choice)
    choice = np.where(rater < design.spammers, np.where(on_left, Chosen.A, Chosen.B), choice)
    return VoteTable(
        rater=rater.astype(np.int32),
        prompt=prompt.astype(np.int32),
        category=np.full(design.votes, -1, dtype=np.int32),
        challenge=np.full(design.votes, -1, dtype=np.int32),
        model_a=entrant.astype(np.int32),
        model_b=np.full(design.votes, k, dtype=np.int32),
        left=np.where(on_left, Left.A, Left.B).astype(np.int8),
        choice=choice.astype(np.int8),
        raters=tuple(str(number) for number in range(design.raters)),
        prompts=tuple(str(number) for number in range(design.prompts)),
        categories=(),
        challenges=(),
        models=(*design.entrants, REFERENCE),
    )


def _intercept(rate: float, spread: float, side_bias: float) -> float:
    """The theta at which expit(theta + N(0, spread) +- side_bias) has the mean `rate`, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        if _mean_rate(middle, spread, side_bias) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _mean_rate(theta: float, spread: float, side_bias: float) -> float:
    left = special.expit(theta + side_bias + spread * _NODES)
    right = special.expit(theta - side_bias + spread * _NODES)
    return float(_WEIGHTS @ (left + right) / 2)


def _normal_quadrature() -> tuple[Float64[np.ndarray, " nodes"], Float64[np.ndarray, " nodes"]]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    return nodes, weights / weights.sum()


_NODES, _WEIGHTS = _normal_quadrature()
