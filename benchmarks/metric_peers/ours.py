"""Our own side of the metrics benchmark, measured as the peers are.

Usage: python ours.py FOLDER JOB SUBSETS SIZE. Each job is done once on a corner of the data before the watch runs, as
the peers do theirs; but for the stream, whose memory counts.
"""

import resource
import sys
from pathlib import Path
from typing import Any

from stopwatch import Stopwatch, report

watch = Stopwatch()
with watch.stage("import"):
    import numpy as np

    from evaluation.metrics.frechet import FrechetReference, Gaussian, distance_between, gaussian_of
    from evaluation.metrics.kid import kid
    from evaluation.metrics.moments import StreamingMoments

folder, job, subsets, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
npy: Any = np.lib.format
# Read from the file itself: pages of a memory map would count as ours.
_ROWS = 1000
# Rows and columns of the corner.
FEW_ROWS, FEW = 64, 32


def given(name: str) -> Gaussian:
    with np.load(folder / "gaussians.npz") as kept:
        return Gaussian(mean=kept[f"{name}_mean"], covariance=kept[f"{name}_covariance"])


def corner(one: Gaussian) -> Gaussian:
    return Gaussian(mean=one.mean[:FEW], covariance=one.covariance[:FEW, :FEW].copy())


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def of_gaussians(cached: bool) -> None:
    reference, gallery = given("reference"), given("gallery")
    with watch.stage("warm-up"):
        distance_between(corner(reference), corner(gallery))
    if cached:
        factored = FrechetReference(reference)
        with watch.stage("distance"):
            distance = factored.distance(gallery)
    else:
        with watch.stage("distance"):
            distance = distance_between(reference, gallery)
    report(watch, distance=distance)


def of_features(bits: int, exact: bool) -> None:
    reference = FrechetReference(given("reference"), exact=exact)
    with watch.stage("load"):
        features = np.load(folder / f"gallery{bits}.npy")
    with watch.stage("warm-up"):
        FrechetReference(corner(given("reference")), exact=exact).distance(features[:FEW_ROWS, :FEW])
    with watch.stage("features to distance"):
        distance = reference.distance(features)
    report(watch, distance=distance)


def streaming() -> None:
    """Only what comes on top of the libraries counts."""
    before = peak_mb()
    with (folder / "gallery32.npy").open("rb") as file, watch.stage("statistics"):
        npy.read_magic(file)
        shape, _, dtype = npy.read_array_header_1_0(file)
        moments = StreamingMoments(shape[1])
        for start in range(0, shape[0], _ROWS):
            count = min(_ROWS, shape[0] - start)
            moments.add(np.fromfile(file, dtype=dtype, count=count * shape[1]).reshape(count, shape[1]))
        gaussian_of(moments.moments())
    report(watch, added_mb=peak_mb() - before, rows=moments.count)


def kernel() -> None:
    with watch.stage("load"):
        reference, gallery = np.load(folder / "reference32.npy"), np.load(folder / "gallery32.npy")
    with watch.stage("warm-up"):
        kid(reference[:FEW_ROWS, :FEW], gallery[:FEW_ROWS, :FEW], subsets=2, size=FEW)
    with watch.stage("kid"):
        found = kid(reference, gallery, subsets=subsets, size=size)
    report(watch, kid=found.kid, sd=found.sd)


JOBS = {
    "distance": lambda: of_gaussians(False),
    "distance-cached": lambda: of_gaussians(True),
    "float32": lambda: of_features(32, False),
    "float32-exact": lambda: of_features(32, True),
    "float64": lambda: of_features(64, False),
    "streaming": streaming,
    "kid": kernel,
}

if __name__ == "__main__":
    JOBS[job]()
