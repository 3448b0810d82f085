import tracemalloc

import numpy as np
import pytest

from oldphoto_jax.photo import scratch
from oldphoto_jax.restore.classical import METHODS
from oldphoto_jax.restore.fill import fill, soften
from oldphoto_jax.restore.holes import grow
from oldphoto_jax.restore.inpaint import network
from tests import painter
from tests.painter import scene

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def small():
    return painter.stage_of(painter.Paint())


def flat(value):
    """A filler that paints one value and notes what it was shown."""

    def filler(photo, mask):
        filler.seen.append((photo, mask))
        return np.full_like(photo, value)

    filler.seen = []
    return filler


def grayscale(pixels):
    return np.repeat(pixels[..., :1], 3, axis=-1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["gray", "rgb", "gray rgb"])
@pytest.mark.parametrize("feather", [0, 3])
def test_no_pixel_outside_the_feathered_mask_changes(dtype, kind, feather, small):
    pixels, mask = scene(dtype, channels=1 if kind == "gray" else 3)
    pixels = grayscale(pixels) if kind == "gray rgb" else pixels
    before = pixels.copy()
    options = dict(tile=128, overlap=32, multiple=16, feather=feather)
    for filler in network(small, 128), METHODS["telea"]:
        filled = fill(pixels, mask, filler, **options)
        assert filled.dtype == dtype and filled.shape == pixels.shape
        outside = grow(mask, feather) == 0
        assert np.array_equal(filled[outside], before[outside])
        assert (filled[mask > 0] != before[mask > 0]).mean() > 0.9
        if kind == "gray rgb":
            assert np.array_equal(filled, grayscale(filled))
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_and_whole_agree_to_a_code_value(dtype, small):
    pixels, mask = scene(dtype)
    whole = fill(pixels, mask, network(small, 512), tile=512, multiple=16)
    for tile, overlap in (64, 32), (128, 16):
        filler = network(small, tile)
        tiled = fill(pixels, mask, filler, tile=tile, overlap=overlap, multiple=16)
        assert np.abs(tiled.astype(int) - whole)[:-1, :-1].max() <= 1


def test_the_same_photo_gives_the_same_bytes(small):
    pixels, mask = scene()
    filler = network(small)
    one, two = (fill(pixels, mask, filler, multiple=16) for _ in range(2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("overlap", [0, 16, 63])
def test_where_tiles_agree_seams_do_not_show(overlap):
    pixels, mask = scene(np.uint16)
    filled = fill(pixels, mask, flat(0.3), tile=128, overlap=overlap)
    assert (filled[mask > 0] == round(0.3 * 65535)).all()


@pytest.mark.parametrize(
    ("places", "calls"),
    [
        ([], 0),
        ([(10, 10)], 1),
        ([(10, 10), (20, 30)], 1),
        ([(10, 10), (250, 430)], 2),
        ([(10, 104)], 2),  # where two tiles fade into each other
        ([(104, 104)], 4),
    ],
)
def test_only_tiles_with_holes_are_computed(places, calls):
    pixels, filler = scene()[0], flat(0.5)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    for place in places:
        mask[place] = 1
    filled = fill(pixels, mask, filler, tile=128, overlap=32)
    assert len(filler.seen) == calls
    assert (filled[mask > 0] == 128).all()


def test_every_hole_has_surroundings():
    pixels, _ = scene()
    for _ in range(30):
        mask, filler = np.zeros(pixels.shape[:2], np.uint8), flat(0.5)
        y, x = RNG.integers(0, mask.shape)
        mask[y, x] = 1
        fill(pixels, mask, filler, tile=128, overlap=64)
        margin = min(16, y, x, *(np.subtract(mask.shape, (y, x)) - 1))
        for _, seen in filler.seen:
            [[row, column]] = np.argwhere(seen)
            assert min(row, column, *(np.subtract(seen.shape, (row, column)) - 1)) >= margin


def test_the_fill_fades_over_the_feather():
    pixels = np.zeros((40, 60, 1), np.uint8)
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 30] = 1
    filled = fill(pixels, mask, flat(1.0), feather=3)
    row = filled[20, 30:36, 0].tolist()
    assert row == [255, 191, 128, 64, 0, 0]


def test_what_is_damaged_but_not_to_be_filled_is_hidden_and_stays():
    pixels, mask = scene()
    later = np.zeros_like(mask)
    later[100:110, 100:110] = 1
    mask &= 1 - grow(later, 2)
    filler = flat(0.5)
    filled = fill(pixels, mask, filler, feather=3, damaged=later)
    assert np.array_equal(filled[later > 0], pixels[later > 0])
    [(_, seen)] = filler.seen
    assert seen[later > 0].all() and seen[mask > 0].all()


def test_the_result_may_be_given_and_the_photo_stays(small):
    pixels, mask = scene()
    pixels.flags.writeable = mask.flags.writeable = False
    options = dict(tile=128, overlap=32, multiple=16, feather=2)
    expected = fill(pixels, mask, network(small, 128), **options)
    result = np.zeros_like(expected)
    assert fill(pixels, mask, network(small, 128), **options, result=result) is result
    assert np.array_equal(result, expected)


@pytest.mark.parametrize("kind", ["gray", "rgb"])
def test_scratch_space_and_bands_change_nothing(small, monkeypatch, kind, tmp_path):
    pixels, mask = scene(np.uint16)
    pixels = pixels if kind == "rgb" else grayscale(pixels)
    later = np.zeros_like(mask)
    later[100:110, 100:110] = 1
    options = dict(tile=128, overlap=32, multiple=16, feather=3, damaged=later, strength=0.7)
    expected = fill(pixels, mask, network(small, 128), **options)
    monkeypatch.setattr(scratch, "SMALL", 1)
    monkeypatch.setattr(scratch, "BAND", 1000)
    shared = []
    for array in (pixels, mask):
        shared.append(scratch.empty(array.shape, array.dtype))
        shared[-1][:] = array
    found = fill(*shared, network(small, 128), **options, folder=tmp_path)
    assert isinstance(found, np.memmap) and np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strength_goes_evenly_from_the_photo_to_the_fill(small, dtype):
    pixels, mask = scene(dtype)
    options = dict(tile=64, overlap=32, multiple=16, feather=2)
    strengths = np.linspace(0, 1, 8)
    steps = [
        fill(pixels, mask, network(small, 64), strength=s, **options).astype(float)
        for s in strengths
    ]
    full = fill(pixels, mask, network(small, 64), **options)
    assert np.array_equal(steps[0], pixels) and np.array_equal(steps[-1], full)
    toward = np.sign(steps[-1] - steps[0])
    assert (np.diff(steps, axis=0) * toward >= 0).all()
    assert all((step == pixels)[toward == 0].all() for step in steps)
    for strength, step in zip(strengths, steps, strict=True):
        assert np.abs(step - steps[0] - strength * (steps[-1] - steps[0])).max() <= 0.51


def test_at_no_strength_nobody_is_asked():
    pixels, mask = scene()
    filler = flat(0.5)
    assert np.array_equal(fill(pixels, mask, filler, strength=0), pixels)
    assert not filler.seen


def test_softening_keeps_what_is_the_same():
    pixels, _ = scene(np.uint16)
    filled = pixels.copy()
    soften(filled, pixels, 0.3)
    assert np.array_equal(filled, pixels)
    filled[5:9] = 60000
    soften(filled, pixels, 0.5)
    mean = np.rint(pixels[5:9] + 0.5 * (60000.0 - pixels[5:9]))
    assert np.array_equal(filled[5:9], mean) and np.array_equal(filled[9:], pixels[9:])


def test_memory_does_not_grow_with_the_height(monkeypatch):
    monkeypatch.setattr(scratch, "SMALL", 1)
    monkeypatch.setattr(scratch, "BAND", 10_000)
    peaks = []
    for height in (600, 2400):
        pixels = np.full((height, 200, 3), 77, np.uint8)
        mask = np.zeros((height, 200), np.uint8)
        mask[::50, 10:60] = 1
        tracemalloc.start()
        fill(pixels, mask, lambda photo, _: photo, tile=128, overlap=32, feather=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_wrong_masks_and_broken_networks_are_refused():
    pixels, mask = scene()
    with pytest.raises(ValueError, match=r"\(300, 449\).*\(300, 450\)"):
        fill(pixels, mask[:, 1:], flat(0.5))
    with pytest.raises(ValueError, match="no numbers"):
        fill(pixels, mask, flat(np.nan))


def test_a_folder_of_many_sizes_compiles_few_programs():
    small = painter.stage_of(painter.Paint())
    for size in [(20, 30), (100, 100), (130, 40), (64, 65), (90, 300), (33, 200)]:
        pixels, mask = scene(size=(size[0] + 40, size[1] + 50))
        fill(pixels, mask, network(small, 64), tile=64, overlap=16, multiple=16)
    assert small.compiled == [(1, 64, 64, 3)]
