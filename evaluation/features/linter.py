"""The classic mistakes of preparing pictures and texts, each refused by name and with its remedy.

Every one of them gives a number that looks like a score. `check_*` hold what was made or declared against the rule and
raise; `lint_pictures` looks at files and lists what it finds. Pure.

Not here, because pixels alone do not tell: whether floats were truncated to 8 bits. Truncating lowers every value by
half a step on average, which no picture shows without the floats it was made from; `check_rounded` asks for them. Nor
whether a PNG was a JPEG before: the edges of its blocks drown in texture at the qualities that are in use.
Sources: Parmar, Zhang & Zhu (2022), arXiv:2104.11222, sections 3 and 4 (resizing, JPEG); Heusel et al. (2017),
arXiv:1706.08500 (FID falls with the number of pictures).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from evaluation.pictures import PictureError, PictureKind, find_pictures, picture_kind
from prompts.errors import CanvasError

CLIP_TOKENS = 77
# The filters of PIL that look at every pixel under them when they shrink.
_WHOLE_FILTERS = {"bicubic", "bilinear", "lanczos", "box", "hamming"}


class LintError(CanvasError):
    """A mistake in how pictures or texts were prepared, which would give a score that nobody can compare."""


class FloatPixelsError(LintError):
    """Pixels that are not what the next step takes: floats where it divides by 255, or values out of range."""


class TruncatedPixelsError(LintError):
    """Floats that became 8-bit pixels by cutting off what is behind the point."""


class LossyPicturesError(LintError):
    """JPEG files where the model's own pixels are meant."""


class AliasedResizeError(LintError):
    """A preprocessing that shrinks without antialiasing, or does not say how it does."""


class TooManyTokensError(LintError):
    """Texts longer than the model reads."""


class UnequalCountsError(LintError):
    """Galleries of different sizes under a metric that falls with the size."""


class UnequalSizesError(LintError):
    """Pictures of different resolutions inside one gallery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule that files break: the first of them by name, how many there are, and what to do."""

    rule: str
    files: int
    first: str
    message: str
    remedy: str


def to_uint8(pixels: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Floats in [0, 1] as 8-bit pixels, rounded to the nearest. Raises FloatPixelsError outside of [0, 1] and for NaN.

    Half-way values go to the even neighbour, as numpy and torch round.
    """
    _check_unit(pixels)
    whole: UInt8[np.ndarray, "*shape"] = np.rint(pixels.astype(np.float64) * 255).astype(np.uint8)
    return whole


def check_rounded(floats: Float[np.ndarray, "*shape"], pixels: UInt8[np.ndarray, "*shape"]) -> None:
    """That `pixels` are the nearest to `floats` (in [0, 1]). Raises TruncatedPixelsError, and FloatPixelsError.

    A value that lies half-way, within float32's rounding, may go either way.
    """
    _check_unit(floats)
    off = pixels.astype(np.float64) - floats.astype(np.float64) * 255
    wrong = np.abs(off) > 0.5 + 255 * 2.0**-23
    if not wrong.any():
        return
    share = f"{100 * float(wrong.mean()):.0f}% of the values"
    if (off[wrong] < 0).all() and (np.abs(off) < 1).all():
        raise TruncatedPixelsError(
            f"8-bit pixels were cut off and not rounded: {share} are a step too low, which darkens every picture by "
            "half a step; make them with to_uint8, which rounds."
        )
    raise FloatPixelsError(
        f"8-bit pixels are not those of the floats: {share} are up to {float(np.abs(off).max()):.1f} steps off; "
        "make them with to_uint8, and change nothing after."
    )


def check_processor_input(pixels: Shaped[np.ndarray, "..."], *, rescales: bool) -> None:
    """That pixels suit a processor that divides by 255 (`rescales`), or one that takes floats in [0, 1].

    Raises FloatPixelsError: floats in [0, 1] that are divided once more are nearly black, and all pictures alike; 8-bit
    pixels that are not divided are far too bright.
    """
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise FloatPixelsError("The pixels hold NaN or infinity: paint the pictures again.")
    if rescales and pixels.dtype != np.uint8:
        raise FloatPixelsError(
            f"A processor that divides by 255 takes 8-bit pixels and was given {pixels.dtype}"
            f"{_span(pixels)}: give uint8 pixels (to_uint8 makes them), or turn its rescaling off (do_rescale=False)."
        )
    if not rescales and (pixels.dtype.kind != "f" or (pixels.size and (pixels.min() < 0 or pixels.max() > 1))):
        raise FloatPixelsError(
            f"A processor that does not rescale takes floats in [0, 1] and was given {pixels.dtype}{_span(pixels)}: "
            "divide 8-bit pixels by 255, or turn its rescaling on (do_rescale=True)."
        )


def check_antialiased(preprocessing: Mapping[str, Any]) -> None:
    """That a preprocessing, as an extractor's details declare it, resizes with antialiasing; one without a resize may.

    It declares `resize` (None for none), `filter` and `antialias`. Raises AliasedResizeError, also where it does not
    say: torch's own interpolation, OpenCV and TensorFlow do not antialias unless told.
    """
    if preprocessing.get("resize", "unsaid") is None:
        return
    way, smooth = preprocessing.get("filter"), preprocessing.get("antialias")
    if smooth is None or way is None:
        raise AliasedResizeError(
            "The preprocessing does not say how it resizes: declare `filter` and `antialias`, or resize with PIL, "
            "which antialiases."
        )
    if not smooth or str(way).lower() not in _WHOLE_FILTERS:
        how = str(way) if smooth else f"{way} without antialiasing"
        raise AliasedResizeError(
            f"The preprocessing resizes by {how}, which drops pixels when it shrinks and turns fine texture into "
            "noise: resize with PIL, or with antialias=True, and measure both sides again."
        )


def check_tokens(counts: Sequence[int], *, longest: int = CLIP_TOKENS) -> None:
    """That no text has more tokens than the model reads, start and end counted. Raises TooManyTokensError."""
    over = [index for index, count in enumerate(counts) if count > longest]
    if over:
        raise TooManyTokensError(
            f"{len(over)} of {len(counts)} texts have more than {longest} tokens, the first is text {over[0]} with "
            f"{counts[over[0]]}: what is behind is not read, and a cut that loses the end token makes other features; "
            "shorten them, or use an extractor of this project, which keeps the end token and counts what it cuts."
        )


def check_same_count(counts: Mapping[str, int]) -> None:
    """That galleries which are compared have the same number of pictures. Raises UnequalCountsError."""
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        raise UnequalCountsError(
            f"The galleries differ in their number of pictures ({each}): FID and its kin fall as galleries grow, so "
            f"only equal numbers compare; take the first {min(counts.values())} of each, or measure fid_infinity."
        )


def check_same_size(sizes: Mapping[str, tuple[int, int]]) -> None:
    """That all pictures of one gallery have one resolution; `sizes` are (width, height) by name, in pixels.

    Raises UnequalSizesError.
    """
    kinds = Counter(sizes.values())
    if len(kinds) > 1:
        usual = kinds.most_common(1)[0][0]
        odd = sorted(name for name, size in sizes.items() if size != usual)
        raise UnequalSizesError(
            f"{len(odd)} of {len(sizes)} pictures are not {usual[0]} x {usual[1]} px like the most; {odd[0]} is "
            f"{sizes[odd[0]][0]} x {sizes[odd[0]][1]} px: paint the gallery at one size, because resizing changes what "
            "is measured."
        )


def check_lossless(kinds: Mapping[str, PictureKind]) -> None:
    """That no generated picture, by its name, is a JPEG file, whatever its ending says. Raises LossyPicturesError."""
    lossy = sorted(name for name, kind in kinds.items() if kind.lossy)
    if lossy:
        raise LossyPicturesError(
            f"{len(lossy)} of {len(kinds)} generated pictures are JPEG files, {lossy[0]} among them: what JPEG takes "
            "away counts as the model's fault; save PNG where the pictures are painted (to turn the files into PNG "
            "brings nothing back)."
        )


def lint_pictures(paths: Iterable[Path]) -> list[Finding]:
    """What is wrong with the picture files in `paths`, files or folders of one gallery, rule by rule; empty if nothing.

    Raises PictureError for a path that is not there, or a folder without pictures.
    """
    kinds: dict[str, PictureKind] = {}
    broken: dict[str, str] = {}
    for path in _files(paths):
        try:
            kinds[str(path)] = picture_kind(path)
        except PictureError as error:
            broken[str(path)] = str(error)
    found = []
    if broken:
        found.append(
            Finding(
                rule="unreadable",
                files=len(broken),
                first=min(broken),
                message=broken[min(broken)],
                remedy="Put whole pictures in their place: nothing is left out silently.",
            )
        )
    found += _named("jpeg", kinds, [name for name, kind in kinds.items() if kind.lossy])
    usual = Counter((kind.width_px, kind.height_px) for kind in kinds.values()).most_common(1)
    odd = [name for name, kind in kinds.items() if (kind.width_px, kind.height_px) != usual[0][0]]
    found += _named("sizes", kinds, odd)
    found += _named("depth", kinds, [name for name, kind in kinds.items() if kind.mode.startswith(("I", "F"))])
    found += _named("transparency", kinds, [name for name, kind in kinds.items() if kind.mode in {"RGBA", "LA", "PA"}])
    return found


_RULES = {
    "jpeg": (
        "JPEG files: what JPEG takes away counts as the model's fault.",
        "Save PNG where the pictures are painted; turning JPEG into PNG brings nothing back.",
    ),
    "sizes": (
        "Not of the size that most have: resizing them changes what is measured.",
        "Paint the whole gallery at one size.",
    ),
    "depth": ("More than 8 bits per colour, which no extractor takes.", "Save 8-bit RGB, rounded and not truncated."),
    "transparency": (
        "With transparency, which is laid on white before anything is measured.",
        "Save opaque RGB, with the background that people see.",
    ),
}


def _named(rule: str, kinds: Mapping[str, PictureKind], names: Sequence[str]) -> list[Finding]:
    if not names:
        return []
    message, remedy = _RULES[rule]
    first = min(names)
    kind = kinds[first]
    seen = f"{first} is {kind.format}, {kind.width_px} x {kind.height_px} px, {kind.mode}."
    return [Finding(rule=rule, files=len(names), first=first, message=f"{message} {seen}", remedy=remedy)]


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += find_pictures(path)
        elif path.is_file():
            found.append(path)
        else:
            raise PictureError(f"There is no file or folder {path}: name pictures, or the folder that holds them.")
    return list(dict.fromkeys(found))


def _check_unit(pixels: Float[np.ndarray, "*shape"]) -> None:
    inside = (pixels >= 0) & (pixels <= 1)  # NaN is not
    if not inside.all():
        raise FloatPixelsError(
            f"{int((~inside).sum())} of {pixels.size} values are not in [0, 1]{_span(pixels)}: scale and clip the "
            "pictures where they are painted (from [-1, 1] by x / 2 + 0.5)."
        )


def _span(pixels: Shaped[np.ndarray, "..."]) -> str:
    finite = pixels[np.isfinite(pixels)]
    return f" between {float(finite.min()):.3g} and {float(finite.max()):.3g}" if finite.size else ""
