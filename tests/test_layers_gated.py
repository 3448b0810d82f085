"""Gated convolution: an open gate leaves a plain convolution, a shut one leaves nothing.

That it equals the published code is tested with the fixtures in test_golden.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import norm
from oldphoto_jax.layers.gated import PADDINGS, GatedConv
from tests.nets import drawn

RNG = np.random.default_rng(0)
C_IN, C_OUT = 3, 4


def build(**options):
    return drawn(lambda: GatedConv(C_IN, C_OUT, **options, rngs=nnx.Rngs(0)))


def photo(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@nnx.jit
def run(layer, x):
    return layer(x)


@nnx.jit
def halves(layer, x, skip=None):
    return layer.halves(x, skip)


def set_gate(layer, bias):
    """Gates that are the same everywhere."""
    layer.conv.kernel[...] = layer.conv.kernel[...].at[..., C_OUT:].set(0)
    layer.conv.bias[...] = layer.conv.bias[...].at[C_OUT:].set(bias)


@pytest.mark.parametrize("activation", ["elu", "relu", "leaky_relu", "identity"])
def test_an_open_gate_is_the_convolution_activated_and_a_shut_one_is_nothing(activation):
    layer, x = build(activation=activation, slope=0.2), photo(2, 6, 5, C_IN)
    plain = norm.activate(activation, halves(layer, x)[0], 0.2)
    for bias, share in (1e4, 1), (0, 0.5), (-1e4, 0):
        set_gate(layer, bias)
        np.testing.assert_allclose(run(layer, x), share * plain, atol=1e-6)


def test_features_come_first_and_gates_second():
    layer, x = build(), photo(1, 5, 5, C_IN)
    y = layer.conv(x)
    features, gate = halves(layer, x)
    np.testing.assert_allclose(features, y[..., :C_OUT], atol=1e-6)
    np.testing.assert_allclose(gate, 1 / (1 + np.exp(-y[..., C_OUT:])), atol=1e-6)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("options", [{}, {"kernel": 5}, {"dilation": 2}, {"kernel": 1}])
def test_without_a_stride_sides_stay_and_both_paddings_agree(padding, options):
    x = photo(1, 7, 8, C_IN)
    y = run(build(padding=padding, **options), x)
    assert y.shape == (1, 7, 8, C_OUT)
    np.testing.assert_allclose(y, run(build(**options), x), atol=1e-6)


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_stride_of_two_centres_its_windows_on_odd_sides_only_in_both_families(kernel):
    """On even sides TensorFlow's windows lie one pixel further down and to the right."""
    same, symmetric = (build(kernel=kernel, stride=2, padding=p) for p in ("same", "symmetric"))
    full = build(kernel=kernel)
    x = photo(2, 7, 6, C_IN)
    everywhere = run(full, x)
    np.testing.assert_allclose(run(symmetric, x), everywhere[:, ::2, ::2], atol=1e-5)
    np.testing.assert_allclose(run(same, x), everywhere[:, ::2, 1::2], atol=1e-5)


def test_an_even_kernel_has_its_extra_zeros_below_and_to_the_right_in_tensorflow():
    x = photo(1, 5, 6, C_IN)
    assert run(build(kernel=4), x).shape == (1, 5, 6, C_OUT)
    below = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    symmetric = run(build(kernel=4, padding="symmetric"), below)
    np.testing.assert_allclose(run(build(kernel=4), x), symmetric, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("padding", PADDINGS)
def test_a_skip_connection_lies_beside_repeated_pixels(padding, bias):
    layer = build(padding=padding, bias=bias)
    if bias:
        layer.conv.bias[...] = np.linspace(-1, 1, 2 * C_OUT, dtype=np.float32)
    x, skip = photo(2, 3, 5, 2), photo(2, 6, 10, 1)
    large = np.concatenate([x.repeat(2, 1).repeat(2, 2), skip], -1)
    for ours, theirs in zip(halves(layer, x, skip), halves(layer, large), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_gates_and_features_learn_and_low_precision_stays():
    layer, x = build(), photo(1, 6, 6, C_IN)
    slope = nnx.jit(nnx.grad(lambda layer, x: jnp.sum(layer(x) ** 2)))(layer, x)
    for leaf in jax.tree.leaves(slope):
        assert jnp.isfinite(leaf).all() and (leaf.reshape(-1, 2 * C_OUT) != 0).any(0).all()
    exact = run(layer, x)
    nnx.update(layer, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(layer)))
    y = run(layer, x.astype(jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(y), exact, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("options", "words"),
    [({"padding": "reflect"}, "padding 'reflect'"), ({"activation": "gelu"}, "activation 'gelu'")],
)
def test_unknown_options_are_refused(options, words):
    with pytest.raises(ValueError, match=f"{words} is unknown; choose"):
        build(**options)


@pytest.mark.parametrize("shape", [(1, 8, 8, 4), (8, 8, 3)])
def test_inputs_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"this layer takes \[N,H,W,3\]"):
        build()(np.zeros(shape, np.float32))


def test_doubling_wants_small_windows_and_a_skip_connection_twice_as_large():
    x = np.zeros((1, 2, 2, 2), np.float32)
    for shape in (1, 4, 4, 2), (1, 4, 2, 1), (2, 4, 4, 1):
        with pytest.raises(ValueError, match=r"takes \(1, 4, 4, 1\)"):
            build().halves(x, np.zeros(shape, np.float32))
    for options in {"kernel": 5}, {"stride": 2}, {"dilation": 2}:
        with pytest.raises(ValueError, match="3x3 kernels of stride and dilation 1, not"):
            build(**options).halves(x, np.zeros((1, 4, 4, 1), np.float32))
