"""One peer at one job of the metrics benchmark, by its own functions on the same files.

Usage: python peer.py FOLDER PEER-JOB SUBSETS SIZE. pytorch-fid, clean-fid and torch-fidelity take statistics with
np.mean and np.cov inside functions that also want a network: these two calls stand here in their place.
Everybody does its job once on a corner of the data before the watch runs: what is loaded or compiled at the first use
counts for nobody.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from stopwatch import Stopwatch, report

folder, job, subsets, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# Rows and columns of the corner.
FEW_ROWS, FEW = 64, 32
watch = Stopwatch()
with watch.stage("import"):
    import numpy as np
    from scipy import linalg


def modules(*names: str) -> list[Any]:
    with watch.stage("import"):
        return [import_module(name) for name in names]


def given() -> tuple[Any, Any, Any, Any]:
    with np.load(folder / "gaussians.npz") as kept:
        names = ("reference_mean", "reference_covariance", "gallery_mean", "gallery_covariance")
        return tuple(kept[name] for name in names)


def corner(*arrays: Any) -> list[Any]:
    """The first means and their covariances: a Gaussian as well."""
    return [array[(slice(FEW),) * array.ndim] for array in arrays]


def features(name: str, bits: int) -> Any:
    with watch.stage("load"):
        return np.load(folder / f"{name}{bits}.npy")


def textbook(overlap: Callable[[Any], float]) -> None:
    """The definition, with a library's own root of the product."""

    def distance_of(mean_r: Any, cov_r: Any, mean_g: Any, cov_g: Any) -> float:
        shift = mean_r - mean_g
        return float(shift @ shift + np.trace(cov_r) + np.trace(cov_g) - 2 * overlap(cov_r.dot(cov_g)))

    of_gaussians(distance_of)


def of_gaussians(function: Callable[..., Any]) -> None:
    numbers = given()
    with watch.stage("warm-up"):
        function(*corner(*numbers))
    with watch.stage("distance"):
        distance = float(function(*numbers))
    report(watch, distance=distance)


def of_features(function: Callable[..., Any], bits: int) -> None:
    mean_r, cov_r, _, _ = given()
    table = features("gallery", bits)

    def distance_of(table: Any, mean_r: Any, cov_r: Any) -> float:
        mean, covariance = np.mean(table, axis=0), np.cov(table, rowvar=False)
        return float(function(mean_r, cov_r, mean.astype(np.float64), covariance))

    with watch.stage("warm-up"):
        distance_of(table[:FEW_ROWS, :FEW], *corner(mean_r, cov_r))
    with watch.stage("features to distance"):
        distance = distance_of(table, mean_r, cov_r)
    report(watch, distance=distance)


def by_torch_fidelity(mean_r: Any, cov_r: Any, mean_g: Any, cov_g: Any) -> float:
    (module,) = modules("torch_fidelity.metric_fid")
    statistics = [{"mu": mean_r, "sigma": cov_r}, {"mu": mean_g, "sigma": cov_g}]
    found = module.fid_statistics_to_metric(*statistics, verbose=False)
    return float(found["frechet_inception_distance"])


def by_torchmetrics(bits: int) -> None:
    """Its streaming metric, with a network that hands on what it is given; the reference is fed outside the watch."""
    torch, fid = modules("torch", "torchmetrics.image.fid")

    class AsGiven(torch.nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.num_features = width

        def forward(self, table: Any) -> Any:
            return table

    reference, gallery = (torch.from_numpy(features(name, bits)) for name in ("reference", "gallery"))
    metric = fid.FrechetInceptionDistance(feature=AsGiven(reference.shape[1]))
    with watch.stage("warm-up"):
        small = fid.FrechetInceptionDistance(feature=AsGiven(FEW))
        small.update(reference[:FEW_ROWS, :FEW], real=True)
        small.update(gallery[:FEW_ROWS, :FEW], real=False)
        small.compute()
    for block in reference.split(1000):
        metric.update(block, real=True)
    with watch.stage("features to distance"):
        for block in gallery.split(1000):
            metric.update(block, real=False)
        distance = float(metric.compute())
    report(watch, distance=distance)


def kid_by_torch_fidelity() -> None:
    torch, module = modules("torch", "torch_fidelity.metric_kid")
    reference, gallery = (torch.from_numpy(features(name, 32)) for name in ("reference", "gallery"))
    with watch.stage("warm-up"):
        small = (table[:FEW_ROWS, :FEW] for table in (reference, gallery))
        module.kid_features_to_metric(*small, kid_subsets=2, kid_subset_size=FEW, verbose=False, rng_seed=2020)
    with watch.stage("kid"):
        found = module.kid_features_to_metric(
            reference, gallery, kid_subsets=subsets, kid_subset_size=size, verbose=False, rng_seed=2020
        )
    report(watch, kid=found["kernel_inception_distance_mean"], sd=found["kernel_inception_distance_std"])


def kid_by_clean_fid() -> None:
    (module,) = modules("cleanfid.fid")
    reference, gallery = (features(name, 32) for name in ("reference", "gallery"))
    with watch.stage("warm-up"):
        small = (table[:FEW_ROWS, :FEW] for table in (reference, gallery))
        module.kernel_distance(*small, num_subsets=2, max_subset_size=FEW)
    np.random.seed(0)  # it draws from numpy's global state
    with watch.stage("kid"):
        found = module.kernel_distance(reference, gallery, num_subsets=subsets, max_subset_size=size)
    report(watch, kid=found)


def pytorch_fid() -> Callable[..., Any]:
    return modules("pytorch_fid.fid_score")[0].calculate_frechet_distance  # type: ignore[no-any-return]


JOBS: dict[str, Callable[[], None]] = {
    "sqrtm": lambda: textbook(lambda product: np.trace(linalg.sqrtm(product)).real),
    "eigvals": lambda: textbook(lambda product: np.sqrt(np.linalg.eigvals(product).astype(np.complex128)).real.sum()),
    "clean-fid": lambda: of_gaussians(modules("cleanfid.fid")[0].frechet_distance),
    "torch-fidelity": lambda: of_gaussians(by_torch_fidelity),
    "pytorch-fid-32": lambda: of_features(pytorch_fid(), 32),
    "pytorch-fid-64": lambda: of_features(pytorch_fid(), 64),
    "torch-fidelity-32": lambda: of_features(by_torch_fidelity, 32),
    "torchmetrics-32": lambda: by_torchmetrics(32),
    "kid-torch-fidelity": kid_by_torch_fidelity,
    "kid-clean-fid": kid_by_clean_fid,
}

if __name__ == "__main__":
    JOBS[job]()
