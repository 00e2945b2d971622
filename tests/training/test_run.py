from dataclasses import replace

import pytest

from training.recipes import find_recipe
from training.run import BadRunError, apply_overrides


def test_overrides_are_read_as_each_field_s_own_type() -> None:
    run = find_recipe("tiny.s_c")

    changed = apply_overrides(
        run,
        ["steps=200", "learning_rate=1e-4", "betas=0.9,0.95", "ema_warm_up=false", "schedule=constant", "name=trial"],
    )

    assert (changed.steps, changed.learning_rate, changed.betas) == (200, 1e-4, (0.9, 0.95))
    assert (changed.ema_warm_up, changed.schedule, changed.name) == (False, "constant", "trial")
    assert replace(changed, name=run.name, steps=run.steps).prediction == run.prediction


def test_none_takes_away_what_may_be_absent() -> None:
    changed = apply_overrides(find_recipe("tiny.s_c"), ["time_limit_s=none", "ema_smoothing=None", "clip_norm=none"])

    assert (changed.time_limit_s, changed.ema_smoothing, changed.clip_norm) == (None, None, None)


def test_an_unknown_field_is_refused_with_the_list_of_fields() -> None:
    with pytest.raises(BadRunError, match=r"no field 'step'\. Its fields: name, recipe, .*, steps, "):
        apply_overrides(find_recipe("tiny.s_c"), ["step=200"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps=many", "'steps' is a whole number, and 'many' is none"),
        ("steps=2.5", "'steps' is a whole number"),
        ("clip_norm=big", "'clip_norm' is a number or none"),
        ("betas=0.9", "'betas' is two numbers parted by a comma"),
        ("ema_warm_up=maybe", "'ema_warm_up' is true or false"),
        ("seed=none", "'seed' is a whole number"),
        ("schedule=linear", "'schedule' is one of constant, cosine"),
        ("licence_split=evaluation-only", "'licence_split' is one of commercial, non-commercial"),
        ("steps=0", "'steps' must be greater than 0"),
        ("warmup_steps=-1", "'warmup_steps' must be 0 or greater"),
        ("caption_dropout=1.5", r"'caption_dropout' must be in \[0, 1\]"),
        ("ema_start=1", r"'ema_start' must be in \[0, 1\)"),
        ("time_limit_s=0", "'time_limit_s' must be greater than 0, or none"),
        ("learning_rate=nan", "'learning_rate' must be greater than 0"),
        ("name=", "'name' must be some text"),
        ("steps", "write field=value"),
    ],
)
def test_a_bad_value_is_refused_and_the_field_named(assignment: str, message: str) -> None:
    with pytest.raises(BadRunError, match=message):
        apply_overrides(find_recipe("tiny.s_c"), [assignment])
