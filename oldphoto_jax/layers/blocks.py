"""Small parts that several networks are made of: convolutions, shrinking, doubling."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers.biased import Conv, ConvTranspose
from oldphoto_jax.layers.convolution import convolve
from oldphoto_jax.layers.precision import wide
from oldphoto_jax.photo.types import Features

HE_FAN_OUT = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
HE_FAN_IN = nnx.initializers.variance_scaling(2.0, "fan_in", "normal")
# Of `enlarging`, whose kernel is HWOI and each of whose results meets a quarter of it
HE_ENLARGING = nnx.initializers.variance_scaling(8.0, "fan_in", "normal", in_axis=-1, out_axis=-2)


def conv(
    c_in: int,
    c_out: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    dilation: int = 1,
    bias: bool = True,
    init: jax.nn.initializers.Initializer = HE_FAN_IN,
    rngs: nnx.Rngs,
) -> Conv:
    """A square convolution padded as PyTorch's are: (kernel - 1) // 2 zeros on each side.

    `dilation` spreads the kernel's taps, and so many times as many zeros are on each side.
    """
    pad = (dilation * ((kernel - 1) // 2),) * 2
    return Conv(
        c_in,
        c_out,
        (kernel, kernel),
        stride,
        padding=(pad, pad),
        kernel_dilation=dilation,
        use_bias=bias,
        kernel_init=init,
        conv_general_dilated=convolve,
        rngs=rngs,
    )


def shrink(x: Features, times: int) -> Features:
    """Means of blocks: [N,H,W,C] to [N,H/times,W/times,C]."""
    return nnx.avg_pool(wide(x), (times, times), (times, times)).astype(x.dtype)


def gather(x: Features, times: int) -> Features:
    """Means of blocks over the pixels that count, [N,H,W,C] to [N,H/times,W/times,C].

    The last channel, 0 or 1, says which do; of a block it says whether any does. So a single pixel
    is not lost among many that say nothing.
    """
    counts = wide(x[..., -1:])
    share = shrink(counts, times)
    mean = shrink(wide(x[..., :-1]) * counts, times) / jnp.maximum(share, 1e-6)
    return jnp.concatenate([mean, jnp.sign(share)], -1).astype(x.dtype)


def enlarging(c_in: int, c_out: int, *, rngs: nnx.Rngs) -> ConvTranspose:
    """The transposed 4x4 convolution that doubles height and width, as PyTorch's padded by 1."""
    return ConvTranspose(
        c_in,
        c_out,
        (4, 4),
        (2, 2),
        padding="SAME",
        transpose_kernel=True,
        kernel_init=HE_ENLARGING,
        rngs=rngs,
    )


def double(x: Features, *, align_corners: bool = False) -> Features:
    """Doubles height and width of [N,H,W,C] bilinearly.

    Equal to PyTorch's `interpolate(scale_factor=2, mode="bilinear")` with the same
    `align_corners`. The usual half-pixel form is a sum of shifted copies, without gathering.
    """
    grow = _double_corners if align_corners else _double_centers
    return grow(grow(x, 2), 1)


def _double_centers(x: Features, axis: int) -> Features:
    """[.., n, ..] to [.., 2n, ..]: a new pixel is 3/4 of its own old one and 1/4 of the next."""
    part = functools.partial(jax.lax.slice_in_dim, x, axis=axis)
    n = x.shape[axis]
    before = jnp.concatenate([part(0, 1), part(0, n - 1)], axis)
    after = jnp.concatenate([part(1, n), part(n - 1, n)], axis)
    pairs = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
    return pairs.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])


def _double_corners(x: Features, axis: int) -> Features:
    """[.., n, ..] to [.., 2n, ..]: the first and last pixels stay where they were."""
    n = x.shape[axis]
    place = np.arange(2 * n) * (n - 1) / (2 * n - 1)
    low = np.minimum(place.astype(int), max(n - 2, 0))
    share = (place - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    share = jnp.asarray(share, x.dtype)
    above = jnp.take(x, np.minimum(low + 1, n - 1), axis)
    return jnp.take(x, low, axis) * (1 - share) + above * share
