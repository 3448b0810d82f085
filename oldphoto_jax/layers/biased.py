"""Flax's own layers, but their bias is added, and its gradient summed, in float32.

Theirs sum it over photos and places in the type of the features; `layers.precision` says what that
does in bfloat16. Parameters, names and results in float32 are those of Flax.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers.precision import wide
from oldphoto_jax.photo.types import Features


def _bias_apart(arrays: Any, /, *, dtype: Any = None, inexact: bool = True) -> Any:
    """What Flax brings to one type: x and kernel; the bias is made `wide`."""
    x, kernel, bias = arrays
    dtype = dtype or jnp.promote_types(x.dtype, kernel.dtype)
    return x.astype(dtype), kernel.astype(dtype), None if bias is None else wide(bias)


def _kind(layer: nnx.Conv | nnx.ConvTranspose | nnx.Linear, x: Features) -> jax.typing.DTypeLike:
    """The type that x and the kernel have in common, unless the layer has one of its own."""
    return layer.dtype or jnp.promote_types(x.dtype, layer.kernel[...].dtype)


class Conv(nnx.Conv):
    """`flax.nnx.Conv` with a bias in float32."""

    def __init__(self, *sizes: Any, **options: Any):
        super().__init__(*sizes, promote_dtype=_bias_apart, **options)

    def __call__(self, inputs: Features, *more: Any, **options: Any) -> Features:
        """Maps [N,..,C] to [N,..,D], in the type that input and kernel have in common."""
        return super().__call__(inputs, *more, **options).astype(_kind(self, inputs))


class ConvTranspose(nnx.ConvTranspose):
    """`flax.nnx.ConvTranspose` with a bias in float32."""

    def __init__(self, *sizes: Any, **options: Any):
        super().__init__(*sizes, promote_dtype=_bias_apart, **options)

    def __call__(self, inputs: Features, *more: Any, **options: Any) -> Features:
        """Maps [N,..,C] to [N,..,D], in the type that input and kernel have in common."""
        return super().__call__(inputs, *more, **options).astype(_kind(self, inputs))


class Linear(nnx.Linear):
    """`flax.nnx.Linear` with a bias in float32."""

    def __init__(self, *sizes: Any, **options: Any):
        super().__init__(*sizes, promote_dtype=_bias_apart, **options)

    def __call__(self, inputs: Features, *more: Any, **options: Any) -> Features:
        """Maps [N,..,C] to [N,..,D], in the type that input and kernel have in common."""
        return super().__call__(inputs, *more, **options).astype(_kind(self, inputs))
