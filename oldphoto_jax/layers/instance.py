"""Instance normalization (Ulyanov et al., 2016, https://arxiv.org/abs/1607.08022)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oldphoto_jax.photo.types import Features


def instance_norm(x: Features, epsilon: float = 1e-5) -> Features:
    """Mean 0 and variance 1 for every channel of every photo: [N,H,W,C] to the same shape and type.

    Without scale and bias, as PyTorch's `InstanceNorm2d` is by default; the variance is the biased
    one. Computes in float32. Raises ValueError for a map of one place, which has no variance.
    """
    if x.shape[1] * x.shape[2] < 2:
        raise ValueError(
            f"instance norm got {x.shape}: one place has no variance; use a larger photo"
        )
    wide = jnp.float32(x)
    offset = wide - wide.mean((1, 2), keepdims=True)
    variance = jnp.square(offset).mean((1, 2), keepdims=True)
    return (offset * jax.lax.rsqrt(variance + epsilon)).astype(x.dtype)
