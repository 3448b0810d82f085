"""Dust stands dark in infra-red, whatever the picture, the lamp's falloff and the dyes do."""

import cv2
import numpy as np
import pytest

from oldphoto_jax.photo import image, infrared


def scan(dtype, dyes=0.15, seed=0, size=(300, 420)):
    """Pixels [H,W,3], an infra-red channel [H,W] with dyes' share and falloff, and its dust."""
    rng = np.random.default_rng(seed)
    height, width = size
    coarse = rng.integers(20, 240, (9, 12, 3), dtype=np.uint8)
    pixels = image.to_float(image.resize(coarse, height, width))
    dust = np.zeros(size, np.uint8)
    for _ in range(40):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        cv2.circle(dust, (x, y), int(rng.integers(1, 6)), 1, -1)
    cv2.line(dust, (10, 5), (width - 20, height - 9), 1, 2)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = (0.8 - 0.15 * (x * x + y * y)) * pixels[..., 0] ** dyes
    light = light * (1 + 0.01 * rng.standard_normal(size))
    light = np.where(dust, 0.5 * light, light)
    pixels = np.where(dust[..., None], 0.6 * pixels, pixels)
    top = np.iinfo(dtype).max
    return [(top * np.clip(a, 0, 1)).astype(dtype) for a in (pixels, light)] + [dust]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("dyes", [0.0, 0.3])
def test_dust_is_what_is_dark_in_infrared(dtype, dyes):
    pixels, light, dust = scan(dtype, dyes)
    found = infrared.probability(light, pixels) >= 32768
    overlap = (found & (dust > 0)).sum() / (found | (dust > 0)).sum()
    assert overlap >= 0.9


def test_a_clean_film_has_no_dust():
    pixels, light, dust = scan(np.uint16)
    clean = np.where(dust, np.uint16(2) * light, light)
    pixels = np.where(dust[..., None], (pixels / 0.6).astype(np.uint16), pixels)
    assert np.mean(infrared.probability(clean, pixels) >= 32768) < 1e-4


def test_a_channel_that_shows_the_picture_is_refused():
    """Silver: the channel is the photo itself; no surface explains it, where red is no help."""
    pixels, _, _ = scan(np.uint16)
    blue, unlike = pixels[..., 2], np.full_like(pixels, 30000)
    blue = np.where(np.arange(300)[:, None] % 60 < 24, blue // 8, 60000)
    with pytest.raises(ValueError, match="shows a picture"):
        infrared.probability(blue.astype(np.uint16), unlike)


def test_sizes_must_agree():
    pixels, light, _ = scan(np.uint8)
    with pytest.raises(ValueError, match="same size"):
        infrared.probability(light[:-1], pixels)


@pytest.mark.parametrize("level", [0.0, 0.2, 0.5, 0.73, 1.0])
def test_a_half_stands_at_the_level_and_the_order_stays(level):
    steps = np.arange(65536, dtype=np.uint16)
    moved = infrared.levelled(steps, level)
    assert (np.diff(moved.astype(np.int64)) >= 0).all()
    assert moved[0] == 0 and moved[-1] == 65535
    at = min(max(level, 1e-3), 1 - 1e-3) * 65535
    assert ((moved >= at) == (steps / 65535 >= 0.5)).all()
