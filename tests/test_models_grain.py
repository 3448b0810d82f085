"""Grain lent to fillings: as strong as around them, never a contour, never outside the hole."""

import cv2
import jax
import numpy as np
import pytest

from oldphoto_jax.models import grain

SIDE = 96
SIGMA = 0.03
lend = jax.jit(grain.lend)


def disc(diameter):
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    return np.float32(np.hypot(rows, columns) <= diameter / 2)[None, ..., None]


def flat(channels=3):
    return np.full((1, SIDE, SIDE, channels), 0.5, np.float32)


def grainy(sigma=SIGMA, channels=3, blur=0.0):
    noise = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise
    return flat(channels) + sigma * noise[None, ..., None] / noise.std()


def deep(mask):
    """The hole but for its rim."""
    return cv2.erode(mask[0, ..., 0], np.ones((7, 7), np.uint8)) > 0


@pytest.mark.parametrize("blur, least", [(0.0, 0.75), (1.0, 0.5)], ids=["fine", "coarse"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_smooth_filling_gets_grain_of_its_surroundings(blur, least, channels):
    """Nearly as strong, but for what is so coarse that it could be shading, and as coarse."""
    mask = disc(40)
    photo = grainy(channels=channels, blur=blur)
    filled = np.where(mask > 0, flat(channels), photo)
    found = np.asarray(lend(filled, photo, mask))
    inside, outside = found[0][deep(mask)], photo[0][mask[0, ..., 0] == 0]
    assert least < inside.std() / outside.std() < 1.05
    assert abs(inside.mean() - 0.5) < 0.1 * SIGMA

    def next_to_each_other(picture):
        x = picture[0, 34:62, 34:62, 0] - 0.5
        return (x[:, 1:] * x[:, :-1]).mean() / np.square(x).mean()

    assert next_to_each_other(found) > 0.4 if blur else next_to_each_other(found) < 0.15


def test_nothing_changes_outside_and_junk_in_the_hole_is_not_seen():
    mask, photo = disc(30), grainy()
    filled = np.where(mask > 0, flat(), photo)
    found = np.asarray(lend(filled, photo, mask))
    outside = np.broadcast_to(mask == 0, photo.shape)
    np.testing.assert_array_equal(found[outside], filled[outside])
    assert (found != filled)[~outside].mean() > 0.5
    junk = np.where(mask > 0, np.float32(0.9), photo)
    np.testing.assert_array_equal(lend(filled, junk, mask), found)


def test_without_grain_a_filling_stays_as_it_is():
    mask, photo = disc(40), flat()
    filled = np.where(mask > 0, np.float32(0.52), photo)
    np.testing.assert_allclose(lend(filled, photo, mask), filled, atol=1e-6)


def test_a_filling_with_grain_of_its_own_gets_none_twice():
    mask, photo = disc(40), grainy()
    filled = np.where(mask > 0, np.roll(photo, (13, 29), (1, 2)), photo)
    found = np.asarray(lend(filled, photo, mask))
    inside = deep(mask)
    assert found[0][inside].std() < 1.2 * filled[0][inside].std()


@pytest.mark.parametrize("thickness", [1, 2])
def test_thin_lines_get_none(thickness):
    mask = np.zeros((1, SIDE, SIDE, 1), np.float32)
    mask[:, 20 : 20 + thickness, 5:90] = 1
    photo = grainy()
    filled = np.where(mask > 0, flat(), photo)
    np.testing.assert_array_equal(lend(filled, photo, mask), filled)


def test_contours_are_not_lent():
    """In a photo of calm ground and strong stripes the ground lends."""
    mask, photo = disc(24), grainy(0.01)
    photo[:, :, : SIDE // 3] += 0.3 * (np.arange(SIDE) // 4 % 2)[:, None, None]
    filled = np.where(mask > 0, flat(), photo)
    found = np.asarray(lend(filled, photo, mask))
    assert np.abs(found - filled).max() < 0.04


def test_a_photo_that_is_all_hole_stays_and_no_value_leaves_its_range():
    nothing = np.ones((1, SIDE, SIDE, 1), np.float32)
    np.testing.assert_array_equal(lend(flat(), grainy(), nothing), flat())
    bright = np.clip(grainy(0.1) + 0.45, 0, 1)
    found = np.asarray(lend(np.where(disc(40) > 0, np.float32(0.97), bright), bright, disc(40)))
    assert found.min() >= 0 and found.max() <= 1


def strength(found, rows, columns):
    """Standard deviation of the grain in a part of the photo over that of all its grain."""
    return found[0, rows, columns].std() / SIGMA


def test_a_white_margin_beside_the_hole_takes_no_grain_away():
    mask, photo = disc(30), grainy()
    photo[:, :, :25] = 0.97
    filled = np.where(mask > 0, flat(), photo)
    found = np.asarray(lend(filled, photo, mask))
    assert found[0][deep(mask)].std() > 0.7 * SIGMA


def test_a_hole_at_the_border_gets_grain_up_to_its_last_row():
    mask = np.zeros((1, SIDE, SIDE, 1), np.float32)
    mask[:, -16:] = 1
    photo = grainy()
    found = np.asarray(lend(np.where(mask > 0, flat(), photo), photo, mask))
    assert strength(found, np.s_[-1:], np.s_[:]) > 0.6
    assert strength(found, np.s_[-12:], np.s_[:]) > 0.7


def test_tiles_that_overlap_mostly_agree():
    """Half of a photo gets the grain that the whole gets, but for what lies too near to the cut."""
    wide = np.concatenate([grainy(), grainy()[:, ::-1], grainy()[:, :, ::-1]], axis=2)
    mask = np.zeros((1, SIDE, 3 * SIDE, 1), np.float32)
    mask[:, 36:60, 20:-20] = 1
    filled = np.where(mask > 0, np.float32(0.5), wide)
    whole = np.asarray(lend(filled, wide, mask))
    cut = 2 * SIDE
    part = np.asarray(lend(filled[:, :, :cut], wide[:, :, :cut], mask[:, :, :cut]))
    shared = np.s_[0, 40:56, 50 : cut - 50]
    same = np.abs(part[shared] - whole[shared]).max(-1) < 1 / 255
    assert same.mean() > 0.6
    both = (part[shared] + whole[shared]) / 2  # in the middle of the fade
    assert both.std() > 0.75 * SIGMA


def test_the_middle_of_a_large_hole_gets_grain_from_far_away():
    noise = np.random.default_rng(1).normal(0.5, SIGMA, (1, 320, 320, 1)).astype(np.float32)
    mask = np.zeros((1, 320, 320, 1), np.float32)
    mask[:, 40:280, 40:280] = 1
    found = np.asarray(lend(np.where(mask > 0, np.float32(0.5), noise), noise, mask))
    assert strength(found, np.s_[150:170], np.s_[150:170]) > 0.7
