"""Paints what a gallery lacks: prompts and seeds in, images in the store and rows in the ledger out.

Each batch is durable when it is done, so an interrupted gallery goes on where it stopped, with the images it would
have had anyway. An entrant paints all its images in one way: the way of its first image is written into its details
and another one is refused.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from arena.entering import read_entrant
from arena.images import ImageStore
from arena.ledger.errors import EntrantConflictError
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant, Wanted
from evaluation.samplers import SAMPLERS
from evaluation.samplers.base import SHAPING, Sampler, settings_from
from prompts.console import progress
from prompts.errors import CanvasError
from prompts.plugins import load_plugin
from prompts.prompt import PromptSet

ASKED = "sampler"  # what entrant.json asks for
PAINTED_WITH = "painted_with"  # what the first image was painted with
_CIRCUMSTANCES = "made_with"  # machine and versions: worth knowing, and no reason to refuse


class OtherSettingsError(CanvasError):
    """A gallery that was begun with other settings than those now asked for."""


class SeedsError(CanvasError):
    """Seeds that make no gallery: none, one twice, or a negative one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """What `generate` did: how many images the gallery has in all, and how many of them are new; in seconds.

    `cut` counts the newly painted prompts that are longer than what the entrant reads.
    """

    entrant: str
    prompt_set: str
    images: int
    new: int
    cut: int
    seconds: float


def generate(
    ledger: Ledger,
    images: ImageStore,
    *,
    entrant: Entrant,
    prompts: PromptSet,
    seeds: Sequence[int],
    clock: Callable[[], datetime],
    settings: Mapping[str, Any] | None = None,
) -> Painted:
    """Enter `entrant` if it is new, keep `prompts`, and paint what its gallery of prompts x seeds lacks.

    `settings` are fields of SamplerSettings that were asked for; for the others the gallery's own go before
    entrant.json's, and these before the defaults. The sampler is opened only when something is to be painted.
    Raises OtherSettingsError, SeedsError, EntrantConflictError, and what the sampler raises.
    """
    check_seeds(seeds)
    given = {name: value for name, value in (settings or {}).items() if value is not None and value != "auto"}
    began = time.monotonic()
    known = {one.name: one for one in ledger.entrants()}.get(entrant.name)
    before: dict[str, Any] = {} if known is None else known.details.get(PAINTED_WITH, {})
    # Which commit a revision means shows only when the sampler is open, and is compared then.
    after = before | {name: value for name, value in given.items() if name in before and name != "revision"}
    missing: Sequence[Wanted] = [Wanted(prompt=prompt, seed=seed) for prompt in prompts for seed in seeds]
    if known is not None:
        _enter(ledger, entrant, before, after, now=clock())
        missing = ledger.missing_images(entrant.name, prompts, seeds)
    cut = 0
    if missing:
        kept = {name: after[name] for name in SHAPING if name in after}
        chosen = settings_from(entrant.details.get(ASKED, {}), **(kept | given))
        # Opened before it is entered: what cannot be opened is no entrant.
        sampler = load_plugin(SAMPLERS, entrant.sampler, "sampler")(entrant.source or entrant.name, chosen)
        if _without_circumstances(sampler.details) != _without_circumstances(after):
            _enter(ledger, entrant, after, sampler.details, now=clock())
        ledger.keep_prompts(prompts)
        cut = sampler.cut(sorted({wanted.prompt.text for wanted in missing}))
        _paint(ledger, images, entrant.name, sampler, missing, batch_size=chosen.batch_size, clock=clock)
    else:
        ledger.keep_prompts(prompts)
    return Painted(
        entrant=entrant.name,
        prompt_set=prompts.name,
        images=len(prompts) * len(seeds),
        new=len(missing),
        cut=cut,
        seconds=time.monotonic() - began,
    )


def find_entrant(ledger: Ledger, source: str, *, name: str | None) -> Entrant:
    """The entrant that a folder, a hub id or "swatch:NAME" means, or that is entered under the name `source`.

    Raises NotAnEntrantError.
    """
    if name is None and not Path(source).is_dir():
        for known in ledger.entrants():
            if known.name == source:
                asked = {key: value for key, value in known.details.items() if key != PAINTED_WITH}
                return replace(known, details=asked)
    return read_entrant(source, name=name)


def check_seeds(seeds: Sequence[int]) -> None:
    """Raises SeedsError unless there are seeds, all different and from 0."""
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise SeedsError(
            f"A gallery's seeds are different whole numbers from 0, and not {list(seeds)}: say them as in 0,1."
        )


def _enter(ledger: Ledger, entrant: Entrant, before: dict[str, Any], after: dict[str, Any], *, now: datetime) -> None:
    """Enter `entrant` as painted with `after`. Where it has images that were painted otherwise, say how they were."""
    details = {**entrant.details, **({PAINTED_WITH: after} if after else {})}
    try:
        ledger.enter(replace(entrant, details=details), now=now)
    except EntrantConflictError as error:
        old, new = _without_circumstances(before), _without_circumstances(after)
        differing = [name for name in old | new if old.get(name) != new.get(name)]
        if not old or not differing:
            raise
        raise OtherSettingsError(
            f"The gallery of '{entrant.name}' was painted with {_in_words(old, differing)}, and "
            f"{_in_words(new, differing)} is asked for now: leave the options as they were, or paint a gallery of its "
            "own with --name."
        ) from error


def _paint(
    ledger: Ledger,
    images: ImageStore,
    name: str,
    sampler: Sampler,
    missing: Sequence[Wanted],
    *,
    batch_size: int,
    clock: Callable[[], datetime],
) -> None:
    with progress(f"Painting {name}", total=len(missing)) as tick:
        for start in range(0, len(missing), batch_size):
            batch = missing[start : start + batch_size]
            began = time.monotonic()
            painted = sampler.paint([wanted.prompt.text for wanted in batch], [wanted.seed for wanted in batch])
            seconds = (time.monotonic() - began) / len(batch)
            for wanted, image in zip(batch, painted, strict=True):
                stored = images.put(image)
                ledger.keep_image(name, wanted.prompt.id, wanted.seed, stored, seconds=seconds, now=clock())
            tick(len(batch))


def _without_circumstances(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name != _CIRCUMSTANCES}


def _in_words(details: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {details.get(name)}" for name in names)
