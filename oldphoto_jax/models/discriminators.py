"""Critics, which score how real a photo looks, place by place."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.attention import SelfAttention
from oldphoto_jax.layers.biased import Conv
from oldphoto_jax.layers.convolution import convolve
from oldphoto_jax.layers.instance import instance_norm
from oldphoto_jax.layers.precision import wide
from oldphoto_jax.layers.spectral import Spectral
from oldphoto_jax.photo.types import Features

WIDEST = 512  # channels of pix2pixHD's critics, whatever they begin with
_NORMAL = nnx.initializers.normal(0.02)


class AttentionDiscriminator(nnx.Module):
    """SAGAN's critic: halving convolutions with spectral normalization, then self-attention.

    Zhang et al., 2019, https://arxiv.org/abs/1805.08318, in the form of heykeetae's code, which is
    that of the defaults with photos of 64x64. Level i of `levels` halves the map and has
    width * 2^(i - 1) channels; `attention` names the levels, from 1, that are followed by
    attention, `attention_chunk` is its `chunk`. A last convolution, not normalized, scores windows
    of 4x4 places. It computes in the type of its kernels.
    """

    def __init__(
        self,
        c_in: int = 3,
        *,
        width: int = 64,
        levels: int = 4,
        attention: tuple[int, ...] = (3, 4),
        attention_chunk: int | None = None,
        rngs: nnx.Rngs,
    ):
        if levels < 1:
            raise ValueError(f"a critic of {levels} levels sees nothing; give at least 1")
        if strange := sorted(set(attention) - set(range(1, levels + 1))):
            raise ValueError(
                f"attention after level {strange[0]}: this critic has levels 1 to {levels}"
            )
        self.attention = tuple(sorted(set(attention)))
        self.convs: nnx.List[Spectral] = nnx.List()
        self.attentions: nnx.List[SelfAttention] = nnx.List()
        for level in range(1, levels + 1):
            c = width * 2 ** (level - 1)
            self.convs.append(Spectral(_conv(c_in, c, 2, 1, rngs=rngs), rngs=rngs))
            if level in self.attention:
                self.attentions.append(SelfAttention(c, chunk=attention_chunk, rngs=rngs))
            c_in = c
        self.score = _conv(c_in, 1, 1, 0, rngs=rngs)

    def __call__(self, x: Features) -> jax.Array:
        """Maps [N,H,W,C] to scores [N, H/2^levels - 3, W/2^levels - 3, 1], float32.

        Raises ValueError below 4 * 2^levels pixels, 64 with four levels.
        """
        return self.taps(x)[-1]

    def taps(self, x: Features) -> list[jax.Array]:
        """The map of every level, after its attention, and the scores; raises as a call does."""
        least = 4 * 2 ** len(self.convs)
        if min(x.shape[1:3]) < least:
            raise ValueError(
                f"this critic of {len(self.convs)} levels needs photos of {least}x{least} pixels "
                f"or more, not {x.shape[1]}x{x.shape[2]}; use fewer levels"
            )
        x = x.astype(self.score.kernel[...].dtype)
        attentions, maps = iter(self.attentions), []
        for level, conv in enumerate(self.convs, start=1):
            x = jax.nn.leaky_relu(conv(x), 0.1)
            if level in self.attention:
                x = next(attentions)(x)
            maps.append(x)
        return [*maps, jnp.float32(self.score(x))]


class PatchDiscriminator(nnx.Module):
    """pix2pixHD's critic of patches: each score sees a window of the photo, 70x70 by default.

    Wang et al., 2018, https://arxiv.org/abs/1711.11585. `layers` convolutions of stride 2 and one
    of stride 1, each twice as wide as the one before it but at most 512, then the score; instance
    norm after all but the first and the last. `spectral` normalizes every convolution, as the
    critics of Wan et al., 2020, https://arxiv.org/abs/2004.09484, do for scratches. It computes in
    the type of its kernels.
    """

    def __init__(
        self,
        c_in: int = 3,
        *,
        width: int = 64,
        layers: int = 3,
        spectral: bool = False,
        rngs: nnx.Rngs,
    ):
        if layers < 1:
            raise ValueError(f"a critic of {layers} layers sees nothing; give at least 1")
        widths = [width, *(min(width * 2**i, WIDEST) for i in range(1, layers + 1)), 1]
        self.convs: nnx.List[Spectral | nnx.Conv] = nnx.List()
        for i, c in enumerate(widths):
            conv = _conv(c_in, c, 2 if i < layers else 1, 2, init=_NORMAL, rngs=rngs)
            self.convs.append(Spectral(conv, rngs=rngs) if spectral else conv)
            c_in = c

    def __call__(self, x: Features) -> jax.Array:
        """Maps [N,H,W,C] to scores [N,h,w,1], float32; h is about H / 2^layers + 3."""
        return self.taps(x)[-1]

    def taps(self, x: Features) -> list[jax.Array]:
        """Every layer's activated map [N,h,w,C] of x [N,H,W,C]; the last are the scores.

        Raises ValueError for a photo of a single pixel.
        """
        x = x.astype(self.convs[0].kernel[...].dtype)
        maps: list[jax.Array] = []
        *before, last = self.convs
        for i, conv in enumerate(before):
            x = conv(x)
            x = jax.nn.leaky_relu(instance_norm(x) if i else x, 0.2)
            maps.append(x)
        return [*maps, jnp.float32(last(x))]


class MultiscaleDiscriminator(nnx.Module):
    """pix2pixHD's critics: the first sees the photo, each next one its half (no shared weights).

    `scales` is how many there are; the rest is as in PatchDiscriminator.
    """

    def __init__(self, c_in: int = 3, *, scales: int = 2, rngs: nnx.Rngs, **options: Any):
        if scales < 1:
            raise ValueError(f"{scales} scales have no critic; give at least 1")
        self.critics = nnx.List(
            [PatchDiscriminator(c_in, rngs=rngs, **options) for _ in range(scales)]
        )

    def __call__(self, x: Features) -> list[jax.Array]:
        """The scores of x [N,H,W,C] by every critic, from large to small: [N,h,w,1], float32."""
        return [maps[-1] for maps in self.taps(x)]

    def taps(self, x: Features) -> list[list[jax.Array]]:
        """All maps of every critic, as `losses.feature.feature_matching` takes them."""
        found = []
        for i, critic in enumerate(self.critics):
            x = _halve(x) if i else x
            found.append(critic.taps(x))
        return found


def _conv(
    c_in: int,
    c_out: int,
    stride: int,
    pad: int,
    *,
    init: jax.nn.initializers.Initializer = blocks.HE_FAN_IN,
    rngs: nnx.Rngs,
) -> Conv:
    """The 4x4 convolution that all critics are made of."""
    return Conv(
        c_in,
        c_out,
        (4, 4),
        stride,
        padding=((pad, pad), (pad, pad)),
        kernel_init=init,
        conv_general_dilated=convolve,
        rngs=rngs,
    )


def _halve(x: Features) -> Features:
    """Means of 3x3 windows, of what lies inside the photo: [N,H,W,C] to [N,ceil H/2,ceil W/2,C]."""
    pads = ((1, 1), (1, 1))
    means = nnx.avg_pool(wide(x), (3, 3), (2, 2), pads, count_include_pad=False)
    return means.astype(x.dtype)
