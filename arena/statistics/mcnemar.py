"""Raters who judged two entrants on the same prompt: McNemar's test of the judgements in which they differ.

In: the `Outcomes` of several entrants against one reference. Out: a `McNemar` for any two of them, where the same rater
judged both on one prompt; a rater who judged the same comparison twice counts with the first of those votes. The test
takes those pairs of votes as independent of each other, so it is shown beside the clustered contrast and not for it.
Source: McNemar (1947), doi:10.1007/BF02295996, in its exact binomial form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from scipy import sparse

from arena.statistics.independent import exact_binomial_p
from arena.statistics.votes import Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """`a_only` judgements preferred a, but not b, to the reference, `b_only` the reverse; `p` is exact, two-sided."""

    a_only: int
    b_only: int
    p: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"a_only": self.a_only, "b_only": self.b_only, "p": self.p}


class SameJudges:
    """Who judged which entrants on the same prompt; entrants are known by their number."""

    def __init__(self, outcomes: Sequence[Outcomes]) -> None:
        known = [one if _are_known(one) else _none_of(one) for one in outcomes]
        prompts = 1 + max((int(one.prompt.max()) for one in known if len(one.prompt)), default=0)
        cells = [one.rater.astype(np.int64) * prompts + one.prompt for one in known]
        every, place = np.unique(np.concatenate([*cells, np.zeros(0, dtype=np.int64)]), return_inverse=True)
        ends = np.cumsum([0, *(len(cell) for cell in cells)])
        rows = [_first_votes(place[ends[number] : ends[number + 1]]) for number in range(len(known))]
        self._won, self._lost = (
            _table(
                [place[ends[number] :][row[known[number].value[row] == value]] for number, row in enumerate(rows)],
                shape=(len(every), len(known)),
            )
            for value in (1.0, 0.0)
        )
        self._differ = (self._won.T @ self._lost).toarray()
        self._agree = (self._won.T @ self._won + self._lost.T @ self._lost).toarray()

    def compare(self, a: int, b: int) -> McNemar | None:
        """The test of entrants number a and b; None where nobody judged both, decisively, on one prompt."""
        a_only, b_only, agreed = (int(table[i, j]) for table, i, j in self._cells(a, b))
        if a_only + b_only + agreed == 0:
            return None
        differ = a_only + b_only
        return McNemar(a_only=a_only, b_only=b_only, p=exact_binomial_p(a_only, differ) if differ else 1.0)

    def _cells(self, a: int, b: int) -> tuple[tuple[Any, int, int], ...]:
        return (self._differ, a, b), (self._differ, b, a), (self._agree, a, b)


def _are_known(outcomes: Outcomes) -> bool:
    return len(outcomes.rater) == 0 or bool(min(outcomes.rater.min(), outcomes.prompt.min()) >= 0)


def _none_of(outcomes: Outcomes) -> Outcomes:
    return Outcomes(value=outcomes.value[:0], rater=outcomes.rater[:0], prompt=outcomes.prompt[:0], both_bad=0)


def _first_votes(cell: Int64[np.ndarray, " votes"]) -> Int64[np.ndarray, " first"]:
    _, first = np.unique(cell, return_index=True)
    rows: Int64[np.ndarray, " first"] = first.astype(np.int64)
    return rows


def _table(rows: Sequence[Int64[np.ndarray, "_"]], shape: tuple[int, int]) -> sparse.csr_matrix:
    columns = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    where = np.concatenate([*rows, np.zeros(0, dtype=np.int64)])
    return sparse.csr_matrix((np.ones(len(where)), (where, columns)), shape=shape)
