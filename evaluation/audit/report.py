"""A report of an audit, to be published: a folder of plain pages that need no network and no server.

In: labels with their audit, and if they are there the images. Out: index.html (the findings), images.html with a page
per character in images/ (every image, blurred until somebody asks to see it), dose-response.svg, report.json and
manifest.json. Every text is escaped; the first page runs one script of ours, whose hash it names, and the pages of
images run none.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.audit.analysis import METHOD_VERSION, Audit
from evaluation.audit.judges import ABOUT
from evaluation.audit.labels import UNKNOWN, Labels
from evaluation.audit.report_figure import NARROW_PX, WIDE_PX, dose_svg
from evaluation.audit.report_images import CharacterPage, Pictures, character_pages, write_thumbnails
from evaluation.audit.report_rows import (
    ModelSection,
    control_rows,
    curve_rows,
    judge_section,
    model_sections,
    models_of,
    slopes,
)
from evaluation.audit.report_source import Source
from evaluation.audit.report_words import margin, meanings
from evaluation.folder_stage import Made, Stage, StageResult, json_bytes, run_stage, write_atomically

if TYPE_CHECKING:
    from jinja2 import Environment

#: The pages' own version: another one is another report.
REPORT_VERSION = 1
INDEX, IMAGES, REPORT, FIGURE, STYLE = "index.html", "images.html", "report.json", "dose-response.svg", "report.css"
IMAGES_FOLDER, THUMBNAILS = "images", "thumbnails"
_ASSETS = Path(__file__).parent / "assets"
_LIBRARIES = ("canvas-arena", "numpy", "scipy")


def write_report(source: Source, audit: Audit, *, out: Path, pictures: Pictures | None, now: datetime) -> StageResult:
    """Write the report into `out`, or find it already made; `pictures` None leaves the images out.

    Counts of the result: images, characters, models, thumbnails, and those `images_missing`.
    Raises StageError for a folder that holds something else, and OtherSettingsError for a report of other labels.
    """
    stage = Stage(
        name="audit report",
        out=out,
        version=REPORT_VERSION,
        inputs={
            **source.hashes,
            **({} if pictures is None else {"images": pictures.identity}),
            "judges": hashlib.sha256(json_bytes([source.points, source.people])).hexdigest(),
        },
        settings={
            "reference": audit.reference,
            "controls": list(audit.controls),
            "analysis": asdict(audit.settings),
            "method_version": METHOD_VERSION,
        },
    )
    return run_stage(stage, lambda partial: _make(source, audit, partial, pictures, now), now=now)


def _make(source: Source, audit: Audit, folder: Path, pictures: Pictures | None, now: datetime) -> Made:
    labels = source.labels
    left_out = [*audit.left_out, *source.notes]
    house = files("arena.pages") / "assets"
    parts = [(house / name).read_text(encoding="utf-8") for name in ("house.css", "results.css")]
    _write(folder / STYLE, "\n".join([*parts, (_ASSETS / "report.css").read_text(encoding="utf-8")]))
    pages, missing = _image_pages(source, audit, folder, pictures)
    if missing:
        left_out.append(f"{missing:,} of {len(labels):,} images were not to be had: their places are empty.")
    has_figure = bool(audit.curves)
    if has_figure:
        _write(folder / FIGURE, dose_svg(audit.curves, audit.reference))
    _write(
        folder / INDEX,
        _render(
            "index.html",
            title=_title(audit),
            audit=audit,
            models=models_of(audit),
            sections=[_most_copied_first(one) for one in model_sections(labels, audit, targets=source.targets)],
            names=source.names,
            controls=control_rows(labels, audit),
            steps=curve_rows(audit),
            slopes=slopes(audit),
            judge=judge_section(labels, audit),
            judges=_judges(source),
            people=source.people,
            left_out=left_out,
            meanings=meanings(audit.settings.delta, audit.settings.consistency_margin),
            character_files={page.character: f"{IMAGES_FOLDER}/{page.file}" for page in pages},
            figures=_figures(audit) if has_figure else {},
            margin=margin,
            method_version=METHOD_VERSION,
            counts=_counts(labels),
            versions=_versions(),
            run=source.run,
            hashes=source.hashes,
            now=now,
            **_scripts(),
        ),
    )
    write_atomically(folder / REPORT, json_bytes({**audit.to_dict(), "manifest": _told(source)}))
    shown = 0 if pictures is None else len(labels) - missing
    return Made(
        counts={
            "images": len(labels),
            "characters": len(labels.characters),
            "models": len(labels.models),
            "thumbnails": shown,
            "images_missing": missing,
        },
        details={"left_out": left_out, "versions": _versions()},
    )


def _most_copied_first(section: ModelSection) -> ModelSection:
    """Characters by how much more often the model shows them than the reference, and by name where that is equal."""
    rows = sorted(section.characters, key=lambda row: (-row.values[2], row.character))
    return replace(section, characters=tuple(rows))


def _image_pages(
    source: Source, audit: Audit, folder: Path, pictures: Pictures | None
) -> tuple[list[CharacterPage], int]:
    """The pages, written, and how many images are missing; no page without pictures."""
    labels = source.labels
    if pictures is None:
        return [], 0
    thumbnails = write_thumbnails(labels, pictures, folder / IMAGES_FOLDER / THUMBNAILS)
    pages = character_pages(labels, audit, thumbnails, names=source.names)
    for number, page in enumerate(pages):
        text = _render(
            "character.html",
            title=f"{page.name}: images of the audit",
            page=page,
            before=pages[number - 1] if number else None,
            after=pages[number + 1] if number + 1 < len(pages) else None,
            has_people=bool((labels.human != UNKNOWN).any()),
        )
        _write(folder / IMAGES_FOLDER / page.file, text)
    _write(
        folder / IMAGES,
        _render("images.html", title=f"Images: {_title(audit)}", pages=pages, models=models_of(audit)),
    )
    return pages, len(labels) - len(thumbnails)


def _figures(audit: Audit) -> dict[str, str]:
    """The curve as it stands in the page, for a wide window and for a telephone: the style shows one of them."""
    return {
        name: dose_svg(audit.curves, audit.reference, width_px=width, on_page=True)
        for name, width in (("wide", WIDE_PX), ("slim", NARROW_PX))
    }


def _scripts() -> dict[str, Any]:
    """The script of the first page, and the hash by which it lets it run."""
    texts = {"sorting": (_ASSETS / "sort.js").read_text(encoding="utf-8")}
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts.values()]
    return {"scripts": texts, "allowed": " ".join(f"'sha256-{one}'" for one in hashes)}


def _agreement_in_words(found: Mapping[str, Any] | None) -> str:
    """How a judge's calls go with people's and with the first judge's; "" for the gate."""
    if found is None:
        return ""
    said = [f"It sees the target in {found['rate']:.0%} of the images."]
    people = found["with_people"]
    if people is not None and people["kappa"] is not None:
        said.append(f"Its kappa with people is {people['kappa']:.2f}.")
    if found["with_first_judge"] is not None:
        said.append(f"Its kappa with the first judge is {found['with_first_judge']:.2f}.")
    return " ".join(said)


def _judges(source: Source) -> list[dict[str, Any]]:
    """Each judge of a run: name, what it says, its line and who drew it, and all that is known of it as JSON."""
    if source.points is None or source.run is None:
        return []
    told: Mapping[str, Any] = source.run["details"].get("judges", {})
    found = []
    for name, line in source.points["lines"].items():
        drawn = {"default": "its default, a convention", "given": "given by hand"}.get(
            line["drawn_by"],
            f"drawn by people's labels ({line['rule']})" if line["rule"] else "drawn by people's labels",
        )
        found.append(
            {
                "name": name,
                "about": ABOUT.get(name, ""),
                "task": "detects" if name == source.points["detects"] else "",
                "is_gate": name == source.points["consistency"],
                "threshold": f"{line['threshold']:.4g}",
                "drawn": drawn,
                "agrees": _agreement_in_words(source.points.get("agreement", {}).get(name)),
                "details": json.dumps(told.get(name, {}), ensure_ascii=False, indent=2, sort_keys=True),
            }
        )
    return found


def _counts(labels: Labels) -> dict[str, int]:
    return {
        "images": len(labels),
        "characters": len(labels.characters),
        "prompts": len(labels.prompts),
        "seeds": len(np.unique(labels.seed)),
        "judged_consistent": int((labels.consistent != UNKNOWN).sum()),
        "human": int((labels.human != UNKNOWN).sum()),
    }


def _told(source: Source) -> dict[str, Any]:
    return {
        "inputs": dict(source.hashes),
        "run": source.run,
        "judges": source.points,
        "people": source.people,
        "notes": list(source.notes),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}


def _title(audit: Audit) -> str:
    *first, last = audit.models
    return f"{', '.join(first)}{' and ' if first else ''}{last} beside {audit.reference}"


def _write(path: Path, text: str) -> None:
    write_atomically(path, text.encode())


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
