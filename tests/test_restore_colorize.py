import dataclasses
import tracemalloc
import types

import cv2
import jax
import numpy as np
import pytest

from oldphoto_jax.photo import color, guided, image
from oldphoto_jax.restore import colorize, painted
from tests.stages import Tint, luma_of, ramp, sepia

RNG = np.random.default_rng(0)


@pytest.fixture
def painter():
    return Tint()


def noise(dtype, channels, height=45, width=61):
    return RNG.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


PHOTOS = {
    "gray": lambda dtype: ramp(dtype),
    "gray noise": lambda dtype: noise(dtype, 1),
    "gray in three channels": lambda dtype: np.repeat(noise(dtype, 1), 3, axis=-1),
    "sepia": sepia,
    "colour noise": lambda dtype: noise(dtype, 3),
}
CHROMA = {
    "noise": lambda *sides: RNG.random((*sides, 2), np.float32),
    "far out": lambda *sides: RNG.normal(0.5, 9, (*sides, 2)).astype(np.float32),
    "blue": lambda *sides: np.full((*sides, 2), (1, 0.3), np.float32),
    "stripes": lambda *sides: np.broadcast_to(
        np.where(np.arange(sides[1])[:, None] % 2, (-1, 3), (2, -2)), (*sides, 2)
    ).astype(np.float32),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("sides", [(16, 24), (64, 80)])
@pytest.mark.parametrize("chroma", CHROMA)
@pytest.mark.parametrize("photo", PHOTOS)
def test_luma_stays_whatever_the_network_says(photo, chroma, sides, dtype):
    pixels = PHOTOS[photo](dtype)
    luma = colorize.shrink(pixels, *sides)
    for strength in (1.0, 0.4):
        result = painted.paint(pixels, luma, CHROMA[chroma](*sides), strength)
        assert result.dtype == dtype and result.shape == (*pixels.shape[:2], 3)
        assert np.abs(luma_of(result) - luma_of(pixels)).max() <= 1
        assert np.ptp(result.astype(int), axis=-1).max() > np.iinfo(dtype).max / 20


def hue(rgb):
    """HSV's hue in degrees."""
    return cv2.cvtColor(np.float32(rgb), cv2.COLOR_RGB2HSV)[..., 0]


@pytest.mark.parametrize("chroma", ["noise", "far out", "blue"])
def test_no_hue_jumps_where_a_colour_is_not_to_be_had(chroma):
    pixels = ramp(np.uint16)
    luma = colorize.shrink(pixels, 16, 24)
    field = CHROMA[chroma](16, 24)
    wanted = painted.Enlarged(luma, field, *pixels.shape[:2])(image.to_float(pixels), 0)
    wanted = color.ycbcr_to_rgb(np.concatenate([image.to_float(pixels), wanted], axis=-1))
    result = image.to_float(painted.paint(pixels, luma, field))
    beyond = (wanted.min(axis=-1) < 0) | (wanted.max(axis=-1) > 1)
    lively = np.ptp(result, axis=-1) > 0.01
    assert (beyond & lively).mean() > 0.1
    # OpenCV's hue is that of colours within 0..1; drawn to gray, hue by its definition stays.
    inside = 0.5 + (wanted - 0.5) / (4 * np.abs(wanted - 0.5).max())
    jump = np.abs((hue(result) - hue(inside) + 180) % 360 - 180)
    assert jump[lively].max() <= 2


@pytest.mark.parametrize("photo", ["gray noise", "sepia"])
def test_strength_goes_from_the_photos_own_colours_to_the_networks(photo):
    pixels = PHOTOS[photo](np.uint16)
    luma, chroma = colorize.shrink(pixels, 16, 24), CHROMA["far out"](16, 24)
    own = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(float)
    full = painted.paint(pixels, luma, chroma, 1.0) - own
    for strength in (0.001, 0.25, 0.5, 0.9):
        moved = painted.paint(pixels, luma, chroma, strength) - own
        assert np.abs(moved - strength * full).max() <= 1


def test_strength_0_gives_back_the_pixels_themselves(painter):
    pixels = noise(np.uint16, 1)
    assert colorize.colorize(painter, pixels, strength=0) is pixels and not painter.seen


def test_rows_may_be_worked_on_in_strips_of_any_height(painter, monkeypatch):
    pixels = noise(np.uint8, 3, 150, 97)
    whole = colorize.colorize(painter, pixels, 64)
    assert np.array_equal(colorize.colorize(painter, pixels, 64), whole)
    monkeypatch.setattr(colorize, "STRIP", 97 * 13)
    strips = colorize.colorize(painter, pixels, 64)
    assert np.abs(strips.astype(int) - whole).max() <= 1 and (strips == whole).mean() > 0.999


@pytest.mark.parametrize("shape", [(300, 410), (30, 41), (30, 410)])
def test_chroma_is_enlarged_by_the_guided_filter(shape):
    pixels = noise(np.uint16, 1, *shape)
    luma, chroma = colorize.shrink(pixels, 64, 90), RNG.random((64, 90, 2), np.float32)
    enlarged = painted.Enlarged(luma, chroma, *shape)
    full = image.to_float(pixels)
    parts = [enlarged(full[top : top + 7], top) for top in range(0, len(full), 7)]
    slope, offset = (
        cv2.resize(field, shape[::-1], interpolation=cv2.INTER_LINEAR)
        for field in guided.fit(luma, chroma, painted.RADIUS, painted.EPSILON)
    )
    window = np.ones((2 * painted.RADIUS + 1,) * 2, np.uint8)
    low, high = (
        cv2.resize(extreme(chroma, window), shape[::-1], interpolation=cv2.INTER_LINEAR)
        for extreme in (cv2.erode, cv2.dilate)
    )
    wanted = np.clip(slope * full + offset, low, high)
    np.testing.assert_allclose(np.concatenate(parts), wanted, atol=1e-4)


def test_colours_end_where_luma_ends():
    """A red disc on blue: at 12 times the size, the rim is luma's and not that of large pixels."""
    rows, columns = np.indices((768, 768))
    disc = (np.hypot(rows - 380, columns - 391) < 210)[..., None]
    pixels = np.where(disc, np.uint8(190), np.uint8(70))
    true = np.where(disc, np.float32([0.4, 0.7]), np.float32([0.6, 0.45]))
    chroma = image.resize(true, 64, 64)
    enlarged = painted.Enlarged(colorize.shrink(pixels, 64, 64), chroma, 768, 768)
    errors = [
        np.abs(found - true).mean()
        for found in (enlarged(image.to_float(pixels), 0), image.resize(chroma, 768, 768))
    ]
    assert errors[0] < errors[1] / 3


@pytest.mark.parametrize("shape", [(200, 333, 3), (40, 50, 1), (20, 400, 3), (1, 1, 3)])
def test_shrinking_by_strips_is_shrinking_luma(shape, monkeypatch):
    pixels = RNG.integers(0, 65536, shape, np.uint16)
    full = image.to_float(pixels)
    whole = image.resize(full if shape[-1] == 1 else color.rgb_to_gray(full), 64, 96)
    for strip in (colorize.STRIP, 700):
        monkeypatch.setattr(colorize, "STRIP", strip)
        np.testing.assert_allclose(colorize.shrink(pixels, 64, 96), whole, atol=1e-6)


def test_large_scans_are_not_copied_whole(painter):
    pixels = np.broadcast_to(noise(np.uint16, 3, 1, 3000), (3000, 3000, 3)).copy()
    tracemalloc.start()
    colorize.colorize(painter, pixels, 64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < pixels.nbytes + 40 * 2**20  # the result, and some strips


def test_the_network_sees_a_gray_photo_of_fixed_size(painter):
    for height, width, size, working, shown in [
        (3000, 4000, 256, (256, 341), (256, 384)),
        (4000, 3000, 256, (341, 256), (384, 256)),
        (50, 60, 64, (64, 77), (64, 96)),
        (10, 2000, 64, (1, 96), (64, 96)),
        (7, 7, 100, (100, 100), (128, 128)),
    ]:
        assert colorize.working_size(height, width, size) == working
        small = min(1, 400 / max(height, width))  # the proportions are what counts
        sides = (max(1, round(small * side)) for side in (height, width))
        luma, chroma = colorize.guess(painter, noise(np.uint8, 3, *sides), size)
        assert luma.shape == (*working, 1) and chroma.shape == (*working, 2)
        photo = painter.seen[-1]
        assert photo.shape == (1, *shown, 3) and photo.dtype == np.float32
        assert np.array_equal(photo[0], image.pad_to(luma, *shown).repeat(3, -1))


def test_a_folder_of_any_sizes_makes_few_programs(painter):
    for _ in range(60):
        height, width = RNG.integers(20, 200, 2)
        colorize.guess(painter, noise(np.uint8, 1, height, width), 128)
    assert len(painter.seen) == 60 and 2 <= len(painter.compiled) <= 3


def test_multiples_beyond_the_shapes_are_kept(painter):
    painter.predictor = types.SimpleNamespace(multiple=96, gain=1.0)
    colorize.guess(painter, noise(np.uint8, 1), 100)
    assert painter.seen[0].shape == (1, 192, 192, 3)


def test_the_gain_of_the_weights_makes_colours_stronger_and_no_other(painter):
    luma, chroma = colorize.guess(painter, ramp(np.uint8), 128)
    painter.predictor = types.SimpleNamespace(multiple=32, gain=1.5)
    again, vivid = colorize.guess(painter, ramp(np.uint8), 128)
    assert np.array_equal(luma, again)
    np.testing.assert_allclose(vivid - 0.5, 1.5 * (chroma - 0.5), atol=1e-6)


def test_when_the_device_has_no_memory_the_size_is_halved(painter, capsys):
    def short(photo):
        if photo.shape[1] > 64:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return painter(photo)

    short.predictor = painter.predictor
    luma, _ = colorize.guess(short, noise(np.uint8, 1), 256)
    assert luma.shape == (64, 87, 1)
    told = capsys.readouterr().err
    assert "256 becomes 128" in told and "128 becomes 64" in told


def test_colours_that_are_no_numbers_are_told(painter):
    def broken(photo):
        return {"photo": painter(photo)["photo"] * np.nan}

    broken.predictor = painter.predictor
    with pytest.raises(ValueError, match="these weights are broken"):
        colorize.guess(broken, noise(np.uint8, 1), 64)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(strength=1.5), "strength 1.5: give a number from 0 to 1"),
        (dict(strength=float("nan")), "strength nan"),
        (dict(strength=-0.1), "strength -0.1"),
        (dict(size=63), "size 63: give 64 to 1024 pixels"),
        (dict(size=1025), "size 1025"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_photo(painter, options, words):
    with pytest.raises(ValueError, match=words):
        colorize.Colorizer(stage=painter, **options)


def test_settings_name_what_changes_a_photo(painter):
    own = {field.name for field in dataclasses.fields(colorize.Colorizer)}
    settings = colorize.Colorizer(stage=painter).settings
    assert set(settings) == own - {"stage", "recolor", "candidates", "reference"} | {
        "weights",
        "like",
    }
    assert settings == colorize.Colorizer(stage=painter, recolor=True).settings
