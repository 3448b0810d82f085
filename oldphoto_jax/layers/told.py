"""Channels that say something about few pixels, such as hints of colours, for a decoder to hear."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.photo.types import Features

INNER = 64
LOUD = 4.0  # what colours of photos are of the farthest from gray, turned over


class Told(nnx.Module):
    """Features of a scale from channels of which the last is 1 where the others say something.

    A coarse place sees their mean over the pixels that say something. The inner layer cuts the
    plane of what is said into pieces, so that the features of a colour are not those of half that
    colour, halved. Where nothing is said near, the features are 0, and at first they are so
    everywhere: a network may go on from weights that were told nothing, and learns to listen.
    """

    def __init__(self, c_in: int, c: int, *, rngs: nnx.Rngs):
        self.inner = blocks.conv(c_in, INNER, 1, rngs=rngs)
        self.outer = blocks.conv(INNER, c, bias=False, init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, x: Features, times: int) -> Features:
        """Maps [N,H,W,c_in] to [N,H/times,W/times,c]."""
        said = blocks.gather(x, times)
        counts = said[..., -1:]
        said = jnp.concatenate([LOUD * said[..., :-1], counts], -1)
        return self.outer(jax.nn.relu(self.inner(said)) * counts)
