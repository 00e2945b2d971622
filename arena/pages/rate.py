"""The rating page: Gradio's shell around one HTML component, whose script talks to the routes of `arena.api`.

In: the component's template and style (assets/rate.html, rate.css), its scripts (assets/rate/) and the texts of every
language. Out: one page that is the same for everyone; nothing about a study is in it.
"""

import json
from typing import TYPE_CHECKING

from arena.pages.html import ASSETS
from arena.pages.messages.messages import load_messages

if TYPE_CHECKING:
    import gradio as gr

#: The page's scripts in the order in which they run, as the body of one function.
SCRIPTS = (
    "state.js",
    "words.js",
    "server.js",
    "outbox.js",
    "pairs.js",
    "zoom.js",
    "dialogs.js",
    "stages.js",
    "begin.js",
)


def rating_page() -> "gr.Blocks":
    """The page at /rate/?study=NAME."""
    import gradio as gr

    with gr.Blocks(title="Canvas Arena", analytics_enabled=False) as blocks:
        gr.HTML(
            elem_id="rating",
            html_template=_template("rate.html"),
            css_template=_template("rate.css"),
            js_on_load=_script(),
            apply_default_css=False,
        )
    page: gr.Blocks = blocks
    return page


def _template(name: str) -> str:
    text = (ASSETS / name).read_text(encoding="utf-8")
    # Gradio reads markup and style as a JavaScript template inside Handlebars: these would be taken for code.
    assert not any(mark in text for mark in ("`", "${", "{{", "\\")), name
    return text


def _script() -> str:
    parts = [f"const MESSAGES = {json.dumps(load_messages())};"]
    parts += [(ASSETS / "rate" / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join(parts)
