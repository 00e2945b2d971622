"""The telephoning round trip: image -> caption -> image, and whether the image comes back.

In: pictures, a captioner from training, an entrant, and extractors. Out: a folder with sources/ (centre squares, as the
captioner saw them), captions.jsonl, outputs/ (what the entrant painted), results.json and index.html, which is figure 3
of CommonCanvas for these pictures. Image i is painted with the seed `seed` + i, so that two images of one caption give
two pictures and entrants pair image by image. Interrupted, it goes on where it stopped; features are kept in a store.
Source: Gokaslan et al. (2023), CommonCanvas, arXiv:2310.16825, section 3.1 and figure 3.
"""

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from arena.ledger.records import Entrant
from canvas.pages import is_small, write_page
from canvas.source_pictures import attribution_line, owed_to, source_images_of
from evaluation.audit.round_trip import LEAST_IMAGES, RoundTrip, Similarities, round_trip, similarities
from evaluation.feature_stage import open_line, open_on_devices
from evaluation.feature_store import FeatureStore
from evaluation.folder_stage import (
    Made,
    OtherSettingsError,
    Stage,
    StageResult,
    json_bytes,
    run_stage,
    write_atomically,
)
from evaluation.image_sets import Extraction
from evaluation.kept_features import kept_features
from evaluation.metrics.base import Weights
from evaluation.reference import ReferenceImages
from evaluation.samplers import SAMPLERS
from evaluation.samplers.base import settings_from
from prompts.console import progress
from prompts.errors import CanvasError
from prompts.name_scan import known_names, scan
from prompts.plugins import load_plugin
from training.batching import batches
from training.captioners import CAPTIONERS
from training.captioners.base import Captioner, CaptionerSettings
from training.captions import NoCaptionError
from training.catalogue import SourceImage
from training.decoding import centre_square, decode_image, read_image_bytes

SOURCES, OUTPUTS, CAPTIONS, RESULTS, _PAINTER = "sources", "outputs", "captions.jsonl", "results.json", "painter.json"
MAX_PX = 512
SHOWN = 200
#: Whose weights stay as asked, whatever runs them.
_CIRCUMSTANCES = {"batch_size", "device"}


class TelephoneError(CanvasError):
    """Images of which no round trip can be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """How round trips are compared: lines of FEATURES with their weights (None: the published ones), and where it runs.

    `store` None keeps no features.
    """

    features: Mapping[str, Weights | None]
    device: str = "auto"
    batch_size: int = 32
    store: FeatureStore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telephone:
    """A finished round trip: `measures` by line of FEATURES; `results` is all that results.json holds."""

    result: StageResult
    measures: dict[str, RoundTrip]
    results: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As one JSON value, without the rows of single images."""
        told = {name: value for name, value in self.results.items() if name != "rows"}
        return {"folder": str(self.result.folder), "already_made": self.result.already_made, **told}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captioned:
    image: SourceImage
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one run of the stage needs."""

    folder: Path
    chosen: Sequence[SourceImage]
    captioner: Captioner
    entrant: Entrant
    sampling: Mapping[str, Any]
    measures: Measures
    repeats: int
    seed: int
    skip_uncaptioned: bool
    counts: dict[str, int] = field(default_factory=dict)


def telephone(
    images: Path,
    out: Path,
    *,
    captioner: str,
    captioning: CaptionerSettings,
    entrant: Entrant,
    measures: Measures,
    now: datetime,
    sampling: Mapping[str, Any] | None = None,
    repeats: int = 1,
    seed: int = 0,
    sample: int | None = None,
    skip_uncaptioned: bool = False,
) -> Telephone:
    """Send the pictures in `images`, a folder or a source folder with a catalogue, through words and back, into `out`.

    `sampling` are fields of SamplerSettings; `repeats` pictures are painted of each caption; `sample` draws that many
    of the images by `seed`. Raises TelephoneError (too few images), PictureError (none), NoCaptionError (an image that
    the captioner says nothing about, unless `skip_uncaptioned`), UnknownPluginError, ModelNotFoundError (a captioner
    without weights), MissingWeightsError (an extractor without), OtherSettingsError, and what the sampler raises.
    """
    chosen = _chosen(images, sample, seed)
    writer: Captioner = load_plugin(CAPTIONERS, captioner, "captioner")(captioning)
    for line in measures.features:
        open_line(line)  # an unknown one is told now, and not after hours of painting
    weights = {line: Extraction(line=line, weights=given).source for line, given in measures.features.items()}
    stage = Stage(
        name="telephone",
        out=out,
        inputs={"images": _hash(images, chosen)},
        settings={
            **{f"captioner {name}": value for name, value in writer.identity.items()},
            "entrant": entrant.name,
            "entrant source": entrant.source,
            "sampling": {name: value for name, value in (sampling or {}).items() if name not in _CIRCUMSTANCES},
            "features": {line: [one.source, one.revision] for line, one in weights.items()},
            "repeats": repeats,
            "seed": seed,
        },
    )

    def work(folder: Path) -> Made:
        return _work(
            _Work(
                folder=folder,
                chosen=chosen,
                captioner=writer,
                entrant=entrant,
                sampling=dict(sampling or {}),
                measures=measures,
                repeats=repeats,
                seed=seed,
                skip_uncaptioned=skip_uncaptioned,
            ),
            images,
        )

    result = run_stage(stage, work, now=now)
    results = json.loads((result.folder / RESULTS).read_text("utf-8"))
    fields = RoundTrip.__dataclass_fields__
    return Telephone(
        result=result,
        measures={
            line: RoundTrip(**{name: told[name] for name in fields}) for line, told in results["measures"].items()
        },
        results=results,
    )


def _chosen(images: Path, sample: int | None, seed: int) -> list[SourceImage]:
    found = source_images_of(images)
    if sample is not None and sample < len(found):
        drawn = np.sort(np.random.default_rng(seed).choice(len(found), sample, replace=False))
        found = [found[place] for place in drawn]
    if len(found) < LEAST_IMAGES:
        raise TelephoneError(
            f"{images} gives {len(found)} images, and a round trip is measured on {LEAST_IMAGES} or more: add images."
        )
    return found


def _hash(images: Path, chosen: Sequence[SourceImage]) -> str:
    """One hash of the images' bytes and of what the catalogue says of them."""
    whole = hashlib.sha256()
    for image in chosen:
        whole.update(json.dumps([asdict(image), attribution_line(image)], sort_keys=True).encode())
        whole.update(hashlib.sha256(read_image_bytes(images / image.file)).digest())
    return whole.hexdigest()


def _work(work: _Work, images: Path) -> Made:
    captioned = _caption(work, images)
    if len(captioned) < LEAST_IMAGES:
        raise TelephoneError(
            f"{len(captioned)} of {len(work.chosen)} images have a caption, and {LEAST_IMAGES} are needed: add images, "
            "or use a captioner that looks at them."
        )
    _write_sources(work, images, captioned)
    painter = _paint(work, captioned)
    measured = _measure(work, len(captioned))
    results = _results(work, captioned, painter, measured)
    write_atomically(work.folder / RESULTS, json_bytes(results))
    _write_page(work.folder, results)
    return Made(
        counts={"images": len(captioned), "outputs": len(captioned) * work.repeats, **work.counts},
        details={"captioner": work.captioner.name, "painter": painter},
    )


def _caption(work: _Work, images: Path) -> list[_Captioned]:
    """A caption for every image; each batch is durable when it is done."""
    path = work.folder / CAPTIONS
    done = _whole_lines(path)
    waiting = [image for image in work.chosen if image.id not in done]
    with path.open("a", encoding="utf-8") as lines, progress("Captioning", total=len(work.chosen)) as tick:
        tick(len(done))
        for batch in batches(waiting, work.captioner.batch_size):
            pixels = [_square(images, image) for image in batch] if work.captioner.needs_pixels else []
            told = work.captioner.caption(batch, pixels)
            for image, caption in zip(batch, told, strict=True):
                row = {"id": image.id, "caption": caption, "captioner": work.captioner.name}
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                done[image.id] = caption
            lines.flush()
            os.fsync(lines.fileno())
            tick(len(batch))
    silent = [image for image in work.chosen if not done[image.id]]
    if silent and not work.skip_uncaptioned:
        raise NoCaptionError(
            f"The captioner {work.captioner.name} has no caption for {len(silent)} of {len(work.chosen)} images, the "
            f"first is '{silent[0].id}': use another captioner, or leave such images out with --skip-uncaptioned."
        )
    work.counts["skipped_uncaptioned"] = len(silent)
    return [_Captioned(image=image, caption=done[image.id]) for image in work.chosen if done[image.id]]


def _whole_lines(path: Path) -> dict[str, str]:
    """The captions that an earlier run wrote; a line that was cut short is dropped."""
    written = path.read_bytes() if path.is_file() else b""
    whole = written[: written.rfind(b"\n") + 1]
    path.write_bytes(whole)
    return {row["id"]: row["caption"] for row in map(json.loads, whole.decode().splitlines())}


def _square(images: Path, image: SourceImage) -> Image.Image:
    picture = decode_image(read_image_bytes(images / image.file), image.file)
    return centre_square(picture, MAX_PX, enlarge=False)


def _write_sources(work: _Work, images: Path, captioned: Sequence[_Captioned]) -> None:
    (work.folder / SOURCES).mkdir(exist_ok=True)
    with progress("Cropping sources", total=len(captioned)) as tick:
        for place, one in enumerate(captioned):
            path = work.folder / _source(place)
            if not path.is_file():
                _save(path, _square(images, one.image))
            tick()


def _paint(work: _Work, captioned: Sequence[_Captioned]) -> dict[str, Any]:
    """Paint what is missing; what the painter says of itself."""
    (work.folder / OUTPUTS).mkdir(exist_ok=True)
    noted = work.folder / _PAINTER
    asked = list(_asked(work, captioned))
    missing = [one for one in asked if not (work.folder / one.file).is_file()]
    before: dict[str, Any] | None = json.loads(noted.read_text("utf-8")) if noted.is_file() else None
    if not missing and before is not None:
        return before
    settings = settings_from(work.entrant.details.get("sampler", {}), **work.sampling)
    sampler = load_plugin(SAMPLERS, work.entrant.sampler, "sampler")(work.entrant.source or work.entrant.name, settings)
    details = json.loads(json_bytes({**sampler.details, "cut": sampler.cut([one.caption for one in captioned])}))
    if before is not None and _lasting(before) != _lasting(details):
        raise OtherSettingsError(
            f"{work.folder} was begun with '{work.entrant.name}' as it painted then, and it paints otherwise now: "
            "delete that folder to begin anew, or name another with --out."
        )
    write_atomically(noted, json_bytes(details))
    with progress(f"Painting {work.entrant.name}", total=len(asked)) as tick:
        tick(len(asked) - len(missing))
        for batch in batches(missing, settings.batch_size):
            painted = sampler.paint([one.caption for one in batch], [one.seed for one in batch])
            for one, picture in zip(batch, painted, strict=True):
                _save(work.folder / one.file, picture)
            tick(len(batch))
    return dict(details)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    caption: str
    seed: int
    file: str


def _asked(work: _Work, captioned: Sequence[_Captioned]) -> Iterator[_Asked]:
    for repeat in range(work.repeats):
        for place, one in enumerate(captioned):
            seed = work.seed + repeat * len(captioned) + place
            yield _Asked(caption=one.caption, seed=seed, file=_output(place, repeat))


def _lasting(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name != "made_with"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """One line of FEATURES: its statistics, its values image by image, and what made the features."""

    trip: RoundTrip
    each: Similarities
    extractor: dict[str, Any]


def _measure(work: _Work, images: int) -> dict[str, _Measured]:
    found = {}
    pictures = [ReferenceImages(work.folder / name) for name in (SOURCES, OUTPUTS)]
    for line, given in work.measures.features.items():
        weights = Extraction(line=line, weights=given).source
        extractors = open_on_devices(
            open_line(line),
            weights.source,
            weights.revision,
            device=work.measures.device,
            batch_size=work.measures.batch_size,
        )
        features = []
        for one in pictures:
            with progress(f"Features by {line}", total=len(one.files)) as tick:
                features.append(np.asarray(kept_features(one, extractors, work.measures.store, on_done=tick)))
        sources, outputs = features[0], features[1].reshape(images, work.repeats, -1)
        found[line] = _Measured(
            trip=round_trip(sources, outputs, rng=np.random.default_rng(work.seed)),
            each=similarities(sources, outputs),
            extractor=extractors[0].details,
        )
    return found


def _results(
    work: _Work, captioned: Sequence[_Captioned], painter: Mapping[str, Any], measured: Mapping[str, _Measured]
) -> dict[str, Any]:
    captions = [one.caption for one in captioned]
    times = Counter(captions)
    names = scan(captions, known_names())
    return {
        "entrant": work.entrant.name,
        "captioner": work.captioner.name,
        "painter": dict(painter),
        "images": len(captioned),
        "repeats": work.repeats,
        "seed": work.seed,
        "captions": {
            "different": sum(times[caption] == 1 for caption in captions),
            "naming_someone": names.named,
            "names": names.to_dict(),
        },
        "measures": {line: {**one.trip.to_dict(), "extractor": one.extractor} for line, one in measured.items()},
        "rows": [_row(work, place, one, measured) for place, one in enumerate(captioned)],
    }


def _row(work: _Work, place: int, one: _Captioned, measured: Mapping[str, _Measured]) -> dict[str, Any]:
    image = one.image
    return {
        "id": image.id,
        "caption": one.caption,
        "attribution": attribution_line(image),
        "owed": owed_to(image),
        "source": _source(place),
        "outputs": [_output(place, repeat) for repeat in range(work.repeats)],
        "similarity": {
            line: {"own": float(found.each.own[place]), "mismatched": float(found.each.mismatched[place])}
            for line, found in measured.items()
        },
    }


def _write_page(folder: Path, results: Mapping[str, Any]) -> None:
    first = next(iter(results["measures"]))
    rows = sorted(results["rows"], key=lambda row: -row["similarity"][first]["own"])[:SHOWN]
    shown = [{**row, **_sizes(folder, row)} for row in rows]
    write_page(
        folder,
        "telephone.html",
        entrant=results["entrant"],
        captioner=results["captioner"],
        measures=results["measures"],
        images=results["images"],
        repeats=results["repeats"],
        different=results["captions"]["different"],
        named=results["captions"]["naming_someone"],
        first=first,
        rows=shown,
    )


def _sizes(folder: Path, row: Mapping[str, Any]) -> dict[str, bool]:
    return {"small": is_small(folder / row["source"]), "small_output": is_small(folder / row["outputs"][0])}


def _source(place: int) -> str:
    return f"{SOURCES}/{place:06}.png"


def _output(place: int, repeat: int) -> str:
    return f"{OUTPUTS}/{place:06}-{repeat:03}.png"


def _save(path: Path, picture: Image.Image) -> None:
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_atomically(path, content.getvalue())
