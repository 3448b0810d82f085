"""The scratch detector of "Bringing Old Photos Back to Life", as published.

Wan et al., 2020, https://arxiv.org/abs/2004.09484: a U-Net whose maps are mirrored at their sides,
and blurred before they are made smaller (Zhang, 2019, https://arxiv.org/abs/1904.11486).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.norm import BatchNorm
from oldphoto_jax.layers.reflected import Reflected, reflect
from oldphoto_jax.photo.types import Features, Logits

SLOPE = 0.2  # of leaky ReLUs
BLUR = np.array([1, 2, 1], np.float32) / 4


class Active(nnx.Module):
    """A reflected 3x3 convolution, batch norm, and a leaky ReLU."""

    def __init__(self, c_in: int, c_out: int, *, rngs: nnx.Rngs):
        self.conv = Reflected(c_in, c_out, rngs=rngs)
        self.norm = BatchNorm(c_out, "leaky_relu", slope=SLOPE)

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,c_in] to [N,H,W,c_out]."""
        return self.norm(self.conv(x))


class Up(nnx.Module):
    """A map made twice as large, beside one of that size."""

    def __init__(self, c: int, *, rngs: nnx.Rngs):
        self.conv = Reflected(2 * c, c, rngs=rngs)
        self.convs = nnx.List([Active(2 * c, c, rngs=rngs), Active(c, c, rngs=rngs)])

    def __call__(self, x: Features, skip: Features) -> Features:
        """Maps [N,h,w,2c] and [N,2h,2w,c] to [N,2h,2w,c]."""
        x = jnp.concatenate([self.conv(blocks.double(x)), skip], -1)
        return _through(self.convs, x)


class ScratchUNet(nnx.Module):
    """Says where a gray photo is scratched; its map is halved `depth` times, twice as wide each."""

    def __init__(self, width: int = 64, depth: int = 4, *, rngs: nnx.Rngs):
        widths = [width * 2**level for level in range(depth)]
        self.first = Reflected(1, width, 7, rngs=rngs)
        self.shrink = nnx.List([Active(c, c, rngs=rngs) for c in widths])
        self.down = nnx.List(
            nnx.List([Active(c, 2 * c, rngs=rngs), Active(2 * c, 2 * c, rngs=rngs)]) for c in widths
        )
        self.up = nnx.List([Up(c, rngs=rngs) for c in widths[::-1]])
        self.last = Reflected(width, 1, rngs=rngs)

    @property
    def stride(self) -> int:
        """Sides of photos are multiples of this."""
        return 2 ** len(self.down)

    def __call__(self, photo: Features) -> Logits:
        """Maps [N,H,W,1], -1..1, to float32 logits [N,H,W,1].

        Raises ValueError unless both sides are multiples of `stride`, and more than that.
        """
        if any(side % self.stride for side in photo.shape[1:3]):
            raise ValueError(
                f"sides {photo.shape[1]} x {photo.shape[2]} must be multiples of {self.stride}; "
                "pad the photo, e.g. by mirroring"
            )
        x = jax.nn.leaky_relu(self.first(photo), SLOPE)
        skips = []
        for shrink, convs in zip(self.shrink, self.down, strict=True):
            skips.append(x)
            x = _through(convs, blur(shrink(x)))
        for up, skip in zip(self.up, skips[::-1], strict=True):
            x = up(x, skip)
        return self.last(x).astype(jnp.float32)


def blur(x: Features) -> Features:
    """Every second place of a map [N,H,W,C] that was blurred by [1, 2, 1] / 4 both ways."""
    x = reflect(x, 1)
    rows = sum(part * x[:, i : i + x.shape[1] - 2 : 2] for i, part in enumerate(BLUR))
    return sum(part * rows[:, :, i : i + x.shape[2] - 2 : 2] for i, part in enumerate(BLUR))


def _through(layers: nnx.List[Active], x: Features) -> Features:
    for layer in layers:
        x = layer(x)
    return x
