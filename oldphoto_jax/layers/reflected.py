"""Maps that are continued by their mirror image rather than by zeros."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.biased import Conv
from oldphoto_jax.layers.convolution import convolve
from oldphoto_jax.photo.types import Features


class Reflected(nnx.Module):
    """A square convolution of a map that is continued by its mirror image."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, *, rngs: nnx.Rngs):
        self.reach = kernel // 2
        self.conv = Conv(
            c_in,
            c_out,
            (kernel, kernel),
            padding="VALID",
            kernel_init=blocks.HE_FAN_IN,
            conv_general_dilated=convolve,
            rngs=rngs,
        )

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,c_in] to [N,H,W,c_out]. Raises ValueError for a side that it exceeds."""
        return self.conv(reflect(x, self.reach))


def reflect(x: Features, reach: int) -> Features:
    """[N,H,W,C] with so many places more on each side.

    Raises ValueError for a map that has not more places than that.
    """
    if min(x.shape[1:3]) <= reach:
        raise ValueError(
            f"a map of {x.shape[1]} x {x.shape[2]} places has no mirror image of {reach}; "
            "use a larger photo"
        )
    sides = ((reach, reach),) * 2
    return jnp.pad(x, ((0, 0), *sides, (0, 0)), mode="reflect")
