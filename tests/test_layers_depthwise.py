"""Laws of the depthwise convolution and of its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, PartitionSpec

from oldphoto_jax.layers.depthwise import DepthwiseConv, depthwise
from tests import toy


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def _draw(*shape, seed=0, dtype=np.float32):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def by_xla(x, kernel, stride):
    return jax.lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def slopes(function, x, kernel, stride):
    """(value, gradients for x and kernel) of a loss that weighs every result by another number."""

    def loss(x, kernel):
        y = function(x, kernel, stride)
        weights = _draw(*y.shape, seed=2)
        return jnp.sum(weights * jnp.sin(y.astype(jnp.float32))), y

    (_, y), (dx, dkernel) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(x, kernel)
    return y, dx, dkernel


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("sides", [(8, 12), (7, 9), (1, 2)])
def test_value_and_gradients_are_those_of_xla(sides, size, stride):
    x, kernel = _draw(3, *sides, 4), _draw(size, size, 4, seed=1)
    with jax.default_matmul_precision("highest"):
        ours, theirs = (slopes(f, x, kernel, stride) for f in (depthwise, by_xla))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_even_kernels_and_longer_strides_are_those_of_xla():
    for size, stride in ((2, 1), (1, 2), (3, 3)):
        x, kernel = _draw(2, 10, 7, 3), _draw(size, size, 3, seed=1)
        ours, theirs = (slopes(f, x, kernel, stride) for f in (depthwise, by_xla))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_half_precision_keeps_its_type_and_sums_in_float32():
    x, kernel = _draw(4, 32, 32, 3, dtype=jnp.bfloat16), _draw(3, 3, 3, dtype=jnp.bfloat16)

    def total(x, kernel):
        y = depthwise(x, kernel, 1)
        return jnp.sum(y.astype(jnp.float32) ** 2), y

    def solve(*given):
        (_, y), (dx, dkernel) = jax.value_and_grad(total, (0, 1), has_aux=True)(*given)
        return y, dx, dkernel

    exact = jax.jit(solve)(x.astype(jnp.float32), kernel.astype(jnp.float32))
    for ours, want in zip(jax.jit(solve)(x, kernel), exact, strict=True):
        assert ours.dtype == jnp.bfloat16
        ours, largest = np.float32(ours), np.abs(want).max()
        np.testing.assert_allclose(ours, want, rtol=2**-8, atol=2**-8 * largest)


def test_the_result_has_the_type_of_x_and_each_gradient_that_of_its_own():
    x, kernel = _draw(1, 4, 4, 2, dtype=jnp.bfloat16), _draw(3, 3, 2)
    y, dx, dkernel = slopes(depthwise, x, kernel, 1)
    assert (y.dtype, dx.dtype, dkernel.dtype) == (jnp.bfloat16, jnp.bfloat16, jnp.float32)


def test_vmap_is_one_after_the_other():
    x, kernels = _draw(3, 2, 6, 5, 4), _draw(3, 3, 3, 4, seed=1)

    def slope(x, kernel):
        return jax.grad(lambda *given: jnp.sum(jnp.sin(depthwise(*given, 2))), (0, 1))(x, kernel)

    at_once = jax.jit(jax.vmap(slope))(x, kernels)
    alone = jax.jit(slope)
    for i in range(3):
        for one, other in zip(alone(x[i], kernels[i]), at_once, strict=True):
            np.testing.assert_allclose(one, other[i], atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("check_vma", [True, False])
def test_gradient_under_shard_map_is_that_of_one_device(check_vma, stride):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    layer = DepthwiseConv(3, 3, stride, rngs=nnx.Rngs(0))
    graph, params = nnx.split(layer)
    x = _draw(4, 8, 6, 3)

    def loss(params, x):
        return jnp.mean(jnp.sin(nnx.merge(graph, params)(x)))

    def share(params, x):
        if check_vma:
            return jax.grad(lambda params: jax.lax.pmean(loss(params, x), "data"))(params)
        return jax.lax.pmean(jax.grad(loss)(params, x), "data")

    spread = jax.shard_map(
        share,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("data")),
        out_specs=PartitionSpec(),
        check_vma=check_vma,
    )
    ours, one = jax.jit(spread)(params, x), jax.jit(jax.grad(loss))(params, x)
    np.testing.assert_allclose(ours["kernel"][...], one["kernel"][...], atol=1e-6)


def test_the_layer_has_one_filter_for_each_channel_and_no_bias():
    layer = DepthwiseConv(4, 5, 2, rngs=nnx.Rngs(0))
    assert [leaf.shape for leaf in jax.tree.leaves(nnx.state(layer))] == [(5, 5, 4)]
    x = _draw(2, 7, 10, 4)
    run = nnx.jit(lambda layer, x: layer(x))
    y = run(layer, x)
    assert y.shape == (2, 4, 5, 4)
    np.testing.assert_allclose(y, by_xla(x, layer.kernel[...], 2), atol=1e-6)
    alone = run(layer, x * jnp.float32([1, 0, 0, 0]))
    np.testing.assert_array_equal(alone[..., 1:], 0)
    np.testing.assert_allclose(alone[..., 0], y[..., 0], atol=1e-6)
