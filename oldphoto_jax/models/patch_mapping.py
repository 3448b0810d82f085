"""The mapping for large photos of "Bringing Old Photos Back to Life": holes are copies of patches.

Wan et al., 2022, https://arxiv.org/abs/2009.07047, in the form of the authors' published code and
weights: where `latent.PartialNonLocal` lets every place look at all others, here a patch that is
mostly hole becomes the undamaged patch most like it, large patches first.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.models.latent import WIDTHS, Residual, active, holes, through, up_and_down
from oldphoto_jax.photo.types import Features, Mask

PATCHES = (8, 4, 2)  # places a side, in the order of the blocks
MOSTLY = 0.6  # share of a patch above which it is a hole
ENTRIES = 1 << 24  # similarities that are held at a time: 64 MiB


class PatchAttention(nnx.Module):
    """Copies of undamaged patches into holes, put together with what came in and with the mask."""

    def __init__(self, c: int, patch: int, *, rngs: nnx.Rngs):
        self.patch = patch
        self.blocks = nnx.List([Residual(c, rngs=rngs)])
        self.combine = blocks.conv(2 * c + 1, c, rngs=rngs)

    def __call__(self, x: Features, mask: Mask) -> Features:
        """Maps [N,h,w,c], with the mask [N,H,W,1] of the photo, 1 = damaged, to the same shape.

        Where no patch is undamaged none is copied. Raises ValueError for sides that are no
        multiples of the patch.
        """
        height, width = x.shape[1:3]
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"a map of {height} x {width} places has no whole patches of {self.patch}; pad the "
                "photo, e.g. by mirroring"
            )
        hole = holes(mask, (height, width))
        made = copied(through(self.blocks, x), hole, self.patch)
        return self.combine(jnp.concatenate([x, made, hole], -1))


class PatchMapping(nnx.Module):
    """Latents of large old photos with holes to those of clean ones."""

    def __init__(
        self,
        c: int = 64,
        widths: Sequence[int] = WIDTHS,
        depth: int = 2,
        *,
        rngs: nnx.Rngs,
    ):
        before, after = up_and_down(c, widths, rngs)
        self.before, self.after = nnx.List(before), nnx.List(after)
        wide = widths[-1]
        self.blocks = nnx.List(
            nnx.List([Residual(wide, rngs=rngs) for _ in range(depth)])
            for _ in range(len(PATCHES) + 1)
        )
        self.patches = nnx.List([PatchAttention(wide, patch, rngs=rngs) for patch in PATCHES])

    def __call__(self, x: Features, mask: Mask) -> Features:
        """Maps [N,h,w,c], with the mask [N,H,W,1] of the photo, to the same shape."""
        x = self.widened(x)
        for patch, layers in zip(self.patches, [*self.blocks][1:], strict=True):
            x = through(layers, patch(x, mask))
        *most, last = self.after
        for conv in most:
            x = active(conv(x))
        return last(x)

    def widened(self, x: Features) -> Features:
        """What stands before the first of the patch attentions, of latents [N,h,w,c]."""
        for conv in self.before:
            x = active(conv(x))
        return through(self.blocks[0], x)


def copied(x: Features, hole: Features, patch: int) -> Features:
    """A map [N,h,w,c] whose patches that are mostly hole [N,h,w,1] are the ones most like them.

    By the cosine of all their numbers; of patches that are no holes. Where there is none, as it is.
    """
    patches, share = _cut(x, patch), _cut(hole, patch).mean(-1)
    broken = share > MOSTLY
    keys = patches / jnp.maximum(jnp.linalg.norm(patches, axis=-1, keepdims=True), 1e-12)
    count = patches.shape[1]

    def best(query: jax.Array) -> jax.Array:
        alike = jnp.einsum("nd,nkd->nk", query, keys, preferred_element_type=jnp.float32)
        return jnp.argmax(jnp.where(broken, -jnp.inf, alike), -1)

    at_once = max(1, ENTRIES // (len(x) * count))
    which = jax.lax.map(best, jnp.moveaxis(patches, 1, 0), batch_size=min(at_once, count)).T
    found = jnp.take_along_axis(patches, which[..., None], 1)
    wanted = broken & ~broken.all(-1, keepdims=True)
    made = jnp.where(wanted[..., None], found, patches)
    n, height, width, c = x.shape
    made = made.reshape(n, height // patch, width // patch, patch, patch, c)
    return jnp.swapaxes(made, 2, 3).reshape(x.shape)


def _cut(x: Features, patch: int) -> jax.Array:
    """Patches of [N,h,w,c] row by row, [N,P,patch * patch * c]."""
    n, height, width, c = x.shape
    parts = x.reshape(n, height // patch, patch, width // patch, patch, c)
    return jnp.swapaxes(parts, 2, 3).reshape(n, -1, patch * patch * c)
