import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.layers.precision import wide


@pytest.mark.parametrize("given", ["bfloat16", "float16", "float32"])
def test_low_precision_becomes_float32_and_keeps_its_values(given):
    x = jnp.asarray([[-1.5, 0.0, 3.0]], given)
    assert wide(x).dtype == jnp.float32
    np.testing.assert_array_equal(wide(x), [[-1.5, 0.0, 3.0]])


def test_more_precision_is_kept():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        assert wide(jnp.ones(2, "float64")).dtype == jnp.float64
    finally:
        jax.config.update("jax_enable_x64", before)
