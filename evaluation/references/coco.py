"""MS COCO 2014 val: 30,000 of its images, with one caption each, by a rule that needs no random numbers.

Published FIDs "on COCO-30K" cannot be compared, because hardly anyone states which images. Here the list follows from
the annotation file alone: images stand in the order of the SHA-256 of their id (decimal digits, UTF-8); each takes its
caption of the lowest id whose words no image before it took, so that 30,000 images ask 30,000 different prompts; an
image without such a caption is passed over; the first 30,000 are the set, and the first 10,000 of those are coco10k.
Source: Lin et al. (2014), arXiv:1405.0312; Chen et al. (2015), arXiv:1504.00325; https://cocodataset.org.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.references.base import AnnotationsError, Drawn, Item, hash_of, list_hash, one_line, read_annotations
from evaluation.references.fetching import fetch_file

ADDRESS = "http://images.cocodataset.org/annotations/annotations_trainval2014.zip"
# As several dataset libraries that fetch the same archive state it.
ARCHIVE_MD5 = "0a379cfc70b0e71301e0f377548639bd"
MEMBER = "annotations/captions_val2014.json"
# What captions_val2014.json holds.
IMAGES, CAPTIONS = 40_504, 202_654
RULE = (
    "Images of COCO 2014 val by the SHA-256 of their id in decimal digits; each with the caption of the lowest id "
    "whose words (runs of white space as one space) no image before it took; an image without one is passed over; of "
    "these the first, as many as are counted. An id of the list is 'IMAGE_ID CAPTION_ID'."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coco:
    """`count` images of COCO 2014 val; satisfies Reference.

    `list_sha256` is written here after the first build from COCO's own file, and every later build is held to it.
    """

    name: str
    about: str
    count: int
    list_sha256: str | None = None
    fixed: bool = True
    rule: str = RULE
    licence: str = "captions CC BY 4.0; images under their Flickr licences, for research"
    source: str = ADDRESS

    def draw(self, annotations: Path | None, *, cache: Path, count: int | None, unpinned: bool) -> Drawn:
        """The list; see Reference."""
        content, whence = _annotations(annotations, cache)
        images, captions = _parsed(content, whence)
        ours = (len(images), len(captions)) == (IMAGES, CAPTIONS)
        if not ours and not unpinned:
            raise AnnotationsError(
                f"{whence} holds {len(images):,} images and {len(captions):,} captions, and captions_val2014.json of "
                f"COCO holds {IMAGES:,} and {CAPTIONS:,}: give that file, or add --unpinned to build another set."
            )
        wanted = self.count if count is None else count
        items = draw_list(images, captions, wanted)
        if len(items) < wanted:
            raise AnnotationsError(
                f"{whence} has captions for {len(items):,} images by the rule of {self.name}, and {wanted:,} are "
                f"wanted: ask for fewer with --count {len(items)}."
            )
        return Drawn(
            items=items,
            count=wanted,
            annotations_sha256=hashlib.sha256(content).hexdigest(),
            details={"annotations": whence, "list_sha256": list_hash(items), "published_counts": ours},
        )


COCO_30K = Coco(name="coco30k", about="30,000 images of COCO 2014 val, one caption each", count=30_000)
COCO_10K = Coco(name="coco10k", about="the first 10,000 images of coco30k", count=10_000)


def draw_list(images: dict[int, str], captions: list[tuple[int, int, str]], count: int) -> list[Item]:
    """The first `count` images by the rule; fewer where there are no more.

    `images` maps an image's id to its file name; a caption is (caption id, image id, text).
    """
    of_image: dict[int, list[tuple[int, str]]] = {}
    for caption_id, image_id, text in sorted(captions):
        if text:
            of_image.setdefault(image_id, []).append((caption_id, text))
    taken: set[str] = set()
    items: list[Item] = []
    for image_id in sorted(images, key=lambda one: (hash_of(str(one)), one)):
        if len(items) == count:
            break
        free = next(((number, text) for number, text in of_image.get(image_id, []) if text not in taken), None)
        if free is None:
            continue
        number, text = free
        taken.add(text)
        stem = Path(images[image_id]).stem
        items.append(
            Item(
                id=f"{image_id} {number}",
                name=f"{image_id:012d}",
                places=(stem, f"{image_id:012d}", str(image_id)),
                caption=text,
                address=f"http://images.cocodataset.org/val2014/{images[image_id]}",
            )
        )
    return items


def _annotations(path: Path | None, cache: Path) -> tuple[bytes, str]:
    """The bytes of captions_val2014.json, and where they come from."""
    if path is None:
        path = fetch_file(
            ADDRESS, known_hash=f"md5:{ARCHIVE_MD5}", folder=cache / "annotations", option="--annotations"
        )
    content = read_annotations(path)
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return content, str(path)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != ARCHIVE_MD5:
        raise AnnotationsError(
            f"{path} is an archive, and not COCO's annotations_trainval2014.zip (MD5 {ARCHIVE_MD5}, found {found}): "
            f"fetch it again from {ADDRESS}, or give the captions_val2014.json in it."
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(MEMBER), f"{path}/{MEMBER}"


def _parsed(content: bytes, whence: str) -> tuple[dict[int, str], list[tuple[int, int, str]]]:
    """Images (id -> file name) and captions of a file in COCO's format. Raises AnnotationsError."""
    try:
        value: Any = json.loads(content)
        images = {int(image["id"]): str(image["file_name"]) for image in value["images"]}
        captions = [
            (int(one["id"]), int(one["image_id"]), one_line(str(one["caption"]))) for one in value["annotations"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise AnnotationsError(
            f"{whence} is no caption file in COCO's format ({type(error).__name__}: {error}): it needs 'images' with "
            "id and file_name, and 'annotations' with id, image_id and caption."
        ) from error
    return images, captions
