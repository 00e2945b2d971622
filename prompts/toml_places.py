"""On which line of a TOML file each of its keys stands; tomllib keeps no positions of what it read.

In: the text of a TOML file. Out: paths such as ("delta",), ("gates", "left_share_p") and ("gold", 0, "better"), with
their lines. Pure. `PlacedError` is a refusal that knows such a path. The file is read statement by statement, each by
tomllib itself: what looks like a key inside a long text is none.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

from prompts.errors import CanvasError

#: Keys, and numbers in lists of tables, from the outermost one inwards.
Place = tuple[str | int, ...]


class PlacedError(CanvasError):
    """A refusal of what a file declares, raised by code that never sees the file; whoever reads it finds the line.

    `place` is () where no key is at fault.
    """

    place: Place = ()

    def at(self, *outer: str | int) -> Self:
        """This error, its place inside `outer`: ("better",) becomes ("gold", 1, "better")."""
        self.place = (*outer, *self.place)
        return self


def places(text: str) -> dict[Place, int]:
    """The first line of every key and table, counted from 1. Text that is no TOML has no places from its fault on."""
    found: dict[Place, int] = {}
    tables: Counter[Place] = Counter()
    table: Place = ()
    statement, first_line = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        statement += f"{line}\n"
        try:
            said = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            # A value over several lines goes on; cut anywhere, it is no TOML.
            continue
        if statement.lstrip().startswith("["):
            table = _table(said, tables)
            new = [table[:length] for length in range(1, len(table) + 1)]
        else:
            new = list(_paths(said, table))
        for path in new:
            found.setdefault(path, first_line)
        statement, first_line = "", number + 1
    return found


def line_of(text: str, path: Place) -> int | None:
    """The line of the key, else of the innermost table around it that has one."""
    found = places(text)
    inwards = (path[:length] for length in range(len(path), 0, -1))
    return next((found[one] for one in inwards if one in found), None)


def _table(said: dict[str, Any], tables: Counter[Place]) -> Place:
    """The path of the table that a header opens; `tables` counts those of one name."""
    path: Place = ()
    inner: Any = said
    while inner:
        [(key, inner)] = inner.items()
        path = (*path, key)
        if isinstance(inner, list):
            tables[path] += 1
            path = (*path, tables[path] - 1)
            inner = inner[0]
        elif tables[path]:
            path = (*path, tables[path] - 1)
    return path


def _paths(value: Any, path: Place) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        if isinstance(value, dict) or isinstance(one, dict):
            yield (*path, key)
            yield from _paths(one, (*path, key))
