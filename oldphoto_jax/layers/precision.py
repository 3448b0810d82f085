"""In which type layers compute when what comes in has a lower precision."""

import jax.numpy as jnp

from oldphoto_jax.photo.types import Array


def wide(x: Array) -> Array:
    """x in float32, or as it is where that is more precise; any shape."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
