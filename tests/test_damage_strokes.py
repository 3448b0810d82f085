"""Holes of free form: seeded, never too thick, as often as asked for."""

import dataclasses
import json

import numpy as np
import pytest

from oldphoto_jax.damage.blend import thickness
from oldphoto_jax.damage.strokes import Holes

SHAPE = (96, 128)


def draw(holes, seed, shape=SHAPE):
    return holes(shape, np.random.default_rng(seed))


def test_same_generator_gives_the_same_mask():
    holes = Holes(strokes=1.0, large=1.0, max_size=24)
    for seed in range(5):
        assert draw(holes, seed).tobytes() == draw(holes, seed).tobytes()
    assert draw(holes, 0).tobytes() != draw(holes, 1).tobytes()


@pytest.mark.parametrize("shape", [(16, 16), (40, 200), SHAPE])
def test_shape_and_type(shape):
    for seed in range(10):
        mask = draw(Holes(strokes=0.5, large=0.5), seed, shape)
        assert mask.shape == shape and mask.dtype == bool


@pytest.mark.parametrize("max_size", [8, 20, 64])
def test_no_hole_is_thicker_than_max_size(max_size):
    holes = Holes(max_size=max_size, strokes=1.0, large=1.0)
    sizes = [thickness(draw(holes, seed)) for seed in range(60)]
    assert max(sizes) <= max_size
    assert max(sizes) > 0.8 * max_size


def test_a_large_hole_is_at_least_half_as_thick_as_allowed():
    for max_size in 16, 48:
        holes = Holes(max_size=max_size, strokes=0.0, large=1.0)
        assert min(thickness(draw(holes, seed)) for seed in range(80)) >= max_size / 2


@pytest.mark.parametrize("name", ["strokes", "large"])
def test_the_shares_are_those_asked_for(name):
    only = {"strokes": 0.0, "large": 0.0}
    for share in 0.0, 0.3, 1.0:
        holes = Holes(**only | {name: share}, max_size=24)
        found = np.mean([draw(holes, seed).any() for seed in range(200)])
        assert abs(found - share) <= 3 * np.sqrt(share * (1 - share) / 200)


def test_strokes_are_thin_and_thick():
    sizes = [thickness(draw(Holes(strokes=1.0, large=0.0), seed)) for seed in range(60)]
    assert min(sizes) < 6 and max(sizes) > 25


def test_masks_leave_most_of_the_photo():
    areas = [draw(Holes(strokes=1.0, large=1.0, max_size=24), seed).mean() for seed in range(60)]
    assert 0.02 < np.median(areas) < 0.3 and max(areas) < 0.6


def test_it_is_plain_data():
    holes = Holes(max_size=32, strokes=0.1)
    assert Holes(**json.loads(json.dumps(dataclasses.asdict(holes)))) == holes


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"strokes": 1.2}, "strokes=1.2"), ({"large": -0.1}, "large=-0.1"), ({"max_size": 7}, "=7")],
)
def test_impossible_settings_are_refused(fields, words):
    with pytest.raises(ValueError, match=f"holes: .*{words}"):
        draw(Holes(**fields), 0)
