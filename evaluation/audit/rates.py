"""Rates in which every character counts once, however many images show it. Pure."""

from math import sqrt

import numpy as np
from jaxtyping import Float64, Int, Int8


def rates_by_character(
    detected: Int8[np.ndarray, " items"], character: Int[np.ndarray, " items"]
) -> Float64[np.ndarray, " characters"]:
    """Each character's share of images in which it was detected, by the characters' codes."""
    _, place, counts = np.unique(character, return_inverse=True, return_counts=True)
    rates: Float64[np.ndarray, " characters"] = np.bincount(place, weights=detected) / counts
    return rates


def mean_and_error(values: Float64[np.ndarray, " characters"]) -> tuple[float, float]:
    """The mean over characters and its standard error, sd / sqrt(C) with C - 1 in the variance."""
    return float(values.mean()), float(values.std(ddof=1)) / sqrt(len(values))
