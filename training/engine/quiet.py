"""Composer warns and logs about much that nobody who trains here can change: it is kept still while it runs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOUD = ("composer", "torch.distributed", "streaming")


@contextmanager
def quietly() -> Iterator[None]:
    """Errors still come through; what was set before is set again afterwards."""
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
