import tracemalloc

import cv2
import numpy as np
import pytest

from oldphoto_jax.damage import blend
from oldphoto_jax.metrics.width import near
from oldphoto_jax.photo import scratch
from oldphoto_jax.restore import holes

RNG = np.random.default_rng(0)


def test_each_hole_has_its_box_and_thickness():
    mask = np.zeros((60, 80), np.uint8)
    mask[5, 10:70] = 1  # a line, one pixel thin
    mask[20:31, 40:51] = 1  # a square of 11
    mask[50, 3] = mask[51, 4] = 1  # touch at a corner
    mask[57:, 70:] = 1  # cut off by the border: nothing is known beyond it
    found, parts = holes.find(mask)
    assert [hole.box for hole in found] == [
        (5, 10, 6, 70),
        (20, 40, 31, 51),
        (50, 3, 52, 5),
        (57, 70, 60, 80),
    ]
    assert [hole.thickness for hole in found] == [1, 11, 1, 5]
    numbers = parts.paint(range(1, 5))
    for number, hole in enumerate(found, 1):
        top, left, bottom, right = hole.box
        assert (numbers[top:bottom, left:right] == number).any()
    assert np.array_equal(numbers > 0, mask > 0)
    assert holes.find(np.zeros_like(mask))[0] == []


def test_holes_are_measured_as_in_training():
    for place in (np.s_[10:30, 20:60], np.s_[:20, :40], np.s_[:, 30:50], np.s_[40:, :]):
        mask = np.zeros((60, 80), np.uint8)
        mask[place] = 1
        trained = blend.thickness(mask)
        assert abs(holes.find(mask)[0][0].thickness - trained) <= 1.5
        assert abs(holes.thickest(mask) - trained) <= 1.5
    assert holes.thickest(np.ones((60, 80), np.uint8)) > 80


def test_the_thickest_hole_is_as_thick_as_detect_says():
    for _ in range(5):
        mask = holes.grow((RNG.random((50, 70)) > 0.99).astype(np.uint8), 4)
        assert max(hole.thickness for hole in holes.find(mask)[0]) == holes.thickest(mask)


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_growing_reaches_as_far_as_told(radius):
    mask = np.zeros((21, 21), np.uint8)
    mask[10, 10] = 1
    y, x = np.mgrid[-10:11, -10:11]
    assert np.array_equal(holes.grow(mask, radius), np.hypot(y, x) <= radius)


def test_nothing_grows_into_nothing():
    none = np.zeros((9, 7), np.uint8)
    assert not holes.grow(none, 5).any() and not holes.opacity(none, 5).any()


@pytest.mark.parametrize("feather", [0, 1, 4])
def test_the_fill_is_opaque_in_holes_and_absent_beyond_the_feather(feather):
    mask = (RNG.random((40, 40)) > 0.99).astype(np.uint8)
    alpha = holes.opacity(mask, feather)
    assert alpha.dtype == np.float32
    assert (alpha[mask > 0] == 1).all() and (alpha[mask == 0] < 1).all()
    assert np.array_equal(alpha > 0, holes.grow(mask, feather) > 0)
    one = np.zeros((1, 20), np.uint8)
    one[0, 0] = 1
    expected = np.maximum(0, 1 - np.arange(20) / (feather + 1))
    np.testing.assert_allclose(holes.opacity(one, feather)[0], expected, atol=1e-6)


def depths(mask):
    """How deep each pixel is, measured in the whole mask at once."""
    if mask.all():
        return np.full(mask.shape, max(mask.shape), np.float32)
    return cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def scenes():
    """Masks of all kinds and sizes, and the height of a band."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        size, rows = rng.integers(1, 60, 2), int(rng.integers(1, 20))
        yield np.uint8(rng.random(size) < rng.random()), rows
        soft = cv2.GaussianBlur(rng.random(size), (0, 0), rng.uniform(0.5, 4))
        yield np.uint8(soft > 0.5), rows
        drawn = np.zeros(size, np.uint8)
        for _ in range(3):
            ends = rng.integers(0, 60, (2, 2)).tolist()
            cv2.line(drawn, *ends, 1, int(rng.integers(1, 15)))
        yield drawn, rows
    yield np.ones((40, 9), np.uint8), 3
    yield np.zeros((40, 9), np.uint8), 3


def test_bands_measure_what_the_whole_does(monkeypatch):
    monkeypatch.setattr(holes, "HALO", 2)
    for mask, rows in scenes():
        found, parts = holes.find(mask, rows)
        deep = depths(mask)
        assert holes.thickest(mask, rows) == holes.thick(deep.max(initial=0))
        for index, hole in enumerate(found[:5]):
            inside = parts.paint(np.arange(len(parts)) == index) > 0
            y, x = np.nonzero(inside)
            assert hole.box == (y.min(), x.min(), y.max() + 1, x.max() + 1)
            assert hole.thickness == holes.thick(deep[inside].max())
        assert holes.share(mask) == pytest.approx(mask.mean())


def test_bands_grow_as_the_whole_does():
    for number, (mask, rows) in enumerate(scenes()):
        radius = number % 19
        expected = near(mask > 0, radius) if radius and mask.any() else mask > 0
        grown = holes.grow(mask, radius, rows=rows)
        assert grown.dtype == np.uint8 and np.array_equal(grown, expected)


def test_what_is_deeper_than_can_be_seen_is_told_as_that_deep(monkeypatch):
    monkeypatch.setattr(holes, "HALO", 2)
    monkeypatch.setattr(holes, "DEEPEST", 10)
    mask = np.zeros((90, 120), np.uint8)
    mask[1:20, 1:41] = mask[25:80, 50:110] = 1  # 10 and 28 pixels deep
    mask[85:88] = 1
    for rows in (1, 8, 90):
        found, _ = holes.find(mask, rows)
        assert [hole.thickness for hole in found] == [19, 19, 3]
        assert holes.thickest(mask, rows) == 19
    assert holes.thickest(np.ones_like(mask), rows=5) == 19


def test_memory_does_not_grow_with_the_height(monkeypatch):
    monkeypatch.setattr(scratch, "SMALL", 1)
    monkeypatch.setattr(scratch, "BAND", 20_000)
    peaks = []
    for height in (1000, 8000):
        mask = np.zeros((height, 200), np.uint8)
        mask[::100, 20:90] = mask[:, 130] = 1
        tracemalloc.start()
        found, parts = holes.find(holes.grow(mask, 2))
        parts.paint([1] * len(found))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100 * 1000  # a list of 70 more holes; the mask has 1.4 MB more
