"""What raters read: the same in every language, and nowhere but in the message files."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from arena.pages.html import ASSETS
from arena.pages.messages.messages import MessagesError, load_messages, placeholders
from arena.pages.rate import SCRIPTS

HTML = (ASSETS / "rate.html").read_text(encoding="utf-8")
SCRIPT = "\n".join((ASSETS / "rate" / name).read_text(encoding="utf-8") for name in SCRIPTS)

#: Beginnings and ends from which the script composes keys: text("choice." + side), text(words + ".title"). The refusals
#: are held against their codes in test_rating_refusals.py.
COMPOSED = re.compile(
    r"(choice|image|practice)\.(left|right|top|bottom)|(skip|report)\.(title|text|send)"
    r"|(ended|screened_out|full|withdrawn|closed|preview)\.title|crowd\.(return|part|unless)|refusal\.[a-z_]+"
)
#: The house's name and signs are the same in every language.
SIGNS = {"Canvas Arena", "−", "+"}


def write(folder: Path, **files: str) -> Path:
    for language, text in files.items():
        (folder / f"{language}.toml").write_text(text, encoding="utf-8")
    return folder


def test_english_and_german_are_there_and_english_comes_first() -> None:
    assert list(load_messages())[:1] == ["en"]
    assert "de" in load_messages()


def test_all_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    first, *others = load_messages().values()

    for texts in others:
        assert set(texts) == set(first)
        assert {key: placeholders(text) for key, text in texts.items()} == {
            key: placeholders(text) for key, text in first.items()
        }


def test_german_is_translated_and_not_copied() -> None:
    messages = load_messages()

    same = [key for key, text in messages["en"].items() if text == messages["de"][key]]

    assert same == []


@pytest.mark.parametrize(
    ("german", "fault"),
    [
        ("[a]\nb = 'ja {x}'", "lacks c"),
        ("c = 'ja'\nd = 'ja'\n[a]\nb = 'ja {x}'", "has d"),
        ("c = 'ja'\n[a]\nb = 'ja {y}'", "a.b has other placeholders than en.toml. Use {x}"),
        ("[a]\nb = 'ja {x}'\n[c]\none = 'ja'\nother = 'ja'", "c needs the same plural forms"),
        ("c = ' '\n[a]\nb = 'ja {x}'", "c is ' '"),
        ("c = 3\n[a]\nb = 'ja {x}'", "c is 3"),
        ("c = ", "cannot be read"),
    ],
)
def test_a_file_that_says_other_things_than_the_english_one_is_refused(tmp_path: Path, german: str, fault: str) -> None:
    folder = write(tmp_path, en="c = 'yes'\n[a]\nb = 'yes {x}'", de=german)

    with pytest.raises(MessagesError) as refusal:
        load_messages(folder)

    assert "de.toml" in str(refusal.value)
    assert fault in str(refusal.value)


def test_a_folder_without_english_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MessagesError, match=r"There is no en\.toml"):
        load_messages(write(tmp_path, de="a = 'ja'"))


def test_every_text_that_the_page_names_exists_and_every_text_is_named() -> None:
    keys = set(load_messages()["en"])
    named = set(re.findall(r'data-(?:text|label|hint)="([^"]+)"', HTML))
    # Whatever looks like a key of one of our tables; a file's name such as state.js does not.
    sections = "|".join(sorted({key.split(".")[0] for key in keys}))
    named |= set(re.findall(rf'"((?:{sections})\.[a-z_]+)"', SCRIPT))

    composed = {key for key in keys if COMPOSED.fullmatch(key)}

    assert named - keys == set()
    assert keys - named - composed == set()


class Words(HTMLParser):
    """The texts of a page that a reader would see or hear, apart from the names of keys."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_key = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_key = tag == "kbd"
        self.found += [value or "" for name, value in attrs if name in ("title", "aria-label", "alt", "placeholder")]

    def handle_endtag(self, tag: str) -> None:
        self._in_key = False

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._in_key:
            self.found.append(data.strip())


def test_no_text_is_written_in_the_markup() -> None:
    words = Words()

    words.feed(HTML)

    assert set(words.found) <= SIGNS


def prose(script: str) -> list[str]:
    """The string literals of a script that read like words for people."""
    bare = re.sub(r"//[^\n]*", "", script)
    literals = re.findall(r'"((?:[^"\\\n]|\\.)*)"', bare) + re.findall(r"`([^`]*)`", bare)
    speaking = re.compile(r"[A-Z][a-z]+ [a-zA-Z]+|[a-z]{2,}[.!?…]$|^[a-z]+ [a-z]+( [a-z]+)+")
    return [literal for literal in literals if speaking.search(literal)]


def test_no_text_is_written_in_the_script() -> None:
    # The name in the window's title, and keys that the script completes.
    known = {" · Canvas Arena", "choice.", "crowd.", "image.", "practice.", "refusal."}

    assert set(prose(SCRIPT)) <= known | {"canvas-arena.outbox.", "canvas-arena.withdrawn."}
    assert prose('say("Your vote is kept."); say("Too late!"); // "A comment is no text."') == [
        "Your vote is kept.",
        "Too late!",
    ]
