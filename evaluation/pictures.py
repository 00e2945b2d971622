"""Picture files that people bring: read whole, upright, in 8-bit RGB, or refused by name."""

from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from prompts.errors import CanvasError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
# The EXIF orientations that swap width and height.
_QUARTER_TURNS = {5, 6, 7, 8}


class PictureError(CanvasError):
    """A picture file, or a folder of them, that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureKind:
    """What a picture file says of itself before a pixel is decoded; its ending may say something else.

    `format` is PIL's name of it ("JPEG", "PNG", ...), `mode` its colours; a picture that EXIF turns by a quarter has
    the sides that are seen.
    """

    format: str
    width_px: int
    height_px: int
    mode: str

    @property
    def lossy(self) -> bool:
        """Whether the format always changes pixels when it saves them. WebP may or may not, and tells in its body."""
        return self.format in {"JPEG", "MPO", "JPEG2000"}


def find_pictures(folder: Path) -> list[Path]:
    """All picture files in `folder` and below, by name. Raises PictureError for no folder, or none in it."""
    if not folder.is_dir():
        raise PictureError(f"There is no folder {folder}: name the folder that holds the pictures.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not found:
        raise PictureError(f"{folder} holds no pictures ({', '.join(ENDINGS)}): name the folder that holds them.")
    return found


def picture_kind(path: Path) -> PictureKind:
    """What the picture in `path` is, from its first bytes. Raises PictureError for a file that is no picture."""
    try:
        with Image.open(path) as opened:
            width, height = opened.size
            # PIL would decode a whole PNG to look for EXIF behind the pixels, where next to none has it.
            told = opened.format != "PNG" or "exif" in opened.info
            if told and opened.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS:
                width, height = height, width
            return PictureKind(format=opened.format or "", width_px=width, height_px=height, mode=opened.mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path} cannot be read as a picture ({error}): put a whole one in its place.") from error


def read_picture(path: Path) -> Image.Image:
    """The picture in `path`: upright as its EXIF says, transparency on white, RGB.

    Raises PictureError for a file that is no whole picture, or has more than 8 bits per colour.
    """
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            upright.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path} cannot be read as a picture ({error}): put a whole one in its place.") from error
    if upright.mode.startswith(("I", "F")):
        raise PictureError(f"{path} has more than 8 bits per colour (mode {upright.mode}): save it in 8 bits.")
    if upright.has_transparency_data:
        painted = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", painted.size, "white"), painted).convert("RGB")
    return upright.convert("RGB")
