"""The smooth filling: exact outside, near the exact solution inside."""

import functools

import jax
import numpy as np
import pytest

from oldphoto_jax.models.biharmonic import fill
from oldphoto_jax.restore import classical

filled = jax.jit(functools.partial(fill, levels=3), static_argnames="iterations")


def scene(seed=0):
    """Smooth photos [2,32,32,3] of slow waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:32, 0:32, 0:1][:2] / 32
    down, across, phase = rng.uniform(2, 5, (3, 2, 1, 1, 3))
    return np.float32(0.5 + 0.4 * np.sin(down * y + across * x + phase))


def scratched(corner=True):
    """A block inside, a scratch, and a lost corner."""
    mask = np.zeros((2, 32, 32, 1), np.float32)
    mask[:, 8:16, 10:18] = mask[:, 20:22, 3:28] = 1
    mask[:, :4, :5] = corner
    return mask


def test_outside_the_mask_nothing_changes_and_junk_inside_does_not_matter():
    photo, mask = scene(), scratched()
    junk = np.where(mask > 0, np.float32(1e5), photo)
    answer = np.asarray(filled(photo, mask))
    outside = np.broadcast_to(mask == 0, photo.shape)
    np.testing.assert_array_equal(answer[outside], photo[outside])
    np.testing.assert_array_equal(answer, filled(junk, mask))
    np.testing.assert_array_equal(filled(photo, 0 * mask), photo)


def test_a_constant_is_restored():
    photo, mask = np.full((2, 32, 32, 3), 0.3, np.float32), scratched()
    np.testing.assert_allclose(filled(photo * (1 - mask), mask), photo, atol=1e-6)


def test_a_plane_is_restored_inside():
    """A clamped plate lies flat on a ramp; at the photo's border it is free and may turn level."""
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    photo = np.stack([np.stack([x, y, x + y], -1), np.stack([-x, y - x, 0 * x], -1)]) / 64
    np.testing.assert_allclose(filled(photo, scratched(corner=False)), photo, atol=0.004)


def test_it_is_near_the_exact_solution():
    photo, mask = scene(3), scratched(corner=False)  # at the border the exact solver differs
    exact = np.stack(
        [classical.biharmonic(*pair) for pair in zip(photo, mask[..., 0], strict=True)]
    )
    assert np.abs(filled(photo, mask) - exact).max() < 0.014
    assert np.abs(filled(photo, mask, iterations=64) - exact).max() < 0.004


def test_photos_of_a_batch_do_not_mix():
    photo, mask = scene(), scratched()
    both = filled(photo, mask)
    mask[1] = mask[1, ::-1]
    other = filled(np.stack([photo[0], scene(5)[0]]), mask)
    np.testing.assert_allclose(both[0], other[0], atol=1e-6)


def test_a_photo_that_is_all_hole_becomes_black_and_its_neighbour_does_not_notice():
    photo, mask = scene(), scratched()
    both = filled(photo, mask)
    mask[0] = 1
    answer = np.asarray(filled(photo, mask))
    assert not answer[0].any()
    np.testing.assert_allclose(answer[1], both[1], atol=1e-6)


def test_large_holes_stay_within_reason():
    """No overshoot beyond what is around, even where only a rim of the photo is left."""
    photo, mask = scene(), np.ones((2, 32, 32, 1), np.float32)
    mask[:, :2] = mask[:, :, -2:] = 0
    answer = np.asarray(filled(photo, mask))
    known = photo[np.broadcast_to(mask == 0, photo.shape)]
    reach = np.ptp(known) / 2
    assert known.min() - reach < answer.min() and answer.max() < known.max() + reach


@pytest.mark.parametrize("shape", [(1, 40, 64, 3), (1, 64, 65, 3)])
def test_sides_that_do_not_halve_are_refused(shape):
    with pytest.raises(ValueError, match="6 levels take multiples of 64"):
        fill(np.zeros(shape, np.float32), np.zeros((*shape[:3], 1), np.float32))
