"""Batch norm: one device or four, its statistics, its in-place form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from oldphoto_jax.layers import norm

KINDS = {
    "batch": lambda: norm.BatchNorm(3, "leaky_relu", slope=0.1),
    "inplace": lambda: norm.InPlaceABN(3, "leaky_relu", slope=0.1),
}


@pytest.fixture(scope="module")
def x():
    """Eight photos, each of another brightness and contrast: shares of the batch differ much."""
    rng = np.random.default_rng(0)
    contrast, brightness = rng.uniform(0.2, 3, (8, 1, 1, 3)), rng.uniform(-2, 2, (8, 1, 1, 3))
    return (rng.normal(size=(8, 5, 4, 3)) * contrast + brightness).astype(np.float32)


def build(kind, axis_name=None):
    """(loss and auxiliaries as a function of params, x and weight; params)."""
    layer = KINDS[kind]()
    layer.scale[...], layer.bias[...] = jnp.array([0.5, 1.5, -0.8]), jnp.array([0.1, -0.2, 0.3])
    layer.set_attributes(axis_name=axis_name)
    graph, params, statistics = nnx.split(layer, nnx.Param, ...)

    def loss(params, x, weight):
        layer = nnx.merge(graph, params, statistics, copy=True)
        y = layer(x)
        value = jnp.mean(weight * y**3 + y * jnp.roll(y, 1, axis=2))
        return value, (y, {"mean": layer.mean[...], "var": layer.var[...]})

    return loss, nnx.to_pure_dict(params)


def one_device(kind, x, weight):
    loss, params = build(kind)
    return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x, weight)


def sharded_jit(kind, x, weight):
    loss, params = build(kind)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    x, weight = jax.device_put((x, weight), NamedSharding(mesh, PartitionSpec("data")))
    return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x, weight)


def mean_of_loss(kind, x, weight, axis_name="data"):
    loss, params = build(kind, axis_name)

    def step(params, x, weight):
        def mean_loss(*arguments):
            value, rest = loss(*arguments)
            return jax.lax.pmean(value, "data"), rest

        return jax.grad(mean_loss, (0, 1), has_aux=True)(params, x, weight)

    return shard_map(step, check_vma=True)(params, x, weight)


def mean_of_gradients(kind, x, weight, axis_name="data"):
    step, params = local_step(kind, axis_name)
    return shard_map(step, check_vma=False)(params, x, weight)


def pmapped(kind, x, weight):
    step, params = local_step(kind, "data")
    shares = (4, 2, *x.shape[1:])
    step = jax.pmap(step, "data", in_axes=(None, 0, 0), out_axes=((None, 0), (0, None)))
    (dparams, dx), (y, statistics) = step(params, x.reshape(shares), weight.reshape(shares))
    return (dparams, dx.reshape(x.shape)), (y.reshape(x.shape), statistics)


def local_step(kind, axis_name):
    """Each device differentiates its own loss; the mean is taken of the gradients."""
    loss, params = build(kind, axis_name)

    def step(params, x, weight):
        (dparams, dx), rest = jax.grad(loss, (0, 1), has_aux=True)(params, x, weight)
        return (jax.lax.pmean(dparams, "data"), dx / 4), rest

    return step, params


def shard_map(step, check_vma):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    one, each = PartitionSpec(), PartitionSpec("data")
    specs = {"in_specs": (one, each, each), "out_specs": ((one, each), (each, one))}
    return jax.jit(jax.shard_map(step, mesh=mesh, check_vma=check_vma, **specs))


WAYS = (sharded_jit, mean_of_loss, mean_of_gradients, pmapped)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_four_devices_equal_one_in_output_statistics_and_gradients(kind, way, x):
    weight = np.linspace(-1, 3, 8, dtype=np.float32).reshape(8, 1, 1, 1) * np.ones_like(x)
    want, got = one_device(kind, x, weight), way(kind, x, weight)
    for (path, a), b in zip(jax.tree.leaves_with_path(want), jax.tree.leaves(got), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_of_each_device_alone_give_other_gradients(kind, x):
    weight = np.ones_like(x)
    (want, _), _ = one_device(kind, x, weight)
    (got, _), _ = mean_of_gradients(kind, x, weight, axis_name=None)
    assert not np.allclose(want["scale"], got["scale"], rtol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_running_statistics_follow_mean_and_unbiased_variance(kind, x):
    layer = KINDS[kind]()
    layer(x)
    np.testing.assert_allclose(layer.mean[...], 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.var[...], 0.9 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_uses_and_keeps_the_running_statistics(kind, x):
    layer = KINDS[kind]()
    layer.mean[...], layer.var[...] = jnp.array([1.0, 2, 3]), jnp.array([4.0, 1, 9])
    layer.eval()
    y = layer(x)
    want = (x - np.array([1, 2, 3])) / np.array([2, 1, 3])
    np.testing.assert_allclose(y, np.where(want > 0, want, 0.1 * want), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.mean[...], [1, 2, 3])
    np.testing.assert_array_equal(layer(x[:1]), y[:1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_mean_cancels_nothing(kind, x):
    far = np.float32(1e4) + np.round(x * 64) / 64  # exact in float32
    near, shifted = KINDS[kind]()(np.round(x * 64) / 64), KINDS[kind]()(far)
    np.testing.assert_allclose(shifted, near, atol=3e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_low_precision_keeps_its_type_and_exact_statistics(kind, x):
    layer, exact = KINDS[kind](), KINDS[kind]()
    low = jnp.asarray(x, jnp.bfloat16)
    assert layer(low).dtype == jnp.bfloat16
    exact(low.astype(jnp.float32))
    assert layer.mean[...].dtype == jnp.float32
    np.testing.assert_allclose(layer.mean[...], exact.mean[...], rtol=1e-6)
    np.testing.assert_allclose(layer.var[...], exact.var[...], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_a_channel_is_refused_in_training_only(kind):
    layer, single = KINDS[kind](), jnp.ones((1, 1, 1, 3))
    with pytest.raises(ValueError, match="no variance"):
        layer(single)
    layer.eval()
    assert layer(single).shape == single.shape


def test_in_place_equals_batch_norm_while_scales_are_positive(x):
    @nnx.jit
    def cubed(layer, x):
        return nnx.grad(lambda layer, x: jnp.sum(layer(x) ** 3), argnums=(0, 1))(layer, x)

    def gradients(kind):
        layer = norm.normalize(kind, 3, "leaky_relu")
        layer.scale[...] = jnp.array([0.5, 1.0, 2.0])
        return cubed(layer, x)

    for a, b in zip(*map(jax.tree.leaves, map(gradients, ("batch", "inplace"))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(a).max())


def kept_of_full_size(layer, x):
    """Tensors as large as x that the backward pass of a jitted layer is given."""
    graph, params, statistics = nnx.split(layer, nnx.Param, ...)

    @jax.jit
    def forward(params, x):
        return nnx.merge(graph, params, statistics, copy=True)(x)

    _, pull = jax.vjp(forward, params, x)
    return sum(leaf.size >= x.size for leaf in jax.tree.leaves(pull))


def test_in_place_keeps_one_tensor_where_batch_norm_keeps_more(x):
    assert kept_of_full_size(KINDS["inplace"](), x) == 1
    assert kept_of_full_size(KINDS["batch"](), x) >= 2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_saturated_elu_has_a_finite_gradient(dtype):
    x = jnp.array([-60.0, 0, 1, 2, 60]).reshape(5, 1, 1, 1).astype(dtype)
    layer = norm.InPlaceABN(1, "elu")
    layer.scale[...] = jnp.array([50.0])
    assert jnp.all(layer(x)[0] == -1)
    gradient = nnx.grad(lambda x, layer: jnp.sum(layer(x) ** 2))(x, layer)
    assert jnp.all(jnp.isfinite(gradient))


def test_a_scale_of_zero_can_still_learn(x):
    layer = norm.InPlaceABN(3, "identity")
    layer.scale[...] = jnp.zeros(3)
    gradient = nnx.grad(lambda layer: jnp.sum(layer(x) * x))(layer)
    assert jnp.all(jnp.abs(gradient["scale"][...]) > 1)


def test_freezing_is_for_the_named_part_and_until_training_is_called():
    net = nnx.Dict(encoder=norm.BatchNorm(3), decoder=norm.InPlaceABN(3))
    norm.freeze(net, "encoder")
    assert (net.encoder.use_running_average, net.decoder.use_running_average) == (True, False)
    net.train()
    assert not net.encoder.use_running_average
    norm.freeze(net)
    assert net.encoder.use_running_average and net.decoder.use_running_average
    with pytest.raises(ValueError, match="'enc'"):
        norm.freeze(net, "enc")


def test_normalize_builds_either_kind_and_refuses_the_rest():
    assert norm.normalize("batch", 3, "relu").activation == "relu"
    assert norm.normalize("inplace", 3, "relu").activation == "leaky_relu"
    with pytest.raises(ValueError, match="'group'"):
        norm.normalize("group", 3)
    with pytest.raises(ValueError, match="'gelu'"):
        norm.BatchNorm(3, "gelu")
    with pytest.raises(ValueError, match="inverted"):
        norm.InPlaceABN(3, "relu")
