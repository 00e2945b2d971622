"""Likeness to pictures of the target that the user has: the nearest of them counts.

In: images, and a folder with a folder of pictures per probe, named by the probe's key. Out: the largest cosine to a
picture of the image's own target. The project brings no such pictures.
Sources: Pizzi et al. (2022), arXiv:2202.10261; Somepalli et al. (2023), arXiv:2212.03860, section 3, whose line of 0.5
for SSCD is the default here; for DINOv2 nobody has published one, and the same number is no more than a start.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.audit.judges.base import (
    JudgeError,
    JudgeScores,
    JudgeSettings,
    check_asked,
    open_features,
    unit,
    with_judge_hash,
)
from evaluation.features.base import Extractor
from evaluation.pictures import PictureError, find_pictures, read_picture
from prompts.probes import Probe, ProbeSet


class NoReferencesError(JudgeError):
    """No folder of reference pictures, or none for a probe."""


def open_judge(probes: ProbeSet, settings: JudgeSettings) -> "ReferenceSimilarity":
    """The judge over SSCD, or DINOv2.

    Raises NoReferencesError before any model is opened, NoJudgeWeightsError, PictureError, and what the extractor
    raises.
    """
    if settings.references is None:
        raise NoReferencesError(
            "The judge reference_similarity compares with your own pictures: name their folder with --references. It "
            "holds a folder per probe, named by the probe's key."
        )
    files = reference_pictures(settings.references, probes)
    extractor = open_features("reference_similarity", settings, line="sscd")
    return ReferenceSimilarity(extractor, probes, folder=settings.references, files=files)


def reference_pictures(folder: Path, probes: ProbeSet) -> dict[str, list[Path]]:
    """The pictures of each probe, by its key. Raises NoReferencesError, which names the probes that have none."""
    if not folder.is_dir():
        raise NoReferencesError(f"There is no folder {folder} of reference pictures: name one with --references.")
    found: dict[str, list[Path]] = {}
    without: list[str] = []
    for probe in probes:
        try:
            found[probe.key] = find_pictures(folder / probe.key)
        except PictureError:
            without.append(probe.key)
    if without:
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        raise NoReferencesError(
            f"{folder} has no pictures for {len(without)} of {len(probes)} probes ({', '.join(without[:5])}{more}): "
            f"put them into {folder / without[0]}, or ask for fewer probes with a file of your own."
        )
    return found


def hash_of_references(files: dict[str, list[Path]]) -> str:
    """One hash of all pictures' bytes, probe by probe."""
    whole = hashlib.sha256()
    for key in sorted(files):
        whole.update(f"{key} {len(files[key])}\n".encode())
        for path in files[key]:
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


class ReferenceSimilarity:
    """An opened extractor and the pictures' features; satisfies Judge."""

    default_threshold = 0.5

    def __init__(self, extractor: Extractor, probes: ProbeSet, *, folder: Path, files: dict[str, list[Path]]) -> None:
        """Look at the pictures once; `open_judge` opens the extractor."""
        self._extractor = extractor
        self._probes = probes
        self._folder = folder
        self._count = sum(len(paths) for paths in files.values())
        self._hash = hash_of_references(files)
        self._references = {
            key: unit(extractor.images([read_picture(path) for path in paths])) for key, paths in files.items()
        }

    @property
    def details(self) -> dict[str, Any]:
        """The score, the pictures' hash and the extractor, as JSON values."""
        return with_judge_hash(
            {
                "judge": "reference_similarity",
                "value": "largest cosine to a reference picture of the target",
                "references": {"folder": str(self._folder), "images": self._count, "sha256": self._hash},
                "default_threshold": self.default_threshold,
                "extractor": self._extractor.details,
            }
        )

    def judge(
        self,
        images: Sequence[Image.Image],
        probes: Sequence[Probe],
        prompts: Sequence[str],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> JudgeScores:
        """The likeness of each image to its target; `recognised` is the probe with the nearest picture, near or far.

        Raises MismatchedProbesError, PixelsError, and ProbeError for a probe that is not of the set.
        """
        check_asked(images, probes, prompts)
        keys = [probe.key for probe in self._probes]
        own = [keys.index(self._probes.probe(probe.key).key) for probe in probes]
        seen = unit(self._extractor.images(images, on_done))
        near = np.stack([(seen @ self._references[key].T).max(axis=1) for key in keys], axis=1)
        return JudgeScores(
            values=near[np.arange(len(images)), own].astype(np.float32),
            recognised=tuple(keys[place] for place in near.argmax(axis=1)),
            said=(None,) * len(images),
        )
