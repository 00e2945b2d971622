"""Every example in a docstring of these modules gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import arena.statistics

MODULES = sorted(one.name for one in pkgutil.iter_modules(arena.statistics.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    module = importlib.import_module(f"arena.statistics.{name}")

    failed, _ = doctest.testmod(module)

    assert failed == 0


def test_most_modules_show_an_example() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    shown = {
        name
        for name in MODULES
        if any(test.examples for test in finder.find(importlib.import_module(f"arena.statistics.{name}")))
    }

    assert len(shown) >= 12, shown
