"""Kernel Inception Distance: how far two sets of images lie apart, without taking either for a Gaussian.

The squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, d being the number of features; features are used
as given. The field's number, `kid`, is the mean over subsets drawn without replacement, 100 of 1,000 images; `kid_u`
uses all pairs there are. Both are unbiased, so that they do not depend on the number of images and can be negative.
All is float64, but for one thing: where float32 features are so many that subsets are multiplied one by one, their
products are float32 (and all sums float64), which halves the time and moves KID by 1e-10 or so. Pure.
Source: Binkowski et al. (2018), "Demystifying MMD GANs", arXiv:1801.01401, section 4.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from evaluation.metrics.base import ComparesWith, FeaturesError, GalleryFeatures, Statistic, Weights
from evaluation.metrics.blocks import (
    BLOCK_ROWS,
    check_pair,
    common_type,
    nothing_to_tell,
    own_products,
    products,
    read,
    spans,
)
from evaluation.metrics.pair_sums import PairSums, pair_sums
from evaluation.metrics.published import INCEPTION_FID

Draws = Int[np.ndarray, "subsets size"]
"""The rows of each subset."""

# What a pair costs that is worked out in float64 and added up for all subsets that hold it, in units of a pair of a
# single subset; at 2,048 features and 100 subsets.
_SHARED_COST: dict[type[np.floating], float] = {np.float64: 1.3, np.float32: 2.6}
# Elements that are raised to their powers at once: they stay in the processor's cache.
_ELEMENTS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Kid:
    """The mean over subsets and the subsets' standard deviation (ddof = 0), which is no standard error of the mean.

    `size` is the number of images of a subset that was drawn: fewer than asked where a set has fewer.
    """

    kid: float
    sd: float
    subsets: int
    size: int
    seed: int


def kid(
    x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."], *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> Kid:
    """KID of the features `y` against the reference `x`; `size` is lowered to the smaller set, and the result says so.

    Raises FeaturesError (no subset, or subsets of fewer than two) and as `check_pair` does.
    """
    return KidReference(x, subsets=subsets, size=size, seed=seed).kid(y)


def kid_u(x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."]) -> float:
    """KID over all pairs: the full U-statistic, in which no image is paired with itself. Raises as `check_pair`."""
    return kid_sums(x, y).unbiased()


def kid_v(x: Shaped[np.ndarray, "..."], y: Shaped[np.ndarray, "..."]) -> float:
    """The full V-statistic, in which every image is paired with itself, too: never negative, and biased upwards."""
    return kid_sums(x, y).biased()


def kid_sums(
    x: Shaped[np.ndarray, "..."],
    y: Shaped[np.ndarray, "..."],
    *,
    block: int = BLOCK_ROWS,
    on_tile: Callable[[], None] = nothing_to_tell,
) -> PairSums:
    """The sums of the kernel, less its constant 1, over all pairs. Raises as `check_pair` does.

    A constant cancels in the U-statistic and in the V-statistic, and without it more digits are left for the rest.
    """
    check_pair(x, y)
    return pair_sums(x, y, _kernel_of_blocks, np.float64, block=block, on_tile=on_tile)


class KidReference:
    """A reference set whose subsets are drawn, and whose own sums are worked out, once for any number of galleries.

    The reference's subsets depend on its size, `subsets`, `size` and `seed` alone, the gallery's alike. Each subset
    meets two subsets of the other set, as links of a ring do, so that half as many are drawn as are compared. They
    are dealt out like cards, which brings every image in before any comes twice. Both together take three quarters
    of the products that independent draws take, and bring the mean nearer to the full U-statistic where sets differ.
    Source: Blom (1976), "Some properties of incomplete U-statistics", doi:10.1093/biomet/63.3.573.
    """

    def __init__(self, x: Shaped[np.ndarray, "..."], *, subsets: int = 100, size: int = 1000, seed: int = 0) -> None:
        """Raises FeaturesError for no subset, or for subsets of fewer than two images."""
        if subsets < 1 or size < 2 or seed < 0:
            raise FeaturesError(
                f"KID was asked for {subsets} subsets of {size} images by seed {seed}: it takes one subset or more, "
                "two images or more, and a seed that is not negative."
            )
        self._x = x
        self._subsets, self._size, self._seed = subsets, size, seed
        # Two comparisons need two subsets on one side at least, or they would be the same.
        self._drawn = max((subsets + 1) // 2, min(subsets, 2))
        self._kept: dict[tuple[int, type[np.floating]], tuple[Draws, Float64[np.ndarray, " drawn"]]] = {}

    def kid(self, y: Shaped[np.ndarray, "..."]) -> Kid:
        """KID of the features `y`. Raises as `check_pair` does."""
        check_pair(self._x, y)
        size = min(self._size, len(self._x), len(y))
        with np.errstate(over="ignore", invalid="ignore"):
            values = self._values(y, size, common_type(self._x, y))
        if not np.isfinite(values).all():
            # Cubes of features beyond a million or so do not fit into float32.
            values = self._values(y, size, np.float64)
        return Kid(kid=float(values.mean()), sd=float(values.std()), subsets=self._subsets, size=size, seed=self._seed)

    def _values(
        self, y: Float[np.ndarray, "m d"], size: int, dtype: type[np.floating]
    ) -> Float64[np.ndarray, " subsets"]:
        """The unbiased estimate of each subset; not finite where `dtype` is too narrow for the features."""
        of_x, own_x = self._reference(size, dtype)
        of_y = _deal(len(y), self._drawn, size, np.random.default_rng([self._seed, 1]))
        own_y = _own_sums(y, of_y, dtype)
        number = np.arange(self._subsets)
        left, right = number // 2 % self._drawn, (number + 1) // 2 % self._drawn
        cross = _cross_sums(self._x, y, of_x[left], of_y[right], dtype)
        values: Float64[np.ndarray, " subsets"] = (own_x[left] + own_y[right]) / (size * (size - 1))
        values -= 2 * cross / size**2
        return values

    def _reference(self, size: int, dtype: type[np.floating]) -> tuple[Draws, Float64[np.ndarray, " drawn"]]:
        if (size, dtype) not in self._kept:
            rows = _deal(len(self._x), self._drawn, size, np.random.default_rng([self._seed, 0]))
            self._kept[size, dtype] = rows, _own_sums(self._x, rows, dtype)
        return self._kept[size, dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class KidMetric:
    """KID to reference images in one extractor's feature space; satisfies Metric.

    Its value is the field's mean over subsets; its influences are those of the full U-statistic, of which that mean is
    an estimate, so that the interval is about all images and not about the subsets that were drawn.
    """

    name: str
    weights: Weights
    extractor: str
    subsets: int = 100
    size: int = 1000
    seed: int = 0
    better: Literal["higher", "lower"] = "lower"
    text_prefix: str | None = None
    compares_with: ComparesWith | None = "real"
    scored: bool = False
    at_least: float | None = None

    @property
    def definition(self) -> dict[str, object]:
        """The kernel, the subsets, and what the interval is about, as JSON values."""
        return {
            "kernel": "(x.y / d + 1)^3",
            "estimator": "the mean of the unbiased estimates of subsets drawn without replacement, each met twice",
            "subsets": self.subsets,
            "size": self.size,
            "size_if_a_set_is_smaller": "that set's",
            "seed": self.seed,
            "interval": "of the full U-statistic, given the reference",
            "normalised": False,
        }

    def statistic(self, features: GalleryFeatures) -> Statistic:
        """KID of any choice of rows; the reference's subsets are worked out once."""
        images, reference = self._both(features)
        check_pair(reference, images, names=("the reference", "the gallery"))
        known = KidReference(reference, subsets=self.subsets, size=self.size, seed=self.seed)

        def distance(rows: Int[np.ndarray, " rows"]) -> float:
            return known.kid(images[rows]).kid

        return distance

    def subset_size(self, features: GalleryFeatures) -> int:
        """How many images the subsets really hold: `size`, or all of the smaller set."""
        images, reference = self._both(features)
        return min(self.size, len(images), len(reference))

    def per_image(self, features: GalleryFeatures) -> None:
        """KID is no mean over images."""

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        """The Hajek projection of the full U-statistic on each image, the reference being given."""
        images, reference = self._both(features)
        return kid_sums(reference, images).unbiased_influences()

    def _both(
        self, features: GalleryFeatures
    ) -> tuple[Float[np.ndarray, "images features"], Float[np.ndarray, "references features"]]:
        if features.images is None or features.reference is None:
            raise FeaturesError(f"{self.name} compares features of images with those of reference images: give both.")
        return features.images, features.reference


KID = KidMetric(name="kid", weights=INCEPTION_FID, extractor="inception")


def _deal(rows: int, subsets: int, size: int, rng: np.random.Generator) -> Draws:
    """`subsets` times `size` of the rows, each subset without replacement, dealt from shuffled rows until too few are
    left, and then from newly shuffled ones. Each is in order, as a disk reads it best."""
    hands = rows // size
    dealt = [rng.permutation(rows)[: hands * size].reshape(hands, size) for _ in range(-(-subsets // hands))]
    return np.sort(np.concatenate(dealt)[:subsets], axis=1)


def _own_sums(x: Float[np.ndarray, "n d"], drawn: Draws, dtype: type[np.floating]) -> Float64[np.ndarray, " subsets"]:
    """For each subset, the kernel's sum over its pairs of two different rows.

    Where all pairs there are cost less than the subsets' own, each is worked out once and added up for every subset
    that holds it.
    """
    if _SHARED_COST[dtype] * len(x) ** 2 > drawn.size * drawn.shape[1]:
        return np.array([_own_sum(_chosen(x, rows, dtype)) for rows in drawn])
    members, sums = _members(drawn, len(x)), np.zeros(len(drawn))
    for rows in spans(len(x)):
        a = read(x, rows, np.float64)
        tile = _kernel_of_blocks(a, a)
        np.fill_diagonal(tile, 0)
        sums += _shared(members[:, rows], tile, members[:, rows])
        for columns in spans(rows.start):
            tile = _kernel_of_blocks(a, read(x, columns, np.float64))
            sums += 2 * _shared(members[:, rows], tile, members[:, columns])
    return sums


def _cross_sums(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], of_x: Draws, of_y: Draws, dtype: type[np.floating]
) -> Float64[np.ndarray, " subsets"]:
    """For each subset of x and its like of y, the kernel's sum over all pairs between them."""
    if _SHARED_COST[dtype] * len(x) * len(y) > of_x.size * of_x.shape[1]:
        return np.array([_total(products(a, b), x.shape[1]) for a, b in _ring(x, y, of_x, of_y, dtype)])
    in_x, in_y, sums = _members(of_x, len(x)), _members(of_y, len(y)), np.zeros(len(of_x))
    for rows in spans(len(x)):
        a = read(x, rows, np.float64)
        for columns in spans(len(y)):
            tile = _kernel_of_blocks(a, read(y, columns, np.float64))
            sums += _shared(in_x[:, rows], tile, in_y[:, columns])
    return sums


def _chosen(
    x: Float[np.ndarray, "n d"], rows: Int[np.ndarray, " size"], dtype: type[np.floating]
) -> Float[np.ndarray, "size d"]:
    return np.ascontiguousarray(x[rows], dtype=dtype)


def _ring(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], of_x: Draws, of_y: Draws, dtype: type[np.floating]
) -> Iterator[tuple[Float[np.ndarray, "size d"], Float[np.ndarray, "size d"]]]:
    """Both sides of each comparison; what the one before has read is not read again."""
    a, b = _chosen(x, of_x[0], dtype), _chosen(y, of_y[0], dtype)
    yield a, b
    for before, (rows_x, rows_y) in enumerate(zip(of_x[1:], of_y[1:], strict=True)):
        a = a if np.array_equal(rows_x, of_x[before]) else _chosen(x, rows_x, dtype)
        b = b if np.array_equal(rows_y, of_y[before]) else _chosen(y, rows_y, dtype)
        yield a, b


def _members(drawn: Draws, rows: int) -> Bool[np.ndarray, "subsets rows"]:
    members = np.zeros((len(drawn), rows), dtype=bool)
    np.put_along_axis(members, drawn, True, axis=1)
    return members


def _shared(
    left: Bool[np.ndarray, "subsets n"], tile: Float64[np.ndarray, "n m"], right: Bool[np.ndarray, "subsets m"]
) -> Float64[np.ndarray, " subsets"]:
    """For each subset, the sum over those of its pairs that lie in this tile."""
    sums: Float64[np.ndarray, " subsets"] = np.einsum(
        "sm,sm->s", left.astype(np.float64) @ tile, right.astype(np.float64)
    )
    return sums


def _own_sum(x: Float[np.ndarray, "size d"]) -> float:
    """The kernel's sum over the pairs of two different rows. Only the lower triangle is worked out."""
    tile = own_products(x)
    np.fill_diagonal(tile, 0)
    return 2 * _total(tile, x.shape[1])


def _total(inner: Float[np.ndarray, "n m"], features: int) -> float:
    """The sum of the kernel, less 1, of products of rows; a product of 0 adds nothing. `inner` is used up."""
    return sum(float(part.sum(dtype=np.float64)) for part in _raised(inner, features))


def _kernel_of_blocks(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """(a.b / d + 1)^3 - 1 of each row of a with each of b."""
    inner = products(a, b)
    for _ in _raised(inner, a.shape[1]):
        pass
    return inner


def _raised(inner: Float[np.ndarray, "n m"], features: int) -> Iterator[Float[np.ndarray, "rows m"]]:
    """`inner` becomes (inner / features + 1)^3 - 1 = u (3 + u (3 + u)) in place, a few rows at a time."""
    for rows in spans(len(inner), max(1, _ELEMENTS // max(1, inner.shape[1]))):
        part = inner[rows]
        part *= 1 / features
        power = part + 3
        power *= part
        power += 3
        part *= power
        yield part
