"""Our own HTML: templates with every value escaped, and the page that says what went wrong."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Environment

ASSETS = Path(__file__).parent / "assets"
_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """The text of templates/`template` with `values` in it, each escaped; an unknown name in it is an error."""
    return _environment().get_template(template).render(**values)


def page(template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """`render` as an answer that no browser keeps: what it shows changes with every vote."""
    return HTMLResponse(render(template, **values), status, {"Cache-Control": "no-store"})


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
