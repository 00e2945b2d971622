"""The rating page: Gradio's shell around one HTML component, whose script talks to the routes of `arena.api`.

The component's template, style and script are the files assets/rate.{html,css,js}; nothing about a study is in the
page itself, so that it can be the same for everyone.
"""

from typing import TYPE_CHECKING

from arena.pages.html import ASSETS

if TYPE_CHECKING:
    import gradio as gr


def rating_page() -> "gr.Blocks":
    """The page at /rate/?study=NAME."""
    import gradio as gr

    with gr.Blocks(title="Canvas Arena", analytics_enabled=False) as blocks:
        gr.HTML(
            elem_id="rating",
            html_template=_asset("rate.html"),
            css_template=_asset("rate.css"),
            js_on_load=_asset("rate.js"),
            apply_default_css=False,
        )
    page: gr.Blocks = blocks
    return page


def _asset(name: str) -> str:
    text = (ASSETS / name).read_text(encoding="utf-8")
    # Gradio reads markup and style as a JavaScript template inside Handlebars: these would be taken for code.
    assert name.endswith(".js") or not any(mark in text for mark in ("`", "${", "{{", "\\")), name
    return text
