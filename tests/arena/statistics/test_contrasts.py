"""Entrant against entrant: through the reference, directly, and by the same judges."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from arena.statistics.clustered import effective_clusters
from arena.statistics.contrasts import contrasts
from arena.statistics.multiplicity import holm
from arena.statistics.not_estimable import Obstacle
from arena.statistics.rates import preference_rate
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.votes import Chosen, VoteTable, outcomes_against

TableOf = Callable[..., VoteTable]


def test_through_the_reference_the_spread_is_that_of_one_stacked_regression() -> None:
    design = ArenaDesign(raters=25, prompts=40, votes=1500, rates=(0.6, 0.5, 0.45), tie_share=0.2)
    votes = simulate_votes(design, np.random.default_rng(1))
    value = np.select([votes.choice == Chosen.A, votes.choice == Chosen.TIE], [1.0, 0.5], 0.0)
    peer = sm.OLS(value, np.eye(3)[votes.model_a]).fit()
    covariance = cov_cluster_2groups(peer, votes.rater, votes.prompt)[0]

    found = contrasts(votes, reference=REFERENCE, entrants=design.entrants)

    assert [(one.a, one.b) for one in found] == [
        ("entrant-0", "entrant-1"),
        ("entrant-0", "entrant-2"),
        ("entrant-1", "entrant-2"),
    ]
    for one, (i, j) in zip(found, ((0, 1), (0, 2), (1, 2)), strict=True):
        arrow = np.eye(3)[i] - np.eye(3)[j]
        se = float(np.sqrt(arrow @ covariance @ arrow))
        these = (votes.model_a == i) | (votes.model_a == j)
        df = effective_clusters(votes.rater[these]) - 1
        assert one.difference == pytest.approx(peer.params[i] - peer.params[j], abs=1e-12)
        assert one.se == pytest.approx(se, rel=1e-9)
        assert one.p == pytest.approx(2 * stats.t.sf(abs(one.difference or 0) / se, df), rel=1e-9)
    assert [one.p_holm for one in found] == holm([one.p for one in found])


def test_shared_raters_make_a_difference_surer_than_two_intervals_suggest() -> None:
    # Raters differ much in how they like the reference, and hardly in how they like one entrant beside the other.
    design = ArenaDesign(raters=20, prompts=400, votes=8000, rates=(0.55, 0.5), sd_rater=1.2, sd_rater_entrant=0.05)
    votes = simulate_votes(design, np.random.default_rng(2))

    (found,) = contrasts(votes, reference=REFERENCE, entrants=design.entrants)

    alone = [preference_rate(outcomes_against(votes, name, REFERENCE), ties="half").se or 0 for name in design.entrants]
    assert (found.se or 1) < 0.7 * np.hypot(*alone)


def test_entrants_that_met_each_other_are_also_compared_directly(table_of: TableOf) -> None:
    votes = table_of(
        ["a", "b", "b", "a", "a", "b"],
        ["ref", "ref", "a", "b", "ref", "ref"],
        ["A", "B", "A", "B", "B", "A"],
        rater=[0, 1, 0, 1, 1, 0],
        prompt=[0, 1, 2, 3, 1, 0],
    )

    one, other = (contrasts(votes, reference="ref", entrants=names)[0] for names in (("a", "b"), ("b", "a")))

    assert one.direct is not None
    assert other.direct is not None
    assert (one.direct.rate, one.direct.n) == (0.0, 2)
    assert (other.direct.rate, other.direct.n) == (1.0, 2)


def test_judges_of_both_on_one_prompt_give_mcnemars_exact_test(table_of: TableOf) -> None:
    # Agresti (2002), table 10.1, in miniature: judgements that agree say nothing about the difference.
    judgements = [("A", "A")] * 5 + [("A", "B")] * 7 + [("B", "A")] * 2 + [("B", "B")] * 3
    n = len(judgements)
    votes = table_of(
        ["a"] * n + ["b"] * n,
        ["ref"] * 2 * n,
        [one for one, _ in judgements] + [other for _, other in judgements],
        rater=[*range(n), *range(n)],
        prompt=[number % 4 for number in range(n)] * 2,
    )

    (found,) = contrasts(votes, reference="ref", entrants=("a", "b"))

    assert found.mcnemar is not None
    assert (found.mcnemar.a_only, found.mcnemar.b_only) == (7, 2)
    assert found.mcnemar.p == pytest.approx(mcnemar([[5, 7], [2, 3]], exact=True).pvalue, rel=1e-12)


def test_different_judges_have_no_mcnemar(table_of: TableOf) -> None:
    votes = table_of(["a", "b", "a", "b"], ["ref"] * 4, ["A", "A", "B", "B"], rater=[0, 1, 2, 3], prompt=[0, 0, 1, 1])

    (found,) = contrasts(votes, reference="ref", entrants=("a", "b"))

    assert found.mcnemar is None


@pytest.mark.parametrize(
    ("columns", "obstacle"),
    [
        ({"rater": [-1] * 4, "prompt": [0, 1, 2, 3]}, Obstacle.UNKNOWN_RATERS),
        ({"rater": [0] * 4, "prompt": [0, 1, 2, 3]}, Obstacle.ONE_RATER),
        ({"rater": [0, 1, 2, 3], "prompt": [0] * 4}, Obstacle.ONE_PROMPT),
        ({"rater": [0, 1, 2, 3], "prompt": [0, 1, 2, 3]}, Obstacle.ALL_VOTES_ALIKE),
    ],
)
def test_what_has_no_spread_has_a_difference_and_a_reason(
    table_of: TableOf, columns: dict[str, list[int]], obstacle: Obstacle
) -> None:
    votes = table_of(["a", "a", "b", "b"], ["ref"] * 4, ["A", "A", "A", "B"], **columns)

    (found,) = contrasts(votes, reference="ref", entrants=("a", "b"))

    assert found.difference == 0.5
    assert (found.se, found.p, found.p_holm) == (None, None, None)
    assert found.missing[0].obstacle is obstacle


def test_an_entrant_that_never_met_the_reference_has_no_difference(table_of: TableOf) -> None:
    votes = table_of(["a", "b"], ["ref", "a"], ["A", "A"])

    (found,) = contrasts(votes, reference="ref", entrants=("a", "b"))

    assert found.difference is None
    assert found.missing[0].obstacle is Obstacle.NO_VOTES


def test_dropping_ties_compares_the_decisive_votes() -> None:
    votes = simulate_votes(
        ArenaDesign(raters=20, prompts=30, votes=800, rates=(0.6, 0.5), tie_share=0.3), np.random.default_rng(3)
    )

    (dropped,) = contrasts(votes, reference=REFERENCE, entrants=("entrant-0", "entrant-1"), ties="drop")
    (without,) = contrasts(
        votes.rows(votes.choice != Chosen.TIE), reference=REFERENCE, entrants=("entrant-0", "entrant-1")
    )

    assert dropped.to_dict() == replace(without, direct=dropped.direct).to_dict()
