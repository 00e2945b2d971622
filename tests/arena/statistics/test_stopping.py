import pytest

from arena.statistics.stopping import StoppingRule, StoppingRuleError


@pytest.mark.parametrize("rule", [StoppingRule(), StoppingRule(look_every=1, min_raters=2, min_votes=1, max_votes=1)])
def test_a_rule_survives_its_dictionary(rule: StoppingRule) -> None:
    assert StoppingRule.from_dict(rule.to_dict()) == rule


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"look_every": 0}, "look_every = 0: ask for 1 or more"),
        ({"min_raters": 1}, "min_raters = 1: ask for 2 or more"),
        ({"min_votes": 0}, "min_votes = 0: ask for 1 or more"),
        ({"min_votes": 300, "max_votes": 299}, "max_votes = 299, fewer than its min_votes = 300"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(declared: dict[str, int], complaint: str) -> None:
    with pytest.raises(StoppingRuleError, match=complaint):
        StoppingRule(**declared)
