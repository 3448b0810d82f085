"""Ageing: photo to photo, seeded, without a mask."""

import numpy as np
import pytest

from oldphoto_jax.damage import fading

OPERATIONS = [
    "fade",
    "tone",
    "shift",
    "soften",
    "shake",
    "grain",
    "gaussian",
    "speckle",
    "pepper",
    "shrink",
    "compress",
    "light",
    "emulsion",
    "harden",
]


@pytest.fixture(scope="module")
def photo():
    y, x = np.mgrid[0:72, 0:88] / 88
    return np.stack([x, y, 0.5 + 0.3 * np.sin(12 * x)], axis=2).astype(np.float32)


@pytest.mark.parametrize("name", OPERATIONS)
def test_ageing_keeps_shape_and_range_and_changes_the_photo(name, photo):
    operation = getattr(fading, name)
    before = photo.copy()
    aged = operation(photo, np.random.default_rng(0))
    assert aged.shape == photo.shape and aged.dtype == np.float32
    assert aged.min() >= -0.05 and aged.max() <= 1.05
    assert np.abs(aged - photo).max() > 0.004
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(aged, operation(photo, np.random.default_rng(0)))


def test_old_emulsions_are_blind_to_red_and_hard_prints_burn_out(photo):
    red, blue = np.zeros((2, 4, 4, 3), np.float32)
    red[..., 0], blue[..., 2] = 1, 1
    shares, burnt, blocked = [], [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        assert np.ptp(fading.emulsion(photo, rng), axis=2).max() == 0
        shares += [fading.emulsion(one, np.random.default_rng(seed)).mean() for one in (red, blue)]
        hard = fading.luma(fading.harden(fading.desaturate(photo), rng))
        burnt.append((hard > 0.99).mean())
        blocked.append((hard < 0.01).mean())
    assert max(shares[::2]) < 0.25 < np.median(shares[1::2])  # of luma red has 0.30, blue 0.11
    assert np.median(burnt) > 0.08 and max(burnt) < 0.5 and max(blocked) < 0.25


def test_gray_photos_only_take_on_a_tone(photo):
    gray = fading.desaturate(photo)
    assert np.ptp(gray, axis=2).max() == 0
    toned = fading.tone(gray, np.random.default_rng(0))
    order = np.argsort(gray[..., 0].ravel(), kind="stable")
    assert (np.diff(toned.reshape(-1, 3)[order], axis=0) >= -1e-5).all()


def test_jpeg_keeps_colours_in_their_channels():
    red = np.zeros((32, 32, 3), np.float32)
    red[..., 0] = 1
    np.testing.assert_allclose(fading.jpeg(red, 95), red, atol=0.03)
