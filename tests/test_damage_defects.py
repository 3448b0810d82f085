"""Shapes of damage, and the law of the mask that `lay` keeps."""

import dataclasses

import numpy as np
import pytest

from oldphoto_jax.damage import blend
from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.damage.inks import choose_inks, choose_lid
from oldphoto_jax.damage.noise import field, white

SHAPE = (96, 128)


def gray_photo(shape=SHAPE, level=0.5):
    return np.full((*shape, 3), level, np.float32)


def lay(photo, alpha, look, seed=0):
    rng = np.random.default_rng(seed)
    inks = choose_inks(photo, rng, choose_lid(rng))
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


BROAD = [name for name, kind in KINDS.items() if kind.broad]


@pytest.mark.parametrize("name", BROAD)
def test_broad_kinds_reach_from_a_few_pixels_to_a_quarter_of_the_side(name):
    shape = (200, 240)
    sizes = []
    for seed in range(40):
        alpha = KINDS[name].draw(shape, np.random.default_rng(seed), 192)
        sizes.append(blend.thickness(alpha > 0.5))
    thin, thick = {"cut": (2, 10), "sprinkles": (4, 4), "strip": (14, 22)}.get(name, (12, 40))
    assert min(sizes) <= thin
    assert max(sizes) >= thick


def test_a_line_across_the_photo_leaves_it_on_two_sides():
    crossing = 0
    for seed in range(20):
        alpha = KINDS["cut"].draw(SHAPE, np.random.default_rng(seed), 64) > 0.3
        sides = alpha[0].any(), alpha[-1].any(), alpha[:, 0].any(), alpha[:, -1].any()
        crossing += sum(sides) >= 2
    assert crossing >= 15


def test_a_lid_is_white_as_often_as_black():
    levels = np.array([choose_lid(np.random.default_rng(i)).mean() for i in range(600)])
    white, black = np.mean(levels > 0.85), np.mean(levels < 0.15)
    assert abs(white - black) < 0.06 and white > 0.3
    assert np.mean((levels > 0.15) & (levels < 0.85)) > 0.1


def test_what_is_lost_shows_the_lid_flat():
    photo, lid = gray_photo(), np.full(3, 0.97, np.float32)
    alpha = np.zeros(SHAPE, np.float32)
    alpha[:40, :50] = 1
    inner, level = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        inks = choose_inks(photo, rng, lid)
        after, mask = blend.lay(photo, alpha, blend.LOOKS["lid"], inks, blend.roughness(photo), rng)
        assert mask[:40, :50].all()
        inner.append(after[:20, :20].std())
        level.append(after[:20, :20].mean())
    assert np.median(inner) < 0.02 and np.median(level) > 0.9


def test_a_ridge_is_light_on_one_side_and_dark_on_the_other():
    alpha = np.zeros(SHAPE, np.float32)
    alpha[:, 62:65] = 1
    photo, rng = gray_photo(), np.random.default_rng(1)
    after, mask = blend.ridge(photo, alpha, blend.roughness(photo), rng)
    change = (after - photo)[mask].mean(axis=-1)
    assert mask.any() and (change > 0.05).any() and (change < -0.05).any()
    assert np.abs(after - photo).max(axis=2)[~mask].max() <= blend.VISIBLE + 1e-6


def test_paper_on_paper_is_not_a_defect():
    photo = gray_photo(level=1.0)
    alpha = np.zeros(SHAPE, np.float32)
    alpha[40:44] = 1
    look = blend.Look(light=1.0, stain=0.0, opacity=(1.0, 1.0), texture=0.0)
    rng = np.random.default_rng(0)
    inks = choose_inks(photo, rng, choose_lid(rng))
    white_paper = dataclasses.replace(inks, paper=np.ones(3))
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
