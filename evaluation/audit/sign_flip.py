"""The sign-flip test: could the model have been the reference, character by character?

If neither copies more, each character's difference is as likely to be negative as positive; the p-value is the share of
all ways to set the signs in which the mean is as far from 0 as the one that was seen. Prompts and seeds of a character
stay together, so that how alike they are does not matter. Pure; `rng` comes in.
Source: Fisher (1935), "The Design of Experiments", section 21; Phipson & Smyth (2010), doi:10.2202/1544-6115.1585.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

#: All ways of up to this many characters are gone through: 2^20, a million.
EXACT_TO = 20
_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SignFlip:
    """Two-sided p; `exact` where all signs were gone through, else it comes from `draws` random ones."""

    p: float
    exact: bool
    draws: int


def sign_flip_test(
    differences: Float64[np.ndarray, " characters"], *, rng: np.random.Generator, draws: int = 100_000
) -> SignFlip:
    """Test that the differences lie around 0; at least one of them is needed.

    Exact to EXACT_TO characters; beyond, `draws` random signs and the observed ones, so that p is never 0.
    """
    n = len(differences)
    # A last digit's difference in the order of adding must not tell equal sums apart.
    reached = abs(float(differences.sum())) - 1e-12 * float(np.abs(differences).sum())
    if n <= EXACT_TO:
        # Turning all signs around gives the same distance: the first sign may stay.
        sums = np.array([differences[0]])
        for value in differences[1:]:
            sums = np.concatenate([sums + value, sums - value])
        return SignFlip(p=float((np.abs(sums) >= reached).mean()), exact=True, draws=0)
    hits = 1
    for start in range(0, draws, _CHUNK):
        signs = rng.integers(0, 2, size=(min(_CHUNK, draws - start), n), dtype=np.int8) * 2.0 - 1.0
        hits += int((np.abs(signs @ differences) >= reached).sum())
    return SignFlip(p=hits / (draws + 1), exact=False, draws=draws)
