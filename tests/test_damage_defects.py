"""Shapes of damage, and the law of the mask that `lay` keeps."""

import numpy as np
import pytest

from oldphoto_jax.damage import blend
from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.damage.noise import field, white

SHAPE = (96, 128)


def gray_photo(shape=SHAPE, level=0.5):
    return np.full((*shape, 3), level, np.float32)


def lay(photo, alpha, look, seed=0):
    rng = np.random.default_rng(seed)
    inks = blend.choose_inks(photo, rng)
    return blend.lay(photo, alpha, blend.LOOKS[look], inks, blend.roughness(photo), rng)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_draws_an_alpha_and_is_visible(name):
    kind = KINDS[name]
    visible = 0
    for seed in range(12):
        alpha = kind.draw(SHAPE, np.random.default_rng(seed), 64)
        assert alpha.shape == SHAPE and alpha.dtype == np.float32
        assert alpha.min() >= 0 and alpha.max() <= 1
        visible += lay(gray_photo(), alpha, kind.look, seed)[1].any()
    assert visible >= 4


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_a_function_of_its_generator(name):
    draw = KINDS[name].draw
    first, again = (draw(SHAPE, np.random.default_rng(5), 64) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", KINDS)
def test_no_clear_change_outside_the_mask_of_a_defect(name):
    rng = np.random.default_rng(1)
    photo = np.clip(0.5 + 0.2 * field(SHAPE, rng, 20), 0, 1)[..., None].repeat(3, axis=2)
    for seed in range(6):
        alpha = KINDS[name].draw(SHAPE, np.random.default_rng(seed), 64)
        after, mask = lay(photo, alpha, KINDS[name].look, seed)
        change = np.abs(after - photo).max(axis=2)
        assert change[~mask].max() <= blend.VISIBLE + 1e-6
        assert change[mask].size == 0 or np.mean(change[mask] > blend.VISIBLE) > 0.7


def test_paper_on_paper_is_not_a_defect():
    photo = gray_photo(level=1.0)
    alpha = np.zeros(SHAPE, np.float32)
    alpha[40:44] = 1
    look = blend.Look(light=1.0, stain=0.0, opacity=(1.0, 1.0), texture=0.0)
    rng = np.random.default_rng(0)
    inks = blend.choose_inks(photo, rng)
    white_paper = blend.Inks(np.ones(3), inks.soot, inks.stain, inks.behind, inks.surface)
    after, mask = blend.lay(photo, alpha, look, white_paper, blend.roughness(photo), rng)
    assert not mask.any()
    np.testing.assert_allclose(after, photo, atol=1e-6)


def test_a_stroke_is_as_wide_as_asked():
    for width in (1.0, 2.0, 6.0):
        canvas = Canvas((40, 200))
        canvas.stroke(np.array([[-5.0, 20.0], [205.0, 20.0]]), width)
        np.testing.assert_allclose(canvas.alpha()[:, 20:180].sum(axis=0), width, atol=0.3)


def test_thickness_is_the_diameter_of_the_largest_disc():
    mask = np.zeros((80, 80), bool)
    mask[30:41] = True  # a band of 11 rows
    assert blend.thickness(mask) == pytest.approx(12, abs=1)
    assert blend.thickness(np.zeros((8, 8), bool)) == 0
    for limit in (4, 8, 10, 14, 20, 60):
        assert blend.thicker(mask, limit) == (blend.thickness(mask) > limit)


def test_noise_is_normal():
    sample = white((200, 200), np.random.default_rng(0))
    assert sample.dtype == np.float32
    assert abs(sample.mean()) < 0.02 and abs(sample.std() - 1) < 0.02
