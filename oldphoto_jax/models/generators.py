"""Generators, which make photos of noise."""

from __future__ import annotations

import functools

import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.attention import SelfAttention
from oldphoto_jax.layers.biased import ConvTranspose
from oldphoto_jax.layers.norm import BatchNorm
from oldphoto_jax.layers.spectral import Spectral
from oldphoto_jax.photo.types import Array, Photo

SMALLEST = 4  # pixels a side of the first map


class AttentionGenerator(nnx.Module):
    """SAGAN's generator: doubling convolutions with spectral normalization, and self-attention.

    Zhang et al., 2019, https://arxiv.org/abs/1805.08318, in the form of heykeetae's code, which is
    that of the defaults with photos of 64x64; `discriminators.AttentionDiscriminator` judges what
    it makes. The first of `levels` makes a map of 4x4 places of the noise, each next one doubles it
    and halves its channels, down to `width`; batch norm and a ReLU follow. `attention` names the
    levels, from 1, that are followed by attention, `attention_chunk` is its `chunk`. A last
    convolution, not normalized, doubles the map once more. It computes in the type of its kernels.
    """

    def __init__(
        self,
        c_out: int = 3,
        *,
        noise: int = 128,
        width: int = 64,
        levels: int = 4,
        attention: tuple[int, ...] = (3, 4),
        attention_chunk: int | None = None,
        rngs: nnx.Rngs,
    ):
        if levels < 1:
            raise ValueError(f"a generator of {levels} levels makes nothing; give at least 1")
        if strange := sorted(set(attention) - set(range(1, levels + 1))):
            raise ValueError(
                f"attention after level {strange[0]}: this generator has levels 1 to {levels}"
            )
        self.noise = noise
        self.attention = tuple(sorted(set(attention)))
        self.convs: nnx.List[Spectral] = nnx.List()
        self.norms: nnx.List[BatchNorm] = nnx.List()
        self.attentions: nnx.List[SelfAttention] = nnx.List()
        c_in, layer = noise, functools.partial(_first, rngs=rngs)
        for level in range(1, levels + 1):
            c = width * 2 ** (levels - level)
            # As published, the rows of W are the inputs of the kernel [h,w,out,in]
            self.convs.append(Spectral(layer(c_in, c), output_axis=-1, rngs=rngs))
            self.norms.append(BatchNorm(c, "relu"))
            if level in self.attention:
                self.attentions.append(SelfAttention(c, chunk=attention_chunk, rngs=rngs))
            c_in, layer = c, functools.partial(blocks.enlarging, rngs=rngs)
        self.last = blocks.enlarging(c_in, c_out, rngs=rngs)

    def __call__(self, noise: Array) -> Photo:
        """Maps noise [N,D], standard normal, to photos [N,S,S,c_out] in -1..1, float32.

        S is 4 * 2^levels, 64 with four levels. Raises ValueError for noise of another D.
        """
        if noise.ndim != 2 or noise.shape[-1] != self.noise:
            raise ValueError(f"noise is {noise.shape}, but this generator takes [N,{self.noise}]")
        x = jnp.asarray(noise, self.last.kernel[...].dtype)[:, None, None]
        attentions = iter(self.attentions)
        for level, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), start=1):
            x = norm(conv(x))
            if level in self.attention:
                x = next(attentions)(x)
        return jnp.tanh(jnp.float32(self.last(x)))


def _first(c_in: int, c_out: int, *, rngs: nnx.Rngs) -> ConvTranspose:
    """The transposed convolution that makes a map of 4x4 places of a single one."""
    return ConvTranspose(
        c_in,
        c_out,
        (SMALLEST, SMALLEST),
        padding="VALID",
        transpose_kernel=True,
        kernel_init=nnx.initializers.variance_scaling(
            2.0 * SMALLEST**2, "fan_in", "normal", in_axis=-1, out_axis=-2
        ),
        rngs=rngs,
    )
