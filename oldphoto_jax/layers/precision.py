"""In which type layers compute when what comes in has a lower precision.

A sum of many numbers of bfloat16 stops to grow at 256 times what is added. Products of matrices and
convolutions are summed in float32 by every backend, but not what JAX makes of `x + bias` on the
way back: a sum over all places, in the type of x. So what has few values and meets many, a bias, a
scale, a gain, does so in float32, and its gradient is rounded once, at the end.
"""

import jax.numpy as jnp

from oldphoto_jax.photo.types import AnyArray, Array, Features


def wide(x: AnyArray) -> AnyArray:
    """x in float32, or as it is where that is more precise; any shape."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def shifted(x: Features, bias: Array) -> Features:
    """x [..,C] plus bias [C], in the type of x; the gradient of the bias is summed in float32."""
    return (wide(x) + wide(bias)).astype(x.dtype)
