"""What labellers read: the same in every language, and nowhere but in the message files."""

import re
from pathlib import Path

import arena.labelling as package
from arena.labelling.api import OWN_SCRIPTS, SHARED_SCRIPTS
from arena.labelling.texts import load_label_messages
from arena.pages.html import ASSETS
from arena.pages.messages.messages import load_messages, placeholders

OWN = Path(package.__file__).parent
HTML = (OWN / "assets" / "resemblance.html").read_text(encoding="utf-8")
SCRIPT = "\n".join((OWN / "assets" / name).read_text(encoding="utf-8") for name in OWN_SCRIPTS)
SHARED = "\n".join((ASSETS / "rate" / name).read_text(encoding="utf-8") for name in SHARED_SCRIPTS)
#: Beginnings and ends from which the scripts compose keys.
COMPOSED = re.compile(
    r"(choice|image)\.(left|right|top|bottom)|(skip|report)\.(title|text|send)|(ended|full|withdrawn|closed|preview)\.title"
    r"|label\.(yes|not_sure|no|equally|neither)|crowd\.(return|part|unless)|refusal\.[a-z_]+"
)


def test_both_languages_have_every_text_and_the_same_placeholders() -> None:
    texts = load_label_messages()

    assert set(texts["en"]) == set(texts["de"])
    assert [key for key in texts["en"] if placeholders(texts["en"][key]) != placeholders(texts["de"][key])] == []


def test_every_text_that_the_page_names_exists_and_every_text_of_its_own_is_named() -> None:
    keys = set(load_label_messages()["en"])
    own = set(load_messages(OWN / "messages")["en"])
    sections = "|".join(sorted({key.split(".")[0] for key in keys}))

    named = set(re.findall(r'data-(?:text|label|hint)="([^"]+)"', HTML))
    named |= set(re.findall(rf'"((?:{sections})\.[a-z_]+)"', SCRIPT + SHARED))

    assert named - keys - {name for name in named if name.endswith(".js")} == set()
    assert {key for key in own - named if not COMPOSED.fullmatch(key)} == set()


def test_nothing_of_the_scripts_is_markup_from_a_study() -> None:
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", SCRIPT)
