import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from arena.statistics.multiplicity import benjamini_hochberg, holm

# Benjamini & Hochberg (1995), section 3.1: fifteen hypotheses of Neuhaus et al. (1992) on myocardial infarction.
NEUHAUS = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_benjamini_and_hochbergs_own_example_rejects_four_and_holm_three() -> None:
    explored, claimed = benjamini_hochberg(NEUHAUS), holm(NEUHAUS)

    assert [p is not None and p <= 0.05 for p in explored] == [True] * 4 + [False] * 11
    assert [p is not None and p <= 0.05 for p in claimed] == [True] * 3 + [False] * 12


@pytest.mark.parametrize("tests", [1, 2, 5, 40])
def test_adjusted_p_values_agree_with_statsmodels(tests: int) -> None:
    p_values = (np.random.default_rng(tests).random(tests) ** 3).round(2).tolist()  # rounded, so that some are equal

    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], rel=1e-12)
    assert benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1], rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusting_keeps_the_order_and_never_makes_a_p_smaller(p_values: list[float]) -> None:
    for adjusted in (holm(p_values), benjamini_hochberg(p_values)):
        rows = sorted(zip(p_values, adjusted, strict=True))
        assert all(after is not None and before <= after <= 1 for before, after in rows)
        assert [after for _, after in rows] == sorted(after for after in adjusted if after is not None)


def test_an_entrant_without_a_test_still_belongs_to_the_family() -> None:
    assert holm([0.02, None, None]) == [pytest.approx(0.06), None, None]
    assert benjamini_hochberg([0.02, None, None]) == [pytest.approx(0.06), None, None]


def test_no_tests_make_an_empty_family() -> None:
    assert holm([]) == []
    assert benjamini_hochberg([]) == []
