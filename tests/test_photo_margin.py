"""What the scanner saw beside a print is told from the print, and nothing else is."""

import numpy as np
import pytest

from oldphoto_jax.photo import image, margin


def lying(print_, lid, top, left, bottom, right, noise=0.004):
    """The scan [H,W,C] uint8 of a print on a lid of one level."""
    rng = np.random.default_rng(0)
    height, width, channels = print_.shape
    shape = (height + top + bottom, width + left + right, channels)
    scan = lid + noise * rng.standard_normal(shape)
    scan[top : top + height, left : left + width] = print_ / 255
    return np.rint(255 * np.clip(scan, 0, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def print_():
    """Soft blots of colour up to the edges, darker than a lid and lighter than a dark room."""
    coarse = np.random.default_rng(1).integers(40, 200, (12, 16, 3), dtype=np.uint8)
    return image.resize(coarse, 300, 400)


@pytest.mark.parametrize("lid", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sides", [(30, 40, 20, 10), (0, 0, 25, 35), (25, 0, 0, 35)])
def test_the_print_is_found_to_a_pixel(print_, lid, sides):
    if lid == 0.5:
        print_ = np.where(print_ > 120, print_, print_ // 3)  # else in part as gray as the lid
    top, left, bottom, right = sides
    found = margin.find(lying(print_, lid, *sides))
    assert found is not None
    assert abs(found.top - top) <= 1 and abs(found.left - left) <= 1
    assert abs(found.height - 300) <= 2 and abs(found.width - 400) <= 2
    mask = found.mask(300 + top + bottom, 400 + left + right)
    inside = mask[top : top + 300, left : left + 400]
    assert inside.mean() < 0.02 and mask.sum() > 0.95 * (mask.size - inside.size)


def test_deep_and_gray_scans_are_found_alike(print_):
    eight = lying(print_, 1.0, 30, 40, 20, 10)
    deep = margin.find(eight.astype(np.uint16) * 257)
    gray = margin.find(eight[..., :1])
    for one in (deep, gray):
        assert (one.top, one.left) == (30, 40)


@pytest.mark.parametrize("lid", [0.0, 1.0])
def test_a_large_scan_is_cut_no_deeper_than_its_margin(print_, lid):
    large = np.kron(print_, np.ones((5, 5, 1), np.uint8))
    found = margin.find(lying(large, lid, 123, 77, 61, 205))
    assert found.top >= 118 and found.left >= 72
    assert found.top + found.height <= 123 + 1500 + 6 and found.left + found.width <= 77 + 2000 + 6
    assert found.top <= 123 and found.left <= 77


def test_photos_without_a_margin_have_none(print_):
    assert margin.find(print_) is None
    fog = np.linspace(255, 90, 300)[:, None, None] * np.ones((1, 400, 3))
    assert margin.find(fog.astype(np.uint8)) is None
    sky = print_.copy()
    sky[:80] = 235  # one side alone
    assert margin.find(sky) is None
    assert margin.find(np.full((50, 60, 3), 255, np.uint8)) is None


def test_a_missing_corner_is_no_margin(print_):
    torn = print_.copy()
    for row in range(90):
        torn[row, : 120 - row] = 255
    assert margin.find(torn) is None
