"""`canvas evaluate distance`: one number for two files of features, so that numbers can be checked between tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prompts.console import AsJson, print_json, print_table, progress, say
from prompts.errors import CanvasError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from jaxtyping import Float

_METRICS = ("frechet", "kid", "kid_full", "cmmd", "prdc", "fd_infinity")


class UnknownDistanceError(CanvasError):
    """A distance that there is not."""


def distance(
    x: Annotated[
        Path, typer.Argument(metavar="X.npz", help="Features of the real or reference images, a row per image.")
    ],
    y: Annotated[Path, typer.Argument(metavar="Y.npz", help="Features of the generated images.")],
    *,
    metric: Annotated[str, typer.Option("--metric", metavar="NAME", help=f"{', '.join(_METRICS)}.")],
    exact: Annotated[
        bool, typer.Option("--exact", help="For frechet and fd_infinity: float64 throughout, for float32 features too.")
    ] = False,
    k: Annotated[int, typer.Option("--k", help="For prdc: the neighbour that a ball reaches to.")] = 5,
    subsets: Annotated[int, typer.Option("--subsets", help="For kid: how many subsets.")] = 100,
    size: Annotated[int, typer.Option("--size", help="For kid: images of a subset, or the smaller set's.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="For kid and fd_infinity: which subsets are drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Print a distance between two files of features: the first array of each .npz, or a .npy, used as given."""
    from evaluation.wide_kernels import prefer_wide_kernels

    prefer_wide_kernels()
    ways: dict[str, Callable[[Features, Features], dict[str, Any]]] = {
        "kid": lambda x, y: _kid(x, y, subsets=subsets, size=size, seed=seed),
        "kid_full": _kid_full,
        "cmmd": _cmmd,
        "prdc": lambda x, y: _prdc(x, y, k=k),
        "fd_infinity": lambda x, y: _fd_infinity(x, y, seed=seed, exact=exact),
    }
    if metric not in _METRICS:
        raise UnknownDistanceError(f"There is no distance {quoted(metric)}: choose one of {', '.join(_METRICS)}.")
    found = _frechet(x, y, exact=exact) if metric == "frechet" else ways[metric](*_features(x, y))
    if as_json:
        print_json(found)
        return
    print_table(["", ""], [(name, f"{value:.6g}") for name, value in found.items()])


if TYPE_CHECKING:
    Features = Float[np.ndarray, "rows features"]


def _features(x: Path, y: Path) -> "tuple[Features, Features]":
    from evaluation.feature_files import read_features
    from evaluation.metrics.blocks import check_pair

    reference, generated = read_features(x), read_features(y)
    check_pair(reference, generated, names=(str(x), str(y)))
    return reference, generated


def _frechet(x: Path, y: Path, *, exact: bool) -> dict[str, Any]:
    from evaluation.feature_files import read_set
    from evaluation.metrics.base import MismatchedFeaturesError
    from evaluation.metrics.blocks import check_pair
    from evaluation.metrics.frechet import Gaussian, distance_between, frechet_distance, gaussian

    a, b = read_set(x), read_set(y)
    if not isinstance(a, Gaussian) and not isinstance(b, Gaussian):
        check_pair(a, b, names=(str(x), str(y)))
        return {"frechet": frechet_distance(a, b, exact=exact)}
    widths = [len(one.mean) if isinstance(one, Gaussian) else one.shape[1] for one in (a, b)]
    if widths[0] != widths[1]:
        raise MismatchedFeaturesError(
            f"{x} is about {widths[0]} features and {y} about {widths[1]}: both must come from the same extractor."
        )
    for one, path in ((a, x), (b, y)):
        if not isinstance(one, Gaussian):
            check_pair(one, one, names=(str(path), str(path)))
    known = [one if isinstance(one, Gaussian) else gaussian(one, exact=True) for one in (a, b)]
    return {"frechet": distance_between(known[0], known[1])}


def _kid(x: "Features", y: "Features", *, subsets: int, size: int, seed: int) -> dict[str, Any]:
    from dataclasses import asdict

    from evaluation.metrics.kid import kid

    found = kid(x, y, subsets=subsets, size=size, seed=seed)
    if found.size < size:
        say(f"Subsets are of {found.size:,} images instead of {size:,}, as the smaller set has no more.")
    return asdict(found)


def _kid_full(x: "Features", y: "Features") -> dict[str, Any]:
    from evaluation.metrics.kid import kid_sums
    from evaluation.metrics.pair_sums import pair_tiles

    with progress("KID of all pairs", total=pair_tiles(len(x), len(y))) as tick:
        sums = kid_sums(x, y, on_tile=tick)
    return {"kid_u": sums.unbiased(), "kid_v": sums.biased()}


def _cmmd(x: "Features", y: "Features") -> dict[str, Any]:
    from evaluation.metrics.cmmd import cmmd
    from evaluation.metrics.pair_sums import pair_tiles

    with progress("CMMD", total=pair_tiles(len(x), len(y))) as tick:
        return {"cmmd": cmmd(x, y, on_tile=tick)}


def _prdc(x: "Features", y: "Features", *, k: int) -> dict[str, Any]:
    from dataclasses import asdict

    from evaluation.metrics.prdc import prdc, prdc_tiles

    with progress("Precision, recall, density, coverage", total=prdc_tiles(len(x), len(y))) as tick:
        return asdict(prdc(x, y, k=k, on_tile=tick))


def _fd_infinity(x: "Features", y: "Features", *, seed: int, exact: bool) -> dict[str, Any]:
    from evaluation.metrics.fd_infinity import fd_infinity

    found = fd_infinity(y, x, seed=seed, exact=exact)
    return {"fd_infinity": found.value, "standard_error": found.standard_error, "slope": found.slope, "seed": seed}
