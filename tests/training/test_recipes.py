import pytest

from prompts.plugins import UnknownPluginError
from training.recipes import RECIPES, find_recipe
from training.run import Run
from training.unets import UNETS


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_run_that_knows_its_own_name(name: str) -> None:
    run = find_recipe(name)

    assert isinstance(run, Run)
    assert run.recipe == name
    assert run.unet in UNETS
    assert run.continues is None or run.continues in RECIPES


def test_runs_have_names_of_their_own() -> None:
    names = [find_recipe(name).name for name in RECIPES]

    assert len(set(names)) == len(names)


def test_an_unknown_recipe_is_refused_with_the_list_of_recipes() -> None:
    with pytest.raises(UnknownPluginError, match=r"no recipe named 'tiny'.*tiny\.s_c"):
        find_recipe("tiny")


def test_the_average_of_commoncanvas_spans_its_last_three_and_a_half_percent() -> None:
    stage_1, stage_2 = find_recipe("commoncanvas.s_c_256"), find_recipe("commoncanvas.s_c_512")

    averaged = (1 - stage_2.ema_start) * stage_2.steps

    # Gokaslan et al. (2023), arXiv:2310.16825, supplement: EMA over the final 3.5 % of training.
    assert stage_1.ema_smoothing is None
    assert averaged == pytest.approx(50_000)
    assert averaged / (stage_1.steps + stage_2.steps) == pytest.approx(0.035, abs=0.001)


def test_the_second_stage_goes_on_from_the_first_on_the_same_images() -> None:
    for size in ("s_c", "s_nc", "l_nc"):
        stage_1, stage_2 = find_recipe(f"commoncanvas.{size}_256"), find_recipe(f"commoncanvas.{size}_512")

        assert stage_2.continues == stage_1.recipe
        assert (stage_2.unet, stage_2.licence_split) == (stage_1.unet, stage_1.licence_split)


def test_tiny_models_fit_the_demo_s_time() -> None:
    limits = {name: find_recipe(f"tiny.{name}").time_limit_s for name in ("sd2", "s_c", "s_nc", "l_nc")}

    assert all(limit is not None and limit <= (60 if name == "l_nc" else 45) for name, limit in limits.items())
