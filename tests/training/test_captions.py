"""The captions stage: a caption or a reason for every usable image, part by part."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from prompts.plugins import UnknownPluginError, load_plugin
from training.captioners import CAPTIONERS
from training.captioners.base import Captioner, CaptionerSettings
from training.captions import NoCaptionError, caption_images, read_captions, read_skipped
from training.catalogue import SourceImage, read_catalogue, write_catalogue
from training.decoding import BrokenImageError
from training.split import split_source
from training.stage import read_manifest

SETTINGS = CaptionerSettings()


class SizeCaptioner:
    """Looks at the pixels and says how large they are."""

    name = "size"
    needs_pixels = True
    batch_size = 2

    def __init__(self, interrupted_at: int = -1) -> None:
        self.seen: list[str] = []
        self._interrupted_at = interrupted_at

    @property
    def identity(self) -> Mapping[str, str | int]:
        return {"captioner": "size"}

    def caption(self, images: Sequence[SourceImage], pixels: Sequence[Image.Image]) -> list[str]:
        for image in images:
            if len(self.seen) == self._interrupted_at:
                raise KeyboardInterrupt
            self.seen.append(image.id)
        return [f"{picture.width} by {picture.height}" for picture in pixels]


@pytest.fixture
def size_captioner(monkeypatch: pytest.MonkeyPatch) -> Callable[[SizeCaptioner], str]:
    """Enters a captioner into the table under a name."""

    def enter(captioner: SizeCaptioner) -> str:
        monkeypatch.setattr("training.captions.load_plugin", lambda *_: lambda settings: captioner)
        return captioner.name

    return enter


def test_every_image_but_the_refused_gets_the_text_that_came_with_it(source: Path, captions: Path) -> None:
    rows = [json.loads(line) for line in (captions / "captions.jsonl").open(encoding="utf-8")]

    assert {row["id"]: row["caption"] for row in rows} == {image.id: image.caption for image in read_catalogue(source)}
    assert {row["captioner"] for row in rows} == {"alt_text"}
    assert read_manifest(captions).counts == {"captions": 14, "skipped_broken": 0, "skipped_uncaptioned": 0}
    assert sorted(path.name for path in captions.iterdir()) == ["captions.jsonl", "manifest.json", "skipped.jsonl"]


@pytest.mark.parametrize("name", CAPTIONERS)
def test_every_line_of_the_captioners_table_opens_a_captioner(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")

    captioner = load_plugin(CAPTIONERS, name, "captioner")(CaptionerSettings(model=str(tmp_path)))

    assert isinstance(captioner, Captioner)
    assert captioner.name.startswith(name)
    assert captioner.batch_size > 0
    assert captioner.identity["captioner"] == name


def test_an_unknown_captioner_is_named_with_the_known_ones(
    source: Path, split: Path, tmp_path: Path, now: datetime
) -> None:
    with pytest.raises(UnknownPluginError, match=r"no captioner named 'gpt'\. Known: alt_text, blip2"):
        caption_images(split, source, tmp_path / "out", captioner="gpt", settings=SETTINGS, now=now)


def test_an_interrupted_captioning_goes_on_after_its_finished_parts(
    source: Path,
    split: Path,
    tmp_path: Path,
    now: datetime,
    size_captioner: Callable[[SizeCaptioner], str],
) -> None:
    def run(captioner: SizeCaptioner, out: Path) -> Path:
        name = size_captioner(captioner)
        return caption_images(split, source, out, captioner=name, settings=SETTINGS, images_per_part=4, now=now).folder

    first, second, whole = SizeCaptioner(interrupted_at=6), SizeCaptioner(), SizeCaptioner()
    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path / "out")
    assert not (tmp_path / "out").exists()

    resumed = run(second, tmp_path / "out")

    uninterrupted = run(whole, tmp_path / "other")
    assert second.seen == whole.seen[4:]
    for name in ("captions.jsonl", "skipped.jsonl"):
        assert (resumed / name).read_bytes() == (uninterrupted / name).read_bytes()
    assert read_captions(resumed)["image-001"] == "40 by 32"


def test_a_broken_image_is_an_error_that_names_the_file_or_is_left_out_and_counted(
    make_source: Callable[..., Path],
    tmp_path: Path,
    now: datetime,
    size_captioner: Callable[[SizeCaptioner], str],
) -> None:
    source = make_source(tmp_path / "source", 4)
    (source / "images/001.png").write_bytes((source / "images/001.png").read_bytes()[:200])
    (source / "images/002.png").unlink()
    split = split_source(source, tmp_path / "split", now=now).folder

    with pytest.raises(BrokenImageError, match=r"images/001.png cannot be decoded .*--skip-broken"):
        caption_images(
            split, source, tmp_path / "out", captioner=size_captioner(SizeCaptioner()), settings=SETTINGS, now=now
        )
    result = caption_images(
        split,
        source,
        tmp_path / "out",
        captioner=size_captioner(SizeCaptioner()),
        settings=SETTINGS,
        skip_broken=True,
        now=now,
    )

    assert result.manifest.counts == {"captions": 2, "skipped_broken": 2, "skipped_uncaptioned": 0}
    assert read_skipped(result.folder) == {"image-001", "image-002"}
    assert "002.png cannot be read" in (result.folder / "skipped.jsonl").read_text("utf-8")


def test_an_image_without_alt_text_is_an_error_or_is_left_out_and_counted(
    make_source: Callable[..., Path], tmp_path: Path, now: datetime
) -> None:
    source = make_source(tmp_path / "source", 3)
    first, *rest = read_catalogue(source)
    write_catalogue(source, [replace(first, caption="  "), *rest])
    split = split_source(source, tmp_path / "split", now=now).folder

    with pytest.raises(NoCaptionError, match=r"no caption for the image 'image-000' \(images/000.jpg\).*--skip-uncapt"):
        caption_images(split, source, tmp_path / "strict", captioner="alt_text", settings=SETTINGS, now=now)
    result = caption_images(
        split, source, tmp_path / "lenient", captioner="alt_text", settings=SETTINGS, skip_uncaptioned=True, now=now
    )

    assert result.manifest.counts == {"captions": 2, "skipped_broken": 0, "skipped_uncaptioned": 1}
