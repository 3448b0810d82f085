"""Hints drawn from the truth: what they say is true, and now and then only they can tell."""

import numpy as np
import pytest

from oldphoto_jax.photo import color
from oldphoto_jax.tasks import hints
from oldphoto_jax.tasks.hints import Hints

EDGE = 64
POINTS = dict(none=0.0, strokes=0.0, recoloured=0.0)


@pytest.fixture(scope="module")
def parted():
    """Y, Cb, Cr of a photo, reddish but for its bluish right third, both of many lumas."""
    photo = np.full((64, 96, 3), (0.7, 0.45, 0.4), np.float32)
    photo[:, EDGE:] = (0.3, 0.4, 0.6)
    shade = np.linspace(-0.1, 0.1, 64, dtype=np.float32)[:, None, None]
    return color.rgb_to_ycbcr(photo + shade)


def ab(ycbcr):
    return color.rgb_to_lab(color.ycbcr_to_rgb(ycbcr))[..., 1:]


def test_the_same_generator_gives_the_same_bytes_and_other_ones_other(parted):
    one, again, other = (Hints(none=0.0)(parted, np.random.default_rng(i)) for i in (3, 3, 4))
    assert [x.tobytes() for x in one] == [x.tobytes() for x in again]
    assert one[1].tobytes() != other[1].tobytes()


def test_points_are_the_mean_of_their_patch_and_the_rest_says_nothing(parted):
    truth = ab(parted)
    for seed in range(20):
        seen, told = Hints(**POINTS, points=3.0)(parted, np.random.default_rng(seed))
        np.testing.assert_array_equal(seen, parted)
        mask = told[..., 2]
        assert told.shape == (64, 96, 3) and told.dtype == np.float32
        assert set(np.unique(mask)) <= {0, 1} and not told[mask == 0].any()
        inside = np.delete(
            np.arange(96), np.s_[EDGE - 9 : EDGE + 9]
        )  # no patch there has both colours
        off = np.abs(told[..., :2] - truth)[:, inside][mask[:, inside] > 0]
        assert off.max(initial=0) < 6  # nine rows of shades
    single = Hints(**POINTS, points=3.0, largest=1)(parted, np.random.default_rng(2))[1]
    kept = single[..., 2] > 0
    assert kept.any()
    np.testing.assert_allclose(single[kept][:, :2], truth[kept], rtol=1e-6)


def test_their_number_is_geometric_and_some_photos_have_none(parted):
    rng = np.random.default_rng(0)
    few = Hints(**POINTS, points=7.0, largest=1, spread=0.5)
    counts = np.array([few(parted, rng)[1][..., 2].sum() for _ in range(600)])
    assert (counts == 0).mean() == pytest.approx(1 / 8, abs=0.04)
    assert 5.5 < counts.mean() < 7.2  # some fall on each other
    assert not any(Hints(none=1.0)(parted, rng)[1].any() for _ in range(20))


def test_a_stroke_is_wide_and_keeps_to_one_thing(parted):
    strokes = Hints(none=0.0, points=0.0, strokes=1.0, most=1, recoloured=0.0)
    areas, truth = [], ab(parted)
    for seed in range(30):
        told = strokes(parted, np.random.default_rng(seed))[1]
        mask = told[..., 2] > 0
        left, right = mask[:, :EDGE].any(), mask[:, EDGE:].any()
        assert left != right and len(np.unique(told[mask], axis=0)) == 1
        assert np.abs(told[mask][:, :2] - truth[mask]).max() < 2 * hints.ALIKE
        areas.append(mask.sum())
    assert max(areas) > 200 > 50 > min(areas)


def test_a_thing_gets_another_colour_and_a_hint_while_luma_and_the_rest_stay(parted):
    recoloured = Hints(none=0.0, points=0.0, strokes=0.0, recoloured=1.0)
    for seed in range(12):
        seen, told = recoloured(parted, np.random.default_rng(seed))
        np.testing.assert_allclose(seen[..., 0], parted[..., 0], atol=1e-6)
        photo = color.ycbcr_to_rgb(seen)
        assert photo.min() > -1e-5 and photo.max() < 1 + 1e-5
        changed, mask = np.abs(seen - parted).max(-1) > 0.01, told[..., 2] > 0
        assert changed.mean() == pytest.approx(1 / 3, abs=0.01) and (changed & mask).any()
        assert np.abs(told[mask][:, :2] - ab(seen)[mask]).mean() < 3


def test_numbers_that_make_no_sense_are_refused():
    for wrong, told in (
        (dict(none=1.1), "none, strokes and recoloured are shares"),
        (dict(points=-1.0), "a number, a spread and sizes"),
        (dict(largest=0), "a number, a spread and sizes"),
        (dict(widest=1), "widest=1: a stroke is 2 pixels wide"),
    ):
        with pytest.raises(ValueError, match=told):
            Hints(**wrong)
