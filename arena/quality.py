"""Gates on raters: who answers as people do who look at the images, and whether the gates themselves still work.

In: votes as they were seen on the page, and the gates that the study declared before its first vote. Out: for every
rater and gate pass, fail or unavailable, with the numbers it rests on. A rater is excluded by a gate that fails; the
votes stay, and results can be read with and without. A gate that is not declared, has too little to go by or is broken
is unavailable, and excludes nobody. The votes name no entrants, so no gate can favour one. Pure.

A share that was declared ("7 of 10 repeats agree") is held against the rater's own share by an exact test: a rater who
truly reaches it fails at most once in twenty times, however few pairs there were.
Source: the exact binomial test, Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404; for gold pairs among the others,
Oleson et al. (2011), "Programmatic Gold", AAAI workshop WS-11-11; for two attention checks rather than one, what
Prolific asks of researchers.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from math import ceil, floor, log, log2
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int64

from arena.votes import Choice
from prompts.errors import CanvasError, quoted

#: Of the rules below; every verdict carries it. A change of a rule or of a constant is a new version.
GATES_VERSION = "1"

#: A rater whose true share is the declared one fails with this probability at most.
_FAIL_P = 0.05
#: The largest part of the raters that a working gate fails: where more fail, something else is wrong.
_MOST_FAIL = 0.5
#: So many raters one after the other do not all fail by themselves, even where every third one does (p = 2e-6).
_RUN = 12
#: Attention checks that a rater needs, and that may be missed: one slip is human.
_CHECKS, _SLIPS = 2, 1

#: The alarm: raters needed before and since, exclusions since, and how sure it is over all places where it looks.
_BEFORE, _SINCE, _EXCLUDED, _ALARM_P = 20, 10, 5, 0.001


class GatesError(CanvasError):
    """Gates that cannot be followed; the sentence names the key and what it may be."""


class GateFaultError(CanvasError):
    """A vote that a gate cannot read. It never leaves this module: the gate becomes unavailable, and says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What was declared; None and False declare no gate.

    `latency_floor_ms`: choices quicker than this are no choices, and of a rater's pairs at most `latency_share` may be.
    `left_share_p`: a rater whose preferences lean to one side with an exact p below it fails. `repeat_agreement`: the
    share of repeated pairs that are judged as before, `gold_pass`: of gold pairs that get their known answer.
    `attention`: whoever misses more than one attention check fails.

    Raises GatesError for a number outside its range, which the sentence names.
    """

    latency_floor_ms: int | None = None
    latency_share: float = 0.5
    left_share_p: float | None = None
    repeat_agreement: float | None = None
    gold_pass: float | None = None
    attention: bool = False

    def __post_init__(self) -> None:
        if self.latency_floor_ms is not None and not 1 <= self.latency_floor_ms <= 60_000:
            raise GatesError(
                f"[gates] latency_floor_ms is {self.latency_floor_ms}: give milliseconds, from 1 to 60,000."
            )
        if not 0 < self.latency_share < 1:
            raise GatesError(f"[gates] latency_share is {self.latency_share}: it must lie between 0 and 1.")
        if self.latency_floor_ms is None and self.latency_share != 0.5:
            raise GatesError("[gates] has a latency_share and no latency_floor_ms. Declare the floor, or neither.")
        if self.left_share_p is not None and not 0 < self.left_share_p <= 0.05:
            raise GatesError(
                f"[gates] left_share_p is {self.left_share_p}: it must lie above 0 and not above 0.05, for so many of "
                "the honest raters fail by chance."
            )
        for name in ("repeat_agreement", "gold_pass"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise GatesError(f"[gates] {name} is {value}: it is a share, above 0 and at most 1.")

    @property
    def declared(self) -> tuple[str, ...]:
        """The names of the gates that stand, in the order of `GATE_NAMES`."""
        return tuple(name for name in GATE_NAMES if _RULES[name].is_declared(self))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; null where no gate is declared."""
        return asdict(self)

    @classmethod
    def from_dict(cls, declared: Mapping[str, Any]) -> "Gates":
        """What `to_dict` wrote, or the table [gates] of a study file. Raises GatesError, also for unknown keys."""
        known = {one.name for one in fields(cls)}
        for key, value in declared.items():
            if key not in known:
                raise GatesError(f"[gates] has the unknown key {quoted(key)}. Known keys: {', '.join(sorted(known))}.")
            is_kind, words = _KINDS[key]
            # A share has a default and is never null.
            if not is_kind(value) and not (value is None and key not in ("latency_share", "attention")):
                raise GatesError(f"[gates] {key} is {value!r}, but must be {words}.")
        return cls(**declared)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityVote:
    """A vote as it was seen: sides of the page, never entrants. `pair` is the showing's number.

    `first_choice`: for a repeat, what the rater chose the first time as it would read on this page, where the sides
    have changed over (`mirrored`). `right_answer`: for a gold pair, the side of the known answer. `attention`: the gold
    pair is an attention check. `latency_ms`: None where the page could not measure it.
    """

    rater: int
    pair: int
    pair_kind: Literal["study", "repeat", "gold"]
    question: str
    choice: Choice
    latency_ms: int | None
    cast_at: datetime
    first_choice: Choice | None = None
    right_answer: Literal[Choice.LEFT, Choice.RIGHT] | None = None
    attention: bool = False


class GateState(StrEnum):
    """What a gate says of a rater. Only a failure excludes."""

    PASS = "pass"
    FAIL = "fail"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """`value` was held against `threshold`, on `n` pairs or preferences; None where there is none.

    It is the share that was declared; for the left share the p-value, for attention the checks missed.

    `by_rule`: what the gate says of this rater by its rule alone. Where the gate is `broken`, `state` is unavailable.
    """

    state: GateState
    by_rule: GateState
    value: float | None
    threshold: float | None
    n: int
    reason: str
    broken: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"state": self.state.value, "by_rule": self.by_rule.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterQuality:
    """All gates' results on one rater, by `GATE_NAMES`; `excluded` where at least one failed."""

    rater: int
    gates: dict[str, GateResult]
    excluded: bool
    last_vote_at: datetime
    version: str = GATES_VERSION

    @property
    def is_judged(self) -> bool:
        """Whether at least one gate had enough to go by, broken or not."""
        return any(one.by_rule is not GateState.UNAVAILABLE for one in self.gates.values())

    @property
    def fails_by_rule(self) -> bool:
        """Whether the rater would be excluded if no gate were broken."""
        return any(one.by_rule is GateState.FAIL for one in self.gates.values())

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, without the time, which the votes hold."""
        return {
            "rater": self.rater,
            "excluded": self.excluded,
            "version": self.version,
            "gates": {name: result.to_dict() for name, result in self.gates.items()},
        }


def judge_raters(votes: Iterable[QualityVote], gates: Gates) -> tuple[RaterQuality, ...]:
    """Every rater of these votes by number. The order of the votes does not matter.

    A gate is broken, and unavailable for all, when a vote cannot be read by it or when more than half of the raters it
    judged fail. Where twelve raters or more fail one after the other, it is unavailable for these: a fault that comes
    and goes takes everybody who votes meanwhile.
    """
    by_rater: dict[int, list[QualityVote]] = defaultdict(list)
    for vote in votes:
        by_rater[vote.rater].append(vote)
    last_votes = {rater: max(vote.cast_at for vote in own) for rater, own in by_rater.items()}
    results = {name: _results(_RULES[name], by_rater, gates) for name in GATE_NAMES}
    judged = []
    for rater in sorted(by_rater):
        own = {name: results[name][rater] for name in GATE_NAMES}
        judged.append(
            RaterQuality(
                rater=rater,
                gates=own,
                excluded=any(one.state is GateState.FAIL for one in own.values()),
                last_vote_at=last_votes[rater],
            )
        )
    return tuple(judged)


def excluded_raters(quality: Iterable[RaterQuality]) -> frozenset[int]:
    """Who is left out of results that are shown with the gates."""
    return frozenset(one.rater for one in quality if one.excluded)


def broken_gates(quality: Iterable[RaterQuality]) -> dict[str, str]:
    """The gates that are broken for the latest rater they looked at, each with its reason."""
    return {name: latest.reason for name, (latest, _) in _latest_and_broken(quality).items() if latest.broken}


def mended_gates(quality: Iterable[RaterQuality]) -> dict[str, str]:
    """The gates that were broken for some raters and work again, each with what it said of the last of these."""
    found = _latest_and_broken(quality)
    return {name: broken.reason for name, (latest, broken) in found.items() if broken and not latest.broken}


def mirrored(choice: Choice) -> Choice:
    """The same choice on a page whose sides have changed over.

    >>> mirrored(Choice.LEFT), mirrored(Choice.TIE)
    (<Choice.RIGHT: 'right'>, <Choice.TIE: 'tie'>)
    """
    return {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}.get(choice, choice)


class _ByRater(Protocol):
    @property
    def rater(self) -> int: ...


Vote = TypeVar("Vote", bound=_ByRater)


@dataclass(frozen=True, slots=True, kw_only=True)
class BothWays(Generic[Vote]):
    """The same votes twice, for results that are shown both ways; nothing is deleted."""

    without_gates: tuple[Vote, ...]
    with_gates: tuple[Vote, ...]


def with_and_without(votes: Iterable[Vote], excluded: Collection[int]) -> BothWays[Vote]:
    """All votes, and those of raters who are not excluded, in their order."""
    every = tuple(votes)
    out = frozenset(excluded)
    return BothWays(without_gates=every, with_gates=tuple(vote for vote in every if vote.rater not in out))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The exclusion rate has jumped: of the raters `before` and of those `since` so many fail a gate.

    `since` begins with the rater who finished at `began_at`; `p` is that of Fisher's exact test over all moments at
    which the jump could have been.
    """

    began_at: datetime
    before: int
    excluded_before: int
    since: int
    excluded_since: int
    p: float

    @property
    def sentence(self) -> str:
        """What happened, and what to do."""
        return (
            f"The gates fail {self.excluded_since} of the last {self.since} raters, and failed {self.excluded_before} "
            f"of {self.before} before. This began about {self.began_at:%Y-%m-%d %H:%M} UTC: look for what changed then."
        )


def exclusion_history(quality: Iterable[RaterQuality]) -> list[tuple[datetime, bool]]:
    """When each judged rater voted last, and whether a gate fails them, also one that may not exclude by now."""
    return sorted((one.last_vote_at, one.fails_by_rule) for one in quality if one.is_judged)


def exclusion_alarm(history: Sequence[tuple[datetime, bool]], now: datetime) -> Alarm | None:
    """An alarm where the raters since some moment up to `now` fail at least twice as often as those before it.

    All moments are looked at, so that a fault that lasts for months still stands out, and one that has been mended does
    not. It needs 20 raters before, 10 since, 5 of these excluded, and p < .001 after Bonferroni's correction.
    """
    known = sorted(entry for entry in history if entry[0] <= now)
    excluded = np.array([out for _, out in known], dtype=np.bool_)
    if len(known) < _BEFORE + _SINCE:
        return None
    splits = np.arange(_BEFORE, len(known) - _SINCE + 1)
    split = _clearest_jump(excluded, splits)
    if split is None:
        return None
    before, since = excluded[:split], excluded[split:]
    out_before, out_since = int(before.sum()), int(since.sum())
    p = fisher_exact_p(out_since, len(since) - out_since, out_before, len(before) - out_before) * len(splits)
    if p >= _ALARM_P:
        return None
    return Alarm(
        began_at=known[split][0],
        before=len(before),
        excluded_before=out_before,
        since=len(since),
        excluded_since=out_since,
        p=p,
    )


def fisher_exact_p(a: int, b: int, c: int, d: int) -> float:
    """One-sided p of the table [[a, b], [c, d]]: the chance of `a` or more in its cell when the margins are given.

    Fisher's lady, who told three of four cups right:

    >>> round(fisher_exact_p(3, 1, 1, 3), 4)
    0.2429

    Source: Fisher (1935), "The Design of Experiments", chapter 2.
    """
    from scipy.special import gammaln, logsumexp

    row, column, total = a + b, a + c, a + b + c + d

    def log_choose(n: float | Float64[np.ndarray, " k"], k: Any) -> Any:
        return gammaln(np.add(n, 1)) - gammaln(np.add(k, 1)) - gammaln(np.subtract(n, k) + 1)

    k = np.arange(a, min(row, column) + 1, dtype=np.float64)
    logs = log_choose(column, k) + log_choose(total - column, row - k) - log_choose(total, row)
    return min(1.0, float(np.exp(logsumexp(logs))))


def _latest_and_broken(quality: Iterable[RaterQuality]) -> dict[str, tuple[GateResult, GateResult | None]]:
    """For each gate that looked at somebody its latest result, and the latest one by which it was broken."""
    found: dict[str, tuple[GateResult, GateResult | None]] = {}
    for one in sorted(quality, key=lambda one: (one.last_vote_at, one.rater)):
        for name, result in one.gates.items():
            if result.broken or result.by_rule is not GateState.UNAVAILABLE:
                found[name] = (result, result if result.broken else found.get(name, (None, None))[1])
    return found


def _results(rule: "_Rule", by_rater: Mapping[int, Sequence[QualityVote]], gates: Gates) -> dict[int, GateResult]:
    """One gate on every rater."""
    if not rule.is_declared(gates):
        return dict.fromkeys(by_rater, _unavailable("The study does not declare this gate."))
    evidence = {rater: [vote for vote in votes if rule.concerns(vote)] for rater, votes in by_rater.items()}
    try:
        results = {rater: rule.judge(votes, gates) for rater, votes in evidence.items()}
    # Whatever goes wrong inside a gate is the gate's fault: no rater may pay for it.
    except Exception as error:
        return dict.fromkeys(by_rater, _broken(_unavailable(""), str(error) or type(error).__name__))
    judged = [rater for rater, one in results.items() if one.by_rule is not GateState.UNAVAILABLE]
    failed = [rater for rater in judged if results[rater].by_rule is GateState.FAIL]
    if len(failed) > _MOST_FAIL * len(judged):
        why = f"{len(failed)} of the {len(judged)} raters it could judge fail, more than half."
        return {rater: _broken(one, why) for rater, one in results.items()}
    # In the order in which the gate saw them: sessions overlap, and a fault begins in the middle of some.
    judged.sort(key=lambda rater: (max(vote.cast_at for vote in evidence[rater]), rater))
    for rater, length in _runs(judged, results):
        results[rater] = _broken(results[rater], f"{length} raters failed one after the other.")
    return results


def _runs(judged: Sequence[int], results: Mapping[int, GateResult]) -> list[tuple[int, int]]:
    """The raters who failed in long runs, each with the length of the run."""
    found = []
    for verdict, group in groupby(judged, key=lambda rater: results[rater].by_rule):
        raters = list(group)
        if verdict is GateState.FAIL and len(raters) >= _RUN:
            found += [(rater, len(raters)) for rater in raters]
    return found


def _broken(result: GateResult, why: str) -> GateResult:
    """The same result from a gate that is not to be believed."""
    reason = f"This gate is taken to be broken and excludes nobody: {why}"
    return replace(result, state=GateState.UNAVAILABLE, reason=reason, broken=True)


def _unavailable(reason: str, *, n: int = 0, value: float | None = None, threshold: float | None = None) -> GateResult:
    state = GateState.UNAVAILABLE
    return GateResult(state=state, by_rule=state, value=value, threshold=threshold, n=n, reason=reason)


def _decided(failed: bool, *, value: float, threshold: float, n: int, reason: str) -> GateResult:
    state = GateState.FAIL if failed else GateState.PASS
    return GateResult(state=state, by_rule=state, value=value, threshold=threshold, n=n, reason=reason)


def _latency(votes: Sequence[QualityVote], gates: Gates) -> GateResult:
    floor, allowed = gates.latency_floor_ms, gates.latency_share
    assert floor is not None, "a gate is asked only where it is declared"
    measured: dict[int, int] = {}
    for vote in votes:
        if vote.latency_ms is not None:
            # Two questions on one pair are answered after one look: the pair counts once.
            measured[vote.pair] = min(vote.latency_ms, measured.get(vote.pair, vote.latency_ms))
    if any(latency < 0 for latency in measured.values()):
        raise GateFaultError("a latency below 0 ms was recorded.")
    n, quick = len(measured), sum(latency < floor for latency in measured.values())
    said = f"{quick} of {n} pairs were judged within {floor} ms"
    return _held_against(quick, n, allowed, value_of=quick, threshold=allowed, said=said)


def _left_share(votes: Sequence[QualityVote], gates: Gates) -> GateResult:
    from scipy.special import bdtr

    limit = gates.left_share_p
    assert limit is not None, "a gate is asked only where it is declared"
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for vote in votes:
        counts[vote.question][vote.choice == Choice.RIGHT] += 1
    # The questions on a pair go together; each is tested apart, and the surest counts after Bonferroni's correction.
    p, left, n = min(
        (
            (min(1.0, 2 * len(counts) * float(bdtr(min(sides), sum(sides), 0.5))), sides[0], sum(sides))
            for _, sides in sorted(counts.items())
        ),
        default=(1.0, 0, 0),
    )
    # So many on one side, and none on the other, have a p below the limit: 2 x questions x .5^n < limit.
    needed = floor(1 + log2(max(1, len(counts)) / limit)) + 1
    most = max((sum(sides) for sides in counts.values()), default=0)
    if most < needed:
        return _unavailable(f"{most} preferences; it takes {needed} to judge.", n=most, threshold=limit)
    reason = f"{left} of {n} preferences fell on the left (p = {p:.2g}, declared {limit:g})."
    return _decided(p < limit, value=p, threshold=limit, n=n, reason=reason)


def _repeats(votes: Sequence[QualityVote], gates: Gates) -> GateResult:
    declared = gates.repeat_agreement
    assert declared is not None, "a gate is asked only where it is declared"
    if any(vote.first_choice is None for vote in votes):
        raise GateFaultError("a repeated pair came without what was chosen the first time.")
    agreed, n = sum(vote.choice == vote.first_choice for vote in votes), len(votes)
    said = f"{agreed} of {n} repeated pairs were judged as before"
    return _held_against(n - agreed, n, 1 - declared, value_of=agreed, threshold=declared, said=said)


def _gold(votes: Sequence[QualityVote], gates: Gates) -> GateResult:
    declared = gates.gold_pass
    assert declared is not None, "a gate is asked only where it is declared"
    right, n = _right_answers(votes)
    said = f"{right} of {n} gold pairs got their known answer"
    return _held_against(n - right, n, 1 - declared, value_of=right, threshold=declared, said=said)


def _attention(votes: Sequence[QualityVote], _: Gates) -> GateResult:
    right, n = _right_answers(votes)
    if n < _CHECKS:
        return _unavailable(f"{n} of the {_CHECKS} attention checks that it takes.", n=n, threshold=_SLIPS)
    missed = n - right
    reason = f"{missed} of {n} attention checks were missed; {_SLIPS} may be."
    return _decided(missed > _SLIPS, value=missed, threshold=_SLIPS, n=n, reason=reason)


def _right_answers(votes: Sequence[QualityVote]) -> tuple[int, int]:
    """How many got their known answer, and of how many; a tie and both bad are no such answer."""
    if any(vote.right_answer is None for vote in votes):
        raise GateFaultError("a gold pair came without its known answer.")
    return sum(vote.choice == vote.right_answer for vote in votes), len(votes)


def _held_against(misses: int, n: int, allowed: float, *, value_of: int, threshold: float, said: str) -> GateResult:
    """Fail where a rater whose share of misses is truly `allowed` has so many with a chance of .05 at most."""
    from scipy.special import bdtrc

    needed = 1 if allowed <= 0 else ceil(log(_FAIL_P) / log(allowed) - 1e-9)
    if n < needed:
        value = value_of / n if n else None
        return _unavailable(f"{said}; it takes {needed} to judge.", n=n, value=value, threshold=threshold)
    p = 1.0 if misses == 0 else float(bdtrc(misses - 1, n, max(0.0, allowed)))
    # The same slack as above, for a share such as 1 - .95, which floats make a little more than .05.
    failed = p <= _FAIL_P * (1 + 1e-9)
    reason = f"{said}; {100 * threshold:g} % was declared (p = {p:.2g})."
    return _decided(failed, value=value_of / n, threshold=threshold, n=n, reason=reason)


def _is_drawn_preference(vote: QualityVote) -> bool:
    """Only where the side was drawn: a repeat stands the other way round than its first showing."""
    return vote.pair_kind == "study" and vote.choice in (Choice.LEFT, Choice.RIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A gate: when it stands, which votes concern it, and what these say of one rater."""

    is_declared: Callable[[Gates], bool]
    concerns: Callable[[QualityVote], bool]
    judge: Callable[[Sequence[QualityVote], Gates], GateResult]


_RULES: dict[str, _Rule] = {
    "latency": _Rule(
        is_declared=lambda gates: gates.latency_floor_ms is not None,
        # Known answers are meant to be seen at a glance.
        concerns=lambda vote: vote.pair_kind != "gold",
        judge=_latency,
    ),
    "left_share": _Rule(
        is_declared=lambda gates: gates.left_share_p is not None,
        concerns=_is_drawn_preference,
        judge=_left_share,
    ),
    "repeats": _Rule(
        is_declared=lambda gates: gates.repeat_agreement is not None,
        concerns=lambda vote: vote.pair_kind == "repeat",
        judge=_repeats,
    ),
    "gold": _Rule(
        is_declared=lambda gates: gates.gold_pass is not None,
        concerns=lambda vote: vote.pair_kind == "gold" and not vote.attention,
        judge=_gold,
    ),
    "attention": _Rule(
        is_declared=lambda gates: gates.attention,
        concerns=lambda vote: vote.pair_kind == "gold" and vote.attention,
        judge=_attention,
    ),
}

#: Every gate, in the order in which they are shown.
GATE_NAMES: tuple[str, ...] = tuple(_RULES)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SHARE = (_is_number, "a number")
_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "latency_floor_ms": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "latency_share": _SHARE,
    "left_share_p": _SHARE,
    "repeat_agreement": _SHARE,
    "gold_pass": _SHARE,
    "attention": (lambda value: isinstance(value, bool), "true or false"),
}


def _clearest_jump(excluded: Bool[np.ndarray, " raters"], splits: Int64[np.ndarray, " splits"]) -> int | None:
    """Where the rates before and since differ most for their spread; None where no jump is large enough."""
    sums = np.concatenate([[0], np.cumsum(excluded)])
    n, total = len(excluded), int(sums[-1])
    out_before, before = sums[splits], splits
    out_since, since = total - out_before, n - splits
    rate_before, rate_since = out_before / before, out_since / since
    large = (rate_since >= 2 * rate_before) & (out_since >= _EXCLUDED)
    if not large.any():
        return None
    # All splits share the pooled rate, so the spread differs only by how many stand on each side.
    distance = (rate_since - rate_before) / np.sqrt(1 / before + 1 / since)
    return int(splits[np.argmax(np.where(large, distance, -np.inf))])
