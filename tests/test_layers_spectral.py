"""Spectral normalization: a reparametrisation, not a projection; its numbers are golden ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import blocks, norm
from oldphoto_jax.layers.spectral import SingularVector, Spectral
from oldphoto_jax.weights import names
from tests import critics

LAYERS = {
    "linear": lambda rngs: nnx.Linear(6, 5, rngs=rngs),
    "conv": lambda rngs: blocks.conv(6, 5, rngs=rngs),
    "deconv": lambda rngs: nnx.ConvTranspose(
        6, 5, (4, 4), (2, 2), padding="SAME", transpose_kernel=True, rngs=rngs
    ),
}


def build(kind, **options):
    rngs = nnx.Rngs(0)
    return Spectral(LAYERS[kind](rngs), rngs=rngs, **options)


@functools.cache
def at_rest(kind):
    """The layer as (graph, weights, other variables), as training keeps it."""

    return nnx.split(critics.drawn(lambda: build(kind)), nnx.Param, ...)


@pytest.fixture(params=LAYERS)
def layer(request):
    return nnx.merge(*at_rest(request.param), copy=True)


@nnx.jit
def run(layer, x):
    return layer(x)


@pytest.fixture(scope="module")
def x():
    return np.float32(np.random.default_rng(0).normal(size=(2, 4, 3, 6)))


def largest(layer):
    """The largest singular value, found the slow way."""
    kernel = np.moveaxis(np.float64(layer.kernel[...]), layer.output_axis, 0)
    return np.linalg.norm(kernel.reshape(len(kernel), -1), 2)


def vectors(layer):
    return {name: np.array(value) for name, value in names.flatten(layer).items() if name in "uv"}


def test_the_raw_kernel_stays_what_it_is(layer, x):
    before = np.array(layer.kernel[...])
    run(layer, x)
    layer.eval()
    run(layer, x)
    np.testing.assert_array_equal(layer.kernel[...], before)


def test_the_kernel_is_trained_and_the_vectors_are_not(layer):
    _, params, rest = nnx.split(layer, nnx.Param, ...)
    assert {".".join(map(str, path)) for path, _ in nnx.to_flat_state(params)} == {
        "layer.kernel",
        "layer.bias",
    }
    assert all(isinstance(v, SingularVector) for _, v in nnx.to_flat_state(rest))
    assert {path[-1] for path, _ in nnx.to_flat_state(rest)} == {"u", "v"}


def test_training_takes_one_step_at_each_call(layer, x):
    kernel = np.moveaxis(np.float64(layer.kernel[...]), layer.output_axis, 0)
    matrix = kernel.reshape(len(kernel), -1)
    u = vectors(layer)["u"]
    for _ in range(2):
        v = matrix.T @ u
        v /= np.linalg.norm(v)
        u = matrix @ v
        u /= np.linalg.norm(u)
        run(layer, x)
        found = vectors(layer)
        np.testing.assert_allclose(found["u"], u, atol=1e-5)
        np.testing.assert_allclose(found["v"], v, atol=1e-5)
    np.testing.assert_allclose(layer.sigma(), u @ matrix @ v, rtol=1e-5)


def test_evaluation_takes_none(layer, x):
    layer.eval()
    before = vectors(layer)
    first, second = (run(layer, x) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for name, vector in vectors(layer).items():
        np.testing.assert_array_equal(vector, before[name])


def test_after_many_steps_sigma_is_the_largest_singular_value(layer, x):
    for _ in range(100):
        run(layer, x)
    np.testing.assert_allclose(layer.sigma(), largest(layer), rtol=1e-3)
    wanted = layer.kernel[...] / largest(layer)
    layer.layer.kernel[...] = wanted
    np.testing.assert_allclose(layer.sigma(), 1, rtol=1e-3)


def test_the_vectors_start_as_unit_vectors_and_sigma_below_the_truth():
    layer = nnx.jit(lambda: build("linear"))()
    for vector in vectors(layer).values():
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-5)
    assert 0 < layer.sigma() <= largest(layer) * (1 + 1e-5)


def test_the_size_of_the_raw_kernel_changes_nothing(layer, x):
    layer.layer.bias[...] = jnp.arange(5.0)
    twin = nnx.clone(layer)
    twin.layer.kernel[...] = 7 * layer.kernel[...]
    np.testing.assert_allclose(run(twin, x), run(layer, x), rtol=1e-4, atol=1e-5)


def test_so_its_gradient_is_orthogonal_to_it_under_jit_split_and_merge(layer, x):
    graph, params, rest = nnx.split(layer, nnx.Param, ...)

    @jax.jit
    def solve(params, rest):
        def loss(params):
            net = nnx.merge(graph, params, rest, copy=True)
            net.train()
            y = net(x)
            return jnp.sum(y**3), nnx.state(net, nnx.Not(nnx.Param))

        return jax.grad(loss, has_aux=True)(params)

    slopes, new = solve(params, rest)
    slope, kernel = slopes["layer"]["kernel"][...], params["layer"]["kernel"][...]
    scale = np.linalg.norm(slope) * np.linalg.norm(kernel)
    assert scale > 0
    assert abs(np.vdot(slope, kernel)) < 1e-5 * scale
    assert not np.allclose(new["u"][...], rest["u"][...])


def test_freezing_batch_norm_does_not_freeze_it(layer, x):
    class Net(nnx.Module):
        def __init__(self):
            self.conv, self.norm = layer, norm.BatchNorm(5)

    net = Net()
    net.train()
    norm.freeze(net)
    assert net.norm.use_running_average
    before = vectors(net.conv)
    run(net.conv, x)
    assert not np.allclose(vectors(net.conv)["u"], before["u"])


def test_bfloat16_kernels_are_normalized_in_float32(layer, x):
    nnx.update(layer, critics.halved(layer))
    y = run(layer, x.astype(jnp.bfloat16))
    assert y.dtype == jnp.bfloat16 and layer.kernel.dtype == jnp.bfloat16
    assert {vector.dtype for vector in vectors(layer).values()} == {np.dtype("float32")}
    wide = nnx.merge(*nnx.split(layer), copy=True)
    nnx.update(wide, jax.tree.map(jnp.float32, nnx.state(wide, nnx.Param)))
    np.testing.assert_allclose(layer.sigma(), wide.sigma(), rtol=1e-6)


def test_names_and_shapes_are_known_without_numbers():
    net = nnx.eval_shape(lambda: build("deconv"))
    shapes = {name: leaf.shape for name, leaf in names.flatten(net).items()}
    assert shapes == {"layer.kernel": (4, 4, 5, 6), "layer.bias": (5,), "u": (5,), "v": (96,)}
    arrays = {name: np.full(shape, 0.5) for name, shape in shapes.items()}
    names.fill(net, arrays)
    np.testing.assert_array_equal(net.v[...], 0.5)


def test_another_axis_makes_another_matrix():
    layer = nnx.eval_shape(lambda: build("deconv", output_axis=-1))
    assert layer.u.shape == (6,) and layer.v.shape == (80,)


def test_a_layer_without_kernel_is_refused():
    with pytest.raises(ValueError, match="BatchNorm has no kernel"):
        Spectral(norm.BatchNorm(4), rngs=nnx.Rngs(0))
