import math
import zlib

import cv2
import numpy as np
import pytest

from oldphoto_jax.restore import ahead, tiles
from tests.tiled import run

SIZES = [(1, 1), (40, 700), (513, 1025), (1300, 777)]
OPTIONS = [
    dict(tile=1024, overlap=64, multiple=64),
    dict(tile=256, overlap=128, multiple=16, batch=3),
    dict(tile=384, overlap=30, multiple=16, batch=2),
    dict(tile=512, overlap=0, multiple=1),
]


def noise(height, width, channels=3):
    return np.random.default_rng(height * width).random((height, width, channels), np.float32)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_identity_gives_the_photo_back(size, options):
    photo = noise(*size)
    assert np.array_equal(run(lambda batch: batch, photo, **options), photo)


@pytest.mark.parametrize("multiple", [1, 16, 64])
@pytest.mark.parametrize(("tile", "overlap"), [(1024, 64), (256, 128), (320, 0), (512, 200)])
def test_tiles_cover_every_side_and_share_the_overlap(tile, overlap, multiple):
    for length in [*range(1, 70), *range(250, 1100, 7), 4000, 6000]:
        plan = tiles.split(length, tile, overlap, multiple)
        steps = np.diff(plan.starts)
        assert plan.starts[0] == 0 and plan.starts[-1] + plan.side >= length
        assert plan.side <= tile and plan.side % multiple == 0
        assert all(start % multiple == 0 for start in plan.starts)
        assert (steps > 0).all() and (plan.side - steps >= overlap).all()
        if len(plan.starts) > 1:  # fewer tiles could not have covered it
            shared = -(-overlap // multiple) * multiple
            assert (len(plan.starts) - 1) * (tile - shared) + shared < length + multiple


def test_tiles_of_a_photo_are_squares_of_one_of_two_sides():
    lengths = [*range(1, 7000, 400)]
    plans = [tiles.plan(h, w, 1024, 32, 64) for h in lengths for w in lengths]
    assert all(down.side == across.side for down, across in plans)
    assert {down.side for down, _ in plans} == {512, 1024}
    for (height, width), side in {(500, 500): 512, (900, 900): 1024, (900, 1200): 512}.items():
        assert tiles.plan(height, width, 1024, 32)[0].side == side  # whichever sees fewer pixels
    assert tiles.plan(100, 100, 1024, 256)[0].side == 1024  # halves cannot share as much


def pasted(function, photo, tile, overlap, multiple=1, batch=1):
    """All tiles laid onto one canvas: what `rows` must give, to the last bit."""
    height, width = photo.shape[:2]
    down, across = tiles.plan(height, width, tile, overlap, multiple)
    canvas = None
    for row, top in enumerate(down.starts):
        strip = np.empty((min(down.side, height - top), width, 2), np.float32)
        for column, left in enumerate(across.starts):
            seen = tiles.cut(photo, (top, left), (down.side, across.side))
            piece = function(seen[None])[0][: height - top, : width - left]
            tiles.lay(strip.swapaxes(0, 1), piece.swapaxes(0, 1), across, column, overlap)
        canvas = np.empty((height, width, 2), np.float32) if canvas is None else canvas
        tiles.lay(canvas, strip, down, row, overlap)
    return canvas


def differing():
    """A function whose answers differ in what tiles share, whatever their order."""

    def function(batch):
        gains = [zlib.crc32(one.tobytes()) % 1000 / 7 for one in batch]
        return np.stack([one[..., :2] * np.float32(g) for one, g in zip(batch, gains, strict=True)])

    return function


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_rows_come_from_the_top_once_each_and_as_if_pasted_whole(size, options):
    photo = noise(*size)
    expected = pasted(differing(), photo, **options)
    found = [*tiles.rows(differing(), photo, **options)]
    ends = np.cumsum([len(part) for _, part in found])
    assert [top for top, _ in found] == [0, *ends[:-1]] and ends[-1] == size[0]
    assert np.array_equal(np.concatenate([part for _, part in found]), expected)


def test_rows_are_finished_before_tiles_far_down_are_asked():
    """So that memory holds a row of tiles, and the few that are computed ahead."""
    asked = []

    def function(batch):
        asked.append(batch.shape)
        return batch

    down, across = tiles.plan(1000, 600, 256, 32)
    counts = len(down.starts), len(across.starts)
    for number, _ in enumerate(tiles.rows(function, noise(1000, 600), tile=256, overlap=32), 1):
        most = min(number * len(across.starts) + ahead.AT_ONCE + 1, math.prod(counts))
        assert number * len(across.starts) <= len(asked) <= most
    assert number == len(down.starts) > 3


def test_flat_stays_flat_to_the_last_bit():
    photo = np.full((700, 900, 3), 0.1, np.float32)
    result = run(lambda batch: batch[..., :1] * 3, photo, tile=256, overlap=64)
    assert result.shape == (700, 900, 1)
    assert np.unique(result).size == 1


def test_a_local_network_sees_no_tiles():
    """A 17 x 17 mean reaches 8 pixels far, and a quarter of the overlap is thrown away."""
    photo = noise(600, 500)

    def blur(batch):
        return np.stack([cv2.blur(one, (17, 17)) for one in batch])

    result = run(blur, photo, tile=256, overlap=32)
    whole = cv2.blur(photo, (17, 17))
    inside = np.s_[:592, :492]  # at the far edges the photo was mirrored before it was blurred
    np.testing.assert_allclose(result[inside], whole[inside], atol=1e-6)


def test_joins_are_smooth_where_tiles_disagree():
    """Every tile answers with another constant: the steps between them are a gentle ramp."""
    photo = np.broadcast_to(np.arange(900, dtype=np.float32)[:, None], (256, 900, 3))
    starts = tiles.plan(256, 900, 256, 64)[1].starts

    def differ(batch):
        return np.stack([np.full_like(one[..., :1], starts.index(one[0, 0, 0])) for one in batch])

    result = run(differ, photo, tile=256, overlap=64)[128, :, 0]
    assert result[0] == 0 and result[-1] == 4
    steps = np.diff(result)
    assert (steps >= 0).all() and steps.max() < 0.06


def test_every_call_has_the_full_batch_and_one_shape():
    shapes = set()

    def see(batch):
        shapes.add(batch.shape)
        return batch

    run(see, noise(700, 1200), tile=512, overlap=64, batch=4)
    assert shapes == {(4, 512, 512, 3)}


@pytest.mark.parametrize(
    ("tile", "overlap", "multiple", "words"),
    [(100, 0, 16, "say 96"), (0, 0, 16, "say 16"), (256, 200, 16, "0..128"), (64, 1, 64, "0..0")],
)
def test_impossible_tiles_are_refused(tile, overlap, multiple, words):
    with pytest.raises(ValueError, match=words):
        tiles.split(1000, tile, overlap, multiple)
