"""How far hints go: over the thing that they were given for, and not beyond."""

import numpy as np
import pytest

from oldphoto_jax.photo import color, hints, planes
from oldphoto_jax.restore import spread

RED, BLUE = (0.75, 0.35, 0.3), (0.3, 0.4, 0.7)
GRAY = np.full((160, 200, 2), 0.5, np.float32)


def two_things(contrast=0.3):
    """A dark thing left of column 120, a lighter one right of it; shaded, with grain: [h,w,1]."""
    down, across = np.indices((160, 200))
    luma = 0.4 + 0.0008 * down + np.where(across < 120, 0, contrast)
    luma += np.random.default_rng(0).normal(0, 0.006, luma.shape)
    return luma[..., None].astype(np.float32)


def dab(x, y, rgb=RED, radius=0.02):
    return hints.Stroke(((x, y),), rgb, radius)


def told(luma, chroma, *strokes):
    return spread.hinted(luma, chroma, hints.Hints(strokes).at(*luma.shape[:2]))


def ab(rgb):
    return color.rgb_to_lab(np.float32(rgb))[1:]


@pytest.mark.parametrize("contrast", [0.3, -0.25, 0.15])
def test_a_hint_reaches_its_thing_and_ends_at_its_edge(contrast):
    luma = two_things(contrast)
    after = planes.ab_beside(luma, told(luma, GRAY, dab(0.5, 0.5)))
    wanted = ab(RED)
    assert np.linalg.norm(after[80, 100] - wanted) < 1
    for reach in (10, 20, 30):
        for down, across in ((80 - reach, 100), (80 + reach, 100), (80, 100 - reach)):
            assert np.linalg.norm(after[down, across]) > 0.8 * np.linalg.norm(wanted)
    beyond = np.linalg.norm(after[:, 128:], axis=-1)
    assert beyond.max() < 0.25 * np.linalg.norm(wanted)


def test_far_from_a_hint_no_bit_changes_and_without_one_nothing_does():
    luma = two_things()
    noise = np.random.default_rng(1).uniform(0.4, 0.6, GRAY.shape).astype(np.float32)
    after = told(luma, noise, dab(0.05, 0.05))
    assert np.array_equal(after[:, 130:], noise[:, 130:]) and not np.array_equal(after, noise)
    assert spread.hinted(luma, noise, np.zeros((160, 200, 3), np.float32)) is noise


def test_a_network_that_has_heard_the_hint_is_not_told_again():
    luma = two_things()
    faint = (0.6, 0.52, 0.5)  # which sRGB has at every luma of these
    heard = color.luma_ab_to_ycbcr(luma, np.broadcast_to(ab(faint), GRAY.shape))[..., 1:]
    np.testing.assert_allclose(told(luma, heard, dab(0.5, 0.5, faint)), heard, atol=2e-3)


def test_each_of_two_hints_has_its_half_and_what_is_between_is_between():
    luma = np.full((160, 200, 1), 0.5, np.float32)
    after = planes.ab_beside(luma, told(luma, GRAY, dab(0.3, 0.5), dab(0.7, 0.5, BLUE)))
    row = after[80]
    for at, rgb in ((80, RED), (120, BLUE)):
        assert np.linalg.norm(row[at] - ab(rgb)) < 3
    steps = np.linalg.norm(np.diff(row, axis=0), axis=-1)
    assert steps[65:135].max() < 0.35 * np.linalg.norm(ab(RED) - ab(BLUE))


def test_colours_that_srgb_lacks_are_drawn_to_gray():
    luma = np.full((64, 64, 1), 0.97, np.float32)
    after = told(luma, GRAY[:64, :64], dab(0.5, 0.5, (0, 0, 1)))
    rgb = color.ycbcr_to_rgb(np.concatenate([luma, after], -1))
    assert rgb.min() > -1e-4 and rgb.max() < 1 + 1e-4 and rgb[32, 32, 2] > rgb[32, 32, 0]


def test_a_photo_of_a_pixel_has_the_colour_of_its_hint():
    luma = np.full((1, 1, 1), 0.5, np.float32)
    after = told(luma, GRAY[:1, :1], dab(0.5, 0.5))
    assert np.linalg.norm(planes.ab_beside(luma, after)[0, 0] - ab(RED)) < 1


def test_grain_is_no_edge():
    luma = two_things() + np.random.default_rng(2).normal(0, 0.04, (160, 200, 1))
    luma = luma.astype(np.float32)
    after = planes.ab_beside(luma, told(luma, GRAY, dab(0.3, 0.5)))
    reached = np.linalg.norm(after[50:110, 30:90], axis=-1)
    assert np.median(reached) > 0.8 * np.linalg.norm(ab(RED))
