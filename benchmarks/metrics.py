"""The metrics, measured beside their peers on the same files: seconds, memory, and whether the numbers agree.

Usage: python benchmarks/metrics.py [--rows 50000] [--width 2048] [--repeats 3] [--threads 1 default] [--no-peers]
[--quick] [--json]. Features like an Inception network's are written to a temporary folder, in float32 and float64
(benchmarks/metric_peers/write_features.py: 2.4 GB at the full size); every contender reads them in a process of its
own, `--repeats` times, in turns, once with one BLAS thread and once with as many as the machine gives. The peers are
installed once, from `benchmarks/metric_peers/peers.txt`, into an environment of their own. Reading a file, importing a
library and its first use, on a corner of the data, are apart. What cannot be measured is left out, and a line says why.
--quick is a smoke run: it shows that everybody runs and agrees, and its times and ratios mean nothing.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
SCRIPTS = FOLDER / "metric_peers"
PINS = SCRIPTS / "peers.txt"
LIMIT_S = 1800
TARGET_SIZE = (50_000, 2_048)
SMOKE = "This is a smoke run: that everybody runs and agrees is what it shows; its times and ratios mean nothing."
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One job of one script; `against` is the job of ours that does the same."""

    name: str
    job: str
    stage: str
    against: str | None = None

    @property
    def script(self) -> str:
        return "ours.py" if self.against is None else "peer.py"


GIVEN, WHOLE = "distance", "features to distance"
CONTENDERS = (
    Contender(name="ours, two Gaussians", job="distance", stage=GIVEN),
    Contender(name="ours, reference factored", job="distance-cached", stage=GIVEN),
    Contender(name="SciPy sqrtm", job="sqrtm", stage=GIVEN, against="distance"),
    Contender(name="NumPy eigvals", job="eigvals", stage=GIVEN, against="distance"),
    Contender(name="clean-fid", job="clean-fid", stage=GIVEN, against="distance"),
    Contender(name="torch-fidelity", job="torch-fidelity", stage=GIVEN, against="distance"),
    Contender(name="ours, float32", job="float32", stage=WHOLE),
    Contender(name="ours, float32, exact", job="float32-exact", stage=WHOLE),
    Contender(name="ours, float64", job="float64", stage=WHOLE),
    Contender(name="pytorch-fid, float32", job="pytorch-fid-32", stage=WHOLE, against="float32"),
    Contender(name="pytorch-fid, float64", job="pytorch-fid-64", stage=WHOLE, against="float64"),
    Contender(name="torch-fidelity, float32", job="torch-fidelity-32", stage=WHOLE, against="float32"),
    Contender(name="torchmetrics, float32", job="torchmetrics-32", stage=WHOLE, against="float32"),
    Contender(name="ours, streaming from a file", job="streaming", stage="statistics"),
    Contender(name="ours, KID", job="kid", stage="kid"),
    Contender(name="torch-fidelity, KID", job="kid-torch-fidelity", stage="kid", against="kid"),
    Contender(name="clean-fid, KID", job="kid-clean-fid", stage="kid", against="kid"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The median of the seconds, the highest peak memory, and what the last run found."""

    name: str
    job: str
    threads: str
    seconds: float
    peak_mb: float
    found: dict[str, float]
    over_ours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was aimed at, at `TARGET_SIZE`."""

    what: str
    threads: str
    measured: float | None
    target: float
    unit: str
    at_least: bool = True

    @property
    def reached(self) -> bool | None:
        """None where nothing was measured."""
        if self.measured is None:
            return None
        return self.measured >= self.target if self.at_least else self.measured <= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far a peer's number lies from ours, and how far it may."""

    what: str
    difference: float
    tolerance: float
    why: str

    @property
    def agrees(self) -> bool:
        """Whether the numbers are the same, but for what `why` names."""
        return self.difference <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A contender that was not measured, and why."""

    name: str
    why: str


class FailedError(Exception):
    """A measurement or an installation that ended without a result."""


def measure(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the features, run everybody in turns, and compare."""
    running, left_out, about = list(CONTENDERS), list[LeftOut](), machine()
    peers_python = Path(sys.executable)
    try:
        if not options.peers:
            raise FailedError("not asked for")
        peers_python = install_peers(options.peer_venv or default_peer_venv(), say)
    except FailedError as error:
        if options.peers:
            left_out += [LeftOut(name=one.name, why=str(error)) for one in running if one.against]
        # SciPy and NumPy are ours, too.
        running = [one for one in running if not one.against or one.job in ("sqrtm", "eigvals")]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="canvas-metrics-", dir=options.folder) as folder:
        say("writing the features")
        child(Path(sys.executable), "write_features.py", "default", folder, options.rows, options.width, options.seed)
        for turn in range(options.repeats):
            for threads in options.threads:
                for one in list(running):
                    say(f"turn {turn + 1} of {options.repeats}, threads {threads}: {one.name}")
                    python = peers_python if one.against else Path(sys.executable)
                    try:
                        said = child(python, one.script, threads, folder, one.job, options.subsets, options.size)
                    except FailedError as error:
                        if one.against is None:
                            raise
                        left_out.append(LeftOut(name=one.name, why=str(error)))
                        running.remove(one)
                        continue
                    runs.setdefault((one.job, threads), []).append(json.loads(said))
    measured = summaries(runs)
    at_size = (options.rows, options.width) == TARGET_SIZE
    return {
        "smoke_run": options.quick,
        "machine": about | {"load_after": round(os.getloadavg()[0], 2)},
        "size": {name: getattr(options, name) for name in ("rows", "width", "subsets", "size", "seed", "repeats")},
        "measured": [asdict(one) for one in measured],
        "targets": [asdict(one) | {"reached": one.reached} for one in targets(measured, options)] if at_size else [],
        "agreement": [asdict(one) | {"agrees": one.agrees} for one in agreements(measured, options)],
        "left_out": [asdict(one) for one in left_out],
    }


def child(python: Path, script: str, threads: str, *arguments: object) -> str:
    """What one fresh process prints. Raises FailedError with the last line of its complaint."""
    called = [str(python), str(SCRIPTS / script), *(str(argument) for argument in arguments)]
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    # The stopwatch is shared with benchmarks/statistics.py.
    environment["PYTHONPATH"] = str(FOLDER / "peers")
    if threads != "default":
        environment |= dict.fromkeys(THREADS, threads)
    try:
        ran = subprocess.run(called, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment)
    except subprocess.TimeoutExpired:
        raise FailedError(f"{script} took more than {LIMIT_S} s") from None
    if ran.returncode:
        complaint = ran.stderr.strip().splitlines()[-1:] or [f"it ended with {ran.returncode} and no word"]
        raise FailedError(f"{script}: {complaint[0]}")
    # Some peers print warnings before.
    return ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else ""


def default_peer_venv() -> Path:
    """A folder in the user's cache: the environment is large, and not the repository's."""
    from platformdirs import user_cache_path

    return user_cache_path("canvas-arena") / "benchmark-metric-peers"


def install_peers(folder: Path, say: Callable[[str], None]) -> Path:
    """The peers' own Python, with the versions of `peers.txt`; quick where they are there already."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise FailedError("there is no uv to install the peers with: install the project with its dev extra")
    say(f"installing the peers into {folder}")
    for asked in (
        (uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)),
        (uv, "pip", "install", "--quiet", "--python", str(folder), "--requirement", str(PINS)),
    ):
        # uv's own words name addresses of the machine's package index: they are for its user, not for a report.
        if subprocess.run(asked, capture_output=True, check=False).returncode:
            raise FailedError(f"the peers cannot be installed; to see why: {' '.join(asked).replace(' --quiet', '')}")
    return folder / "bin" / "python"


def summaries(runs: dict[tuple[str, str], list[dict[str, Any]]]) -> list[Measured]:
    """The repeats of each contender in one, in the order of CONTENDERS; peers with their time over ours."""
    found: dict[tuple[str, str], Measured] = {}
    for one in CONTENDERS:
        for (job, threads), of_job in runs.items():
            if job != one.job:
                continue
            seconds = middle([run["seconds"][one.stage] for run in of_job])
            ours = found.get((one.against or "", threads))
            found[job, threads] = Measured(
                name=one.name,
                job=job,
                threads=threads,
                seconds=seconds,
                peak_mb=max(run["peak_mb"] for run in of_job),
                found={name: value for name, value in of_job[-1].items() if name not in ("seconds", "peak_mb")},
                over_ours=None if ours is None else seconds / ours.seconds,
            )
    return list(found.values())


def middle(values: Sequence[float]) -> float:
    """The median; Python's own `statistics` is hidden by the benchmark of that name beside this file."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def targets(measured: Sequence[Measured], options: argparse.Namespace) -> Iterator[Target]:
    """What was aimed at, beside what was reached."""
    by = {(one.job, one.threads): one for one in measured}
    for threads in options.threads:
        for what, job, aim in (
            ("distance of two Gaussians, quicker than SciPy sqrtm", "sqrtm", 10.0),
            ("distance of two Gaussians, quicker than eigvals", "eigvals", 2.5),
            ("float32 features to distance, quicker than pytorch-fid", "pytorch-fid-32", 5.0),
            ("KID, quicker than torch-fidelity", "kid-torch-fidelity", 1.3),
        ):
            times = by[job, threads].over_ours if (job, threads) in by else None
            yield Target(what=what, threads=threads, measured=times, target=aim, unit="x")
        yield Target(
            what="statistics of a stream, memory above the libraries",
            threads=threads,
            measured=by["streaming", threads].found["added_mb"],
            target=200.0,
            unit="MB",
            at_least=False,
        )


COMPARED = (
    ("sqrtm", "distance", 1e-8, "another root"),
    ("eigvals", "distance", 1e-8, "another root"),
    ("clean-fid", "distance", 1e-8, "SciPy's root"),
    ("torch-fidelity", "distance", 1e-8, "eigenvalues of the product"),
    ("distance-cached", "distance", 1e-10, "the other of the two is factored"),
    ("float32", "float32-exact", 1e-6, "products in float32, sums in float64"),
    ("pytorch-fid-64", "float64", 1e-8, "np.cov and SciPy's root"),
    ("pytorch-fid-32", "float32-exact", 1e-6, "its means are summed in float32"),
    ("torch-fidelity-32", "float32-exact", 1e-6, "its means are summed in float32"),
    ("torchmetrics-32", "float32-exact", 1e-6, "its sums are not shifted, and its result is float32"),
)


def agreements(measured: Sequence[Measured], options: argparse.Namespace) -> Iterator[Agreement]:
    """Every number against its counterpart from the same features, as the first setting of threads found them."""
    by = {one.job: one for one in measured if one.threads == options.threads[0]}
    for job, ours, tolerance, why in COMPARED:
        if job in by:
            pair = by[job].found["distance"], by[ours].found["distance"]
            yield Agreement(
                what=f"{by[job].name}: distance, relative to {by[ours].name}",
                difference=abs(pair[0] / pair[1] - 1),
                tolerance=tolerance,
                why=why,
            )
    for job in ("kid-torch-fidelity", "kid-clean-fid"):
        if job in by:
            sd = by["kid"].found["sd"] * (2 / options.subsets) ** 0.5
            yield Agreement(
                what=f"{by[job].name}: the mean over subsets, in standard errors of the difference",
                difference=abs(by[job].found["kid"] - by["kid"].found["kid"]) / sd,
                tolerance=5.0,
                why="other subsets are drawn",
            )


def machine() -> dict[str, Any]:
    """What it runs on, and how busy that was before anything began: other work slows all of it, unevenly."""
    from importlib.metadata import version

    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "ours": [f"{name}=={version(name)}" for name in ("numpy", "scipy")],
        "peers": [line for line in PINS.read_text().splitlines() if not line.startswith("#")],
    }


def draw(result: dict[str, Any]) -> Iterator[str]:
    """The result as lines to read."""
    size, about = result["size"], result["machine"]
    yield (
        f"{size['rows']:,} x {size['width']:,} features, KID of {size['subsets']} subsets of {size['size']:,}; "
        f"medians of {size['repeats']}."
    )
    yield (
        f"{about['cores']} cores ({about['architecture']}), load {about['load_before']} before and "
        f"{about['load_after']} after, Python {about['python']}; ours with {', '.join(about['ours'])}."
    )
    if result["smoke_run"]:
        yield SMOKE
    yield ""
    yield f"{'':<34}{'threads':>9}{'seconds':>10}{'/ ours':>9}{'peak MB':>9}"
    for row in result["measured"]:
        over = "" if row["over_ours"] is None else f"{row['over_ours']:.1f}"
        yield f"{row['name']:<34}{row['threads']:>9}{row['seconds']:>10.3f}{over:>9}{row['peak_mb']:>9.0f}"
    if result["targets"]:
        yield ""
        yield f"{'':<58}{'threads':>9}{'measured':>10}{'target':>10}"
        for row in result["targets"]:
            shown = "-" if row["measured"] is None else f"{row['measured']:.3g}"
            mark = {True: "reached", False: "missed", None: "not measured"}[row["reached"]]
            sign = ">=" if row["at_least"] else "<="
            yield (
                f"{row['what']:<58}{row['threads']:>9}{shown:>10}{sign:>4}{row['target']:>6g} {row['unit']:<3} {mark}"
            )
    yield ""
    yield f"{'difference':<82}{'found':>10}{'at most':>10}"
    for row in result["agreement"]:
        mark = "agrees" if row["agrees"] else "DIFFERS"
        yield f"{row['what']:<82}{row['difference']:>10.1e}{row['tolerance']:>10.0e} {mark}; {row['why']}"
    for row in result["left_out"]:
        yield f"Left out: {row['name']}. {row['why']}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=TARGET_SIZE[0])
    parser.add_argument("--width", type=int, default=TARGET_SIZE[1])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subsets", type=int, default=100, help="of KID")
    parser.add_argument("--size", type=int, default=1000, help="of each of them")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each contender, of which the median counts")
    parser.add_argument("--threads", nargs="+", default=["1", "default"], help="of BLAS: numbers, or default")
    parser.add_argument("--folder", type=Path, help="where the features are written (default: the temporary folder)")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure them too")
    parser.add_argument("--peer-venv", type=Path, help="where the peers are installed (default: the user's cache)")
    parser.add_argument("--quick", action="store_true", help=f"small and once. {SMOKE}")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats counts the runs that are measured: give 1 or more")
    if options.quick:
        options.rows, options.width, options.subsets, options.size = 3000, 96, 20, 200
        options.repeats, options.threads = 1, ["1"]
    quiet = options.json or not sys.stderr.isatty()
    try:
        result = measure(options, lambda line: None if quiet else print(line, file=sys.stderr))
    except FailedError as error:
        raise SystemExit(f"Our own side was not measured: {error}") from None
    print(json.dumps(result, indent=2) if options.json else "\n".join(draw(result)))
    if not all(row["agrees"] for row in result["agreement"]):
        raise SystemExit("The numbers disagree.")


if __name__ == "__main__":
    main()
