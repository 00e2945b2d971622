"""`canvas evaluate reference`: sets of real images that anyone can build again."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evaluation.cache import Cache, cache_folder
from prompts.console import AsJson, print_json, print_table, say

if TYPE_CHECKING:
    from evaluation.references.base import Reference

app = typer.Typer(help="Build sets of real images that anyone can build again.", no_args_is_help=True)


@app.command()
def build(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FOLDER", help="A set from `reference list`, or any folder of pictures.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder to make.")],
    *,
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Your own copy: COCO's captions_val2014.json or the .zip that holds it, Conceptual Captions' .tsv. "
            "COCO's is fetched where none is given.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER|ZIP", help="Your own copy of the images; else each is fetched from its address."),
    ] = None,
    size: Annotated[int, typer.Option(min=8, help="Pixels of the side of the centre squares.")] = 256,
    originals: Annotated[
        bool, typer.Option("--originals", help="Keep the images byte for byte: no crop and no resizing.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=2, help="Only the first of the list, so many.")] = None,
    skip_missing: Annotated[
        bool,
        typer.Option("--skip-missing", help="The next image steps in for one that cannot be had; not for fixed lists."),
    ] = False,
    unpinned: Annotated[
        bool, typer.Option("--unpinned", help="Take other annotations than the published ones; the manifest says so.")
    ] = False,
    list_sha256: Annotated[
        str | None, typer.Option(metavar="HASH", help="The hash of the list in somebody's build; another is refused.")
    ] = None,
    num_workers: Annotated[int, typer.Option(min=1, help="Threads that fetch and resize; they change nothing.")] = 4,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Build a reference set, or go on with it; built again with the same settings, nothing changes."""
    from datetime import UTC, datetime

    from evaluation.references.build import BuildSettings, build_reference

    result = build_reference(
        _find(name),
        out,
        annotations=annotations,
        images=Path(name) if images is None and Path(name).is_dir() and name not in _table() else images,
        cache=cache_folder(cache),
        settings=BuildSettings(
            size_px=None if originals else size,
            count=count,
            skip_missing=skip_missing,
            unpinned=unpinned,
            expected_sha256=list_sha256,
            workers=num_workers,
        ),
        now=datetime.now(UTC),
    )
    if as_json:
        print_json(result.to_dict())
        return
    manifest = result.manifest
    done = "was built before" if result.already_made else "is built"
    say(f"{out} {done}: {manifest.counts['images']:,} images of {manifest.settings['dataset']}.")
    if manifest.counts["left_out"]:
        say(f"{manifest.counts['left_out']:,} images could not be had and were left out; left_out.jsonl says why.")
    say(f"Its list has the SHA-256 {manifest.details['list']['sha256']}.")
    if not manifest.details["list"]["held_to_a_pin"]:
        say("No pinned hash holds for this list: compare it with that of others who built the same.")
    if manifest.details["prompts"]:
        say(f"Paint galleries for its captions with --prompts {out / manifest.details['prompts']}.")


@app.command("list")
def list_references(as_json: AsJson = False) -> None:
    """List the reference sets that can be built by name."""
    sets = [_find(name) for name in _table()]
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "about": one.about,
                    "images": one.count,
                    "rule": one.rule,
                    "list_sha256": one.list_sha256,
                    "licence": one.licence,
                    "source": one.source,
                }
                for one in sets
            ]
        )
        return
    rows = [(one.name, f"{one.count:,}", one.list_sha256 or "not yet", one.about, one.source) for one in sets]
    print_table(["name", "images", "pinned list", "what it is", "source"], rows)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that `reference build` made.")],
    as_json: AsJson = False,
) -> None:
    """Show what a built reference set is: its rule, the hash of its list, its preprocessing."""
    from evaluation.folder_stage import read_manifest

    manifest = read_manifest(folder)
    if as_json:
        print_json(asdict(manifest))
        return
    facts: dict[str, Any] = {
        **manifest.settings,
        **manifest.counts,
        "list SHA-256": manifest.details["list"]["sha256"],
        "held to a pin": manifest.details["list"]["held_to_a_pin"],
        "images SHA-256": manifest.details["images"]["sha256"],
        "licence": manifest.details["licence"],
        "source": manifest.details["source"],
        "made at": manifest.made_at,
    }
    print_table(["", folder.name], [(name, _plain(value)) for name, value in facts.items()])


def _table() -> dict[str, str]:
    from evaluation.references import REFERENCES

    return REFERENCES


def _find(name: str) -> "Reference":
    """The set called `name`, or the folder. Raises UnknownPluginError."""
    from evaluation.references.folder import FolderSet
    from prompts.plugins import load_plugin

    if name not in _table() and Path(name).is_dir():
        return FolderSet(folder=Path(name))
    found: Reference = load_plugin(_table(), name, "reference set, and no folder,")
    return found


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
