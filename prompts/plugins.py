"""A plug-in is one file and one line: a table maps its name to "module:attribute", loaded when it is used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from prompts.errors import CanvasError


class UnknownPluginError(CanvasError):
    """A name that stands in no line of its table."""


class MissingExtraError(CanvasError):
    """A plug-in whose libraries are not installed."""


def load_plugin(table: Mapping[str, str], name: str, kind: str) -> Any:
    """The object that `table[name]` points at; `kind` is the word for it in an error ("prompt set", "metric").

    Raises UnknownPluginError, which lists the known names, and MissingExtraError where a library is missing.
    """
    if name not in table:
        raise UnknownPluginError(f"There is no {kind} named '{name}'. Known: {', '.join(sorted(table))}.")
    module_name, _, attribute = table[name].partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        room = module_name.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] == room:
            raise
        raise MissingExtraError(
            f"The {kind} '{name}' needs {error.name}, which is not installed: "
            f"install the extra that holds it, canvas-arena[{room}]."
        ) from error
    return getattr(module, attribute)
