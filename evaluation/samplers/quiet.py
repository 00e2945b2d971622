"""Pipelines are loaded and run without the bars and warnings that nobody who watches a command can use."""

from collections.abc import Iterator
from contextlib import contextmanager

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_diffusers() -> Iterator[None]:
    """Without the bars that loading draws and without warnings; downloads keep their bars, errors their words."""
    shown = diffusers_logging.is_progress_bar_enabled()
    levels = [(library, library.get_verbosity()) for library in (diffusers_logging, transformers_logging)]
    diffusers_logging.disable_progress_bar()
    for library, _ in levels:
        library.set_verbosity_error()
    try:
        yield
    finally:
        for library, level in levels:
            library.set_verbosity(level)
        if shown:
            diffusers_logging.enable_progress_bar()
