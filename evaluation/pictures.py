"""Picture files that people bring: read whole, upright, in 8-bit RGB, or refused by name."""

from pathlib import Path

from PIL import Image, ImageOps

from prompts.errors import CanvasError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class PictureError(CanvasError):
    """A picture file, or a folder of them, that cannot be used."""


def find_pictures(folder: Path) -> list[Path]:
    """All picture files in `folder` and below, by name. Raises PictureError for no folder, or none in it."""
    if not folder.is_dir():
        raise PictureError(f"There is no folder {folder}: name the folder that holds the pictures.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not found:
        raise PictureError(f"{folder} holds no pictures ({', '.join(ENDINGS)}): name the folder that holds them.")
    return found


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
