"""The dose-response curves as a drawing: how often each model shows its targets, the more a prompt says of them.

In: curves. Out: an SVG as text, for the page, where its style gives the colours of letters and lines, and for a paper,
in ink on white. Whiskers are 95 % intervals over characters. Drawn here, for one chart needs neither a library on the
page nor a browser to make a file of it. Pure.
Colours and signs tell models apart with any colour vision (Okabe & Ito (2008), "Color Universal Design"); the reference
is grey, dotted and hollow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle

from evaluation.audit.dose_response import DoseResponse, Step
from evaluation.audit.report_words import curves_in_words, kind_words, percent
from prompts.errors import printable
from prompts.probes import LADDER

#: For a page on a desk and a paper, and for a telephone: letters keep their size.
WIDE_PX, NARROW_PX = 760, 340
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b08900")
_REFERENCE, _INK, _QUIET, _LINE = "#85837b", "#1c1c1a", "#5f5e59", "#dfded9"
# Around the middle of a point, in px.
_SIGNS = (
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "M-4.2-4.2h8.4v8.4h-8.4z",
    "M0-5.6L5.6 0L0 5.6L-5.6 0z",
    "M0-5.4L5.2 4.2h-10.4z",
    "M-1.7-5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
    "M0-6L1.5-1.8L5.7-1.8L2.4.8L3.6 5L0 2.4L-3.6 5L-2.4.8L-5.7-1.8L-1.5-1.8z",
)
_GAP = "\N{NO-BREAK SPACE}"
_LETTERS = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', Arial, sans-serif"
_PLOT_PX, _LEFT_PX, _RIGHT_PX, _TOP_PX = 300.0, 58.0, 14.0, 12.0
_LEVEL_FOOT_PX, _SLANTED_FOOT_PX = 30.0, 78.0
_LETTER_PX, _LEGEND_LINE_PX, _SIGN_PX, _LONGEST = 7.2, 22.0, 34.0, 40
_APART, _AROUND, _MOST_APART_PX, _CAP_PX = 0.07, 0.4, 9.0, 4
_RATES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How a curve is drawn; `shift_px` keeps whiskers of one step beside each other."""

    curve: DoseResponse
    colour: str
    sign: str
    is_reference: bool
    shift_px: float

    @property
    def name(self) -> str:
        """The model's name, cut."""
        name = printable(self.curve.model)
        return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"

    def marker(self, x: float, y: float) -> str:
        """Its sign at a place."""
        inside = "none" if self.is_reference else self.colour
        return (
            f'<path class="sign" d="{self.sign}" transform="translate({x:g} {y:g})" fill="{inside}" '
            f'stroke="{self.colour}" stroke-width="1.5"/>'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where things lie, in px from the upper left corner."""

    width: int
    top: float
    steps: tuple[str, ...]

    @property
    def bottom(self) -> float:
        """Where the rate is 0."""
        return self.top + _PLOT_PX

    @property
    def right(self) -> float:
        """Where the plot ends."""
        return self.width - _RIGHT_PX

    @property
    def step_px(self) -> float:
        """From one step to the next."""
        return (self.right - _LEFT_PX) / (len(self.steps) - 1 + 2 * _AROUND)

    @property
    def is_level(self) -> bool:
        """Whether the steps' names stand side by side."""
        return all(len(kind_words(kind)) * _LETTER_PX < self.step_px for kind in self.steps)

    @property
    def height(self) -> float:
        """Of the whole drawing."""
        return self.bottom + (_LEVEL_FOOT_PX if self.is_level else _SLANTED_FOOT_PX)

    def x(self, kind: str) -> float:
        """The middle of a step."""
        return round(_LEFT_PX + (self.steps.index(kind) + _AROUND) * self.step_px, 1)

    def y(self, rate: float) -> float:
        """Where a rate lies."""
        return round(self.bottom - rate * _PLOT_PX, 1)


def dose_svg(curves: Sequence[DoseResponse], reference: str, *, width_px: int = WIDE_PX, on_page: bool = False) -> str:
    """The drawing, with its numbers in words for those who do not see it; `on_page` leaves the ground to the page."""
    present = {step.kind for curve in curves for step in curve.steps}
    steps = tuple(str(kind) for kind in LADDER if kind in present)
    places, legend_px = _legend_places(curves, width_px)
    frame = _Frame(width=width_px, top=_TOP_PX + legend_px, steps=steps)
    looks = _looks(curves, reference, min(_APART * frame.step_px, _MOST_APART_PX))
    # `printable` takes the gaps before per cent signs for signs that steer a terminal: they are kept.
    words = escape(_GAP.join(printable(part) for part in curves_in_words(tuple(curves)).split(_GAP)))
    # On the page the numbers stand as a table below, and a namespace is not needed.
    head = 'class="dose"' if on_page else 'xmlns="http://www.w3.org/2000/svg"'
    ground = "" if on_page else f'<rect width="{frame.width}" height="{frame.height:g}" fill="#ffffff"/>'
    size = f'viewBox="0 0 {frame.width} {frame.height:g}" width="{frame.width}" height="{frame.height:g}"'
    parts = [
        f'<svg {head} role="img" aria-label="{words}" {size} font-family="{_LETTERS}" font-size="13">',
        ground,
        *_axes(frame),
        *(part for look in looks for part in _curve(frame, look)),
        *_legend(looks, places),
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _ordered(curves: Sequence[DoseResponse], reference: str) -> list[DoseResponse]:
    """The reference last, so that it stands last in the legend."""
    return sorted(curves, key=lambda curve: curve.model == reference)


def _looks(curves: Sequence[DoseResponse], reference: str, apart_px: float) -> list[_Look]:
    styles = cycle(zip(_COLOURS, _SIGNS, strict=True))
    looks = []
    for number, curve in enumerate(_ordered(curves, reference)):
        is_reference = curve.model == reference
        colour, sign = (_REFERENCE, _SIGNS[0]) if is_reference else next(styles)
        shift = apart_px * (number - (len(curves) - 1) / 2)
        looks.append(_Look(curve=curve, colour=colour, sign=sign, is_reference=is_reference, shift_px=round(shift, 1)))
    return looks


def _axes(frame: _Frame) -> Iterator[str]:
    for rate in _RATES:
        y = frame.y(rate)
        yield (
            f'<line class="grid" x1="{_LEFT_PX:g}" x2="{frame.right:g}" y1="{y:g}" y2="{y:g}" '
            f'stroke="{_QUIET if rate == 0 else _LINE}"/>'
        )
        yield _text(_LEFT_PX - 8, y + 4.5, percent(rate, 0), "tick", anchor="end", colour=_QUIET)
    middle = (frame.top + frame.bottom) / 2
    yield _text(14.0, middle, "images that show the target", "title", anchor="middle", turned=-90)
    for kind in frame.steps:
        x = frame.x(kind)
        if frame.is_level:
            yield _text(x, frame.bottom + 20, kind_words(kind), "tick", anchor="middle", colour=_QUIET)
        else:
            yield _text(x + 4, frame.bottom + 16, kind_words(kind), "tick", anchor="end", colour=_QUIET, turned=-45)


def _curve(frame: _Frame, look: _Look) -> Iterator[str]:
    shown = [(frame.x(step.kind) + look.shift_px, step) for step in look.curve.steps if step.kind in frame.steps]
    line = " ".join(f"{x:g},{frame.y(step.rate):g}" for x, step in shown)
    dashes = ' stroke-dasharray="2 4"' if look.is_reference else ""
    yield f'<polyline points="{line}" fill="none" stroke="{look.colour}" stroke-width="2"{dashes}/>'
    for x, step in shown:
        yield "<g>" + _told(look, step) + _whisker(frame, look, x, step) + look.marker(x, frame.y(step.rate)) + "</g>"


def _told(look: _Look, step: Step) -> str:
    """What a browser says of a point where the mouse rests on it."""
    said = f"{look.name}, {kind_words(step.kind)}: {percent(step.rate)} of {step.characters} characters' images"
    return f"<title>{escape(said)}</title>"


def _whisker(frame: _Frame, look: _Look, x: float, step: Step) -> str:
    if step.interval is None:
        return ""
    low, high = (frame.y(end) for end in step.interval)
    caps = "".join(f"M{x - _CAP_PX:g} {y:g}h{2 * _CAP_PX}" for y in (low, high))
    return f'<path d="M{x:g} {high:g}V{low:g}{caps}" fill="none" stroke="{look.colour}" stroke-width="1.5"/>'


def _legend_places(curves: Sequence[DoseResponse], width_px: int) -> tuple[list[tuple[float, float]], float]:
    """Where each entry begins, and how high they are together: a new line where the next does not fit."""
    x, y = _LEFT_PX, _TOP_PX
    places: list[tuple[float, float]] = []
    # The reference's name comes last; which is which does not matter for how long they are at most.
    longest = max(min(len(printable(curve.model)), _LONGEST) for curve in curves)
    entry_px = _SIGN_PX + longest * _LETTER_PX + 12
    for _ in curves:
        if places and x + entry_px > width_px - _RIGHT_PX:
            x, y = _LEFT_PX, y + _LEGEND_LINE_PX
        places.append((x, y))
        x += entry_px
    return places, y + _LEGEND_LINE_PX - _TOP_PX


def _legend(looks: Sequence[_Look], places: Sequence[tuple[float, float]]) -> Iterator[str]:
    for look, (x, y) in zip(looks, places, strict=True):
        dashes = ' stroke-dasharray="2 4"' if look.is_reference else ""
        yield (
            f'<path d="M{x:g} {y:g}h26" stroke="{look.colour}" stroke-width="2"{dashes}/>'
            + look.marker(x + 13, y)
            + _text(x + _SIGN_PX, y + 4.5, look.name, "name", anchor="start")
        )


def _text(
    x: float, y: float, words: str, name: str, *, anchor: str, colour: str = _INK, turned: int | None = None
) -> str:
    turn = "" if turned is None else f' transform="rotate({turned} {x:g} {y:g})"'
    return (
        f'<text class="{name}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}"{turn}>{escape(words)}</text>'
    )
