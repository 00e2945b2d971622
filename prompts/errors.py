"""The one base of every error that people's input can cause.

The command line prints a `CanvasError` as one sentence, without a traceback, and exits with 1. Anything else that is
raised is our own mistake and keeps its traceback. Each room names its own errors beside the code that raises them.
"""


class CanvasError(Exception):
    """What is wrong, with what, and what to do next, in one or two sentences."""
