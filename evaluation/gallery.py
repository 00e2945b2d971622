"""Galleries to look at: a sheet with a row per prompt and a column per entrant, or plain files in a folder.

In: decoded images and their labels. Out: one picture, or files. Small images are enlarged by whole factors without
smoothing, so that every painted pixel can be seen.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from arena.images import ImageStore
from evaluation.galleries import Gallery
from evaluation.samplers.image_folder import LIST
from prompts.console import progress
from prompts.errors import CanvasError
from prompts.prompt import PromptSet

_LABEL_PX = 220
_GAP_PX = 8
_TEXT_PX = 14
# Among the picture formats a sheet can be written in, WebP ends first, at 16,383 px.
_LONGEST_PX = 16_000
SHEET_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


class SheetTooLongError(CanvasError):
    """More prompts than fit on one sheet."""


class GalleryFolderError(CanvasError):
    """A place that is no empty folder, where galleries were to be written."""


def contact_sheet(
    prompts: Sequence[str], columns: Mapping[str, Sequence[Image.Image]], *, cell_px: int = 160
) -> Image.Image:
    """A white sheet: prompts down the left, entrants along the top, `columns[entrant][i]` beside prompt i."""
    font = ImageFont.load_default(size=_TEXT_PX)
    step = cell_px + _GAP_PX
    top = _TEXT_PX * 2 + _GAP_PX
    sheet = Image.new("RGB", (_LABEL_PX + len(columns) * step + _GAP_PX, top + len(prompts) * step + _GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (entrant, images) in enumerate(columns.items()):
        left = _LABEL_PX + column * step
        pen.text((left, _GAP_PX), _shortened(entrant, cell_px, font), fill="black", font=font)
        for row, image in enumerate(images):
            scaled = enlarged(image, cell_px)
            corner = (left + (cell_px - scaled.width) // 2, top + row * step + (cell_px - scaled.height) // 2)
            sheet.paste(scaled, corner)
    for row, prompt in enumerate(prompts):
        lines = _wrapped(prompt, _LABEL_PX - 2 * _GAP_PX, font, most=cell_px // (_TEXT_PX + 4))
        pen.multiline_text((_GAP_PX, top + row * step), "\n".join(lines), fill="black", font=font, spacing=4)
    return sheet


def enlarged(image: Image.Image, cell_px: int) -> Image.Image:
    """`image` so that its longer side fits into `cell_px`: enlarged by a whole factor, or made smaller smoothly."""
    longer = max(image.size)
    if longer <= cell_px:
        factor = cell_px // longer
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    width, height = (max(1, round(side * cell_px / longer)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def write_sheet(
    file: Path,
    galleries: Sequence[Gallery],
    images: ImageStore,
    prompts: PromptSet,
    seeds: Sequence[int],
    *,
    cell_px: int,
) -> None:
    """Write the contact sheet of `galleries` to `file`, a row per prompt and seed.

    Raises SheetTooLongError where the sheet would be longer than a picture file can be.
    """
    height = len(prompts) * len(seeds) * (cell_px + _GAP_PX)
    if height > _LONGEST_PX:
        fitting = _LONGEST_PX // (cell_px + _GAP_PX) // len(seeds)
        raise SheetTooLongError(
            f"A sheet of {len(prompts):,} prompts would be {height:,} px long: show {fitting} of them with "
            f"--sample {fitting}, or name a folder in place of {file.name}."
        )
    labels = [
        prompt.text if len(seeds) == 1 else f"{prompt.text} (seed {seed})" for prompt in prompts for seed in seeds
    ]
    columns = {one.entrant: [images.open(image.image_hash) for image in one.images] for one in galleries}
    file.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(labels, columns, cell_px=cell_px).save(file)


def write_galleries(folder: Path, galleries: Sequence[Gallery], images: ImageStore, prompts: PromptSet) -> None:
    """Write each gallery into a folder of its own in `folder`: PNG files, and the list with which they can be entered.

    Raises GalleryFolderError for a folder that has something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GalleryFolderError(f"{folder} is not an empty folder: name another, or clear it.")
    asked = {prompt.id: prompt.text for prompt in prompts}
    with progress("Writing", total=sum(len(one.images) for one in galleries)) as tick:
        for number, one in enumerate(galleries):
            # Names of entrants may hold what no file system takes: numbers keep the folders apart.
            inside = folder / f"{number:02d}-{re.sub(r'[^A-Za-z0-9._-]+', '-', one.entrant)}"
            inside.mkdir(parents=True)
            with (inside / LIST).open("w", encoding="utf-8", newline="") as lines:
                writer = csv.writer(lines)
                writer.writerow(("file", "prompt", "seed"))
                for index, image in enumerate(one.images):
                    images.open(image.image_hash).save(inside / f"{index:05d}.png")
                    writer.writerow((f"{index:05d}.png", asked[image.prompt_id], image.seed))
                    tick()


def _wrapped(text: str, width_px: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, *, most: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
    return [_shortened(line, width_px, font) for line in lines]


def _shortened(text: str, width_px: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(f"{text}…") > width_px:
        text = text[:-1]
    return f"{text}…"
