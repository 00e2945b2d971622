"""How far several estimates may be off together when votes cluster in raters and in prompts: the two-way sandwich.

In: each vote's score (the gradient of its log-likelihood, or its residual) and the codes of its rater and prompt.
Out: the covariance of the estimates, bread * meat * bread, whose meat is M_rater + M_prompt - M_rater-prompt. Each M
sums the scores of a cluster before it squares them and carries G / (G - 1); all three carry (n - 1) / (n - k) for n
votes and k estimates, as CR1 does in R's sandwich::vcovCL and in statsmodels.
Source: Cameron, Gelbach & Miller (2011), doi:10.1198/jbes.2010.07136; Zeileis, Koell & Graham (2020),
doi:10.18637/jss.v095.i01. A matrix that the difference leaves without a positive spread in some direction is mended as
section 2.3 of the former says: its negative eigenvalues become 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int, Int32, Int64
from scipy import sparse

from arena.statistics.clustered import ROUNDING, cluster_count, effective_clusters, sorted_cells

# Above this many numbers a table of cluster by column is kept sparse: 128 MiB.
_DENSE_NUMBERS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """A sparse matrix of votes by estimates: vote v has `value[s][v]` in the column `column[s][v]`, for each slot s.

    A Bradley-Terry vote fills two slots: +residual for the one entrant, -residual for the other. The code -1 stands
    for a column that is not estimated (the reference's strength) and is left out.
    """

    estimates: int
    column: tuple[Int32[np.ndarray, " votes"], ...]
    value: tuple[Float64[np.ndarray, " votes"], ...]

    def rows(self, kept: Int[np.ndarray, " kept"] | Bool[np.ndarray, " votes"]) -> "Scores":
        """The scores of some of the votes."""
        return Scores(
            estimates=self.estimates,
            column=tuple(column[kept] for column in self.column),
            value=tuple(value[kept] for value in self.value),
        )


class TwoWayClusters:
    """Who voted on what, prepared once for every estimate from the same votes.

    Codes are >= 0, of at least two raters and two prompts. Most pairs of a rater and a prompt hold a single vote; only
    the votes that share theirs with another are ever summed by pair.
    """

    def __init__(self, rater: Int32[np.ndarray, " votes"], prompt: Int32[np.ndarray, " votes"]) -> None:
        assert len(rater) > 1, "one vote says nothing about how votes differ"
        assert min(rater.min(), prompt.min()) >= 0, "every vote has its rater and its prompt"
        self.rater, self.prompt = rater, prompt
        self.votes = len(rater)
        self.raters, self.prompts = cluster_count(rater), cluster_count(prompt)
        assert min(self.raters, self.prompts) > 1, "one cluster says nothing about how clusters differ"
        order, first = sorted_cells(rater, prompt)
        self.cells = int(np.count_nonzero(first))
        # A vote is alone in its cell where a cell begins with it and the next one begins right after.
        alone = first & np.append(first[1:], True)
        self.alone: Int64[np.ndarray, " alone"] = order[alone]
        self.shared: Int64[np.ndarray, " shared"] = order[~alone]
        self.shared_cell: Int64[np.ndarray, " shared"] = np.cumsum(first[~alone]) - 1

    @cached_property
    def df(self) -> float:
        """Degrees of freedom: the effective number of raters, less one."""
        return effective_clusters(self.rater) - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariance:
    """The covariance of estimates: two-way clustered, and what stands in for it where that is not positive."""

    two_way: Float64[np.ndarray, "estimates estimates"]
    by_rater: Float64[np.ndarray, "estimates estimates"]
    by_prompt: Float64[np.ndarray, "estimates estimates"]
    by_vote: Float64[np.ndarray, "estimates estimates"]

    def variances(self) -> Float64[np.ndarray, " estimates"]:
        """One variance per estimate; where the two-way one is not positive, the larger one-way variance.

        Where every rater and every prompt is exactly divided both are 0 too, and votes count as independent.
        """
        return _positive(*(np.diag(matrix) for matrix in self._matrices()))

    def of_differences(self) -> Float64[np.ndarray, "estimates estimates"]:
        """`[i, j]` is the variance of estimate i less estimate j, by the same rule; 0 on the diagonal."""
        found = _positive(*(_of_differences(matrix) for matrix in self._matrices()))
        np.fill_diagonal(found, 0.0)
        return found

    def positive_semidefinite(self) -> Float64[np.ndarray, "estimates estimates"]:
        """The two-way matrix with its negative eigenvalues, if it has any, put to 0."""
        values, vectors = np.linalg.eigh(self.two_way)
        if len(values) == 0 or values[0] >= 0:
            return self.two_way
        return _symmetric((vectors * np.maximum(values, 0.0)) @ vectors.T)

    def usable(self) -> Float64[np.ndarray, "estimates estimates"]:
        """A covariance for all estimates at once: the two-way one where it is positive definite.

        Else the sum of both one-way ones, which is never too small; and where that is none, single votes' added to it.
        """
        one_way: Float64[np.ndarray, "estimates estimates"] = self.by_rater + self.by_prompt
        for matrix in (self.two_way, one_way):
            if len(matrix) == 0 or np.linalg.eigvalsh(matrix)[0] > ROUNDING * np.trace(self.by_vote):
                return matrix
        with_votes: Float64[np.ndarray, "estimates estimates"] = one_way + self.by_vote
        return with_votes

    def each(
        self, change: Callable[[Float64[np.ndarray, "estimates estimates"]], Float64[np.ndarray, "some some"]]
    ) -> "Covariance":
        """The same change made to every one of the matrices."""
        two_way, by_rater, by_prompt, by_vote = (change(matrix) for matrix in self._matrices())
        return Covariance(two_way=two_way, by_rater=by_rater, by_prompt=by_prompt, by_vote=by_vote)

    def _matrices(self) -> tuple[Float64[np.ndarray, "estimates estimates"], ...]:
        return self.two_way, self.by_rater, self.by_prompt, self.by_vote


def two_way_covariance(
    scores: Scores,
    clusters: TwoWayClusters,
    bread: Float64[np.ndarray, "estimates estimates"],
) -> Covariance:
    """The sandwich of `bread` (the inverse information, or 1 / n for a mean) around the clustered meat; needs n > k."""
    n, k = clusters.votes, scores.estimates
    assert n > k, "more estimates than votes"
    correction = (n - 1) / (n - k)

    def filled(meat: Float64[np.ndarray, "estimates estimates"], groups: int) -> Float64[np.ndarray, "k k"]:
        return _symmetric(bread @ meat @ bread) * (correction * groups / (groups - 1))

    by_rater = filled(_meat(scores, clusters.rater), clusters.raters)
    by_prompt = filled(_meat(scores, clusters.prompt), clusters.prompts)
    alone = _vote_meat(scores.rows(clusters.alone))
    by_cell, by_vote = filled(alone, clusters.cells), filled(alone, n)
    if len(clusters.shared):
        shared = scores.rows(clusters.shared)
        by_cell += filled(_meat(shared, clusters.shared_cell), clusters.cells)
        by_vote += filled(_vote_meat(shared), n)
    return Covariance(two_way=by_rater + by_prompt - by_cell, by_rater=by_rater, by_prompt=by_prompt, by_vote=by_vote)


def _meat(scores: Scores, cluster: Int[np.ndarray, " votes"]) -> Float64[np.ndarray, "estimates estimates"]:
    """Sum over clusters of the outer square of the cluster's summed scores."""
    k, groups, n = scores.estimates, int(cluster.max()) + 1, len(cluster)
    if groups * k <= min(_DENSE_NUMBERS, 4 * n * len(scores.column) + 1024):
        table = np.zeros(groups * (k + 1))
        for column, value in zip(scores.column, scores.value, strict=True):
            # Each cluster has one number more, in front: it takes what is not estimated, whose column is -1.
            place = cluster.astype(np.int64) * (k + 1)
            place += column
            place += 1
            table += np.bincount(place, weights=value, minlength=len(table))
        sums = table.reshape(groups, k + 1)[:, 1:]
        return sums.T @ sums
    rows, columns, values = _entries(scores, cluster)
    # Repeated places are summed when the matrix is built.
    sums = sparse.csr_matrix((values, (rows, columns)), shape=(groups, k))
    return np.asarray((sums.T @ sums).toarray())


def _vote_meat(scores: Scores) -> Float64[np.ndarray, "estimates estimates"]:
    """Sum over votes of the outer square of each vote's own score."""
    k = scores.estimates
    meat = np.zeros((k + 1) * (k + 1))
    slots = list(zip(scores.column, scores.value, strict=True))
    for number, (column, value) in enumerate(slots):
        for other, (other_column, other_value) in enumerate(slots[: number + 1]):
            place = (column.astype(np.int64) + 1) * (k + 1) + (other_column + 1)
            found = np.bincount(place, weights=value * other_value, minlength=len(meat))
            meat += found
            if other < number:
                meat += found.reshape(k + 1, k + 1).T.ravel()
    return meat.reshape(k + 1, k + 1)[1:, 1:]


def _entries(
    scores: Scores, cluster: Int[np.ndarray, " votes"]
) -> tuple[Int64[np.ndarray, " entries"], Int64[np.ndarray, " entries"], Float64[np.ndarray, " entries"]]:
    rows: list[Int64[np.ndarray, " some"]] = []
    columns: list[Int64[np.ndarray, " some"]] = []
    values: list[Float64[np.ndarray, " some"]] = []
    for column, value in zip(scores.column, scores.value, strict=True):
        kept = column >= 0
        rows.append(cluster[kept].astype(np.int64))
        columns.append(column[kept].astype(np.int64))
        values.append(value[kept])
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)


def _positive(
    two_way: Float64[np.ndarray, "*shape"],
    by_rater: Float64[np.ndarray, "*shape"],
    by_prompt: Float64[np.ndarray, "*shape"],
    by_vote: Float64[np.ndarray, "*shape"],
) -> Float64[np.ndarray, "*shape"]:
    floor, larger = ROUNDING * by_vote, np.maximum(by_rater, by_prompt)
    return np.where(two_way > floor, two_way, np.where(larger > floor, larger, by_vote))


def _of_differences(matrix: Float64[np.ndarray, "estimates estimates"]) -> Float64[np.ndarray, "estimates estimates"]:
    own = np.diag(matrix)
    differences: Float64[np.ndarray, "estimates estimates"] = own[:, None] + own[None, :] - 2 * matrix
    return differences


def _symmetric(matrix: Float64[np.ndarray, "k k"]) -> Float64[np.ndarray, "k k"]:
    mean: Float64[np.ndarray, "k k"] = (matrix + matrix.T) / 2
    return mean
