"""Gated convolution: a convolution that learns where to let its features through.

Yu et al., 2019, https://arxiv.org/abs/1806.03589.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks, norm
from oldphoto_jax.layers.biased import Conv
from oldphoto_jax.layers.convolution import convolve, convolve_doubled
from oldphoto_jax.layers.precision import shifted
from oldphoto_jax.photo.types import Features

PADDINGS = ("same", "symmetric")


class GatedConv(nnx.Module):
    """A convolution to twice the channels: one half activated, times the other's sigmoid.

    `c_out` channels flow on. The published weights hold both halves in one kernel, the features
    first, and so does this layer. `slope` is that of "leaky_relu" below zero.

    Of the two families of published weights the authors' has the padding "same" (TensorFlow's:
    where a stride leaves an odd number of zeros, one more below and to the right), and the ports
    to PyTorch have "symmetric": (kernel - 1) // 2 * dilation zeros on each side.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        dilation: int = 1,
        activation: norm.Activation = "elu",
        slope: float = 0.01,
        padding: str = "same",
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        if padding not in PADDINGS:
            raise ValueError(f"padding {padding!r} is unknown; choose one of {PADDINGS}")
        norm.activate(activation, jnp.zeros(()))  # an unknown name must fail here, not when called
        self.c_in = c_in
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.activation, self.slope = activation, slope
        self.conv = Conv(
            c_in,
            2 * c_out,
            (kernel, kernel),
            stride,
            kernel_dilation=dilation,
            padding=_zeros(padding, kernel, stride, dilation),
            use_bias=bias,
            kernel_init=blocks.HE_FAN_IN,
            conv_general_dilated=convolve,
            rngs=rngs,
        )

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,c_in] to [N,H',W',c_out]. Raises ValueError for other channels."""
        y, gate = self.halves(x)
        return norm.activate(self.activation, y, self.slope) * gate

    def halves(self, x: Features, skip: Features | None = None) -> tuple[Features, Features]:
        """The features before their activation, and the gate, 0..1: both [N,H',W',c_out].

        For whoever has a norm layer or an activation of their own for the features. Given a skip
        connection [N,2h,2w,S], the pixels of x [N,h,w,C] are repeated beside it; the doubled map
        is never made (see `convolution.convolve_doubled`). This takes 3x3 kernels of stride and
        dilation 1. Raises ValueError for others, and where shapes do not fit.
        """
        y = self._convolved(x) if skip is None else self._doubled(x, skip)
        y, gate = jnp.split(y, 2, -1)
        return y, jax.nn.sigmoid(gate)

    def _convolved(self, x: Features) -> Features:
        if x.ndim != 4 or x.shape[-1] != self.c_in:
            raise ValueError(f"input is {x.shape}, but this layer takes [N,H,W,{self.c_in}]")
        return self.conv(x)

    def _doubled(self, x: Features, skip: Features) -> Features:
        if (self.kernel, self.stride, self.dilation) != (3, 1, 1):
            own = f"{self.kernel}, {self.stride} and {self.dilation}"
            raise ValueError(
                f"beside a skip connection are 3x3 kernels of stride and dilation 1, not {own}"
            )
        n, height, width, c = x.shape
        if skip.shape != (n, 2 * height, 2 * width, self.c_in - c):
            raise ValueError(
                f"the skip connection is {skip.shape}; beside x {x.shape}, doubled, this layer "
                f"takes {(n, 2 * height, 2 * width, self.c_in - c)}"
            )
        kernel = self.conv.kernel[...]
        y = convolve_doubled(x, kernel[:, :, :c]) + convolve(
            skip,
            kernel[:, :, c:],
            (1, 1),
            ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y if self.conv.bias is None else shifted(y, self.conv.bias[...])


def _zeros(
    padding: str, kernel: int, stride: int, dilation: int
) -> str | tuple[tuple[int, int], tuple[int, int]]:
    """The padding as `nnx.Conv` wants it."""
    if padding == "symmetric":
        side = (kernel - 1) // 2 * dilation
        return (side, side), (side, side)
    if stride > 1:
        return "SAME"  # depends on the sides of the photo
    total = (kernel - 1) * dilation
    side = total // 2
    return (side, total - side), (side, total - side)
