"""Instance norm: every channel of every photo by itself; its numbers are golden ones."""

import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.layers.instance import instance_norm


@pytest.fixture(scope="module")
def x():
    return np.float32(np.random.default_rng(0).normal(3, 2, (2, 5, 4, 3)))


def test_every_channel_of_every_photo_has_mean_0_and_variance_1(x):
    y = instance_norm(x)
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var((1, 2)), 1, rtol=1e-4)


def test_brightness_and_contrast_of_one_photo_change_nothing(x):
    gain, shift = np.float32([[1], [7]]), np.float32([[0], [-5]])
    other = x * gain[:, None, None] + shift[:, None, None]
    np.testing.assert_allclose(instance_norm(other), instance_norm(x), atol=1e-4)


def test_a_large_mean_costs_no_precision(x):
    np.testing.assert_allclose(instance_norm(x + 1000), instance_norm(x), atol=1e-3)


def test_a_flat_channel_becomes_zero(x):
    np.testing.assert_array_equal(instance_norm(np.full_like(x, 0.5)), 0)


def test_computes_in_float32_and_returns_what_came_in(x):
    rounded = x.astype(jnp.bfloat16)
    y = instance_norm(rounded)
    assert y.dtype == jnp.bfloat16
    wanted = instance_norm(rounded.astype(np.float32))
    np.testing.assert_array_equal(y, wanted.astype(jnp.bfloat16))


def test_one_place_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 1, 1, 3\).*larger photo"):
        instance_norm(np.zeros((2, 1, 1, 3)))
