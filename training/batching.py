"""Items in groups, lazily."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter where they do not divide evenly."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
