"""The licence split: each image into exactly one file, with the reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from training.catalogue import read_catalogue, write_catalogue
from training.licences import Split, UnknownLicenceError
from training.split import read_split, require_split_of, split_source
from training.stage import MissingInputError, read_manifest


def test_every_image_falls_into_one_split_and_says_why(source: Path, split: Path) -> None:
    rows = {name: [json.loads(line) for line in (split / f"{name}.jsonl").open(encoding="utf-8")] for name in Split}

    assert sorted(row["id"] for group in rows.values() for row in group) == [
        image.id for image in read_catalogue(source)
    ]
    assert read_manifest(split).counts == {
        "commercial": 6,
        "non-commercial": 4,
        "evaluation-only": 4,
        "refused": 0,
    }
    assert rows[Split.EVALUATION_ONLY][0] == {
        "id": "image-004",
        "file": "images/004.png",
        "caption": "a purple pattern number 4",
        "licence": "CC-BY-ND-2.0",
        "author": "Author 4",
        "origin": "https://example.org/photo/4",
        "title": "",
        "split": "evaluation-only",
        "reason": "CC-BY-ND-2.0: it allows no derivatives (ND), so it is never trained on",
    }


def test_an_image_that_could_not_be_thanked_for_is_refused(
    tmp_path: Path, now: datetime, make_source: Callable[..., Path]
) -> None:
    source = make_source(tmp_path / "source", 3, ("CC-BY-2.0", "CC-BY-NC-2.0", "CC0"))
    write_catalogue(source, [replace(image, author="", origin=" ") for image in read_catalogue(source)])

    folder = split_source(source, tmp_path / "split", now=now).folder

    assert [image.id for image in read_split(folder, Split.REFUSED)] == ["image-000", "image-001"]
    assert [image.id for image in read_split(folder, Split.COMMERCIAL)] == ["image-002"]
    assert "CC-BY-2.0 asks for attribution, and its author and origin is not given" in (
        folder / "refused.jsonl"
    ).read_text("utf-8")


def test_an_unknown_licence_stops_the_split_and_names_the_image(
    tmp_path: Path, now: datetime, make_source: Callable[..., Path]
) -> None:
    source = make_source(tmp_path / "source", 2, ("CC-BY-2.0", "free to use"))

    with pytest.raises(UnknownLicenceError, match=r"'image-001' \(images/001\.png\): Unknown licence 'free to use'"):
        split_source(source, tmp_path / "split", now=now)
    assert not (tmp_path / "split").exists()

    # What the sentence asks for is enough; the half-made folder is not in the way.
    write_catalogue(source, list(read_catalogue(source))[:1])
    assert split_source(source, tmp_path / "split", now=now).manifest.counts["commercial"] == 1


def test_a_split_of_a_source_that_changed_since_is_not_used(
    tmp_path: Path, now: datetime, make_source: Callable[..., Path]
) -> None:
    source = make_source(tmp_path / "source", 2)
    folder = split_source(source, tmp_path / "split", now=now).folder
    require_split_of(folder, source)
    write_catalogue(source, list(read_catalogue(source))[:1])

    with pytest.raises(MissingInputError, match=r"was not split from .* as it is now"):
        require_split_of(folder, source)
