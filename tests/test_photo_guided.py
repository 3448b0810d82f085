"""The guided filter: exact where its model holds, flat where luma is, sharp where luma is sharp."""

import jax
import numpy as np
import pytest

from oldphoto_jax.photo import guided


@pytest.fixture(scope="module")
def luma():
    return np.random.default_rng(0).random((2, 12, 17, 1), np.float32)


def test_the_window_is_the_mean_of_what_lies_inside(luma):
    smooth = guided.box(luma, 2)
    for y, x in ((0, 0), (5, 8), (11, 16), (1, 15)):
        window = luma[:, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        np.testing.assert_allclose(smooth[:, y, x], window.mean((1, 2)), atol=1e-6)
    whole = guided.box(luma, 40) - luma.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(whole, 0, atol=1e-5)
    np.testing.assert_allclose(guided.box(luma, 0), luma, atol=1e-5)


def test_chroma_that_is_linear_in_luma_is_found_exactly(luma):
    chroma = np.concatenate([0.3 * luma + 0.4, -0.2 * luma + 0.6], axis=-1)
    slope, offset = guided.fit(luma, chroma, radius=3, epsilon=1e-9)
    np.testing.assert_allclose(slope, np.broadcast_to([0.3, -0.2], slope.shape), atol=1e-4)
    np.testing.assert_allclose(slope * luma + offset, chroma, atol=1e-4)


def test_where_luma_is_flat_chroma_is_averaged(luma):
    chroma = np.random.default_rng(1).random((2, 12, 17, 2), np.float32)
    slope, offset = guided.fit(np.full_like(luma, 0.7), chroma, radius=2)
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    np.testing.assert_allclose(offset, guided.box(guided.box(chroma, 2), 2), atol=1e-4)


def test_a_blurred_border_of_colours_becomes_as_sharp_as_that_of_luma():
    luma = np.zeros((1, 16, 32, 1), np.float32)
    luma[:, :, 16:] = 1
    wanted = np.concatenate([0.5 + 0.2 * luma, 0.5 - 0.1 * luma], axis=-1)
    blurred = guided.box(wanted, 3)
    slope, offset = guided.fit(luma, blurred, radius=4, epsilon=1e-4)
    sharp = slope * luma + offset
    assert np.abs(sharp - wanted)[:, :, 15:17].max() < 0.5 * np.abs(blurred - wanted).max()


def test_numpy_and_jit_agree(luma):
    chroma = np.random.default_rng(2).random((2, 12, 17, 2), np.float32)
    both = zip(guided.fit(luma, chroma), jax.jit(guided.fit)(luma, chroma), strict=True)
    for ours, theirs in both:
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_does_not_belong_together_is_refused(luma):
    with pytest.raises(ValueError, match="not of the same places"):
        guided.fit(luma, np.zeros((2, 12, 16, 2), np.float32))
    with pytest.raises(ValueError, match="radius -1"):
        guided.box(luma, -1)
