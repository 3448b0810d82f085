import numpy as np
import pytest

from oldphoto_jax.restore import classical

RNG = np.random.default_rng(0)
ALL = pytest.mark.parametrize("filler", classical.METHODS.values(), ids=classical.METHODS)
PRECISE = 1 / 65535  # OpenCV works in 16 bits


def scene(channels=3):
    """A ramp of light, steeper in each channel, and a mask of two holes, one at the border."""
    y, x = np.mgrid[:40, :50] / np.float32(100)
    photo = np.stack([0.1 + x + (1 + c) * y / 4 for c in range(channels)], axis=-1)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:14, 5:45] = mask[30:36, :6] = 1
    return photo.astype(np.float32), mask


@ALL
@pytest.mark.parametrize("channels", [1, 3])
def test_good_pixels_stay_and_junk_in_holes_changes_nothing(filler, channels):
    photo, mask = scene(channels)
    filled = filler(photo, mask)
    assert filled.dtype == np.float32 and filled.shape == photo.shape
    np.testing.assert_allclose(filled[mask == 0], photo[mask == 0], atol=PRECISE)
    junk = np.where(mask[..., None], RNG.random(photo.shape, np.float32), photo)
    np.testing.assert_allclose(filler(junk, mask), filled, atol=1e-6)


@ALL
def test_an_even_surface_is_filled_evenly(filler):
    _, mask = scene()
    photo = np.full((40, 50, 3), (0.2, 0.5, 0.8), np.float32)
    damaged = np.where(mask[..., None], np.float32(1), photo)
    np.testing.assert_allclose(filler(damaged, mask), photo, atol=2 * PRECISE)


def test_the_biharmonic_sheet_continues_a_slope():
    photo, mask = scene()
    inside = mask.copy()
    inside[30:36] = 0  # at a border the sheet is bent
    filled = classical.biharmonic(np.where(inside[..., None], 0, photo), inside)
    np.testing.assert_allclose(filled, photo, atol=1e-5)


def test_a_thick_hole_is_still_solved_precisely():
    y, x = np.mgrid[:120, :120] / np.float32(240)
    photo = (x + y)[..., None].astype(np.float32)
    mask = np.zeros((120, 120), np.uint8)
    mask[10:110, 10:110] = 1
    np.testing.assert_allclose(
        classical.biharmonic(photo * (1 - mask[..., None]), mask), photo, atol=1e-4
    )


@ALL
def test_each_channel_is_filled_for_itself(filler):
    photo, mask = scene()
    alone = np.concatenate([filler(photo[..., c : c + 1], mask) for c in range(3)], axis=-1)
    np.testing.assert_allclose(filler(photo, mask), alone, atol=1e-6)


@ALL
def test_without_a_good_pixel_there_is_nothing_to_go_by(filler):
    with pytest.raises(ValueError, match="no good pixel in a tile of 8 x 9"):
        filler(np.zeros((8, 9, 3), np.float32), np.ones((8, 9), np.uint8))
