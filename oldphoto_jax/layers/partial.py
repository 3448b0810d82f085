"""Partial convolution: a convolution that sees only the good pixels of its window.

Liu et al., 2018, https://arxiv.org/abs/1804.07723.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.photo.types import Features, Mask

FORMS = ("ratio", "sum")


class PartialConv(nnx.Module):
    """A convolution whose windows are scaled by how much of them is good.

    With the form "ratio" (NVIDIA's code) a window's sum is multiplied by (its values / the good
    ones among them). With "sum" (naoto0804's code) it is divided by the number of good ones: less
    by a constant factor, which a norm layer after it absorbs. A place of the result is good if its
    window held anything good; elsewhere the result is 0.

    The border of zeros counts as damaged, as in both published codes. With `border="outside"` it
    is left out of the count: without damage, "ratio" then is the plain convolution.

    `c_in` may be several numbers, one for each source that was concatenated: every source has a
    mask of its own, and is weighted in the count by its channels. Since all channels of a source
    share its mask, one channel is summed and not all of them.
    """

    def __init__(
        self,
        c_in: int | Sequence[int],
        c_out: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        bias: bool = True,
        form: str = "ratio",
        border: str = "hole",
        rngs: nnx.Rngs,
    ):
        if form not in FORMS:
            raise ValueError(f"form {form!r} is unknown; choose one of {FORMS}")
        if border not in ("hole", "outside"):
            raise ValueError(f"border {border!r} is unknown; choose 'hole' or 'outside'")
        self.channels = (c_in,) if isinstance(c_in, int) else tuple(c_in)
        self.kernel, self.stride = kernel, stride
        self.form, self.border = form, border
        total = sum(self.channels)
        self.conv = blocks.conv(total, c_out, kernel, stride, bias=False, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(c_out)) if bias else None

    def __call__(self, x: Features, *masks: Mask | None) -> tuple[Features, Mask]:
        """Maps x [N,H,W,C] and its masks to [N,H',W',D] and one mask [N,H',W',1].

        A mask is 1 where damaged, [N,H,W,1] or one for every channel of its source; None is a
        source without damage, and so are all sources when no mask is given. Raises ValueError
        when shapes do not fit.
        """
        masks = self._checked(x, masks)
        inside = self._inside(x)  # good places of a window if the photo were whole
        seen, parts = 0.0, []
        for mask, c in zip(masks, self.channels, strict=True):
            if mask is None:
                seen += c * inside
                parts.append(jnp.ones((1, 1, 1, c)))
            else:
                good = 1 - jnp.float32(mask)  # bfloat16 counts only to 256
                seen += self._window_sum(good if good.shape[-1] > 1 else c * good)
                parts.append(jnp.broadcast_to(good, (*good.shape[:3], c)))
        if any(mask is not None for mask in masks):
            shape = np.broadcast_shapes(*(part.shape[:3] for part in parts))
            parts = [jnp.broadcast_to(part, (*shape, part.shape[-1])) for part in parts]
            x = x * jnp.concatenate(parts, -1).astype(x.dtype)
        window = self.kernel**2 * sum(self.channels)
        full = inside * sum(self.channels) if self.border == "outside" else window
        alive = jnp.clip(seen, 0, 1)
        scale = full / (seen + 1e-8) * alive / (1 if self.form == "ratio" else window)
        y = self.conv(x) * scale.astype(x.dtype)
        if self.bias is not None:
            y = (y + self.bias[...].astype(y.dtype)) * alive.astype(y.dtype)
        return y, 1 - jnp.broadcast_to(alive, (*y.shape[:3], 1))

    def _checked(self, x: Features, masks: Sequence[Mask | None]) -> Sequence[Mask | None]:
        if x.shape[-1] != sum(self.channels):
            raise ValueError(f"input is {x.shape}, this layer takes {self.channels} channels")
        masks = masks or (None,) * len(self.channels)
        shapes = [None if mask is None else mask.shape for mask in masks]
        fine = len(masks) == len(self.channels) and all(
            shape is None or shape in ((*x.shape[:3], 1), (*x.shape[:3], c))
            for shape, c in zip(shapes, self.channels, strict=True)
        )
        if not fine:
            raise ValueError(
                f"masks are {shapes}; input {x.shape} of {self.channels} channels takes for each "
                "of its sources a mask [N,H,W,1], or one for every channel, or None"
            )
        return masks

    def _inside(self, x: Features) -> np.ndarray:
        """How many places of each window lie in the photo, [1,H',W',1]."""
        before = (self.kernel - 1) // 2
        rows, columns = (
            np.convolve(np.ones(n), np.ones(self.kernel))[self.kernel - 1 - before : n + before]
            for n in x.shape[1:3]
        )
        counts = np.outer(rows[:: self.stride], columns[:: self.stride])
        return np.float32(counts[None, ..., None])

    def _window_sum(self, x: Mask) -> Mask:
        """The sum over windows and channels."""
        before = (self.kernel - 1) // 2
        return jax.lax.reduce_window(
            x.sum(-1, keepdims=True),
            0.0,
            jax.lax.add,
            (1, self.kernel, self.kernel, 1),
            (1, self.stride, self.stride, 1),
            ((0, 0), (before, before), (before, before), (0, 0)),
        )
