"""What Gradio's pages wear: a theme made of house.css's colours, system fonts, and nothing from other hosts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio.themes import Base

HEAD = (
    '<link rel="icon" href="/favicon.svg" type="image/svg+xml">'
    '<link rel="stylesheet" href="/assets/house.css">'
    '<link rel="stylesheet" href="/assets/shell.css">'
    '<link rel="stylesheet" href="/assets/results.css">'
)

#: Gradio's variable -> ours. Both of Gradio's modes get the same names; house.css changes what they mean in the dark.
_COLOURS = {
    "body_background_fill": "var(--paper)",
    "body_text_color": "var(--ink)",
    "body_text_color_subdued": "var(--quiet)",
    "background_fill_primary": "var(--card)",
    "background_fill_secondary": "var(--paper)",
    "border_color_primary": "var(--line)",
    "border_color_accent": "var(--accent)",
    "color_accent_soft": "var(--accent-wash)",
    "link_text_color": "var(--accent)",
    "link_text_color_hover": "var(--accent)",
    "link_text_color_visited": "var(--accent)",
    "link_text_color_active": "var(--accent)",
    "block_background_fill": "var(--card)",
    "block_border_color": "var(--line)",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--quiet)",
    "block_title_text_color": "var(--quiet)",
    "block_info_text_color": "var(--quiet)",
    "input_background_fill": "var(--card)",
    "input_background_fill_focus": "var(--card)",
    "input_border_color": "var(--line)",
    "input_border_color_focus": "var(--accent)",
    "input_placeholder_color": "var(--quiet)",
    "button_primary_background_fill": "var(--accent)",
    "button_primary_background_fill_hover": "var(--accent)",
    "button_primary_text_color": "var(--accent-ink)",
    "button_secondary_background_fill": "var(--card)",
    "button_secondary_background_fill_hover": "var(--card)",
    "button_secondary_border_color": "var(--line)",
    "button_secondary_border_color_hover": "var(--quiet)",
    "button_secondary_text_color": "var(--ink)",
    "checkbox_label_background_fill": "var(--card)",
    "checkbox_label_background_fill_hover": "var(--card)",
    "checkbox_label_background_fill_selected": "var(--accent-wash)",
    "checkbox_label_border_color": "var(--line)",
    "checkbox_label_text_color": "var(--ink)",
    "checkbox_label_text_color_selected": "var(--ink)",
    "checkbox_background_color_selected": "var(--accent)",
    "checkbox_border_color_selected": "var(--accent)",
}
_BARE = {"color_accent": "var(--accent)"}
_SHAPES = {
    "block_shadow": "none",
    "block_border_width": "0px",
    "block_padding": "0px",
    "block_radius": "10px",
    "input_border_width": "1px",
}


def house_theme() -> "Base":
    """Gradio's plainest theme in the house's colours."""
    import gradio as gr

    theme = gr.themes.Base(
        font=[
            "-apple-system",
            "BlinkMacSystemFont",
            "Segoe UI",
            "Roboto",
            "Helvetica Neue",
            "Liberation Sans",
            "Arial",
        ],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    both_modes = {f"{name}{mode}": value for name, value in _COLOURS.items() for mode in ("", "_dark")}
    return theme.set(**both_modes, **_BARE, **_SHAPES)
