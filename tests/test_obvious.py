"""Laws of the exam of the obvious: what it draws is opaque, thick, seen, the same everywhere."""

import functools
import hashlib

import cv2
import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.data.sources import Samples
from oldphoto_jax.metrics.width import width_bins
from oldphoto_jax.obvious import fields, film, paint, questions
from oldphoto_jax.obvious.canvas import Canvas
from oldphoto_jax.obvious.kinds import KINDS

SIZE = 192
NAMES = (*KINDS, "film")
SIDES = ("dark", "light")


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """A folder with one mask of film damage, hairs and dust, in the colours of a palette."""
    root = tmp_path_factory.mktemp("textures")
    (root / film.FAMILY).mkdir()
    mask = np.zeros((300, 400), np.uint8)
    for n in range(0, 300, 20):
        cv2.line(mask, (n, 10), (n + 40, 280), 1 + n % 3, 2)
        cv2.circle(mask, (390 - n, n), 4, 4, -1)
    picture = Image.fromarray(mask, "P")
    picture.putpalette([0, 0, 0, 255, 255, 255, 0, 0, 0, 9, 9, 9, 200, 0, 0])
    picture.save(root / film.FAMILY / "a.png")
    return root


@pytest.fixture(scope="module")
def pairs(textures):
    """One question of every kind, on a cat."""
    record = Samples("val")[0]
    draws = KINDS | {"film": functools.partial(film.draw, film.masks(textures))}
    asked = [
        questions.pair(record, {kind: draw}, SIZE, 7, index)
        for index, (kind, draw) in enumerate(draws.items())
    ]
    assert [pair.kind for pair in asked] == [*NAMES]
    return {pair.kind: pair for pair in asked}


@pytest.mark.parametrize("kind", NAMES)
def test_every_piece_contrasts_with_what_it_hides(pairs, kind):
    pair = pairs[kind]
    for side, sign in zip(SIDES, (-1, 1), strict=True):
        painted = getattr(pair, side)
        change = sign * (paint.luma(painted.photo) - paint.luma(pair.target))
        pieces = painted.piece[painted.mask]
        assert pieces.min() > 0
        count = np.bincount(pieces)
        mean = np.bincount(pieces, change[painted.mask])[count > 0] / count[count > 0]
        assert mean.min() >= 0.25 * 255
        assert np.abs(change)[painted.mask].min() >= 16


@pytest.mark.parametrize("kind", NAMES)
def test_the_mask_is_what_is_seen(pairs, kind):
    for side in SIDES:
        painted = getattr(pairs[kind], side)
        assert not (painted.mask & painted.rim).any()
        same = (painted.photo == pairs[kind].target).all(axis=-1)
        assert same[~painted.mask & ~painted.rim].all()
        change = np.abs(paint.luma(painted.photo) - paint.luma(pairs[kind].target))
        clear = painted.rim & (change >= 0.25 * 255)
        assert clear.sum() < 0.15 * painted.mask.sum()


@pytest.mark.parametrize("kind", NAMES)
def test_nothing_is_thin_and_nothing_thicker_than_a_quarter(pairs, kind):
    for side in SIDES:
        mask = getattr(pairs[kind], side).mask
        bins = width_bins(mask, (4, SIZE // 4 + 1))
        np.testing.assert_array_equal(bins, mask)
        assert 120 <= mask.sum() <= 0.35 * mask.size


def test_what_covers_is_opaque():
    rng = np.random.default_rng(3)
    target = rng.integers(100, 156, (64, 64, 3), np.uint8)
    canvas = Canvas(64)
    canvas.add(np.pad(np.ones((16, 16)), 24))
    for dark in (True, False):
        painted = paint.paint(target, canvas, dark, rng)
        assert painted.mask.sum() == 256 and 0.8 <= painted.opacity <= 1
        left, whole = (pixels[painted.mask].std(axis=0) for pixels in (painted.photo, target))
        np.testing.assert_allclose(left / whole, 1 - painted.opacity, atol=0.02)


def test_pieces_that_cannot_contrast_are_left_out():
    target = np.full((64, 64, 3), 200, np.uint8)
    target[:, 32:] = 20
    canvas = Canvas(64)
    for left in (8, 40):
        cover = np.zeros((64, 64))
        cover[20:36, left : left + 14] = 1
        canvas.add(cover)
    for dark, columns in ((True, range(8, 22)), (False, range(40, 54))):
        painted = paint.paint(target, canvas, dark, np.random.default_rng(1))
        assert np.flatnonzero(painted.mask.any(axis=0)).tolist() == list(columns)
        assert not painted.rim.any()
    assert paint.paint(target * 0, canvas, True, np.random.default_rng(1)) is None
    assert paint.paint(target, canvas.without([1, 2]), True, np.random.default_rng(1)) is None


def test_a_kind_that_cannot_be_drawn_leaves_its_turn_to_the_next():
    record = {"photo": Samples("val")[0]["photo"]}
    kinds = {"none": lambda rng, size: Canvas(size), "line": KINDS["line"]}
    assert questions.pair(record, kinds, 128, 0, 0).kind == "line"
    black = {"photo": np.zeros((128, 128, 3), np.uint8)}
    assert questions.pair(black, kinds, 128, 0, 0) is None


def test_small_photos_are_enlarged_and_tones_keep_luma():
    photo = Samples("val")[0]["photo"][:100, :150]
    assert questions.crop(photo, 128, np.random.default_rng(0)).shape == (128, 128, 3)
    exact = questions.crop(photo[:, :100], 100, np.random.default_rng(0))
    np.testing.assert_array_equal(exact, photo[:, :100])
    gray, toned = (questions.tone(photo, name) for name in ("gray", "toned"))
    assert (gray == gray[..., :1]).all() and (toned[..., 0] > toned[..., 2]).mean() > 0.9
    for changed in (gray, toned):
        assert np.abs(paint.luma(changed) - paint.luma(photo)).max() <= 2
    assert questions.tone(photo, "colour") is photo


def test_the_same_pixels_everywhere(pairs):
    """Taken with NumPy 2.5.5 and OpenCV 5.0.0; NumPy 2.0.0 and OpenCV 4.13.0 draw the same."""
    digest = hashlib.sha256()
    for kind in KINDS:
        for side in SIDES:
            painted = getattr(pairs[kind], side)
            digest.update(painted.photo.tobytes() + painted.mask.tobytes())
    assert digest.hexdigest()[:16] == "fb75b54d06ad595f"


def test_strokes_are_as_thick_as_they_are_told():
    path = np.array([[-5.0, 20.0], [45.0, 20.0]])
    inside = fields.stroke(path, np.array([3.0, 3.0]), 40) > 0
    assert (inside.sum(axis=1) == 6).all()


def test_splines_pass_through_their_points():
    points = np.array([[0.0, 0.0], [5.0, 9.0], [12.0, 3.0]])
    np.testing.assert_allclose(fields.spline(points, 6)[::6], points)


def test_cells_are_nearest_to_their_sites_and_know_their_border():
    first, other, depth = fields.voronoi(np.random.default_rng(2), 90, 20, 0)
    assert (first != other).all() and depth.min() >= 0
    outside = cv2.distanceTransform(
        np.uint8(first == first[45, 45]), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    # A pixel's middle is half a pixel or so nearer to the border than to the next middle
    assert depth[45, 45] == pytest.approx(outside[45, 45] - 0.5, abs=0.75)


def test_noise_fills_its_range_and_sampling_between_pixels_is_linear():
    noise = fields.noise(np.random.default_rng(0), 50, 9, 3)
    assert (noise.min(), noise.max()) == (0, 1) and noise.shape == (50, 50)
    ramp = np.arange(12.0).reshape(3, 4)
    halves = fields.sample(ramp, np.array([0, 0.5, 9]), np.array([-1, 2.25]))
    np.testing.assert_allclose(halves, [[0, 2.25], [2, 4.25], [8, 10.25]])
