"""Flax's own layers, but their bias is added, and its gradient summed, in float32.

Theirs sum it over photos and places in the type of the features; `layers.precision` says what that
does in bfloat16. Parameters, names and results in float32 are those of Flax.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers.precision import wide
from oldphoto_jax.photo.types import Features


def _bias_apart(arrays, dtype=None):
    """What Flax brings to one type: x and kernel; the bias is made `wide`."""
    x, kernel, bias = arrays
    dtype = dtype or jnp.promote_types(x.dtype, kernel.dtype)
    return x.astype(dtype), kernel.astype(dtype), None if bias is None else wide(bias)


class _WideBias:
    def __init__(self, *sizes, **options):
        super().__init__(*sizes, promote_dtype=_bias_apart, **options)

    def __call__(self, x: Features) -> Features:
        """Maps [N,..,C] to [N,..,D], in the type that x and the kernel have in common."""
        dtype = self.dtype or jnp.promote_types(x.dtype, self.kernel[...].dtype)
        return super().__call__(x).astype(dtype)


class Conv(_WideBias, nnx.Conv):
    """`flax.nnx.Conv` with a bias in float32."""


class ConvTranspose(_WideBias, nnx.ConvTranspose):
    """`flax.nnx.ConvTranspose` with a bias in float32."""


class Linear(_WideBias, nnx.Linear):
    """`flax.nnx.Linear` with a bias in float32."""
