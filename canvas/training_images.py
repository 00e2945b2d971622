"""The images that a model learned from, each with whose it is.

In: a source folder, its catalogue, or any folder of pictures with a catalogue beside it. Out: `TrainingImages`, all of
them there, and none whose owner a given catalogue does not tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from canvas.source_pictures import attribution_line, without_catalogue
from evaluation.pictures import find_pictures
from prompts.errors import CanvasError
from training.catalogue import SourceImage, read_catalogue
from training.licences import Collection
from training.split import place
from training.stage import CATALOGUE


class TrainingImagesError(CanvasError):
    """Training images that cannot be searched."""


class NotInCatalogueError(TrainingImagesError):
    """A training picture of which the catalogue does not tell whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingImages:
    """The images a model learned from, in `folder`; `known` tells whether a catalogue says whose they are."""

    folder: Path
    images: tuple[SourceImage, ...]
    known: bool

    def path(self, index: int) -> Path:
        """Where the picture at `index` lies."""
        return self.folder / self.images[index].file


def find_training_images(
    place_of: Path, *, catalogue: Path | None = None, collection: Collection | None = None
) -> TrainingImages:
    """The training images that `place_of` means: a source folder or its catalogue.jsonl, or any folder of pictures.

    Pictures of a plain folder are looked up in `catalogue`, a source folder or its catalogue.jsonl, by file. With a
    `collection` only images of its licence splits are searched, for a model never saw the others.
    Raises TrainingImagesError (none, or a picture of the catalogue is not there), NotInCatalogueError, PictureError,
    CatalogueError and UnknownLicenceError.
    """
    own = place_of.parent if place_of.name == CATALOGUE else place_of
    if catalogue is None and (own / CATALOGUE).is_file():
        images = list(read_catalogue(own))
        known = True
    else:
        files = [path.relative_to(own).as_posix() for path in find_pictures(own)]
        known = catalogue is not None
        images = [without_catalogue(file) for file in files] if catalogue is None else _looked_up(files, own, catalogue)
    if collection is not None:
        if not known:
            raise TrainingImagesError(
                f"{own} has no {CATALOGUE}, so that nobody knows which images are {collection}: name one with "
                "--catalogue."
            )
        images = [image for image in images if place(image).split in collection.splits]
    if not images:
        raise TrainingImagesError(
            f"{place_of} names no training images{'' if collection is None else f' of the {collection} collection'}: "
            "name the source folder the model was trained from."
        )
    for image in images:
        attribution_line(image)  # an unknown licence is told now, and not after hours of extraction
        if not (own / image.file).is_file():
            raise TrainingImagesError(
                f"The training image '{image.id}' is not there: {own / image.file} is missing; restore it, or take it "
                "out of the catalogue."
            )
    return TrainingImages(folder=own, images=tuple(images), known=known)


def _looked_up(files: Sequence[str], folder: Path, catalogue: Path) -> list[SourceImage]:
    """The catalogue's rows for `files`, by their path in the folder, or else by their bare name where it is unique."""
    source = catalogue.parent if catalogue.name == CATALOGUE else catalogue
    rows = list(read_catalogue(source))
    by_file = {row.file: row for row in rows}
    by_name: dict[str, list[SourceImage]] = {}
    for row in rows:
        by_name.setdefault(Path(row.file).name, []).append(row)
    found = []
    for file in files:
        alike = by_name.get(Path(file).name, [])
        known = by_file.get(file) or (alike[0] if len(alike) == 1 else None)
        if known is None:
            why = f"{len(alike)} rows have that name" if alike else "it has no row for it"
            raise NotInCatalogueError(
                f"{source / CATALOGUE} does not tell whose {folder / file} is ({why}): add its row, or search without "
                "that picture."
            )
        found.append(replace(known, file=file))
    return found
