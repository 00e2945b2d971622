"""The texts of the rating page, by language.

In: the TOML files beside this module. Out: language -> key -> text, where a text with a number in it has two plural
forms, `one` and `other`. A table inside a file becomes a key with a dot: `[ended] title` is "ended.title".
"""

import re
import tomllib
from pathlib import Path

from prompts.errors import CanvasError

#: The language whose file the others follow, and the one for browsers that speak none of them.
FIRST_LANGUAGE = "en"

Text = str | dict[str, str]

_FOLDER = Path(__file__).parent
_PLURAL_FORMS = {"one", "other"}


class MessagesError(CanvasError):
    """A message file that lacks a text, or says too much."""


def load_messages(folder: Path = _FOLDER) -> dict[str, dict[str, Text]]:
    """The texts of every language in `folder`, the first language first.

    Raises MessagesError unless all files have the same keys, plural forms and {placeholders}.
    """
    found = {file.stem: _read(file) for file in sorted(folder.glob("*.toml"))}
    if FIRST_LANGUAGE not in found:
        raise MessagesError(f"There is no {FIRST_LANGUAGE}.toml in {folder}. Write it; the other languages follow it.")
    first = found.pop(FIRST_LANGUAGE)
    for language, texts in found.items():
        _compare(first, texts, f"{language}.toml")
    return {FIRST_LANGUAGE: first, **found}


def placeholders(text: Text) -> set[str]:
    """The names in {braces} that the page fills in."""
    # "one" may leave the number out: "Your vote is counted."
    whole = text if isinstance(text, str) else text["other"]
    return set(re.findall(r"\{(\w+)\}", whole))


def _read(file: Path) -> dict[str, Text]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MessagesError(f"{file.name} cannot be read: {error}. Mend it.") from error
    texts: dict[str, Text] = {}
    _flatten(tree, "", texts, file.name)
    return texts


def _flatten(table: dict[str, object], prefix: str, texts: dict[str, Text], file: str) -> None:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and set(value) != _PLURAL_FORMS:
            _flatten(value, f"{key}.", texts, file)
            continue
        forms = value.values() if isinstance(value, dict) else [value]
        if not all(isinstance(form, str) and form.strip() for form in forms):
            raise MessagesError(f"{file}: {key} is {value!r}. Give it a text, or the two forms one and other.")
        texts[key] = value if isinstance(value, dict) else str(value)


def _compare(first: dict[str, Text], texts: dict[str, Text], file: str) -> None:
    missing, strange = sorted(set(first) - set(texts)), sorted(set(texts) - set(first))
    if missing:
        raise MessagesError(f"{file} lacks {', '.join(missing)}. Translate what {FIRST_LANGUAGE}.toml says there.")
    if strange:
        raise MessagesError(f"{file} has {', '.join(strange)}, which no page shows. Remove them.")
    for key, text in first.items():
        if isinstance(text, str) != isinstance(texts[key], str):
            raise MessagesError(f"{file}: {key} needs the same plural forms as in {FIRST_LANGUAGE}.toml.")
        wanted = placeholders(text)
        if placeholders(texts[key]) != wanted:
            names = ", ".join(f"{{{name}}}" for name in sorted(wanted)) or "none"
            raise MessagesError(f"{file}: {key} has other placeholders than {FIRST_LANGUAGE}.toml. Use {names}.")
