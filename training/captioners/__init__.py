"""Captioners: each says in a sentence what an image shows. To add one, write its module and give it a line below.

A line names a function `open_captioner(settings) -> Captioner`; see `training.captioners.base`.
"""

CAPTIONERS: dict[str, str] = {
    "alt_text": "training.captioners.alt_text:open_captioner",
    "blip2": "training.captioners.blip2:open_captioner",
}
