import doctest
import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arena import quality
from arena.quality import (
    GATE_NAMES,
    GATES_VERSION,
    Gates,
    GatesError,
    GateState,
    QualityVote,
    RaterQuality,
    broken_gates,
    excluded_raters,
    exclusion_alarm,
    exclusion_history,
    fisher_exact_p,
    judge_raters,
    mended_gates,
    mirrored,
    with_and_without,
)
from arena.votes import Choice

START = datetime(2024, 5, 1, 9, tzinfo=UTC)
ALL_GATES = Gates(
    latency_floor_ms=400, left_share_p=0.001, repeat_agreement=0.6, gold_pass=0.8, attention=True
)  # fmt: skip
PASS, FAIL, UNAVAILABLE = GateState.PASS, GateState.FAIL, GateState.UNAVAILABLE
SIDES = (Choice.LEFT, Choice.RIGHT)


def vote(pair: int, choice: Choice = Choice.LEFT, *, rater: int = 1, **given: Any) -> QualityVote:
    """A study vote of one unhurried rater, unless something else is said."""
    values: dict[str, Any] = {
        "pair_kind": "study",
        "question": "overall",
        "latency_ms": 1500,
        "cast_at": START + timedelta(minutes=rater, seconds=pair % 100),
    }
    return QualityVote(rater=rater, pair=pair, choice=choice, **(values | given))


def alternating(n: int, *, rater: int = 1, **given: Any) -> list[QualityVote]:
    """`n` study votes, left and right by turns."""
    return [vote(pair, SIDES[pair % 2], rater=rater, **given) for pair in range(n)]


def gold(right: int, wrong: int, *, rater: int = 1, **given: Any) -> list[QualityVote]:
    """Gold pairs whose answer is on the right, so many chosen rightly and so many wrongly."""
    choices = [Choice.RIGHT] * right + [Choice.LEFT] * wrong
    return [
        vote(1000 + pair, choice, rater=rater, pair_kind="gold", right_answer=Choice.RIGHT, **given)
        for pair, choice in enumerate(choices)
    ]


def repeats(agreed: int, changed: int, *, rater: int = 1) -> list[QualityVote]:
    """Repeated pairs, so many judged as before."""
    firsts = [Choice.LEFT] * agreed + [Choice.TIE] * changed
    return [
        vote(2000 + pair, Choice.LEFT, rater=rater, pair_kind="repeat", first_choice=first)
        for pair, first in enumerate(firsts)
    ]


def judged(votes: Iterable[QualityVote], gates: Gates = ALL_GATES, rater: int = 1) -> RaterQuality:
    """What the gates say of one rater among five who pass them all."""
    honest = [one for number in range(101, 106) for one in good_rater(number)]
    return next(one for one in judge_raters([*votes, *honest], gates) if one.rater == rater)


def good_rater(rater: int) -> list[QualityVote]:
    """Somebody whom every gate lets pass."""
    return [
        *alternating(20, rater=rater),
        *repeats(5, 0, rater=rater),
        *gold(4, 0, rater=rater),
        *[replace(one, pair=one.pair + 2000, attention=True) for one in gold(2, 0, rater=rater)],
    ]


def bad_at_gold(rater: int, **given: Any) -> list[QualityVote]:
    return [*alternating(20, rater=rater, **given), *gold(0, 4, rater=rater, **given)]


def states(one: RaterQuality) -> dict[str, GateState]:
    return {name: result.state for name, result in one.gates.items()}


def test_a_rater_who_looks_passes_every_gate_and_every_verdict_names_the_version() -> None:
    one = judged(good_rater(1))

    assert states(one) == dict.fromkeys(GATE_NAMES, PASS)
    assert not one.excluded
    assert one.version == GATES_VERSION == "1"
    assert one.to_dict()["version"] == "1"
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False)) == one.to_dict()


@pytest.mark.parametrize(
    ("votes", "gate", "value"),
    [
        (alternating(20, latency_ms=120), "latency", 1.0),
        ([vote(pair) for pair in range(20)], "left_share", 2 * 0.5**20),
        (repeats(1, 9), "repeats", 0.1),
        (gold(1, 5), "gold", 1 / 6),
        (gold(1, 2, attention=True), "attention", 2.0),
    ],
)
def test_each_gate_fails_whom_it_is_there_for_and_says_on_what(
    votes: list[QualityVote], gate: str, value: float
) -> None:
    one = judged(votes)

    result = one.gates[gate]
    assert (result.state, one.excluded) == (FAIL, True)
    assert result.value == pytest.approx(value)
    assert result.n == len(votes)
    assert str(len(votes)) in result.reason
    assert [name for name, state in states(one).items() if state is FAIL] == [gate]


def test_a_gate_that_is_not_declared_is_unavailable_and_excludes_nobody() -> None:
    votes = [*alternating(20, latency_ms=1), *gold(0, 9), *repeats(0, 9)]

    one = judged(votes, Gates())

    assert states(one) == dict.fromkeys(GATE_NAMES, UNAVAILABLE)
    assert not one.excluded
    assert {result.reason for result in one.gates.values()} == {"The study does not declare this gate."}


@pytest.mark.parametrize(
    ("votes", "gate", "needed"),
    [
        (alternating(4, latency_ms=1), "latency", 5),
        ([vote(pair) for pair in range(10)], "left_share", 11),
        (repeats(0, 3), "repeats", 4),
        (gold(0, 1), "gold", 2),
        (gold(0, 1, attention=True), "attention", 2),
    ],
)
def test_where_even_the_worst_answers_could_be_chance_the_gate_is_unavailable_and_one_more_decides(
    votes: list[QualityVote], gate: str, needed: int
) -> None:
    one_more = replace(votes[-1], pair=votes[-1].pair + 1)

    few, enough = judged(votes).gates[gate], judged([*votes, one_more]).gates[gate]

    assert few.state is UNAVAILABLE
    assert not few.broken
    assert f"{needed}" in few.reason
    assert enough.state is FAIL


def test_a_floor_counts_a_pair_once_however_many_questions_it_has_and_leaves_gold_pairs_out() -> None:
    pairs = alternating(8)
    quick = [vote(pair, latency_ms=100) for pair in range(10, 14)]
    twice = [replace(one, question="quality") for one in quick]
    known = gold(4, 0, latency_ms=100)

    result = judged([*pairs, *quick, *twice, *known]).gates["latency"]

    assert (result.n, result.state) == (12, PASS)
    assert result.value == pytest.approx(4 / 12)


def test_pairs_whose_latency_nobody_measured_say_nothing_about_it() -> None:
    result = judged(alternating(20, latency_ms=None)).gates["latency"]

    assert (result.state, result.n, result.value) == (UNAVAILABLE, 0, None)


def test_the_left_share_counts_study_preferences_only() -> None:
    votes = [
        *alternating(12),
        *[vote(50 + pair, Choice.TIE) for pair in range(9)],
        *repeats(9, 0),
        *[vote(90 + pair, pair_kind="gold", right_answer=Choice.LEFT) for pair in range(9)],
    ]

    result = judged(votes).gates["left_share"]

    assert (result.n, result.value, result.state) == (12, 1.0, PASS)


def test_each_question_is_tested_apart_and_bonferroni_pays_for_there_being_two() -> None:
    votes = [*alternating(12), *[vote(pair, question="quality") for pair in range(12)]]

    result = judged(votes).gates["left_share"]

    assert result.value == pytest.approx(2 * stats.binomtest(12, 12, 0.5).pvalue)
    assert result.state is FAIL


def test_a_tie_is_no_known_answer_and_a_tie_twice_is_agreement() -> None:
    ties = [replace(one, choice=Choice.TIE) for one in gold(6, 0)]
    again = [replace(one, choice=Choice.TIE, first_choice=Choice.TIE) for one in repeats(6, 0)]

    one = judged([*ties, *again])

    assert (one.gates["gold"].value, one.gates["repeats"].value) == (0.0, 1.0)


def test_attention_checks_and_other_gold_pairs_are_judged_by_their_own_gates() -> None:
    one = judged([*gold(6, 0), *[replace(two, pair=two.pair + 50) for two in gold(0, 3, attention=True)]])

    assert (one.gates["gold"].state, one.gates["attention"].state) == (PASS, FAIL)


def test_one_missed_attention_check_is_human() -> None:
    assert judged(gold(1, 1, attention=True)).gates["attention"].state is PASS


@pytest.mark.parametrize("share", [0.5, 0.6, 0.8, 0.9, 1.0])
def test_a_rater_who_reaches_the_declared_share_fails_once_in_twenty_times_at_most(share: float) -> None:
    gates = Gates(gold_pass=share)
    for n in range(1, 31):
        failing = [k for k in range(n + 1) if judged(gold(k, n - k), gates).excluded]

        assert sum(stats.binom.pmf(k, n, share) for k in failing) <= 0.05 + 1e-9


def test_whoever_has_to_get_all_gold_pairs_right_fails_by_one() -> None:
    gates = Gates(gold_pass=1.0)

    assert judged(gold(9, 1), gates).excluded
    assert not judged(gold(10, 0), gates).excluded


def test_a_share_of_one_in_twenty_misses_is_decided_by_a_single_pair() -> None:
    # 1 - .95 is a little more than .05 in floats; the gate goes by what was written.
    assert judged(gold(0, 1), Gates(gold_pass=0.95)).excluded


QUALITY_VOTES = st.builds(
    QualityVote,
    rater=st.integers(1, 6),
    pair=st.integers(0, 30),
    pair_kind=st.sampled_from(["study", "repeat", "gold"]),
    question=st.sampled_from(["overall", "quality"]),
    choice=st.sampled_from(list(Choice)),
    latency_ms=st.none() | st.integers(0, 2000),
    cast_at=st.integers(0, 500).map(lambda minutes: START + timedelta(minutes=minutes)),
    first_choice=st.sampled_from(list(Choice)),
    right_answer=st.sampled_from(SIDES),
    attention=st.booleans(),
)
MANY_VOTES = st.lists(QUALITY_VOTES, max_size=80)
LENIENT = Gates(latency_floor_ms=400, left_share_p=0.05, repeat_agreement=0.5, gold_pass=0.5, attention=True)


@given(MANY_VOTES, st.randoms(use_true_random=False))
def test_the_order_of_the_votes_changes_nothing(votes: list[QualityVote], shuffler: Any) -> None:
    shuffled = list(votes)
    shuffler.shuffle(shuffled)

    assert judge_raters(shuffled, LENIENT) == judge_raters(votes, LENIENT)


def page_mirrored(one: QualityVote) -> QualityVote:
    answer: Literal[Choice.LEFT, Choice.RIGHT] | None = {
        Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT, None: None
    }[one.right_answer]  # fmt: skip
    first = None if one.first_choice is None else mirrored(one.first_choice)
    return replace(one, choice=mirrored(one.choice), first_choice=first, right_answer=answer)


@given(MANY_VOTES)
def test_every_page_mirrored_gives_the_same_verdicts(votes: list[QualityVote]) -> None:
    before, after = judge_raters(votes, LENIENT), judge_raters(map(page_mirrored, votes), LENIENT)

    assert [states(one) for one in after] == [states(one) for one in before]
    assert excluded_raters(after) == excluded_raters(before)


@given(MANY_VOTES)
def test_a_broken_or_missing_gate_never_excludes(votes: list[QualityVote]) -> None:
    for one in judge_raters(votes, LENIENT):
        assert one.excluded == (FAIL in states(one).values())
        for result in one.gates.values():
            assert not (result.broken and result.state is not UNAVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the ledger knows of a pair: its entrants, which the gates must not learn."""

    pair: int
    left: str
    right: str
    kind: Literal["study", "repeat", "gold"]
    better: str


def test_the_gates_are_blind_swapping_the_entrants_changes_nothing_but_what_the_known_answers_are() -> None:
    rng = np.random.default_rng(4)
    pairs = [
        Shown(
            pair=number,
            left=["ant", "bee"][side],
            right=["bee", "ant"][side],
            kind="gold" if number % 4 == 0 else "study",
            better="ant",
        )
        for number, side in enumerate(rng.integers(0, 2, 60).tolist())
    ]

    def seen(pairs: Iterable[Shown], rater: int) -> list[QualityVote]:
        """The rater always takes ant where it is known, else the left by turns."""
        return [
            vote(
                one.pair,
                Choice.LEFT if (one.left == one.better if one.kind == "gold" else one.pair % 3) else Choice.RIGHT,
                rater=rater,
                pair_kind=one.kind,
                right_answer=(Choice.LEFT if one.left == one.better else Choice.RIGHT) if one.kind == "gold" else None,
            )
            for one in pairs
        ]

    swapped = [
        replace(
            one,
            left={"ant": "bee", "bee": "ant"}[one.left],
            right={"ant": "bee", "bee": "ant"}[one.right],
            better={"ant": "bee", "bee": "ant"}[one.better],
        )
        for one in pairs
    ]

    assert judged(seen(swapped, 1)) == judged(seen(pairs, 1))
    assert {one.name for one in fields(QualityVote)}.isdisjoint({"entrant", "candidate", "left", "right", "model"})
    assert list(inspect.signature(judge_raters).parameters) == ["votes", "gates"]


def test_a_vote_that_a_gate_cannot_read_makes_that_gate_unavailable_for_everybody() -> None:
    votes = [
        *bad_at_gold(1),
        *good_rater(2),
        *good_rater(3),
        vote(3000, rater=3, pair_kind="gold", right_answer=None),
        *[vote(4000 + pair, rater=4) for pair in range(20)],
    ]

    found = {one.rater: one for one in judge_raters(votes, ALL_GATES)}

    assert {one.gates["gold"].state for one in found.values()} == {UNAVAILABLE}
    assert all(one.gates["gold"].broken for one in found.values())
    assert "without its known answer" in found[1].gates["gold"].reason
    assert excluded_raters(found.values()) == {4}
    assert list(broken_gates(found.values())) == ["gold"]


@pytest.mark.parametrize(
    ("broken", "gate"),
    [
        (vote(1, pair_kind="repeat", first_choice=None), "repeats"),
        (vote(1, latency_ms=-5), "latency"),
        (vote(1, pair_kind="gold", attention=True), "attention"),
    ],
)
def test_a_faulty_vote_is_named_by_the_gate_it_breaks(broken: QualityVote, gate: str) -> None:
    assert list(broken_gates([judged([broken])])) == [gate]


def test_an_error_inside_a_gate_is_the_gates_fault_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def falls(*_: object) -> None:
        raise ZeroDivisionError

    rule = quality._RULES["gold"]
    monkeypatch.setitem(quality._RULES, "gold", replace(rule, judge=falls))  # type: ignore[arg-type]

    one = judged(gold(0, 9))

    assert not one.excluded
    assert "ZeroDivisionError" in one.gates["gold"].reason


def test_a_gate_that_more_than_half_of_the_raters_fail_is_taken_to_be_broken() -> None:
    half = [*bad_at_gold(1), *good_rater(2)]

    assert excluded_raters(judge_raters(half, ALL_GATES)) == {1}
    found = judge_raters([*half, *bad_at_gold(3)], ALL_GATES)
    assert excluded_raters(found) == frozenset()
    assert "2 of the 3 raters" in broken_gates(found)["gold"]


def test_a_rater_who_is_alone_is_not_excluded_by_a_gate_that_nobody_has_passed_yet() -> None:
    assert excluded_raters(judge_raters(bad_at_gold(1), ALL_GATES)) == frozenset()


def arena_over_time(fails: Callable[[int], bool], raters: int) -> list[QualityVote]:
    return [one for rater in range(1, raters + 1) for one in (bad_at_gold if fails(rater) else good_rater)(rater)]


def test_the_captcha_outage_excludes_nobody_while_it_lasts_and_raises_the_alarm() -> None:
    # Every twentieth rater fails the gold pairs; from the 61st on, for thirty raters, their images do not load.
    votes = arena_over_time(lambda rater: rater % 20 == 0 or 61 <= rater <= 90, raters=90)

    found = judge_raters(votes, ALL_GATES)
    alarm = exclusion_alarm(exclusion_history(found), now=START + timedelta(days=1))

    assert excluded_raters(found) == {20, 40}
    assert {one.gates["gold"].state for one in found if one.rater > 60} == {UNAVAILABLE}
    assert "31 raters failed one after the other" in broken_gates(found)["gold"]
    assert alarm is not None
    assert (alarm.before, alarm.excluded_before, alarm.since, alarm.excluded_since) == (59, 2, 31, 31)
    assert alarm.began_at == max(one.cast_at for one in votes if one.rater == 60)
    assert "31 of the last 31 raters" in alarm.sentence
    assert "2024-05-01 10:" in alarm.sentence


def test_an_outage_that_lasts_for_months_stands_out_all_the_time() -> None:
    votes = arena_over_time(lambda rater: rater % 20 == 0 or rater > 60, raters=400)

    found = judge_raters(votes, ALL_GATES)

    assert excluded_raters(found) == frozenset()
    assert "of the 400 raters" in broken_gates(found)["gold"]
    assert exclusion_alarm(exclusion_history(found), now=START + timedelta(days=1)) is not None


def test_when_the_fault_is_mended_the_alarm_ends_and_those_it_hit_stay_in() -> None:
    votes = arena_over_time(lambda rater: rater % 20 == 0 or 61 <= rater <= 80, raters=300)

    found = judge_raters(votes, ALL_GATES)

    assert exclusion_alarm(exclusion_history(found), now=START + timedelta(days=1)) is None
    assert excluded_raters(found).isdisjoint(range(61, 80))
    assert 100 in excluded_raters(found)
    assert broken_gates(found) == {}
    assert "21 raters failed one after the other" in mended_gates(found)["gold"]


def test_raters_who_fail_now_and_then_raise_no_alarm() -> None:
    rng, alarms = np.random.default_rng(8), 0
    for _ in range(200):
        out = rng.random(150) < 0.15
        history = [(START + timedelta(minutes=place), bool(one)) for place, one in enumerate(out)]
        # Looked at after every tenth rater, as an admin would.
        alarms += any(
            exclusion_alarm(history, now=START + timedelta(minutes=minutes)) is not None
            for minutes in range(30, 151, 10)
        )

    assert alarms <= 2


def test_the_alarm_needs_raters_before_and_since_and_knows_nothing_of_the_future() -> None:
    history = [(START + timedelta(minutes=place), place >= 40) for place in range(60)]

    assert exclusion_alarm(history[:44], now=START + timedelta(days=1)) is None
    assert exclusion_alarm(history, now=START + timedelta(minutes=43)) is None
    assert exclusion_alarm(history[31:], now=START + timedelta(days=1)) is None
    assert exclusion_alarm(history, now=START + timedelta(days=1)) is not None


def test_a_rate_that_rises_by_less_than_double_is_no_jump() -> None:
    # 1,000 raters at 30 %, then 1,000 at 50 %: as sure as can be, but not a gate that fell over.
    history = [(START + timedelta(minutes=place), place % 10 < (3 if place < 1000 else 5)) for place in range(2000)]

    assert exclusion_alarm(history, now=START + timedelta(days=9)) is None


def test_fishers_lady_told_three_of_four_cups_and_that_could_be_chance() -> None:
    assert fisher_exact_p(3, 1, 1, 3) == pytest.approx(17 / 70)
    assert fisher_exact_p(4, 0, 0, 4) == pytest.approx(1 / 70)


@given(*(st.integers(0, 60) for _ in range(4)))
def test_fishers_p_is_that_of_scipy_for_every_table(a: int, b: int, c: int, d: int) -> None:
    peer = stats.fisher_exact([[a, b], [c, d]], alternative="greater").pvalue

    assert fisher_exact_p(a, b, c, d) == pytest.approx(peer, rel=1e-9, abs=1e-300)


def test_results_can_be_shown_with_and_without_the_gates_and_nothing_is_deleted() -> None:
    votes = [*bad_at_gold(1), *good_rater(2)]
    excluded = excluded_raters(judge_raters(votes, ALL_GATES))

    both = with_and_without(votes, excluded)

    assert both.without_gates == tuple(votes)
    assert both.with_gates == tuple(good_rater(2))


def test_gates_come_back_from_what_they_wrote_and_from_a_study_file() -> None:
    assert Gates.from_dict(json.loads(json.dumps(ALL_GATES.to_dict()))) == ALL_GATES
    assert Gates.from_dict({"gold_pass": 1, "attention": True}) == Gates(gold_pass=1, attention=True)
    assert Gates.from_dict({}).declared == ()
    assert ALL_GATES.declared == GATE_NAMES


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"gold": 0.8}, "unknown key 'gold'. Known keys: attention, gold_pass"),
        ({"gold_pass": "most"}, "gold_pass is 'most', but must be a number"),
        ({"gold_pass": True}, "gold_pass is True, but must be a number"),
        ({"gold_pass": 0}, "gold_pass is 0: it is a share"),
        ({"repeat_agreement": 1.2}, "repeat_agreement is 1.2"),
        ({"left_share_p": 0.2}, "left_share_p is 0.2"),
        ({"latency_floor_ms": 0}, "latency_floor_ms is 0: give milliseconds"),
        ({"latency_floor_ms": 300.0}, "must be a whole number"),
        ({"latency_floor_ms": 300, "latency_share": 1.0}, "latency_share is 1.0"),
        ({"latency_share": None, "latency_floor_ms": 300}, "latency_share is None, but must be a number"),
        ({"latency_share": 0.4}, "no latency_floor_ms"),
        ({"attention": None}, "attention is None, but must be true or false"),
    ],
)
def test_gates_that_cannot_be_followed_are_refused_by_name(written: dict[str, Any], said: str) -> None:
    with pytest.raises(GatesError) as refused:
        Gates.from_dict(written)

    assert said in str(refused.value)


def test_the_examples_in_the_docstrings_are_true() -> None:
    failed, tried = doctest.testmod(quality)

    assert tried >= 2
    assert failed == 0
