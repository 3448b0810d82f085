import numpy as np
import pytest

from oldphoto_jax.damage import blend
from oldphoto_jax.restore import detect, holes

RNG = np.random.default_rng(0)


def test_each_hole_has_its_box_and_thickness():
    mask = np.zeros((60, 80), np.uint8)
    mask[5, 10:70] = 1  # a line, one pixel thin
    mask[20:31, 40:51] = 1  # a square of 11
    mask[50, 3] = mask[51, 4] = 1  # touch at a corner
    mask[57:, 70:] = 1  # cut off by the border: nothing is known beyond it
    found, labels = holes.find(mask)
    assert [hole.box for hole in found] == [
        (5, 10, 6, 70),
        (20, 40, 31, 51),
        (50, 3, 52, 5),
        (57, 70, 60, 80),
    ]
    assert [hole.thickness for hole in found] == [1, 11, 1, 5]
    for number, hole in enumerate(found, 1):
        top, left, bottom, right = hole.box
        assert (labels[top:bottom, left:right] == number).any()
    assert np.array_equal(labels > 0, mask > 0)
    assert holes.find(np.zeros_like(mask))[0] == []


def test_holes_are_measured_as_in_training():
    for place in (np.s_[10:30, 20:60], np.s_[:20, :40], np.s_[:, 30:50], np.s_[40:, :]):
        mask = np.zeros((60, 80), np.uint8)
        mask[place] = 1
        trained = blend.thickness(mask)
        assert abs(holes.find(mask)[0][0].thickness - trained) <= 1.5
        assert abs(detect.thickest(mask) - trained) <= 1.5
    assert detect.thickest(np.ones((60, 80), np.uint8)) > 80


def test_the_thickest_hole_is_as_thick_as_detect_says():
    for _ in range(5):
        mask = holes.grow((RNG.random((50, 70)) > 0.99).astype(np.uint8), 4)
        assert max(hole.thickness for hole in holes.find(mask)[0]) == detect.thickest(mask)


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
