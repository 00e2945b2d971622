import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.schedule import Schedule


def schedule(**changes: object) -> Schedule:
    return Schedule(**{"shape": "cosine", "steps": 100, "warmup_steps": 10, "time_limit_s": None, **changes})  # type: ignore[arg-type]


def test_the_rate_warms_up_in_equal_steps() -> None:
    rates = [schedule(shape="constant").multiplier(step, 0.0) for step in (0, 4, 9, 10, 99)]

    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0])


def test_without_warm_up_the_first_step_is_full() -> None:
    assert schedule(warmup_steps=0).multiplier(0, 0.0) == 1.0


def test_a_cosine_ends_at_nothing() -> None:
    rates = [schedule(warmup_steps=0).multiplier(step, 0.0) for step in (0, 50, 100)]

    assert rates == pytest.approx([1.0, 0.5, 0.0])


def test_a_trapezoid_stays_and_then_falls_in_a_straight_line() -> None:
    rates = [schedule(shape="trapezoid", warmup_steps=0).multiplier(step, 0.0) for step in (0, 60, 80, 90, 100)]

    assert rates == pytest.approx([1.0, 1.0, 0.5, 0.25, 0.0])


def test_a_slow_machine_anneals_by_the_clock() -> None:
    timed = schedule(warmup_steps=0, time_limit_s=20.0)

    assert timed.progress(10, elapsed_s=10.0) == 0.5
    assert timed.multiplier(10, elapsed_s=10.0) == pytest.approx(0.5)
    assert timed.progress(11, elapsed_s=21.0) == 1.0


def test_a_quick_machine_anneals_by_its_steps() -> None:
    timed = schedule(warmup_steps=0, time_limit_s=20.0)

    assert timed.progress(50, elapsed_s=1.0) == 0.5
    assert timed.progress(100, elapsed_s=2.0) == 1.0


@given(
    shape=st.sampled_from(["constant", "cosine", "trapezoid"]),
    steps=st.integers(1, 500),
    warmup=st.integers(0, 50),
    limit=st.none() | st.floats(1, 100),
    done=st.integers(0, 500),
    elapsed=st.floats(0, 200),
)
def test_progress_and_rate_stay_within_bounds_and_progress_never_goes_back(
    shape: str, steps: int, warmup: int, limit: float | None, done: int, elapsed: float
) -> None:
    any_schedule = schedule(shape=shape, steps=steps, warmup_steps=warmup, time_limit_s=limit)

    progress, later = any_schedule.progress(done, elapsed), any_schedule.progress(done + 1, elapsed + 1)

    assert 0.0 <= progress <= later <= 1.0
    assert 0.0 <= any_schedule.multiplier(done, elapsed) <= 1.0
