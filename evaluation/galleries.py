"""Whole galleries only: a gallery that lacks images is not measured and not shown as if it were whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

from arena.ledger.ledger import Ledger
from arena.ledger.records import GeneratedImage
from evaluation.guidance import VARIANT_OF
from prompts.errors import CanvasError
from prompts.library import as_options
from prompts.prompt import PromptSet


class IncompleteGalleryError(CanvasError):
    """A gallery that lacks images; the sentence tells how many and what paints them."""


class NoGalleryError(CanvasError):
    """No entrant has a whole gallery of the prompt set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """All images of one entrant for a prompt set and seeds, prompt by prompt and seed by seed."""

    entrant: str
    images: tuple[GeneratedImage, ...]


def whole_gallery(ledger: Ledger, entrant: str, prompts: PromptSet, seeds: Sequence[int]) -> Gallery:
    """The entrant's gallery. Raises UnknownEntrantError and IncompleteGalleryError."""
    lacking = len(ledger.missing_images(entrant, prompts, seeds))
    if lacking:
        listed = ",".join(str(seed) for seed in seeds)
        raise IncompleteGalleryError(
            f"The gallery of '{entrant}' lacks {lacking:,} of the {len(prompts) * len(seeds):,} images for the prompt "
            f"set '{prompts.name}' with seeds {listed}. Paint them with `canvas evaluate generate --entrant "
            f"{quote(entrant)} {as_options(prompts)} --seeds {listed}`."
        )
    return Gallery(entrant=entrant, images=tuple(ledger.gallery(entrant, prompts, seeds)))


def whole_galleries(ledger: Ledger, prompts: PromptSet, seeds: Sequence[int]) -> list[Gallery]:
    """The galleries of all entrants that have every image. Raises NoGalleryError when there is none.

    An entrant's variants at other guidance scales belong to a sweep and are left out.
    """
    names = [
        entrant.name
        for entrant in ledger.entrants()
        if VARIANT_OF not in entrant.details and not ledger.missing_images(entrant.name, prompts, seeds)
    ]
    if not names:
        raise NoGalleryError(
            f"No entrant has a whole gallery of the prompt set '{prompts.name}' with seeds "
            f"{','.join(str(seed) for seed in seeds)}: paint one with `canvas evaluate generate --entrant "
            f"FOLDER_OR_HUB_ID {as_options(prompts)}`."
        )
    return [whole_gallery(ledger, name, prompts, seeds) for name in names]
