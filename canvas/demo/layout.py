"""What the demo makes and where: one folder, a subfolder per stage, four models."""

import json
from dataclasses import dataclass
from pathlib import Path

from prompts.errors import CanvasError
from training.licences import Collection

# Raise it when the same command begins to make something else: folders of another version are not mixed with ours.
VERSION = 1
_MARK = "demo.json"

SHAPES_STUDY = "shapes"
PARTI_STUDY = "parti"
PARTI_PROMPTS = 24


class DemoFolderError(CanvasError):
    """A folder that the demo cannot go on in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of the demo's four models: its recipe, and the collection of licence splits it learns from."""

    name: str
    recipe: str
    collection: Collection


REFERENCE = Model(name="sd2-tiny", recipe="tiny.sd2", collection=Collection.NC)
CANDIDATES = (
    Model(name="s-c-tiny", recipe="tiny.s_c", collection=Collection.C),
    Model(name="s-nc-tiny", recipe="tiny.s_nc", collection=Collection.NC),
    Model(name="l-nc-tiny", recipe="tiny.l_nc", collection=Collection.NC),
)
MODELS = (REFERENCE, *CANDIDATES)
COLLECTIONS = (Collection.C, Collection.NC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The demo's folder. `images` is how many source images are drawn, `effort` the share of the training steps done.

    PartiPrompts are read from `parti_file` where it is given.
    """

    folder: Path
    images: int = 4096
    effort: float = 1.0
    seed: int = 0
    parti_file: Path | None = None

    @property
    def source(self) -> Path:
        """The drawn images and their catalogue."""
        return self.folder / "1-source"

    @property
    def split(self) -> Path:
        """The catalogue parted by licence."""
        return self.folder / "2-split"

    @property
    def captions(self) -> Path:
        """A caption for every image that may be trained on."""
        return self.folder / "3-captions"

    def shards(self, collection: Collection) -> Path:
        """One collection's images and captions in MDS shards."""
        return self.folder / "4-shards" / collection

    @property
    def base(self) -> Path:
        """The frozen parts: tokenizer, text encoder, autoencoder; and the CLIP that measures."""
        return self.folder / "5-base"

    def latents(self, collection: Collection) -> Path:
        """One collection's latents and text embeddings."""
        return self.folder / "6-latents" / collection

    def run(self, model: Model) -> Path:
        """One model's training: losses, checkpoints, weights."""
        return self.folder / "7-runs" / model.name

    def entrant(self, model: Model) -> Path:
        """One model as a diffusers folder."""
        return self.folder / "8-models" / model.name

    @property
    def audit(self) -> Path:
        """The audit's runs."""
        return self.folder / "9-audit"

    def audit_of(self, model: Model) -> Path:
        """One model's audit: labels and scores."""
        return self.audit / model.name

    @property
    def arena(self) -> Path:
        """The ledger and the images."""
        return self.folder / "arena"

    @property
    def parti_left_out(self) -> Path:
        """Why there is no PartiPrompts study; there only when their file could not be had."""
        return self.folder / "parti-left-out.txt"

    @property
    def times(self) -> Path:
        """How long each step took, in seconds."""
        return self.folder / "times.json"


def claim(layout: Layout) -> None:
    """Mark the folder as the demo's, of this version and size. Raises DemoFolderError where it is something else's."""
    mark = layout.folder / _MARK
    ours = {"version": VERSION, "images": layout.images, "effort": layout.effort, "seed": layout.seed}
    if mark.is_file():
        if json.loads(mark.read_text("utf-8")) != ours:
            raise DemoFolderError(
                f"{layout.folder} was made by another version of the demo, or with other options: "
                "name another with --folder, or delete it."
            )
        return
    if layout.folder.exists() and any(layout.folder.iterdir()):
        raise DemoFolderError(f"{layout.folder} is not empty and not the demo's: name another folder with --folder.")
    layout.folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(ours) + "\n", "utf-8")
