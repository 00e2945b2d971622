"""Source images as the front door meets them: a source folder with its catalogue, or any folder of pictures.

In: a folder. Out: `SourceImage`s; where there is no catalogue only id and file are known, and the rest is empty.
"""

from pathlib import Path

from evaluation.pictures import find_pictures
from training.catalogue import Attribution, SourceImage, attribution_of, read_catalogue
from training.stage import CATALOGUE


def source_images_of(folder: Path) -> list[SourceImage]:
    """The images of a source folder, by its catalogue, or of any folder of pictures.

    Raises PictureError for no folder or none in it, and CatalogueError.
    """
    if (folder / CATALOGUE).is_file():
        return list(read_catalogue(folder))
    return [without_catalogue(path.relative_to(folder).as_posix()) for path in find_pictures(folder)]


def without_catalogue(file: str) -> SourceImage:
    """A picture of which nothing but its file is known."""
    return SourceImage(id=file, file=file, caption="", licence="", author="", origin="")


def attribution_line(image: SourceImage) -> str:
    """Whom to thank for `image`, in one line; "" where nobody says. Raises UnknownLicenceError."""
    return _attribution(image).line if image.licence else ""


def owed_to(image: SourceImage) -> dict[str, str] | None:
    """The parts of the attribution for a page; `address` is empty where the origin is none that a page may link to."""
    if not image.licence:
        return None
    told = _attribution(image)
    return {
        "title": told.title.strip() or f"Image {told.id}",
        "author": told.author,
        "address": told.origin if told.origin.startswith(("https://", "http://")) else "",
        "licence": told.licence,
        "licence_url": told.licence_url,
    }


def _attribution(image: SourceImage) -> Attribution:
    return attribution_of(image.id, image.title, image.author, image.origin, image.licence)
