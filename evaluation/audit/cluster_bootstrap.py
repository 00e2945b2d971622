"""The cluster bootstrap: characters are drawn, within each its prompts, within each prompt its seeds.

What comes out is how much the mean difference would move with other characters, other prompts for them and other
seeds. The characters' own means already differ by their prompts' and seeds' chance, so that redrawing these as well
would count it twice: the means are drawn towards their mean first, by as much as the redrawing then adds.
Pure; `rng` comes in.
Source: Davison & Hinkley (1997), "Bootstrap Methods and their Application", section 3.8, with its shrinkage; Field &
Welsh (2007), doi:10.1111/j.1467-9868.2007.00593.x.
"""

import numpy as np
from jaxtyping import Float64, Int


def bootstrap_means(
    differences: Float64[np.ndarray, " items"],
    character: Int[np.ndarray, " items"],
    prompt: Int[np.ndarray, " items"],
    *,
    resamples: int,
    rng: np.random.Generator,
) -> Float64[np.ndarray, " resamples"]:
    """The mean over characters of their mean differences, drawn again `resamples` times.

    Items of one prompt are its seeds; a prompt belongs to one character.
    """
    pools = [
        _redrawn(differences[character == one], prompt[character == one], resamples=resamples, rng=rng)
        for one in np.unique(character)
    ]
    table = np.stack(pools)  # characters x resamples
    own = np.array([differences[character == one].mean() for one in np.unique(character)])
    table += (_towards_the_mean(own, table.var(axis=1).mean()) - own)[:, None]
    drawn = rng.integers(len(pools), size=(resamples, len(pools)))
    # A character that is drawn twice comes with two different redraws of its prompts.
    version = rng.integers(resamples, size=(resamples, len(pools)))
    found: Float64[np.ndarray, " resamples"] = table[drawn, version].mean(axis=1)
    return found


def _towards_the_mean(means: Float64[np.ndarray, " characters"], within: float) -> Float64[np.ndarray, " characters"]:
    """`means` with `within` less variance between them (C - 1 in it), or all at their mean where they have less."""
    if len(means) < 2:
        return means
    between = float(means.var(ddof=1))
    # Drawing from C means gives their variance over C, which is (C - 1) / C of what an interval is about.
    kept = max(0.0, between - within) / between * len(means) / (len(means) - 1) if between > 0 else 0.0
    drawn: Float64[np.ndarray, " characters"] = means.mean() + np.sqrt(kept) * (means - means.mean())
    return drawn


def _redrawn(
    values: Float64[np.ndarray, " items"],
    prompt: Int[np.ndarray, " items"],
    *,
    resamples: int,
    rng: np.random.Generator,
) -> Float64[np.ndarray, " resamples"]:
    """One character's mean with prompts, and seeds within them, drawn again."""
    _, place, seeds = np.unique(prompt, return_inverse=True, return_counts=True)
    prompts = len(seeds)
    padded = np.zeros((prompts, int(seeds.max())))
    order = np.argsort(place, kind="stable")
    column = np.arange(len(values)) - np.repeat(np.cumsum(seeds) - seeds, seeds)
    padded[place[order], column] = values[order]
    chosen = rng.integers(prompts, size=(resamples, prompts))
    counts = seeds[chosen]
    picks = (rng.random((resamples, prompts, padded.shape[1])) * counts[..., None]).astype(np.int64)
    kept = np.arange(padded.shape[1]) < counts[..., None]
    sums = np.where(kept, padded[chosen[..., None], picks], 0.0).sum(axis=(1, 2))
    means: Float64[np.ndarray, " resamples"] = sums / counts.sum(axis=1)
    return means
