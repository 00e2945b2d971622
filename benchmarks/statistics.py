"""The statistics, measured beside their peers: seconds, memory, and whether the numbers agree. All in one run.

Usage: python benchmarks/statistics.py [--votes 1000000] [--entrants 100] [--raters 5000] [--prompts 1632] [--repeats 3]
[--no-peers] [--json]. One file of simulated votes is written to a temporary folder; every contender reads it in a
process of its own, `--repeats` times, in turns. The peers are installed once, from `benchmarks/peers.txt`, into an
environment of their own. What cannot be measured is left out, and a line says why.
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

# This process stays small and imports no numbers: a child's peak memory starts from its parent's. And as a script it is
# itself the first module called `statistics` that a library would find here.
FOLDER = Path(__file__).resolve().parent
PINS = FOLDER / "peers.txt"
LIMIT_S = 1800
# These fit some of the votes, draw some of the usual resamples, or do one step of the whole.
PARTIAL = ("bootstrap", "refit", "first-rows", "statsmodels", "FastChat")
LOAD = ("read", "code")
WORK = ("fit", "intervals")
TARGET_SIZE = (1_000_000, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One script, called with the file of votes and these arguments. `of_peers`: it needs the peers' environment."""

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    of_peers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Medians of the seconds by stage, the highest peak memory, and what the last run found."""

    name: str
    seconds: dict[str, float]
    peak_mb: float
    found: dict[str, Any]

    def sum_s(self, *stages: str) -> float:
        """The seconds of these stages together; a stage that a contender does not have takes none."""
        return sum(self.seconds.get(stage, 0.0) for stage in stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was aimed at, with two cores and the votes and entrants of `TARGET_SIZE`."""

    what: str
    measured: float | None
    target: float
    unit: str
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        """None where nothing was measured."""
        if self.measured is None:
            return None
        return self.measured >= self.target if self.at_least else self.measured <= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The largest difference between a peer's numbers and ours, over all entrants, and how large it may be."""

    peer: str
    what: str
    largest: float
    tolerance: float
    why: str

    @property
    def agrees(self) -> bool:
        """Whether the numbers are the same, but for what `why` names."""
        return self.largest <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A contender that was not measured, and why."""

    name: str
    why: str


class FailedError(Exception):
    """A measurement or an installation that ended without a result."""


def contenders(options: argparse.Namespace) -> list[Contender]:
    """Everybody who is measured, ours first."""
    return [
        Contender(name="independent", script="ours.py", arguments=("independent", "0")),
        Contender(name="clustered", script="ours.py", arguments=("clustered", "0")),
        Contender(name="bootstrap", script="ours.py", arguments=("bootstrap", str(options.resamples))),
        Contender(name="refit", script="ours.py", arguments=("refit", "200")),
        Contender(name="first-rows", script="ours.py", arguments=("first-rows", str(options.statsmodels_rows))),
        Contender(name="statsmodels", script="with_statsmodels.py", arguments=(str(options.statsmodels_rows),)),
        Contender(name="arena-rank", script="with_arena_rank.py", of_peers=True),
        Contender(name="FastChat", script="with_fastchat.py", arguments=(str(options.fastchat_rounds),), of_peers=True),
        Contender(name="choix", script="with_choix.py", of_peers=True),
    ]


def measure(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the file, run everybody in turns, and compare."""
    running, left_out, about = contenders(options), list[LeftOut](), machine()
    peers_python: Path | None = None
    if options.peers:
        try:
            peers_python = install_peers(options.peer_venv or default_peer_venv(), say)
        except FailedError as error:
            left_out += [LeftOut(name=one.name, why=str(error)) for one in running if one.of_peers]
    running = [one for one in running if not one.of_peers or peers_python is not None]

    runs: dict[str, list[dict[str, Any]]] = {one.name: [] for one in running}
    with tempfile.TemporaryDirectory(prefix="canvas-statistics-") as folder:
        file = Path(folder) / "votes.parquet"
        size = {name: getattr(options, name) for name in ("votes", "entrants", "raters", "prompts")}
        say("writing the votes")
        child(Path(sys.executable), "write_votes.py", str(file), json.dumps(size))
        for turn in range(options.repeats):
            for one in [one for one in running if one.name in runs]:
                say(f"turn {turn + 1} of {options.repeats}: {one.name}")
                python = peers_python if one.of_peers and peers_python is not None else Path(sys.executable)
                try:
                    runs[one.name].append(json.loads(child(python, one.script, str(file), *one.arguments)))
                except FailedError as error:
                    if one.script == "ours.py":
                        raise
                    left_out.append(LeftOut(name=one.name, why=str(error)))
                    del runs[one.name]

    measured = {name: summary(name, found) for name, found in runs.items()}
    at_size = (options.votes, options.entrants) == TARGET_SIZE
    return {
        "machine": about,
        "size": size | {"repeats": options.repeats},
        "measured": [asdict(one) | {"over_ours": over_ours(one, measured)} for one in measured.values()],
        "targets": [asdict(one) | {"reached": one.reached} for one in targets(measured, options)] if at_size else [],
        "agreement": [asdict(one) | {"agrees": one.agrees} for one in agreements(measured)],
        "notes": [NOTES[name] for name in measured if name in NOTES],
        "left_out": [asdict(one) for one in left_out],
    }


def child(python: Path, script: str, *arguments: str) -> str:
    """What one fresh process prints. Raises FailedError with the last line of its complaint."""
    called = [str(python), str(FOLDER / "peers" / script), *arguments]
    try:
        ran = subprocess.run(called, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise FailedError(f"{script} took more than {LIMIT_S} s") from None
    if ran.returncode:
        complaint = ran.stderr.strip().splitlines()[-1:] or [f"it ended with {ran.returncode} and no word"]
        raise FailedError(f"{script}: {complaint[0]}")
    return ran.stdout


def default_peer_venv() -> Path:
    """A folder in the user's cache: the environment is large, and not the repository's."""
    from platformdirs import user_cache_path

    return user_cache_path("canvas-arena") / "benchmark-peers"


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


def summary(name: str, runs: Sequence[dict[str, Any]]) -> Measured:
    """The repeats of one contender in one."""
    found = dict(runs[-1])
    stages = found.pop("seconds")
    found.pop("peak_mb")
    return Measured(
        name=name,
        seconds={stage: middle([run["seconds"][stage] for run in runs]) for stage in stages},
        peak_mb=max(run["peak_mb"] for run in runs),
        found=found,
    )


def middle(values: Sequence[float]) -> float:
    """The median."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def targets(measured: dict[str, Measured], options: argparse.Namespace) -> list[Target]:
    """What was aimed at, beside what was reached."""
    independent, clustered = measured["independent"], measured["clustered"]
    times = over_ours(measured["arena-rank"], measured) if "arena-rank" in measured else {}

    return [
        Target(
            what="strengths and model intervals, from codes", measured=independent.sum_s(*WORK), target=0.2, unit="s"
        ),
        Target(what="the same, two-way clustered", measured=clustered.sum_s(*WORK), target=1.0, unit="s"),
        Target(what="the same, with the load", measured=clustered.sum_s(*LOAD, *WORK), target=1.5, unit="s"),
        Target(what="the same, peak memory", measured=clustered.peak_mb, target=500.0, unit="MB"),
        Target(
            what=f"rater bootstrap, {options.resamples} resamples, from codes",
            measured=measured["bootstrap"].sum_s(*WORK),
            target=4.0,
            unit="s",
        ),
        Target(what="one more vote and a refit", measured=measured["refit"].sum_s("fit") * 1e3, target=5.0, unit="ms"),
        Target(
            what="quicker than arena-rank, independent votes, with the load",
            measured=times.get("independent"),
            target=15.0,
            unit="x",
            at_least=True,
        ),
        Target(
            what="ours two-way clustered, arena-rank's independent, with the load",
            measured=times.get("clustered"),
            target=8.0,
            unit="x",
            at_least=True,
        ),
    ]


def over_ours(one: Measured, measured: dict[str, Measured]) -> dict[str, float]:
    """How many times as long as ours it takes from the file to the last number, where it does the whole of it.

    `compiled`: without what a just-in-time compiler does once per process, against ours with independent intervals.
    """
    if one.name in PARTIAL:
        return {}
    ours = {name: measured[name].sum_s(*LOAD, *WORK) for name in ("independent", "clustered")}
    found = {name: one.sum_s(*LOAD, *WORK) / seconds for name, seconds in ours.items()}
    if "fit again" in one.seconds:
        found["compiled"] = one.sum_s(*LOAD, "fit again", "intervals again") / ours["independent"]
    return found


def agreements(measured: dict[str, Measured]) -> Iterator[Agreement]:
    """Every peer's numbers against ours from the same votes."""
    yield Agreement(
        peer="(ours)", what="strengths", largest=apart(measured, "clustered", "independent", "strengths"),
        tolerance=0.0, why="one fit, with two kinds of intervals",
    )  # fmt: skip
    for peer, field, what, tolerance, why in COMPARED:
        if peer in measured:
            ours = "first-rows" if peer == "statsmodels" else "independent"
            relative = field != "strengths"
            largest = apart(measured, peer, ours, field, relative=relative)
            yield Agreement(peer=peer, what=what, largest=largest, tolerance=tolerance, why=why)


COMPARED = (
    ("choix", "strengths", "strengths", 1e-8, "maximum likelihood, another algorithm"),
    ("arena-rank", "strengths", "strengths", 1e-5, "L-BFGS stops when the mean loss moves by less than 1e-9"),
    (
        "arena-rank",
        "standard_errors",
        "standard errors, relative",
        0.02,
        "a ridge of 1e-5 per vote, and squared residuals in place of their expectation",
    ),
    ("FastChat", "strengths", "strengths", 0.01, "a ridge, and scikit-learn's default tolerance"),
    ("statsmodels", "strengths", "strengths", 1e-8, "maximum likelihood, on a dense design"),
    ("statsmodels", "plain_differences_se", "standard errors if independent, relative", 1e-6, "the same formula"),
    ("statsmodels", "differences_se", "two-way clustered standard errors, relative", 1e-6, "the same formula"),
)


def apart(measured: dict[str, Measured], peer: str, ours: str, field: str, *, relative: bool = False) -> float:
    """The largest difference of a number over the entrants; relative to ours where a scale says more."""
    theirs, own = measured[peer].found, measured[ours].found
    assert theirs["entrants"] == own["entrants"], f"{peer} and we name different entrants"
    pairs = zip(theirs[field], own[field], strict=True)
    return max((abs(other - mine) / (mine if relative and mine else 1.0) for other, mine in pairs), default=0.0)


def machine() -> dict[str, Any]:
    """What it runs on, and how busy that was before anything began: other work slows all of it, unevenly."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "as many as cores"),
        "peers": [line for line in PINS.read_text().splitlines() if not line.startswith("#")],
    }


def draw(result: dict[str, Any]) -> Iterator[str]:
    """The result as lines to read."""
    size, about = result["size"], result["machine"]
    yield (
        f"{size['votes']:,} decisive votes, {size['entrants']} entrants, {size['raters']:,} raters, "
        f"{size['prompts']:,} prompts; medians of {size['repeats']}."
    )
    yield (
        f"{about['cores']} cores ({about['architecture']}), load {about['load_before']} before, Python "
        f"{about['python']}, BLAS threads: {about['blas_threads']}."
    )
    if result["targets"]:
        yield ""
        yield f"{'':<66}{'measured':>10}{'target':>10}"
        for row in result["targets"]:
            shown = "-" if row["measured"] is None else f"{row['measured']:.3g}"
            mark = {True: "reached", False: "missed", None: "not measured"}[row["reached"]]
            sign = ">=" if row["at_least"] else "<="
            yield f"{row['what']:<66}{shown:>10}{sign:>4}{row['target']:>6g} {row['unit']:<3} {mark}"
    yield ""
    heads = (
        ("import", 8),
        ("load", 8),
        ("fit", 9),
        ("intervals", 11),
        ("together", 10),
        ("peak MB", 9),
        ("/ ours", 14),
    )
    yield f"{'seconds':<32}" + "".join(f"{head:>{width}}" for head, width in heads)
    for row in result["measured"]:
        yield _row(Measured(**{name: row[name] for name in ("name", "seconds", "peak_mb", "found")}), row["over_ours"])
        if "compiled" in row["over_ours"]:
            yield f"  its compiler's work done before, {row['over_ours']['compiled']:.1f} times ours with the load"
    yield "Together is load, fit and intervals. '/ ours' divides it by ours, and in brackets by ours two-way clustered."
    yield ""
    yield f"{'largest difference from ours':<60}{'found':>10}{'at most':>10}"
    for row in result["agreement"]:
        mark = "agrees" if row["agrees"] else "DIFFERS"
        what = f"{row['peer']}: {row['what']}"
        yield f"{what:<60}{row['largest']:>10.1e}{row['tolerance']:>10.0e} {mark}; {row['why']}"
    yield ""
    yield from result["notes"]
    for row in result["left_out"]:
        yield f"Left out: {row['name']}. {row['why']}"


def _row(one: Measured, over: dict[str, float]) -> str:
    cells = "".join(
        f"{one.seconds[stage]:>{width}.4f}" if stage in one.seconds else f"{'-':>{width}}"
        for stage, width in (("fit", 9), ("intervals", 11))
    )
    against = f"{over['independent']:.1f} ({over['clustered']:.1f})" if over else ""
    return (
        f"{LABELS[one.name].format(**one.found):<32}{one.sum_s('import'):>8.2f}{one.sum_s(*LOAD):>8.3f}{cells}"
        f"{one.sum_s(*LOAD, *WORK):>10.3f}{one.peak_mb:>9.0f}{against:>14}"
    )


NOTES = {
    "arena-rank": "arena-rank gives intervals of independent votes only; nothing it offers clusters.",
    "FastChat": (
        "FastChat usually resamples the votes 100 times. The package it publishes rates by functions whose module also "
        "wants a name from fastchat.model; that folder's own import, which needs torch, is passed by."
    ),
    "choix": "choix gives strengths only, from a table of wins; reading and counting are pandas and numpy.",
    "statsmodels": "statsmodels wants a dense design, which at a million votes by a hundred entrants takes 12 GB.",
}

LABELS = {
    "independent": "ours, independent intervals",
    "clustered": "ours, two-way clustered",
    "bootstrap": "ours, {rounds} rater resamples",
    "refit": "ours, one more vote",
    "first-rows": "ours, first {rows:,} votes",
    "statsmodels": "statsmodels, first {rows:,} votes",
    "arena-rank": "arena-rank, independent",
    "FastChat": "FastChat, {rounds} vote resamples",
    "choix": "choix, no intervals",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=TARGET_SIZE[0])
    parser.add_argument("--entrants", type=int, default=TARGET_SIZE[1])
    parser.add_argument("--raters", type=int, default=5000)
    parser.add_argument("--prompts", type=int, default=1632)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each contender, of which the median counts")
    parser.add_argument("--resamples", type=int, default=1000, help="of the raters, by us")
    parser.add_argument("--fastchat-rounds", type=int, default=3, help="of FastChat's usual 100")
    parser.add_argument("--statsmodels-rows", type=int, default=50_000, help="votes for its dense design")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure them too")
    parser.add_argument("--peer-venv", type=Path, help="where the peers are installed (default: the user's cache)")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats counts the runs that are measured: give 1 or more")
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
