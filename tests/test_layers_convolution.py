"""Laws of the convolution with the strip-wise weight gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, PartitionSpec

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.convolution import convolve

NHWC = ("NHWC", "HWIO", "NHWC")


def _draw(*shape, seed=0, dtype=np.float32):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


@pytest.mark.parametrize(
    ("height", "width", "kernel", "c", "d", "padding"),
    [
        (12, 20, 3, 5, 7, ((1, 1), (1, 1))),
        (13, 9, 5, 3, 4, ((2, 2), (2, 2))),
        (8, 8, 1, 6, 2, ((0, 0), (0, 0))),
        (9, 7, 3, 2, 3, ((0, 2), (1, 0))),
        (9, 7, 3, 3, 2, ((0, 2), (1, 0))),  # as above, but the windows are those of the gradient
        (9, 10, 5, 4, 1, ((4, 0), (2, 3))),
        (8, 8, 1, 2, 6, ((1, 1), (0, 2))),
        (8, 8, 1, 6, 2, ((1, 1), (0, 2))),  # more padding than the kernel is wide
        (8, 9, 3, 4, 2, ((3, 4), (0, 2))),
        (512, 64, 3, 24, 3, ((1, 1), (1, 1))),  # larger than one strip
        (512, 64, 3, 3, 24, ((1, 1), (1, 1))),
    ],
)
def test_value_and_gradients_are_those_of_xla(height, width, kernel, c, d, padding):
    x, w = _draw(2, height, width, c), _draw(kernel, kernel, c, d, seed=1)

    def by(function):
        def loss(x, w):
            y = function(x, w, (1, 1), padding, dimension_numbers=NHWC)
            return jnp.sum(jnp.sin(y)), y

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(x, w)

    with jax.default_matmul_precision("highest"):
        (_, y), (dx, dw) = by(convolve)
        (_, y_xla), (dx_xla, dw_xla) = by(jax.lax.conv_general_dilated)
    np.testing.assert_array_equal(y, y_xla)
    np.testing.assert_allclose(dx, dx_xla, atol=1e-5 * np.abs(dx_xla).max())
    np.testing.assert_allclose(dw, dw_xla, atol=1e-5 * np.abs(dw_xla).max())


@pytest.mark.parametrize(("c", "d"), [(2, 5), (5, 2)])
def test_kernels_need_not_be_square(c, d):
    x, w = _draw(2, 9, 8, c), _draw(2, 5, c, d, seed=1)

    def slope(function):
        def loss(w):
            y = function(x, w, (1, 1), ((1, 0), (3, 1)), dimension_numbers=NHWC)
            return jnp.sum(jnp.sin(y))

        with jax.default_matmul_precision("highest"):
            return jax.jit(jax.grad(loss))(w)

    np.testing.assert_allclose(slope(convolve), slope(jax.lax.conv_general_dilated), atol=1e-4)


@pytest.mark.parametrize(("c", "d"), [(2, 5), (5, 2)])
def test_strides_and_asymmetric_padding_are_those_of_xla(c, d):
    x, w = _draw(2, 9, 8, c), _draw(3, 3, c, d, seed=1)

    def slope(function):
        def loss(w):
            y = function(x, w, (2, 1), ((0, 2), (2, 1)), dimension_numbers=NHWC)
            return jnp.sum(jnp.sin(y))

        return jax.jit(jax.grad(loss))(w)

    np.testing.assert_array_equal(slope(convolve), slope(jax.lax.conv_general_dilated))


@pytest.mark.parametrize("d", [4, 2])
def test_half_precision_keeps_its_type_and_sums_in_float32(d):
    x, w = _draw(1, 32, 32, 4, dtype=jnp.bfloat16), _draw(3, 3, 4, d, dtype=jnp.bfloat16)
    same = ((1, 1), (1, 1))

    def loss(w, x):
        y = convolve(x, w, (1, 1), same, dimension_numbers=NHWC)
        return jnp.sum(y.astype(jnp.float32))

    gradient = jax.grad(loss)(w, x)
    exact = jax.grad(loss)(w.astype(jnp.float32), x.astype(jnp.float32))
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(gradient.astype(np.float32), exact, rtol=1e-2)


def test_strided_convolutions_of_a_network_have_gradients_too():
    layer = blocks.conv(3, 4, 3, 2, rngs=nnx.Rngs(0))
    gradient = nnx.grad(lambda layer: jnp.sum(layer(_draw(1, 8, 8, 3)) ** 2))(layer)
    assert float(jnp.abs(gradient["kernel"][...]).max()) > 0


@pytest.mark.parametrize("check_vma", [True, False])
def test_gradient_under_shard_map_is_that_of_one_device(check_vma):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    x, w = _draw(4, 8, 8, 3), _draw(3, 3, 3, 2, seed=1)

    def loss(w, x):
        y = convolve(x, w, (1, 1), ((1, 1), (1, 1)), dimension_numbers=NHWC)
        return jnp.mean(jnp.sin(y))

    def share(w, x):
        if check_vma:
            return jax.grad(lambda w: jax.lax.pmean(loss(w, x), "data"))(w)
        return jax.lax.pmean(jax.grad(loss)(w, x), "data")

    spread = jax.shard_map(
        share,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("data")),
        out_specs=PartitionSpec(),
        check_vma=check_vma,
    )
    np.testing.assert_allclose(jax.jit(spread)(w, x), jax.grad(loss)(w, x), atol=1e-6)


def test_what_is_sparse_is_not_lost_among_what_says_nothing():
    x = jax.random.normal(jax.random.key(0), (2, 8, 12, 3)).at[..., 2].set(1.0)
    np.testing.assert_allclose(blocks.gather(x, 4), blocks.shrink(x, 4), atol=1e-6)
    single = jnp.zeros((1, 8, 8, 3)).at[0, 1, 6].set(jnp.array([0.5, -2.0, 1.0]))
    single = single.at[0, 7, 7, :2].set(9.0)  # it has no say
    found = np.zeros((1, 2, 2, 3))
    found[0, 0, 1] = 0.5, -2, 1
    np.testing.assert_allclose(blocks.gather(single, 4), found, rtol=1e-5)
    assert blocks.gather(single.astype(jnp.bfloat16), 4).dtype == jnp.bfloat16
