"""Our own side of the statistics benchmark, measured as the peers are.

Usage: python ours.py VOTES.parquet independent|clustered|bootstrap|refit|first-rows NUMBER. NUMBER is how many
resamples are drawn, votes are added one by one, or first votes are fitted. Standard errors come in two ways, because
peers give either: of differences from the first entrant, and of strengths centred on their mean.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from stopwatch import Stopwatch, centred, report

watch = Stopwatch()
with watch.stage("import"):
    import numpy as np

    from arena.statistics.bradley_terry import Fit, LiveBradleyTerry, fit_bradley_terry
    from arena.statistics.paired_counts import count_wins
    from arena.statistics.resampling import rater_bootstrap
    from arena.statistics.votes import VoteTable
    from arena.votes_file import read_votes_file


def independent(table: VoteTable, number: int) -> dict[str, Any]:
    with watch.stage("fit"):
        fit = fit_bradley_terry(table, reference=table.models[0], clustered=False)
    with watch.stage("intervals"):
        fit.se_model()
    assert fit.estimate is not None, fit.reason
    own = fit.of_strengths(fit.estimate.model_covariance)
    own = own - own.mean(axis=0)
    centred_se = np.sqrt(np.diag(own - own.mean(axis=1, keepdims=True)))
    return found(fit) | {"standard_errors": centred_se.tolist()}


def clustered(table: VoteTable, number: int) -> dict[str, Any]:
    with watch.stage("fit"):
        fit = fit_bradley_terry(table, reference=table.models[0])
    with watch.stage("intervals"):
        fit.intervals()
    return found(fit)


def bootstrap(table: VoteTable, number: int) -> dict[str, Any]:
    with watch.stage("intervals"):
        drawn = rater_bootstrap(table, reference=table.models[0], resamples=number, rng=np.random.default_rng(1))
        drawn.intervals()
    return {"rounds": len(drawn.strengths)}


def refit(table: VoteTable, number: int) -> dict[str, Any]:
    live = LiveBradleyTerry(table.models, table.models[0])
    wins = count_wins(table)
    for winner, loser in np.argwhere(wins):
        live.add(table.models[winner], table.models[loser], int(wins[winner, loser]))
    live.estimate()
    pairs = np.random.default_rng(1).integers(0, len(table.models), (number, 2))
    seconds = []
    for winner, loser in pairs[pairs[:, 0] != pairs[:, 1]]:
        began = perf_counter()
        live.add(table.models[winner], table.models[loser])
        live.estimate()
        seconds.append(perf_counter() - began)
    watch.seconds["fit"] = float(np.median(seconds))
    return {"rounds": len(seconds)}


def first_rows(table: VoteTable, number: int) -> dict[str, Any]:
    first = table.rows(np.arange(len(table)) < number)
    with watch.stage("fit"):
        fit = fit_bradley_terry(first, reference=table.models[0])
    return found(fit) | {"rows": len(first)}


def found(fit: Fit) -> dict[str, Any]:
    assert fit.estimate is not None, fit.reason
    return {
        "entrants": fit.entrants,
        "strengths": centred(fit.estimate.strengths.tolist()),
        "differences_se": list(fit.se().values()),
        "plain_differences_se": list(fit.se_model().values()),
    }


WAYS: dict[str, Callable[[VoteTable, int], dict[str, Any]]] = {
    "independent": independent,
    "clustered": clustered,
    "bootstrap": bootstrap,
    "refit": refit,
    "first-rows": first_rows,
}

if __name__ == "__main__":
    with watch.stage("read"):
        votes = read_votes_file(Path(sys.argv[1])).table
    report(watch, **WAYS[sys.argv[2]](votes, int(sys.argv[3])))
