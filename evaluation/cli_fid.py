"""`canvas evaluate fid A B`: the Frechet distance of two folders of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.cache import Cache, cache_folder
from prompts.console import AsJson, print_json, print_table, say
from prompts.errors import CanvasError

if TYPE_CHECKING:
    from evaluation.folder_fid import FolderDistance


class NothingToDoError(CanvasError):
    """One set, and nothing asked of it."""


def fid(
    a: Annotated[
        Path,
        typer.Argument(metavar="A", help="The real or reference set: a folder of pictures, features or statistics."),
    ],
    b: Annotated[
        Path | None, typer.Argument(metavar="B", help="The generated set: a folder, features or statistics.")
    ] = None,
    *,
    extractor: Annotated[
        str, typer.Option(help="inception (FID), clip (CLIP-FID), dinov2, or another line of the table of extractors.")
    ] = "inception",
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE|FOLDER|ID", help="Your own copy of the extractor's weights, or others on the hub."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="The commit of --weights on the hub.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 32,
    device: Annotated[
        str,
        typer.Option(help="cpu, cuda, cuda:0,cuda:1 (both at work), all (every GPU); auto is a GPU if there is one."),
    ] = "auto",
    num_workers: Annotated[int, typer.Option(min=1, help="Threads that read pictures; they change nothing.")] = 4,
    both_real: Annotated[
        bool, typer.Option("--both-real", help="B holds photographs too: JPEG and several sizes are fine.")
    ] = False,
    interval: Annotated[bool, typer.Option("--interval", help="A 95% interval over B's images.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Every product in float64: slower, for checking.")] = False,
    save_stats: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Write A's statistics there; then B may be left out.")
    ] = None,
    ray: Annotated[
        int, typer.Option("--ray", min=0, metavar="N", help="Spread the pictures over N copies of the model by Ray.")
    ] = 0,
    cache: Cache = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no features and no statistics.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the Frechet distance of two folders of pictures, or of .npz files of features or statistics."""
    from evaluation.feature_store import FeatureStore
    from evaluation.folder_fid import fid as measure
    from evaluation.image_sets import Extraction, open_set, write_statistics
    from evaluation.metrics.base import Weights

    extraction = Extraction(
        line=extractor,
        weights=None if weights is None else Weights(source=weights, revision=revision),
        device=device,
        batch_size=batch,
        workers=num_workers,
        store=None if no_cache else FeatureStore(cache_folder(cache) / "features"),
        keep_features=interval,
        replicas=ray,
    )
    if b is None:
        if save_stats is None:
            raise NothingToDoError(
                "One set has no distance: name a second one, or write its statistics with --save-stats."
            )
        one = open_set(a, extraction)
        write_statistics(save_stats, one)
        say(f"The statistics of {one.name} are in {save_stats}.")
        if as_json:
            print_json({"statistics": str(save_stats), "set": one.name, "n": one.count})
        return
    found = measure(a, b, extraction, both_real=both_real, interval=interval, exact=exact)
    if save_stats is not None:
        write_statistics(save_stats, found.a)
        say(f"The statistics of {found.a.name} are in {save_stats}.")
    _tell(found, as_json)


def _tell(found: "FolderDistance", as_json: bool) -> None:
    if as_json:
        print_json(found.to_dict())
        return
    rows = [("Frechet distance", f"{found.value:.6g}")]
    if found.interval is not None:
        rows.append(("95% interval", f"{found.interval.low:.6g} to {found.interval.high:.6g}"))
    made_by = found.a.extractor or found.b.extractor
    rows += [
        ("A", f"{found.a.name}, {_count(found.a.count)}"),
        ("B", f"{found.b.name}, {_count(found.b.count)}"),
        ("extractor", "unknown" if made_by is None else f"{made_by['extractor']}, {made_by['model']}"),
    ]
    if made_by is not None:
        rows.append(("pictures", _plain(made_by["preprocessing"])))
    rows.append(("versions", ", ".join(f"{name} {one}" for name, one in found.to_dict()["versions"].items())))
    print_table(["", ""], rows)
    for note in found.notes:
        say(note)


def _count(count: int | None) -> str:
    return "an unknown number of images" if count is None else f"{count:,} images"


def _plain(preprocessing: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in preprocessing.items() if value is not None)
