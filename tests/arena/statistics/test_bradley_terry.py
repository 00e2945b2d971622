"""Strengths: published fits, independent peers, and what must not change them."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from math import exp, log, sqrt

import choix
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from arena.statistics.bradley_terry import Fit, LiveBradleyTerry, fit_bradley_terry, fit_davidson
from arena.statistics.paired_counts import count_wins, paired_counts
from arena.statistics.votes import Chosen, Left, VoteTable

TableOf = Callable[..., VoteTable]

# Stigler (1994), "Citation patterns in the journals of statistics and probability", doi:10.1214/ss/1177010655, table 2:
# how often the row was cited by the column.
JOURNALS = ("Biometrika", "Comm Statist", "JASA", "JRSS-B")
CITATIONS = [[714, 730, 498, 221], [33, 425, 68, 17], [320, 813, 1072, 142], [284, 276, 325, 188]]

# Agresti (2002), "Categorical Data Analysis", table 10.11: the American League East of 1987, home and away.
GAMES = """
Milwaukee Detroit 4 3; Milwaukee Toronto 4 2; Milwaukee NewYork 4 3; Milwaukee Boston 6 1; Milwaukee Cleveland 4 2;
Milwaukee Baltimore 6 0; Detroit Milwaukee 3 3; Detroit Toronto 4 2; Detroit NewYork 4 3; Detroit Boston 6 0;
Detroit Cleveland 6 1; Detroit Baltimore 4 3; Toronto Milwaukee 2 5; Toronto Detroit 4 3; Toronto NewYork 2 4;
Toronto Boston 4 3; Toronto Cleveland 4 2; Toronto Baltimore 6 0; NewYork Milwaukee 3 3; NewYork Detroit 5 1;
NewYork Toronto 2 5; NewYork Boston 4 3; NewYork Cleveland 4 2; NewYork Baltimore 6 1; Boston Milwaukee 5 1;
Boston Detroit 2 5; Boston Toronto 3 3; Boston NewYork 4 2; Boston Cleveland 5 2; Boston Baltimore 6 0;
Cleveland Milwaukee 2 5; Cleveland Detroit 3 3; Cleveland Toronto 3 4; Cleveland NewYork 4 3; Cleveland Boston 4 2;
Cleveland Baltimore 2 4; Baltimore Milwaukee 2 5; Baltimore Detroit 1 5; Baltimore Toronto 1 6; Baltimore NewYork 2 4;
Baltimore Boston 1 6; Baltimore Cleveland 3 4
"""

# Davidson (1970), doi:10.1080/01621459.1970.10481082, table 2: six brands of chocolate pudding; wins of either, ties.
PUDDINGS = [
    (1, 2, 19, 22, 16),
    (1, 3, 16, 19, 12),
    (2, 3, 19, 19, 10),
    (1, 4, 18, 23, 13),
    (2, 4, 23, 19, 9),
    (3, 4, 19, 20, 15),
    (1, 5, 13, 19, 18),
    (2, 5, 16, 20, 12),
    (3, 5, 16, 15, 17),
    (4, 5, 17, 14, 16),
    (1, 6, 18, 21, 12),
    (2, 6, 22, 20, 12),
    (3, 6, 13, 18, 10),
    (4, 6, 14, 19, 18),
    (5, 6, 11, 21, 12),
]


def test_citations_between_journals_give_the_published_strengths(table_of: TableOf) -> None:
    cited, citing = [], []
    for i, row in enumerate(CITATIONS):
        for j, count in enumerate(row):
            if i != j:
                cited += [JOURNALS[i]] * count
                citing += [JOURNALS[j]] * count

    fit = fit_bradley_terry(table_of(cited, citing, ["A"] * len(cited)), reference="Biometrika")

    # R's BradleyTerry2 1.1, example(citations).
    assert fit.strengths() == pytest.approx(
        {"Biometrika": 0, "Comm Statist": -2.94907, "JASA": -0.47957, "JRSS-B": 0.26895}, abs=6e-6
    )
    assert fit.se_model() == pytest.approx(
        {"Biometrika": 0, "Comm Statist": 0.10255, "JASA": 0.06059, "JRSS-B": 0.07083}, abs=6e-6
    )


def test_baseball_gives_the_published_strengths(table_of: TableOf) -> None:
    fit = fit_bradley_terry(_baseball(table_of), reference="Baltimore")

    # Agresti (2002), table 10.10, and R's BradleyTerry2, example(baseball).
    assert fit.strengths() == pytest.approx(
        {
            "Baltimore": 0,
            "Boston": 1.1077,
            "Cleveland": 0.6839,
            "Detroit": 1.4364,
            "Milwaukee": 1.5814,
            "NewYork": 1.2476,
            "Toronto": 1.2945,
        },
        abs=6e-5,
    )
    assert fit.se_model()["Boston"] == pytest.approx(0.3339, abs=6e-5)


def test_playing_at_home_is_worth_what_was_published(table_of: TableOf) -> None:
    fit = fit_bradley_terry(_baseball(table_of), reference="Baltimore", side=True)

    assert fit.estimate is not None
    assert fit.estimate.side == pytest.approx(0.3023, abs=5e-5)
    assert sqrt(fit.estimate.model_covariance[-1, -1]) == pytest.approx(0.1309, abs=5e-5)
    assert fit.strengths()["Milwaukee"] == pytest.approx(1.6196, abs=6e-5)


def test_puddings_give_davidsons_published_worths(table_of: TableOf) -> None:
    first, second, choice = [], [], []
    for i, j, wins, losses, ties in PUDDINGS:
        first += [str(i)] * (wins + losses + ties)
        second += [str(j)] * (wins + losses + ties)
        choice += ["A"] * wins + ["B"] * losses + ["tie"] * ties

    fit = fit_davidson(table_of(first, second, choice), reference="1")

    assert fit.estimate is not None
    assert fit.estimate.log_nu is not None
    worth = np.exp(list(fit.strengths().values()))
    # Davidson's own iteration, stopped early, gave .1388 .1730 .1617 .1654 .1587 .2024 and nu = .747.
    assert worth / worth.sum() == pytest.approx([0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024], abs=1e-4)
    assert exp(fit.estimate.log_nu) == pytest.approx(0.7468, abs=1e-4)
    # R's PlackettLuce 0.4, "Introduction to PlackettLuce", on the same data.
    assert list(fit.se_model().values()) == pytest.approx([0, 0.1872, 0.1935, 0.1882, 0.1927, 0.1924], abs=1e-4)


def test_strengths_equal_those_of_choix() -> None:
    votes = _arena(seed=1, models=6, votes=900)
    decisive = votes.choice <= Chosen.B
    pairs = [
        (int(a), int(b)) if choice == Chosen.A else (int(b), int(a))
        for a, b, choice in zip(votes.model_a[decisive], votes.model_b[decisive], votes.choice[decisive], strict=True)
    ]

    fit = fit_bradley_terry(votes, reference="m2")

    peer = choix.ilsr_pairwise(6, pairs, max_iter=1000, tol=1e-13)
    assert list(fit.strengths().values()) == pytest.approx(peer - peer[2], abs=1e-8)


@pytest.mark.parametrize("side", [False, True])
def test_strengths_and_two_way_errors_equal_those_of_statsmodels(side: bool) -> None:
    votes = _arena(seed=2, models=5, votes=700)
    rows = votes.choice <= Chosen.B
    design = np.zeros((int(rows.sum()), 5 + int(side)))
    design[np.arange(len(design)), votes.model_a[rows]] += 1
    design[np.arange(len(design)), votes.model_b[rows]] -= 1
    if side:
        design[:, 5] = np.where(votes.left[rows] == Left.A, 1, -1)
    peer = sm.GLM(votes.choice[rows] == Chosen.A, design[:, 1:], family=sm.families.Binomial()).fit(tol=1e-14)
    covariance = cov_cluster_2groups(peer, votes.rater[rows], votes.prompt[rows])[0]

    fit = fit_bradley_terry(votes, reference="m0", side=side)

    others = [f"m{number}" for number in range(1, 5)]
    assert [fit.strengths()[name] for name in others] == pytest.approx(peer.params[:4], abs=1e-8)
    assert [fit.se()[name] for name in others] == pytest.approx(np.sqrt(np.diag(covariance))[:4], rel=1e-8)
    assert [fit.se_model()[name] for name in others] == pytest.approx(peer.bse[:4], rel=1e-8)
    if side:
        assert fit.estimate is not None
        assert fit.estimate.side == pytest.approx(peer.params[4], abs=1e-8)
        assert fit.side_se() == pytest.approx(sqrt(covariance[4, 4]), rel=1e-8)


@pytest.mark.parametrize("side", [False, True])
def test_davidson_equals_a_general_optimiser_and_its_errors_a_textbook_sandwich(side: bool) -> None:
    votes = _arena(seed=3, models=4, votes=600, tie_share=0.25)
    rows = votes.choice != Chosen.BOTH_BAD
    scores_at = _davidson_peer(votes, rows, side=side)

    fit = fit_davidson(votes, reference="m0", side=side)

    assert fit.estimate is not None
    assert fit.covariance is not None
    point = [*list(fit.strengths().values())[1:], *([fit.estimate.side] if side else []), fit.estimate.log_nu]
    scores = scores_at(np.array(point))
    assert scores.sum(axis=0) == pytest.approx(0, abs=1e-8)
    best = optimize.root(lambda at: scores_at(at).sum(axis=0), np.zeros(len(point)), tol=1e-12)
    assert point == pytest.approx(best.x, abs=1e-8)

    information = -optimize.approx_fprime(np.array(point), lambda at: scores_at(at).sum(axis=0), 1e-6)
    bread = np.linalg.inv((information + information.T) / 2)
    n, k = scores.shape
    meat = np.zeros((k, k))
    both = votes.rater[rows].astype(np.int64) * 1000 + votes.prompt[rows]
    for sign, cluster in ((1, votes.rater[rows]), (1, votes.prompt[rows]), (-1, both)):
        _, code = np.unique(cluster, return_inverse=True)
        sums = np.stack([np.bincount(code, scores[:, column]) for column in range(k)], axis=1)
        meat += sign * (sums.T @ sums) * len(sums) / (len(sums) - 1)
    sandwich = bread @ meat @ bread * (n - 1) / (n - k)
    assert np.sqrt(fit.covariance.variances()) == pytest.approx(np.sqrt(np.diag(sandwich)), rel=1e-5)


def test_another_reference_shifts_all_strengths_alike_and_leaves_differences_as_they_are() -> None:
    votes = _arena(seed=4, models=5, votes=800)

    one, other = fit_bradley_terry(votes, reference="m0"), fit_bradley_terry(votes, reference="m3")

    shift = one.strengths()["m3"]
    assert {name: strength + shift for name, strength in other.strengths().items()} == pytest.approx(one.strengths())
    assert _error_of_difference(one, "m1", "m2") == pytest.approx(_error_of_difference(other, "m1", "m2"), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), side=st.booleans(), ties=st.booleans())
def test_swapping_a_and_b_in_any_votes_changes_nothing(seed: int, side: bool, ties: bool) -> None:
    votes, rng = _arena(seed=seed, models=4, votes=300, tie_share=0.2), np.random.default_rng(seed)
    swap = rng.random(len(votes)) < 0.5
    swapped = replace(
        votes,
        model_a=np.where(swap, votes.model_b, votes.model_a),
        model_b=np.where(swap, votes.model_a, votes.model_b),
        left=np.where(swap, 1 - votes.left, votes.left).astype(np.int8),
        choice=np.where(swap & (votes.choice <= 1), 1 - votes.choice, votes.choice).astype(np.int8),
    )
    fit = fit_davidson if ties else fit_bradley_terry

    one, other = fit(votes, reference="m0", side=side), fit(swapped, reference="m0", side=side)

    assert one.to_dict() == _about(other.to_dict())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans())
def test_the_order_of_votes_and_the_names_of_entrants_change_nothing(seed: int, ties: bool) -> None:
    votes, rng = _arena(seed=seed, models=4, votes=300, tie_share=0.2), np.random.default_rng(seed)
    order, names = rng.permutation(len(votes)), rng.permutation(4)
    renamed = replace(
        votes.rows(order),
        model_a=names[votes.model_a[order]].astype(np.int32),
        model_b=names[votes.model_b[order]].astype(np.int32),
    )
    fit = fit_davidson if ties else fit_bradley_terry

    one, other = fit(votes, reference="m0"), fit(renamed, reference=f"m{names[0]}")

    assert other.strengths() == _about({f"m{names[int(name[1])]}": value for name, value in one.strengths().items()})
    assert other.se() == _about({f"m{names[int(name[1])]}": value for name, value in one.se().items()})


def test_twice_the_votes_give_the_same_strengths_and_model_errors_smaller_by_the_root_of_two() -> None:
    votes = _arena(seed=5, models=4, votes=400)
    doubled = votes.rows(np.tile(np.arange(len(votes)), 2))

    one, other = fit_bradley_terry(votes, reference="m0"), fit_bradley_terry(doubled, reference="m0")

    assert other.strengths() == _about(one.strengths())
    assert other.se_model() == _about({name: value / sqrt(2) for name, value in one.se_model().items()})
    # A vote told twice by the same rater is no second rater: the clustered errors hardly move.
    assert other.se()["m1"] == pytest.approx(one.se()["m1"], rel=0.01)


def test_both_bad_votes_and_for_bradley_terry_ties_change_nothing() -> None:
    votes = _arena(seed=6, models=4, votes=500, tie_share=0.2)

    fit = fit_bradley_terry(votes, reference="m0")

    assert fit.to_dict() == fit_bradley_terry(votes.rows(votes.choice <= Chosen.B), reference="m0").to_dict()
    assert fit.votes == int((votes.choice <= Chosen.B).sum())


def test_an_unbeaten_entrant_is_refused_by_name(table_of: TableOf) -> None:
    votes = table_of(["a", "a", "b", "c"], ["b", "c", "c", "b"], ["A", "A", "A", "A"])

    fit = fit_bradley_terry(votes, reference="b")

    assert fit.to_dict()["estimable"] is False
    assert fit.reason == "The strengths cannot be put on one scale: [a] was never beaten by any of [b, c]."
    assert (fit.to_dict()["strengths"], fit.to_dict()["se"], fit.to_dict()["se_model"]) == (None, None, None)


def test_sides_that_nobody_wrote_down_are_a_reason(table_of: TableOf) -> None:
    votes = table_of(["a", "b"], ["b", "a"], ["A", "A"])

    fit = fit_bradley_terry(votes, reference="a", side=True)

    assert fit.reason == "The votes do not say which image stood on the left."


@pytest.mark.parametrize(
    ("rater", "prompt", "word"), [([0] * 8, range(8), "one rater"), (range(8), [0] * 8, "one prompt")]
)
def test_one_rater_or_one_prompt_gives_strengths_without_clustered_errors(
    table_of: TableOf, rater: list[int], prompt: list[int], word: str
) -> None:
    votes = table_of(["a"] * 8, ["b"] * 8, ["A"] * 5 + ["B"] * 3, rater=list(rater), prompt=list(prompt))

    fit = fit_bradley_terry(votes, reference="a")

    assert fit.strengths()["b"] == pytest.approx(log(3 / 5))
    assert fit.to_dict()["se"] is None
    assert word in fit.missing[0].reason


def test_an_entrant_of_nothing_but_ties_has_a_strength_and_no_standard_error_of_zero(table_of: TableOf) -> None:
    votes = table_of(
        ["x"] * 6 + ["y"] * 4,
        ["ref"] * 10,
        ["A", "B", "A", "tie", "B", "A", "tie", "tie", "tie", "tie"],
        rater=[0, 1, 2, 3, 4, 5, 0, 1, 2, 3],
        prompt=[0, 1, 2, 0, 1, 2, 0, 1, 2, 3],
    )

    fit = fit_davidson(votes, reference="ref")

    assert fit.strengths()["y"] == pytest.approx(0, abs=1e-9)
    assert fit.to_dict()["se"] is None
    assert fit.missing[0].reason.startswith("The votes on y do not stray at all")
    assert fit.se_model()["y"] > 0.1


def test_strengths_that_follow_the_votes_equal_a_fresh_fit() -> None:
    votes = _arena(seed=7, models=5, votes=500)
    live = LiveBradleyTerry(votes.models, "m1")
    wins = count_wins(votes)
    for i, winner in enumerate(votes.models):
        for j, loser in enumerate(votes.models):
            live.add(winner, loser, int(wins[i, j]))
    live.estimate()

    live.add("m4", "m0")
    live.add("m4", "m0")
    live.add("m4", "m0", -1)
    found = live.estimate()

    one_more = votes.rows(np.append(np.arange(len(votes)), _row(votes, "m4", "m0")))
    assert found is not None
    assert found.strengths == pytest.approx(
        list(fit_bradley_terry(one_more, reference="m1").strengths().values()), abs=1e-8
    )


def test_strengths_that_follow_the_votes_wait_until_all_can_be_ranked() -> None:
    live = LiveBradleyTerry(["a", "b"], "a")
    live.add("a", "b")
    before = live.estimate()

    live.add("b", "a")
    after = live.estimate()

    assert before is None
    assert after is not None
    assert after.strengths == pytest.approx([0, 0])


def test_lopsided_votes_settle_without_a_warning(table_of: TableOf) -> None:
    votes = table_of(["a"] * 100_001 + ["b"], ["b"] * 100_001 + ["c"], ["A"] * 100_000 + ["B", "A"])
    circle = table_of(["a"] * 30_001 + ["b"], ["b"] * 30_001 + ["a"], ["A"] * 30_002)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit, alone = fit_bradley_terry(circle, reference="a"), fit_bradley_terry(votes, reference="a")

    assert fit.strengths()["b"] == pytest.approx(-log(30_001), rel=1e-6)
    assert alone.reason is not None


def _baseball(table_of: TableOf) -> VoteTable:
    home, away, choice = [], [], []
    for line in GAMES.replace("\n", " ").split(";"):
        host, guest, won, lost = line.split()
        home += [host] * (int(won) + int(lost))
        away += [guest] * (int(won) + int(lost))
        choice += ["A"] * int(won) + ["B"] * int(lost)
    return table_of(home, away, choice, left=["A"] * len(home))


def _arena(*, seed: int, models: int, votes: int, tie_share: float = 0.1) -> VoteTable:
    """Every two models meet; raters and prompts have tastes, the left image a small advantage."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, models, votes)
    b = (a + rng.integers(1, models, votes)) % models
    rater, prompt = rng.integers(0, 25, votes), rng.integers(0, 40, votes)
    left = rng.integers(0, 2, votes)
    strength = np.linspace(-0.6, 0.6, models)
    taste, suits = rng.normal(0, 0.5, (25, models)), rng.normal(0, 0.5, (40, models))
    worth = strength + taste[rater] + suits[prompt]
    rows = np.arange(votes)
    gap = worth[rows, a] - worth[rows, b] + np.where(left == 0, 0.2, -0.2)
    choice = np.where(rng.random(votes) < 1 / (1 + np.exp(-gap)), Chosen.A, Chosen.B)
    choice = np.where(rng.random(votes) < tie_share, Chosen.TIE, choice)
    choice = np.where(rng.random(votes) < 0.05, Chosen.BOTH_BAD, choice)
    return VoteTable(
        rater=rater.astype(np.int32),
        prompt=prompt.astype(np.int32),
        category=np.full(votes, -1, dtype=np.int32),
        challenge=np.full(votes, -1, dtype=np.int32),
        model_a=a.astype(np.int32),
        model_b=b.astype(np.int32),
        left=left.astype(np.int8),
        choice=choice.astype(np.int8),
        raters=tuple(f"r{number}" for number in range(25)),
        prompts=tuple(f"p{number}" for number in range(40)),
        categories=(),
        challenges=(),
        models=tuple(f"m{number}" for number in range(models)),
    )


def _davidson_peer(votes: VoteTable, rows: np.ndarray, *, side: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Each vote's score, written down plainly: strengths of m1 ..., the side, log nu."""
    k = len(votes.models)
    a, b, choice = votes.model_a[rows], votes.model_b[rows], votes.choice[rows]
    x = np.where(votes.left[rows] == Left.A, 1.0, -1.0)

    def scores(point: np.ndarray) -> np.ndarray:
        strengths = np.append(0.0, point[: k - 1])
        gap = strengths[a] - strengths[b] + (point[k - 1] * x if side else 0)
        chances = np.stack([np.exp(gap / 2), np.exp(-gap / 2), np.full(len(gap), np.exp(point[-1]))], axis=1)
        chances /= chances.sum(axis=1, keepdims=True)
        outcome = np.eye(3)[choice]
        slope = ((outcome - chances) @ np.array([0.5, -0.5, 0.0]))[:, None]
        columns = (np.eye(k)[a] - np.eye(k)[b])[:, 1:] * slope
        parts = [columns, *([slope * x[:, None]] if side else []), (outcome - chances)[:, 2:]]
        return np.concatenate(parts, axis=1)

    return scores


def _error_of_difference(fit: Fit, one: str, other: str) -> float:
    assert fit.covariance is not None
    full = fit.of_strengths(fit.covariance.two_way)
    i, j = fit.entrants.index(one), fit.entrants.index(other)
    return sqrt(full[i, i] + full[j, j] - 2 * full[i, j])


def _row(votes: VoteTable, winner: str, loser: str) -> int:
    """A vote that prefers the one to the other."""
    a, b = votes.models.index(winner), votes.models.index(loser)
    first = (votes.model_a == a) & (votes.model_b == b) & (votes.choice == Chosen.A)
    second = (votes.model_a == b) & (votes.model_b == a) & (votes.choice == Chosen.B)
    return int(np.flatnonzero(first | second)[0])


def _about(value: object) -> object:
    """The same JSON value with every number approximate, however deep it lies."""
    if isinstance(value, dict):
        return {key: _about(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_about(inner) for inner in value]
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-6, abs=1e-9)
    return value


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), ties=st.booleans())
def test_votes_that_come_in_two_batches_are_counted_as_in_one(seed: int, share: float, ties: bool) -> None:
    votes = _arena(seed=seed, models=4, votes=300, tie_share=0.2)
    first = np.random.default_rng(seed).random(len(votes)) < share

    one, other, whole = (paired_counts(batch, by_side=True) for batch in (votes.rows(first), votes.rows(~first), votes))

    for name in ("first", "second", "ties"):
        assert (getattr(one, name) + getattr(other, name) == getattr(whole, name)).all()
    live = LiveBradleyTerry(votes.models, "m0")
    for batch in (one, other):
        for i, winner in enumerate(votes.models):
            for j, loser in enumerate(votes.models):
                live.add(winner, loser, int(batch.wins[i, j]))
    found = live.estimate()
    assert found is not None
    assert found.strengths == pytest.approx(
        list(fit_bradley_terry(votes, reference="m0").strengths().values()), abs=1e-8
    )
