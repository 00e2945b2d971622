"""Pages in folders: static HTML beside the pictures it shows, readable without a server and without a network.

In: plain values. Out: index.html. Texts are escaped by the template engine; one style sheet is written into every page.
"""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from evaluation.folder_stage import write_atomically

INDEX = "index.html"
_SMALL_PX = 128
_HERE = Path(__file__).parent


def write_page(folder: Path, template: str, **values: Any) -> Path:
    """Fill `template`, a file beside this one, with `values`, and write it as `folder`/index.html."""
    style = Markup((_HERE / "pages.css").read_text("utf-8"))
    text = _environment().get_template(template).render(style=style, **values)
    write_atomically(folder / INDEX, text.encode("utf-8"))
    return folder / INDEX


def is_small(path: Path) -> bool:
    """Whether a picture is so small that it is shown with every pixel, and not smoothed."""
    with Image.open(path) as opened:
        return bool(max(opened.size) < _SMALL_PX)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"counted": _counted, "share": _share, "exact": _exact, "surprise": _surprise}
    return environment


def _counted(number: int) -> str:
    return f"{number:,}"


def _share(number: float) -> str:
    return f"{number:.1%}"


def _exact(number: float) -> str:
    """A cosine, with a true minus."""
    return f"{number:.3f}".replace("-", "−")


def _surprise(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
