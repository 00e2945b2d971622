"""The texts of the resemblance page, by language: the rating page's, and its own in `messages/` beside this module."""

from functools import cache
from pathlib import Path

from arena.pages.messages.messages import Text, load_messages

_FOLDER = Path(__file__).parent / "messages"


@cache
def load_label_messages() -> dict[str, dict[str, Text]]:
    """Language -> key -> text, the first language first; its own texts stand in place of the rating page's.

    Only the languages that both speak. Raises MessagesError.
    """
    shared = load_messages()
    return {
        language: {**shared[language], **own} for language, own in load_messages(_FOLDER).items() if language in shared
    }
