"""The one base of every error that people's input can cause.

The command line prints a `CanvasError` as one sentence, without a traceback, and exits with 1. Anything else that is
raised is our own mistake and keeps its traceback. Each room names its own errors beside the code that raises them.
"""


class CanvasError(Exception):
    """What is wrong, with what, and what to do next, in one or two sentences."""


def printable(text: str) -> str:
    """`text` on one line: characters that would steer a terminal, line ends among them, stand as their escapes."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def quoted(text: str, longest: int = 80) -> str:
    """People's own text inside a sentence: in quotation marks, printable, cut to `longest` characters."""
    line = printable(text)
    return f"'{line}'" if len(line) <= longest else f"'{line[: longest - 1]}…'"
