"""Recipes: functions that return a Run. To add one, write the function and give it a line below."""

from prompts.plugins import load_plugin
from training.run import Run

RECIPES: dict[str, str] = {
    "tiny.sd2": "training.recipes.tiny:sd2",
    "tiny.s_c": "training.recipes.tiny:s_c",
    "tiny.s_nc": "training.recipes.tiny:s_nc",
    "tiny.l_nc": "training.recipes.tiny:l_nc",
    "commoncanvas.s_c_256": "training.recipes.commoncanvas:s_c_256",
    "commoncanvas.s_c_512": "training.recipes.commoncanvas:s_c_512",
    "commoncanvas.s_nc_256": "training.recipes.commoncanvas:s_nc_256",
    "commoncanvas.s_nc_512": "training.recipes.commoncanvas:s_nc_512",
    "commoncanvas.l_nc_256": "training.recipes.commoncanvas:l_nc_256",
    "commoncanvas.l_nc_512": "training.recipes.commoncanvas:l_nc_512",
}


def find_recipe(name: str) -> Run:
    """The Run of the recipe called `name`. Raises UnknownPluginError, which lists the recipes."""
    run: Run = load_plugin(RECIPES, name, "recipe")()
    return run
