"""Every layer has in bfloat16 the gradients that it has in float32: sums over places are exact.

What bfloat16 cannot hold at all is left out of these laws. Attention does not scale its logits, so
that they are off by 2^-9 of their size, and so are, in the end, gradients: it is shown small
features. The in-place norm keeps nothing but its result, in which an ELU of strongly negative
values is -1: scales are 1 at most.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import blocks, norm
from oldphoto_jax.layers.attention import SelfAttention
from oldphoto_jax.layers.biased import Conv, ConvTranspose, Linear
from oldphoto_jax.layers.convolution import convolve
from oldphoto_jax.layers.depthwise import DepthwiseConv, grouped
from oldphoto_jax.layers.gated import GatedConv
from oldphoto_jax.layers.instance import instance_norm
from oldphoto_jax.layers.partial import PartialConv
from oldphoto_jax.layers.spectral import Spectral
from tests import toy
from tests.nets import drawn

SIDE, C = 256, 4
LIMIT = 0.02  # norm of the difference over that of the gradient


def _draw(*shape, seed=0):
    """Numbers that bfloat16 has, in float32; their mean is 1/2."""
    numbers = 0.5 + np.random.default_rng(seed).standard_normal(shape)
    return numbers.astype(jnp.bfloat16).astype(np.float32)


class Bare(nnx.Module):
    """A function as a layer, with a kernel if given its shape."""

    def __init__(self, function, *shape):
        self.function = function
        self.kernel = nnx.Param(jnp.zeros(shape)) if shape else None

    def __call__(self, x):
        return self.function(x) if self.kernel is None else self.function(x, self.kernel[...])


def _call(layer, mask, *given):
    return layer(*given)


def _partial(layer, mask, x):
    return layer(x, *(mask, None)[: len(layer.channels)])[0]


def _doubled(layer, mask, x, skip):
    return layer.doubled(x, skip, mask[:, ::2, ::2], mask)[0]


def _halves(layer, mask, x, skip):
    return jnp.concatenate(layer.halves(x, skip), -1)


X, SMALL = (_draw(1, side, side, C) for side in (SIDE, SIDE // 2))
FEW = _draw(1, 32, 32, C) / 2
MASK = np.float32(_draw(1, SIDE, SIDE, 1, seed=1) > 1)
conv = functools.partial(blocks.conv, C, 3)
in_groups = functools.partial(Conv, C, C, (3, 3), conv_general_dilated=convolve)
transposed = functools.partial(ConvTranspose, C, 3, (4, 4), (2, 2))
pooled = functools.partial(SelfAttention, C, form="tf")
by_xla = functools.partial(grouped, stride=1)
CASES = {  # how it is built, on what it is called, and how
    "conv": (lambda rngs: conv(rngs=rngs), [X], _call),
    "conv of stride 2": (lambda rngs: conv(stride=2, rngs=rngs), [X], _call),
    "conv 1x1": (lambda rngs: conv(kernel=1, rngs=rngs), [X], _call),
    "conv in groups": (lambda rngs: in_groups(feature_group_count=2, rngs=rngs), [X], _call),
    "conv transposed": (
        lambda rngs: ConvTranspose(C, 3, (4, 4), (2, 2), rngs=rngs),
        [SMALL],
        _call,
    ),
    "dense": (lambda rngs: Linear(C, 3, rngs=rngs), [X.reshape(-1, C)], _call),
    "depthwise": (lambda rngs: DepthwiseConv(C, 3, rngs=rngs), [X], _call),
    "depthwise of stride 2": (lambda rngs: DepthwiseConv(C, 3, 2, rngs=rngs), [X], _call),
    "depthwise by XLA": (lambda rngs: Bare(by_xla, 3, 3, C), [X], _call),
    "partial": (lambda rngs: PartialConv(C, 3, rngs=rngs), [X], _partial),
    "partial of two sources": (lambda rngs: PartialConv((3, 1), 3, rngs=rngs), [X], _partial),
    "partial doubled": (lambda rngs: PartialConv((C, C), 3, rngs=rngs), [SMALL, X], _doubled),
    "gated": (lambda rngs: GatedConv(C, 3, rngs=rngs), [X], _call),
    "gated dilated": (lambda rngs: GatedConv(C, 3, dilation=2, rngs=rngs), [X], _call),
    "gated doubled": (lambda rngs: GatedConv(2 * C, 3, rngs=rngs), [SMALL, X], _halves),
    "batch norm": (lambda rngs: norm.BatchNorm(C, "relu"), [X], _call),
    "in-place norm": (lambda rngs: norm.InPlaceABN(C), [X], _call),
    "in-place norm with ELU": (lambda rngs: norm.InPlaceABN(C, "elu"), [X], _call),
    "instance norm": (lambda rngs: Bare(instance_norm), [X], _call),
    "spectral conv": (lambda rngs: Spectral(conv(rngs=rngs), rngs=rngs), [X], _call),
    "attention": (lambda rngs: SelfAttention(C, chunk=64, rngs=rngs), [FEW], _call),
    "attention pooled": (
        lambda rngs: SelfAttention(C, form="tf", chunk=64, rngs=rngs),
        [FEW],
        _call,
    ),
    "double": (lambda rngs: Bare(blocks.double), [SMALL], _call),
}
VANISHING = {("attention", "['key']['bias']")}  # softmax forgets what all logits have in common


def _gradients(graphs, layers, mask, kind):
    """Of every layer, for its parameters and inputs, with the same cotangent in float32."""
    found = {}
    for name, (params, rest, given) in layers.items():

        def run(params, given, name=name, rest=rest):
            layer = nnx.merge(graphs[name], params, rest, copy=True)
            y = CASES[name][2](layer, mask, *given)
            assert y.dtype == kind
            return y.astype(jnp.float32)

        rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(kind), params)
        y, pull = jax.vjp(run, rounded, [x.astype(kind) for x in given])
        places = jnp.arange(y.size, dtype=jnp.float32).reshape(y.shape)
        # all of one sign, as the sums that bfloat16 cannot take
        cotangent = (1 + jnp.sin(places * places) / 2) / (y.size // y.shape[-1])
        leaves = jax.tree_util.tree_leaves_with_path(pull(cotangent))
        found[name] = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    return found


@pytest.fixture(scope="module")
def gradients(tmp_path_factory):
    """In float32 and in bfloat16: {layer: {place: gradient}}. Biases and gains are 1/2 to 1."""
    rng = np.random.default_rng(3)
    graphs, layers = {}, {}
    for name, (build, given, _) in CASES.items():
        graphs[name], params, rest = nnx.split(
            drawn(lambda build=build: build(nnx.Rngs(0))), nnx.Param, ...
        )
        params, rest = nnx.to_pure_dict(params), nnx.to_pure_dict(rest)
        params = jax.tree.map(lambda x: rng.uniform(0.5, 1, x.shape) if x.ndim == 1 else x, params)
        layers[name] = (params, jax.tree.map(jnp.ones_like, rest), given)
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        return [
            jax.device_get(jax.jit(functools.partial(_gradients, graphs, kind=kind))(layers, MASK))
            for kind in ("float32", "bfloat16")
        ]


def _by_windows(x):
    """Sums over 2x2 places. Where rounding makes two of them equal, a maximum may be another's."""
    n, height, width, c = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, c).sum((2, 4))


@pytest.mark.parametrize("name", CASES)
def test_gradients_in_bfloat16_are_those_of_float32(name, gradients):
    exact, rounded = (of_all[name] for of_all in gradients)
    for place, want in exact.items():
        if (name, place[3:]) in VANISHING:
            continue
        assert rounded[place].dtype == jnp.bfloat16
        found = np.float32(rounded[place])
        if (name, place) == ("attention pooled", "[1][0]"):
            want, found = _by_windows(want), _by_windows(found)
        off = np.linalg.norm(found - want) / np.linalg.norm(want)
        assert off < LIMIT, f"{place}: {off:.3f}"
