"""What layers with a backward pass of their own owe to `jax.shard_map`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oldphoto_jax.photo.types import Array, Features


def shared(parameter: Array, x: Features) -> jax.Array:
    """The parameter itself, known to `shard_map(check_vma=True)` as shared by the devices of x.

    Its gradient is then summed over devices on the way back, which JAX does by itself for its own
    operations but not for a custom backward pass. Elsewhere this changes and costs nothing.
    """
    one = x[(0,) * x.ndim]
    return jnp.where(one == one, parameter, parameter)
