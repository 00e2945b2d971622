"""A plug-in is a name and a line, loaded when it is used."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompts.errors import CanvasError
from prompts.plugins import MissingExtraError, UnknownPluginError, load_plugin


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package `attic`, ours for one test."""
    (tmp_path / "attic").mkdir()
    (tmp_path / "attic" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "attic"
    for name in [name for name in sys.modules if name.partition(".")[0] == "attic"]:
        del sys.modules[name]


def test_a_line_gives_the_object_it_points_at(room: Path) -> None:
    (room / "lamp.py").write_text("LIGHT = 'warm'", encoding="utf-8")

    assert load_plugin({"lamp": "attic.lamp:LIGHT"}, "lamp", "fitting") == "warm"


def test_lines_that_are_not_used_are_not_loaded(room: Path) -> None:
    (room / "lamp.py").write_text("LIGHT = 'warm'", encoding="utf-8")
    (room / "trap.py").write_text("raise RuntimeError('loaded')", encoding="utf-8")

    load_plugin({"lamp": "attic.lamp:LIGHT", "trap": "attic.trap:SNAP"}, "lamp", "fitting")

    assert "attic.trap" not in sys.modules


def test_an_unknown_name_lists_the_known_ones_in_order() -> None:
    with pytest.raises(UnknownPluginError, match=r"no metric named 'fud'\. Known: clip_score, fid\.") as raised:
        load_plugin({"fid": "a:b", "clip_score": "c:d"}, "fud", "metric")

    assert isinstance(raised.value, CanvasError)


def test_a_library_that_is_not_installed_is_named_with_the_extra_that_holds_it(room: Path) -> None:
    (room / "lamp.py").write_text("import no_such_library.deep", encoding="utf-8")

    with pytest.raises(MissingExtraError, match=r"'lamp' needs no_such_library, .*canvas-arena\[attic\]"):
        load_plugin({"lamp": "attic.lamp:LIGHT"}, "lamp", "fitting")


def test_a_module_of_ours_that_is_not_there_is_our_own_mistake(room: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"attic\.lamp"):
        load_plugin({"lamp": "attic.lamp:LIGHT"}, "lamp", "fitting")
