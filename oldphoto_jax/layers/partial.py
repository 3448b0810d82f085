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
from oldphoto_jax.layers.convolution import convolve, convolve_doubled
from oldphoto_jax.layers.precision import wide
from oldphoto_jax.photo.types import Array, Features, Mask

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
        checked = self._checked(x.shape, masks)
        goods = [None if mask is None else 1 - jnp.float32(mask) for mask in checked]
        y = self.conv(_erase(x, goods, self.channels))
        return self._scaled(y, x.shape, goods)

    def doubled(self, x: Features, skip: Features, *masks: Mask | None) -> tuple[Features, Mask]:
        """What `__call__` gives for x [N,h,w,C], its pixels repeated, beside skip [N,2h,2w,S].

        The first mask is that of x, [N,h,w,1]; the others are those of `skip`. It never makes the
        doubled map; see `convolution.convolve_doubled`. For 3x3 kernels and stride 1 only.
        """
        if self.kernel != 3 or self.stride != 1:
            own = f"{self.kernel} and {self.stride}"
            raise ValueError(f"doubled takes 3x3 kernels of stride 1, not {own}")
        first, *others = masks or (None,) * len(self.channels)
        good = None if first is None else 1 - jnp.float32(first)
        shape = (*skip.shape[:3], x.shape[-1] + skip.shape[-1])
        large = None if first is None else _repeat(jnp.float32(first))
        checked = self._checked(shape, (large, *others))
        goods = [None if mask is None else 1 - jnp.float32(mask) for mask in checked]
        kernel = self.conv.kernel[...]
        c = self.channels[0]
        y = convolve_doubled(_erase(x, [good], self.channels[:1]), kernel[:, :, :c])
        y = y + convolve(
            _erase(skip, goods[1:], self.channels[1:]),
            kernel[:, :, c:],
            (1, 1),
            ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return self._scaled(y, shape, goods)

    def _scaled(
        self, y: Features, shape: tuple[int, ...], goods: Sequence[Mask | None]
    ) -> tuple[Features, Mask]:
        """The sums y over windows of an input of that shape, by how much of them was good."""
        inside = self._inside(shape)  # good places of a window if the photo were whole
        seen: Array | float = 0.0
        for good, c in zip(goods, self.channels, strict=True):
            if good is None:
                seen += c * inside
            else:
                seen += self._window_sum(good if good.shape[-1] > 1 else c * good)
        window = self.kernel**2 * sum(self.channels)
        full = inside * sum(self.channels) if self.border == "outside" else window
        alive = jnp.clip(seen, 0, 1)
        scale = full / (seen + 1e-8) * alive / (1 if self.form == "ratio" else window)
        scaled = wide(y) * scale
        if self.bias is not None:
            scaled = (scaled + wide(self.bias[...])) * alive
        return scaled.astype(y.dtype), 1 - jnp.broadcast_to(alive, (*y.shape[:3], 1))

    def _checked(self, x: tuple[int, ...], masks: Sequence[Mask | None]) -> Sequence[Mask | None]:
        if x[-1] != sum(self.channels):
            raise ValueError(f"input is {x}, this layer takes {self.channels} channels")
        masks = masks or (None,) * len(self.channels)
        shapes = [None if mask is None else mask.shape for mask in masks]
        fine = len(masks) == len(self.channels) and all(
            shape is None or shape in ((*x[:3], 1), (*x[:3], c))
            for shape, c in zip(shapes, self.channels, strict=True)
        )
        if not fine:
            raise ValueError(
                f"masks are {shapes}; input {x} of {self.channels} channels takes for each "
                "of its sources a mask [N,H,W,1], or one for every channel, or None"
            )
        return masks

    def _inside(self, x: tuple[int, ...]) -> np.ndarray:
        """How many places of each window lie in the photo, [1,H',W',1]."""
        before = (self.kernel - 1) // 2
        rows, columns = (
            np.convolve(np.ones(n), np.ones(self.kernel))[self.kernel - 1 - before : n + before]
            for n in x[1:3]
        )
        counts = np.outer(rows[:: self.stride], columns[:: self.stride])
        return counts[None, ..., None].astype(np.float32)

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


def _erase(x: Features, goods: Sequence[Mask | None], channels: Sequence[int]) -> Features:
    """x with zeros where its sources are damaged."""
    if all(good is None for good in goods):
        return x
    parts = [
        jnp.ones((*x.shape[:3], c)) if good is None else jnp.broadcast_to(good, (*x.shape[:3], c))
        for good, c in zip(goods, channels, strict=True)
    ]
    return x * jnp.concatenate(parts, -1).astype(x.dtype)


def _repeat(x: Features) -> Features:
    """Nearest neighbour: [N,H,W,C] to [N,2H,2W,C]."""
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
