"""Networks of "Bringing Old Photos Back to Life": autoencoders, and mappings between their latents.

Wan et al., 2020, https://arxiv.org/abs/2004.09484, in the form of the authors' published code and
weights. Old and clean photos have an autoencoder each; a photo is restored by the encoder of the
one, a mapping, and the decoder of the other. Instance norm is taken over the whole map, so that a
photo in tiles is another one. All photos are -1..1.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.attention import attend
from oldphoto_jax.layers.biased import Conv
from oldphoto_jax.layers.instance import instance_norm
from oldphoto_jax.layers.reflected import Reflected
from oldphoto_jax.photo.types import Array, Features, Mask, Photo

STRIDE = 4  # pixels a side of a place of the latents
WIDTHS = (128, 256, 512, 512)  # of a mapping, on its way up


class Residual(nnx.Module):
    """Two reflected convolutions with instance norm, a ReLU between, on top of what came in."""

    def __init__(self, c: int, *, rngs: nnx.Rngs):
        self.convs = nnx.List([Reflected(c, c, rngs=rngs) for _ in range(2)])

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] to the same shape."""
        first, second = self.convs
        return x + instance_norm(second(active(first(x))))


class Encoder(nnx.Module):
    """A photo as latents, at 1/4 of its sides."""

    def __init__(self, c: int = 64, depth: int = 4, *, rngs: nnx.Rngs):
        self.first = Reflected(3, c, 7, rngs=rngs)
        self.down = nnx.List([blocks.conv(c, c, 4, 2, rngs=rngs) for _ in range(2)])
        self.blocks = nnx.List([Residual(c, rngs=rngs) for _ in range(depth)])

    def __call__(self, photo: Photo) -> Features:
        """Maps [N,H,W,3] to [N,H/4,W/4,c]; sides are multiples of 4."""
        x = active(self.first(jnp.asarray(photo)))
        for conv in self.down:
            x = active(conv(x))
        return through(self.blocks, x)


class Decoder(nnx.Module):
    """A photo made of latents."""

    def __init__(self, c: int = 64, depth: int = 4, *, rngs: nnx.Rngs):
        self.blocks = nnx.List([Residual(c, rngs=rngs) for _ in range(depth)])
        self.up = nnx.List([blocks.enlarging(c, c, rngs=rngs) for _ in range(2)])
        self.last = Reflected(c, 3, 7, rngs=rngs)

    def __call__(self, x: Features) -> Photo:
        """Maps [N,h,w,c] to [N,4h,4w,3]."""
        x = through(self.blocks, x)
        for conv in self.up:
            x = active(conv(x))
        return jnp.tanh(self.last(x))


class Autoencoder(nnx.Module):
    """Both halves; a photo comes back as the latents keep it, without their noise of training."""

    def __init__(self, c: int = 64, depth: int = 4, *, rngs: nnx.Rngs):
        self.encoder = Encoder(c, depth, rngs=rngs)
        self.decoder = Decoder(c, depth, rngs=rngs)

    def __call__(self, photo: Photo) -> Photo:
        """Maps [N,H,W,3] to the same shape."""
        return self.decoder(self.encoder(photo))


class PartialNonLocal(nnx.Module):
    """The partial non-local block: holes get what is found at places without damage like them.

    Every place looks, as what is found goes through convolutions of the whole map; then places
    without damage get back what they were. Where all is damaged nothing is found.
    """

    def __init__(self, c: int, depth: int = 3, *, chunk: int | None = None, rngs: nnx.Rngs):
        conv = functools.partial(blocks.conv, c, c, 1, rngs=rngs)
        self.query, self.key, self.value, self.out = conv(), conv(), conv(), conv()
        self.blocks = nnx.List([Residual(c, rngs=rngs) for _ in range(depth)])
        self.chunk = chunk

    def __call__(self, x: Features, mask: Mask) -> Features:
        """Maps [N,h,w,c], with the mask [N,H,W,1] of the photo, 1 = damaged, to the same shape.

        A photo without damage comes back as it is. One with nothing but damage is what the
        convolutions make of no finding, which instance norm leaves undefined: 0 where it is exact.
        """
        height, width = x.shape[1:3]
        valid = undamaged(mask, (height, width))
        made = through(self.blocks, self.found(x, valid))
        return jnp.where(valid > 0, x, made)

    def found(self, x: Features, valid: Features) -> Features:
        """What every place of [N,h,w,c] finds at the valid ones [N,h,w,1], through `out`."""
        query, key, value = (
            one(x).reshape(len(x), -1, x.shape[-1]) for one in (self.query, self.key, self.value)
        )
        answer = attend(query, key, value, self.chunk, valid.reshape(len(x), -1))
        return self.out(answer.reshape(x.shape))


class Mapping(nnx.Module):
    """Latents of old photos to those of clean ones; `partial` with the block that heals holes."""

    def __init__(
        self,
        c: int = 64,
        widths: Sequence[int] = WIDTHS,
        depth: int = 6,
        *,
        partial: bool = False,
        partial_depth: int = 3,
        chunk: int | None = None,
        rngs: nnx.Rngs,
    ):
        before, after = up_and_down(c, widths, rngs)
        self.before, self.after = nnx.List(before), nnx.List(after)
        wide = widths[-1]
        whole = PartialNonLocal(wide, partial_depth, chunk=chunk, rngs=rngs)
        self.partial = whole if partial else None
        self.blocks = nnx.List([Residual(wide, rngs=rngs) for _ in range(depth)])

    def __call__(self, x: Features, mask: Mask | None = None) -> Features:
        """Maps [N,h,w,c] to the same shape; with `partial`, and the mask [N,H,W,1] of the photo.

        Raises ValueError for a mask without `partial`, and the other way round.
        """
        if (mask is None) == (self.partial is not None):
            raise ValueError("a mapping takes a mask if it is a partial one, and only then")
        x = self.widened(x)
        if self.partial is not None and mask is not None:
            x = self.partial(x, mask)
        x = through(self.blocks, x)
        *most, last = self.after
        for conv in most:
            x = active(conv(x))
        return last(x)

    def widened(self, x: Features) -> Features:
        """What the first convolutions make of latents [N,h,w,c]."""
        for conv in self.before:
            x = active(conv(x))
        return x


def undamaged(mask: Array, sides: tuple[int, int]) -> jax.Array:
    """Which places of a map of these sides show no damage of mask [N,H,W,1]: [N,h,w,1], 1 or 0.

    As published: whose mask is 0, both by bilinear interpolation and at the pixel of their corner.
    """
    height, width = sides
    mask = jnp.float32(mask)
    down = np.arange(height) * mask.shape[1] // height
    across = np.arange(width) * mask.shape[2] // width
    return (1 - holes(mask, sides)) * (1 - mask[:, down][:, :, across])


def holes(mask: Array, sides: tuple[int, int]) -> jax.Array:
    """Which places of a map of these sides mask [N,H,W,1] touches: [N,h,w,1], 1 or 0.

    Where it is above 0 by bilinear interpolation, as published.
    """
    mask = jnp.float32(mask)
    smooth = jax.image.resize(mask, (len(mask), *sides, 1), "linear", antialias=False)
    return jnp.float32(smooth > 0)


def up_and_down(c: int, widths: Sequence[int], rngs: nnx.Rngs) -> tuple[list[Conv], list[Conv]]:
    """The convolutions that widen latents of c channels step by step, and those that go back."""
    steps = [c, *widths]
    pairs = [*zip(steps[:-1], steps[1:], strict=True)]
    up = [blocks.conv(one, two, rngs=rngs) for one, two in pairs]
    return up, [blocks.conv(two, one, rngs=rngs) for one, two in pairs[::-1]]


def active(x: Features) -> jax.Array:
    """Instance norm and a ReLU, of [N,H,W,C]."""
    return jax.nn.relu(instance_norm(x))


def through(layers: Sequence[Residual], x: Features) -> Features:
    """[N,H,W,C] after one layer after the other."""
    for layer in layers:
        x = layer(x)
    return x
