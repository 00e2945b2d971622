"""Shared by the tests of this room: a warning is an error, and the real PartiPrompts where someone has it."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This room is light: a warning in it is an error."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes these variables for a terminal, whatever stdout is."""
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def parti_file() -> Path:
    """The real PartiPrompts.tsv, which is not ours to ship."""
    named = os.environ.get("ARENA_PARTI_PROMPTS")
    if not named:
        pytest.skip("ARENA_PARTI_PROMPTS names no copy of PartiPrompts.tsv")
    return Path(named)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that fetched prompts are kept in, not made yet and ours alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "canvas-arena" / "prompts"
