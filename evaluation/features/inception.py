"""The Inception network that FID is defined on: 2,048 features, averaged over the last grid, of pictures at 299 px.

It is the network of 2015-12-05, as the first FID code ran it in TensorFlow. It differs from torchvision's Inception in
weights and in two kinds of pooling, and the numbers of the two do not compare. The weights are those that pytorch-fid
ported, in torchvision's layout. Pictures are resized the "clean" way and scaled to (pixel - 128) / 128, as that code
and clean-fid do; pytorch-fid scales to pixel / 127.5 - 1, which is another input.
Sources: Szegedy et al. (2016), arXiv:1512.00567, section 6; Heusel et al. (2017), arXiv:1706.08500, section 2;
Parmar, Zhang & Zhu (2022), arXiv:2104.11222, section 3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from evaluation.features.base import ExtractorSettings, TextFeatures, no_texts, with_hash
from evaluation.features.batches import Bench, bench
from evaluation.features.resizing import resize
from evaluation.weights import DamagedWeightsError, LocatedFile, NotWeightsError, hash_of_files, locate_file, reason

SIDE_PX = 299
WIDTH = 2048
FILE = "pt_inception-2015-12-05-6726825d.pth"
_WHAT = "the Inception network of FID"
_CLASSES = 1008

Pair = tuple[int, int]
# A convolution: channels out, kernel, stride, padding (of rows and columns each).
Shape = tuple[int, Pair, int, Pair]
# A branch: the names of its convolutions in turn; names in a tuple work side by side on the same input.
Branch = tuple[str | tuple[str, ...], ...]


def open_extractor(source: str, revision: str | None, settings: ExtractorSettings) -> "InceptionFeatures":
    """The network from the file `source`, from an address, or from a folder or hub id that holds pytorch-fid's file.

    Raises MissingWeightsError, NotWeightsError (another network) and DamagedWeightsError.
    """
    located = locate_file(source, revision=revision, what=_WHAT, filename=FILE, option="--weights")
    at = bench(settings)
    network = FidInception()
    network.load_state_dict(_weights(located, network))
    return InceptionFeatures(network=network.to(at.device).eval(), located=located, at=at)


class InceptionFeatures:
    """The opened network; satisfies Extractor."""

    def __init__(self, *, network: "FidInception", located: LocatedFile, at: Bench) -> None:
        """Take the opened parts; `open_extractor` opens them."""
        self._network = network
        self._located = located
        self._bench = at

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision, weights' hash and preprocessing, as JSON values."""
        details = {
            "extractor": "inception",
            "model": self._located.source,
            "revision": self._located.revision,
            "weights_sha256": hash_of_files([self._located.path]),
            "features": f"average pooled, {WIDTH}, float32",
            "precision": self._bench.dtype,
            "preprocessing": {
                "pixels": "uint8 RGB",
                "resize": {"height": SIDE_PX, "width": SIDE_PX},
                "filter": "bicubic",
                "antialias": True,
                "rounded": False,
                "crop": None,
                "scale": "(pixel - 128) / 128",
            },
        }
        return with_hash(details)

    def images(
        self, images: Sequence[Image.Image], on_done: Callable[[int], None] = lambda done: None
    ) -> Float32[np.ndarray, "images features"]:
        """The features of `images`. Raises PixelsError for anything but decoded 8-bit pictures."""
        return self._bench.embed(images, prepare=network_input, embed=self._network, width=WIDTH, on_done=on_done)

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """Raises NoTextsError: the network knows no texts."""
        raise no_texts("Inception")


def network_input(image: Image.Image) -> Float32[np.ndarray, "3 299 299"]:
    """What the network reads of a picture: resized the "clean" way, in [-1, 1)."""
    pixels = resize(image, width_px=SIDE_PX, height_px=SIDE_PX, way="clean")
    return np.ascontiguousarray(((pixels - 128) / 128).transpose(2, 0, 1))


class FidInception(nn.Module):
    """The network up to the average over its last grid; its parts are named as in torchvision's layout."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, (32, (3, 3), 2, (0, 0)))
        self.Conv2d_2a_3x3 = Convolution(32, (32, (3, 3), 1, (0, 0)))
        self.Conv2d_2b_3x3 = Convolution(32, (64, (3, 3), 1, (1, 1)))
        self.Conv2d_3b_1x1 = Convolution(64, (80, (1, 1), 1, (0, 0)))
        self.Conv2d_4a_3x3 = Convolution(80, (192, (3, 3), 1, (0, 0)))
        self.Mixed_5b = _grid_35(192, pooled=32)
        self.Mixed_5c = _grid_35(256, pooled=64)
        self.Mixed_5d = _grid_35(288, pooled=64)
        self.Mixed_6a = _to_grid_17(288)
        self.Mixed_6b = _grid_17(768, between=128)
        self.Mixed_6c = _grid_17(768, between=160)
        self.Mixed_6d = _grid_17(768, between=160)
        self.Mixed_6e = _grid_17(768, between=192)
        self.Mixed_7a = _to_grid_8(768)
        self.Mixed_7b = _grid_8(1280, pool="average")
        # The port's last block takes the maximum where the paper averages; FID is defined with it.
        self.Mixed_7c = _grid_8(2048, pool="maximum")

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 2048"]:
        """The features of pictures that are scaled to [-1, 1]."""
        return self.grids(pixels)[-1].mean(dim=(2, 3))

    def grids(self, pixels: Float[Tensor, "batch 3 height width"]) -> list[Float[Tensor, "batch _ _ _"]]:
        """What leaves the two first poolings, the grid of 17 x 17 and the last one: 64, 192, 768, 2,048 channels."""
        first = _halved(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pixels))))
        second = _halved(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(first)))
        third = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(second)))
        third = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(third)))))
        return [first, second, third, self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(third)))]


class Convolution(nn.Module):
    """Convolution without bias, batch normalisation, and no negative values."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        out, kernel, stride, padding = shape
        self.conv = nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, grid: Tensor) -> Tensor:
        """The grid after it."""
        return functional.relu(self.bn(self.conv(grid)), inplace=True)


class Mixed(nn.Module):
    """Branches side by side on one grid, and a pooled branch last; their channels are stacked in that order."""

    def __init__(self, channels: int, shapes: dict[str, Shape], branches: tuple[Branch, ...], pool: str) -> None:
        super().__init__()
        self._branches = branches
        self._pool = pool
        for branch in branches:
            entering = channels
            for step in branch:
                beside = (step,) if isinstance(step, str) else step
                for name in beside:
                    self.add_module(name, Convolution(entering, shapes[name]))
                entering = sum(shapes[name][0] for name in beside)
        if "branch_pool" in shapes:
            self.add_module("branch_pool", Convolution(channels, shapes["branch_pool"]))

    def forward(self, grid: Tensor) -> Tensor:
        """The grid after it."""
        return torch.cat([*(self._run(branch, grid) for branch in self._branches), self._pooled(grid)], dim=1)

    def _run(self, branch: Branch, grid: Tensor) -> Tensor:
        for step in branch:
            beside = (step,) if isinstance(step, str) else step
            grid = torch.cat([self.get_submodule(name)(grid) for name in beside], dim=1)
        return grid

    def _pooled(self, grid: Tensor) -> Tensor:
        if self._pool == "halve":
            return _halved(grid)
        if self._pool == "maximum":
            pooled = functional.max_pool2d(grid, 3, stride=1, padding=1)
        else:
            # TensorFlow averages over the pixels that are there, not over the border's zeros.
            pooled = functional.avg_pool2d(grid, 3, stride=1, padding=1, count_include_pad=False)
        found: Tensor = self.get_submodule("branch_pool")(pooled)
        return found


def _halved(grid: Tensor) -> Tensor:
    return functional.max_pool2d(grid, 3, stride=2)


def _same(out: int, rows: int, columns: int) -> Shape:
    """A convolution that keeps the grid's size."""
    return out, (rows, columns), 1, (rows // 2, columns // 2)


def _shrink(out: int) -> Shape:
    return out, (3, 3), 2, (0, 0)


def _grid_35(channels: int, *, pooled: int) -> Mixed:
    return Mixed(
        channels,
        {
            "branch1x1": _same(64, 1, 1),
            "branch5x5_1": _same(48, 1, 1),
            "branch5x5_2": _same(64, 5, 5),
            "branch3x3dbl_1": _same(64, 1, 1),
            "branch3x3dbl_2": _same(96, 3, 3),
            "branch3x3dbl_3": _same(96, 3, 3),
            "branch_pool": _same(pooled, 1, 1),
        },
        (
            ("branch1x1",),
            ("branch5x5_1", "branch5x5_2"),
            ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
        ),
        pool="average",
    )


def _to_grid_17(channels: int) -> Mixed:
    return Mixed(
        channels,
        {
            "branch3x3": _shrink(384),
            "branch3x3dbl_1": _same(64, 1, 1),
            "branch3x3dbl_2": _same(96, 3, 3),
            "branch3x3dbl_3": _shrink(96),
        },
        (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")),
        pool="halve",
    )


def _grid_17(channels: int, *, between: int) -> Mixed:
    return Mixed(
        channels,
        {
            "branch1x1": _same(192, 1, 1),
            "branch7x7_1": _same(between, 1, 1),
            "branch7x7_2": _same(between, 1, 7),
            "branch7x7_3": _same(192, 7, 1),
            "branch7x7dbl_1": _same(between, 1, 1),
            "branch7x7dbl_2": _same(between, 7, 1),
            "branch7x7dbl_3": _same(between, 1, 7),
            "branch7x7dbl_4": _same(between, 7, 1),
            "branch7x7dbl_5": _same(192, 1, 7),
            "branch_pool": _same(192, 1, 1),
        },
        (
            ("branch1x1",),
            ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
            ("branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
        ),
        pool="average",
    )


def _to_grid_8(channels: int) -> Mixed:
    return Mixed(
        channels,
        {
            "branch3x3_1": _same(192, 1, 1),
            "branch3x3_2": _shrink(320),
            "branch7x7x3_1": _same(192, 1, 1),
            "branch7x7x3_2": _same(192, 1, 7),
            "branch7x7x3_3": _same(192, 7, 1),
            "branch7x7x3_4": _shrink(192),
        },
        (
            ("branch3x3_1", "branch3x3_2"),
            ("branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"),
        ),
        pool="halve",
    )


def _grid_8(channels: int, *, pool: str) -> Mixed:
    return Mixed(
        channels,
        {
            "branch1x1": _same(320, 1, 1),
            "branch3x3_1": _same(384, 1, 1),
            "branch3x3_2a": _same(384, 1, 3),
            "branch3x3_2b": _same(384, 3, 1),
            "branch3x3dbl_1": _same(448, 1, 1),
            "branch3x3dbl_2": _same(384, 3, 3),
            "branch3x3dbl_3a": _same(384, 1, 3),
            "branch3x3dbl_3b": _same(384, 3, 1),
            "branch_pool": _same(192, 1, 1),
        },
        (
            ("branch1x1",),
            ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
            ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")),
        ),
        pool=pool,
    )


def _weights(located: LocatedFile, network: FidInception) -> dict[str, Tensor]:
    """The state dict in `located`, without its classifier. Raises DamagedWeightsError and NotWeightsError."""
    try:
        loaded = torch.load(located.path, map_location="cpu", weights_only=True)
    except Exception as error:  # what loading raises comes from the file
        raise DamagedWeightsError(
            f"{_WHAT[0].upper()}{_WHAT[1:]} {located} cannot be loaded ({reason(error)}): download it again."
        ) from error
    wanted = {name: value.shape for name, value in network.state_dict().items()}
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise NotWeightsError(f"{located} is not {_WHAT}: it holds no state dict; {FILE} of pytorch-fid is one.")
    classes = loaded["fc.bias"].shape[0] if "fc.bias" in loaded else _CLASSES
    if classes != _CLASSES:
        raise NotWeightsError(
            f"{located} is an Inception network of {classes} classes, as torchvision's is, and not {_WHAT} "
            f"({_CLASSES} classes): its distances do not compare with FID; give {FILE} of pytorch-fid."
        )
    # How many batches training saw decides nothing here, and older files do not say.
    counts = {name: torch.zeros((), dtype=torch.long) for name in wanted if name.endswith("num_batches_tracked")}
    found = counts | {name: value for name, value in loaded.items() if not name.startswith("fc.")}
    odd = sorted(wanted.keys() ^ found.keys()) or sorted(n for n in wanted if wanted[n] != found[n].shape)
    if odd:
        raise NotWeightsError(
            f"{located} is not {_WHAT}: {len(odd)} of its parts are missing, unknown or of another shape, {odd[0]} "
            f"among them; give {FILE} of pytorch-fid."
        )
    return found
