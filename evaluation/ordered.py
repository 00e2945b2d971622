"""Work done ahead by a few threads, with results in their order and in bounded memory.

In: items, and a function that frees the interpreter while it works (decoding, fetching, a model on a GPU). Out: its
results, in the items' order whatever the number of threads, so that nothing downstream can depend on that number.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Iterator[Result]:
    """`function` of each item, in order; at most `ahead` results are begun and not yet taken.

    `items` is read in the caller's thread, no further than needed. What `function` raises is raised in its place, and
    what was begun after it is dropped.
    """
    assert threads >= 1
    assert ahead >= 1
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
