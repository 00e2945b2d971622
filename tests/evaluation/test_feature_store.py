"""Features kept on disk: made once, never mixed, and whole or not there."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.feature_store import FeatureKey, FeatureStore, FeatureStoreError, stream_moments
from evaluation.features.base import with_hash
from evaluation.metrics.base import FeaturesError

ROWS = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
KEY = FeatureKey(
    pictures_sha256="ab" * 32,
    count=50,
    extractor=with_hash({"extractor": "clip", "model": "a/b", "revision": "c" * 40, "weights_sha256": "d" * 64}),
    dataset={"folder": "real"},
)


class Maker:
    """Hands out blocks of ROWS, and remembers from which rows on it was asked."""

    def __init__(self, *, size: int = 10, break_at: int | None = None) -> None:
        self.asked: list[int] = []
        self._size = size
        self._break_at = break_at

    def __call__(self, start: int) -> Iterator[Any]:
        self.asked.append(start)
        for at in range(start, len(ROWS), self._size):
            if self._break_at is not None and at >= self._break_at:
                raise KeyboardInterrupt
            yield ROWS[at : at + self._size]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def test_features_are_made_once_and_mapped_from_the_disk(store: FeatureStore, tmp_path: Path) -> None:
    maker = Maker()

    first = store.features(KEY, maker)
    again = FeatureStore(tmp_path / "features").features(KEY, maker)

    assert maker.asked == [0]
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    assert np.array_equal(first, ROWS)
    assert np.array_equal(again, ROWS)
    assert store.has_features(KEY)


def test_the_manifest_says_what_the_features_belong_to(store: FeatureStore) -> None:
    assert store.manifest(KEY) is None

    store.features(KEY, Maker())

    said = store.manifest(KEY)
    assert said == json.loads(json.dumps(KEY.to_dict()))
    assert said is not None
    assert said["pictures"] == {"sha256": "ab" * 32, "count": 50, "folder": "real"}
    assert {"extractor_hash", "versions", "weights_sha256"} <= set(said["extractor"])


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, pictures_sha256="cd" * 32),
        replace(KEY, extractor=with_hash({**KEY.extractor, "weights_sha256": "e" * 64})),
        replace(KEY, extractor=with_hash({**KEY.extractor, "preprocessing": {"filter": "bilinear"}})),
    ],
    ids=["pictures", "weights", "preprocessing"],
)
def test_other_pictures_weights_or_preprocessing_are_another_entry(store: FeatureStore, other: FeatureKey) -> None:
    maker = Maker()
    store.features(KEY, maker)

    store.features(other, maker)

    assert other.id != KEY.id
    assert maker.asked == [0, 0]


def test_the_same_weights_from_another_place_are_the_same_entry(store: FeatureStore) -> None:
    details = {name: value for name, value in KEY.extractor.items() if name not in {"extractor_hash", "versions"}}

    moved = replace(KEY, extractor=with_hash({**details, "model": "/copy", "revision": None}), dataset={})

    assert moved.id == KEY.id


@pytest.mark.parametrize(("break_at", "resumed"), [(0, 0), (10, 0), (30, 20), (40, 40)])
def test_an_interrupted_extraction_goes_on_at_its_last_whole_block(
    store: FeatureStore, break_at: int, resumed: int
) -> None:
    """Rows come by tens; blocks of the extractor are 20 rows here, so that work goes on at a multiple of that."""
    with pytest.raises(KeyboardInterrupt):
        store.features(KEY, Maker(break_at=break_at), block_rows=20)
    assert not store.has_features(KEY)
    maker = Maker()

    found = store.features(KEY, maker, block_rows=20)

    assert maker.asked == [resumed]
    assert np.array_equal(found, ROWS)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2000))
def test_wherever_the_power_goes_the_features_come_out_whole(tmp_path_factory: Any, kept_bytes: int) -> None:
    folder: Path = tmp_path_factory.mktemp("store")
    store = FeatureStore(folder)
    with pytest.raises(KeyboardInterrupt):
        store.features(KEY, Maker(break_at=40))
    [partial] = folder.glob("*/features.npy.partial")
    partial.write_bytes(partial.read_bytes()[:kept_bytes])

    assert np.array_equal(store.features(KEY, Maker()), ROWS)


def test_moments_of_kept_features_and_streamed_ones_agree(store: FeatureStore, tmp_path: Path) -> None:
    streamed = FeatureStore(tmp_path / "other")
    maker = Maker()
    store.features(KEY, maker)

    of_kept, of_stream = store.moments(KEY, maker, exact=True), streamed.moments(KEY, Maker(size=7), exact=True)

    assert maker.asked == [0]
    assert of_kept.covariance == pytest.approx(np.cov(ROWS.astype(np.float64), rowvar=False), rel=1e-12)
    assert of_stream.covariance == pytest.approx(of_kept.covariance, rel=1e-12)
    assert not streamed.has_features(KEY)


def test_moments_are_made_once_and_exact_ones_are_kept_apart(store: FeatureStore) -> None:
    maker = Maker()

    quick, again, exact = (store.moments(KEY, maker, exact=exact) for exact in (False, False, True))

    assert maker.asked == [0, 0]
    assert np.array_equal(quick.scatter, again.scatter)
    assert (quick.exact, exact.exact) == (False, True)


def test_too_few_features_for_the_pictures_are_never_kept(store: FeatureStore) -> None:
    more = replace(KEY, count=60)

    for make in (store.features, store.moments):
        with pytest.raises(FeatureStoreError, match="50 features came for 60 pictures"):
            make(more, Maker())

    assert not store.has_features(more)


def test_too_many_features_for_the_pictures_are_refused(store: FeatureStore) -> None:
    with pytest.raises(FeatureStoreError, match="came after 40 of 45 rows"):
        store.features(replace(KEY, count=45), Maker())


def test_damaged_entries_are_named(store: FeatureStore, tmp_path: Path) -> None:
    store.features(KEY, Maker())
    store.moments(KEY, Maker())
    for name, act in (("features.npy", store.features), ("statistics.npz", store.moments)):
        path = tmp_path / "features" / KEY.id / name
        path.write_bytes(path.read_bytes()[:100])

        with pytest.raises(FeatureStoreError, match=r"is damaged .*: delete"):
            act(KEY, Maker())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FeatureStoreError, match="name a folder that can be written with --cache"):
        FeatureStore(tmp_path / "file").features(KEY, Maker())


def test_two_who_want_the_same_features_at_once_make_them_once(tmp_path: Path) -> None:
    makers = [Maker() for _ in range(4)]
    found: list[Any] = []

    def want(maker: Maker) -> None:
        found.append(FeatureStore(tmp_path / "features").features(KEY, maker))

    threads = [threading.Thread(target=want, args=[maker]) for maker in makers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(len(maker.asked) for maker in makers) == [0, 0, 0, 1]
    assert all(np.array_equal(one, ROWS) for one in found)


def test_no_features_have_no_moments() -> None:
    with pytest.raises(FeaturesError, match="no features to take statistics of"):
        stream_moments(iter([]))
