import pytest

from arena.statistics.equivalence import MarginError
from arena.statistics.interval import Interval
from arena.statistics.sequential import Look
from arena.statistics.standings import Standing, decide
from arena.statistics.stopping import StoppingRule

RULE = StoppingRule()


def _look(rate: float, *, half: float, p: float, n: int = 500) -> Look:
    return Look(n=n, raters=40, rate=rate, interval=Interval(low=rate - half, high=rate + half), p=p)


NOT_YET = Look(n=50, raters=3, rate=0.9)


@pytest.mark.parametrize(
    ("look", "standing"),
    [
        (_look(0.65, half=0.1, p=0.001), Standing.PREFERRED),
        (_look(0.35, half=0.1, p=0.001), Standing.NOT_PREFERRED),
        (_look(0.51, half=0.03, p=1.0), Standing.EQUIVALENT),
        (_look(0.53, half=0.02, p=0.001), Standing.EQUIVALENT),
        (_look(0.53, half=0.1, p=0.9), Standing.UNDECIDED),
        (NOT_YET, Standing.UNDECIDED),
        (None, Standing.UNDECIDED),
    ],
)
def test_an_entrant_stands_where_its_latest_look_puts_it(look: Look | None, standing: Standing) -> None:
    found = decide({"ant": look}, RULE, 0.05)

    assert found.standings == {"ant": standing}
    assert found.stop == (standing is not Standing.UNDECIDED)


def test_several_entrants_share_the_chance_of_a_false_claim() -> None:
    looks = {"ant": _look(0.65, half=0.1, p=0.03), "bee": _look(0.6, half=0.15, p=0.2), "fly": None}

    found = decide(looks, RULE, 0.05)

    assert found.p_holm == {"ant": pytest.approx(0.09), "bee": pytest.approx(0.4), "fly": None}
    assert decide({"ant": looks["ant"]}, RULE, 0.05).standings["ant"] is Standing.PREFERRED
    assert found.standings["ant"] is Standing.UNDECIDED


def test_the_study_goes_on_while_anyone_is_undecided() -> None:
    looks = {"ant": _look(0.65, half=0.1, p=0.001), **dict.fromkeys(["a", "b", "c", "d", "e"])}

    found = decide(looks, RULE, 0.05)

    assert not found.stop
    assert found.reason == "Go on: 'a', 'b', 'c', 2 more are still undecided."


def test_it_stops_when_all_are_decided_and_says_how() -> None:
    looks = {
        "ant": _look(0.65, half=0.1, p=0.001),
        "bee": _look(0.5, half=0.03, p=1.0),
        "fly": _look(0.7, half=0.1, p=0.0001),
    }

    found = decide(looks, RULE, 0.05)

    assert found.stop
    assert found.reason == "Stop: all 3 entrants are decided (2 preferred, 1 equivalent)."
    assert decide({"bee": looks["bee"]}, RULE, 0.05).reason == "Stop: 'bee' is equivalent."


def test_it_stops_at_the_declared_end_and_says_who_is_left() -> None:
    rule = StoppingRule(max_votes=500)
    looks = {"ant": _look(0.65, half=0.1, p=0.001, n=400), "bee": _look(0.53, half=0.1, p=0.9, n=500)}

    found = decide(looks, rule, 0.05)

    assert found.stop
    assert found.reason == "Stop: 'bee' is undecided after the declared 500 votes each."
    assert found.standings == {"ant": Standing.PREFERRED, "bee": Standing.UNDECIDED}
    assert not decide({**looks, "bee": _look(0.53, half=0.1, p=0.9, n=450)}, rule, 0.05).stop
    assert not decide({**looks, "fly": None}, rule, 0.05).stop


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(MarginError):
        decide({"ant": None}, RULE, 0.5)
