"""The partial-convolution U-Net: sees only what is good, and fills the rest.

Liu et al., 2018, https://arxiv.org/abs/1804.07723. With plain or gated convolutions it is what
partial ones compare with.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers import norm as norms
from oldphoto_jax.layers.gated import GatedConv
from oldphoto_jax.layers.partial import PartialConv
from oldphoto_jax.models import blueprint
from oldphoto_jax.photo.types import Features, Mask

CONVOLUTIONS = ("partial", "plain", "gated")
LEAK = 0.2


class PartialUNet(nnx.Module):
    """Halves photo and mask `levels` times, doubles them again, with skip connections for both.

    The paper has 8 levels; the published weights have 7 of naoto0804 (`form="sum"`) and of mmagic
    (`form="ratio", stem_bias=True`). `width` is 64 there; levels double it up to eight times it.
    `c_in` may be several numbers, one for each source with a mask of its own.

    `convolution` is that of all levels. "plain" ones see zeros in the holes and don't know which
    zeros are holes; that is what the paper compares itself with. "gated" ones (Yu et al., 2019,
    https://arxiv.org/abs/1806.03589) see the same zeros and, as further channels of the input,
    the mask of every source, and learn what to make of them. `form` and `border` are choices of
    "partial" alone; `stem_bias` is none of "gated", whose gates always have a bias.

    To freeze the encoder's batch norm (the paper's second phase): `norm.freeze(net, "encoder")`.
    """

    def __init__(
        self,
        levels: int = 8,
        *,
        c_in: int | Sequence[int] = 3,
        c_out: int = 3,
        width: int = 64,
        form: str = "ratio",
        border: str = "hole",
        stem_bias: bool = False,
        convolution: str = "partial",
        rngs: nnx.Rngs,
    ):
        if levels < 2:
            raise ValueError(f"levels is {levels}, but a U-Net has 2 or more")
        self.convolution = convolution
        build = functools.partial(
            Level, convolution=convolution, form=form, border=border, rngs=rngs
        )
        self.sources = (c_in,) if isinstance(c_in, int) else tuple(c_in)
        self.stride = 2**levels
        channels = [width * min(2**i, 8) for i in range(levels)]
        kernels = [7, 5, 5, *[3] * levels][:levels]
        masks = (1,) * len(self.sources) if convolution == "gated" else ()
        below = [self.sources + masks, *((c,) for c in channels)]  # what each level is made from

        self.encoder: nnx.List[Level] = nnx.List()
        for i, (c, kernel) in enumerate(zip(channels, kernels, strict=True)):
            normed = i > 0
            bias = stem_bias and not normed
            level = build(below[i], c, kernel, 2, bias=bias, normed=normed, activation="relu")
            self.encoder.append(level)
        self.decoder: nnx.List[Level] = nnx.List()
        for i in reversed(range(levels)):
            last = i == 0
            level = build(
                (channels[i], *below[i]),
                c_out if last else channels[i - 1],
                3,
                1,
                bias=last,
                normed=not last,
                activation="identity" if last else "leaky_relu",
            )
            self.decoder.append(level)

    def __call__(self, x: Features, *masks: Mask | None) -> tuple[Features, Mask]:
        """Maps x [N,H,W,C] with a mask [N,H,W,1] or None for each source to float32 [N,H,W,c_out].

        The second result is the mask [N,H,W,1] of places that nothing good could reach: 0 all
        over, unless the hole was larger than the network's view. Raises ValueError unless both
        sides are multiples of `stride`.
        """
        if x.ndim != 4 or x.shape[1] % self.stride or x.shape[2] % self.stride:
            raise ValueError(
                f"input is {x.shape}, but this network takes [N,H,W,C] with sides that are "
                f"multiples of {self.stride}: pad the photo"
            )
        *skips, (x, left) = self.features(x, *masks)
        for level, (skip, skip_masks) in zip(self.decoder, reversed(skips), strict=True):
            x, left = level(x, *left, *skip_masks, skip=skip)
        mask = left[0] if left else None
        return x.astype(jnp.float32), jnp.zeros((*x.shape[:3], 1)) if mask is None else mask

    def features(
        self, x: Features, *masks: Mask | None
    ) -> list[tuple[Features, Sequence[Mask | None]]]:
        """The input and every level of the encoder, each with its masks.

        Only partial convolutions have masks; gated ones see them as the input's last channels.
        """
        left: Sequence[Mask | None] = masks or (None,) * len(self.sources)
        if self.convolution != "partial":
            x, left = self._erased(x, left), ()
        x = x.astype(self.encoder[0].conv.conv.kernel[...].dtype)
        taps = [(x, left)]
        for level in self.encoder:
            x, left = level(x, *left)
            taps.append((x, left))
        return taps

    def _erased(self, x: Features, masks: Sequence[Mask | None]) -> Features:
        """x with zeros in its holes; the masks beside it where gates must know them."""
        parts = jnp.split(x, np.cumsum(self.sources)[:-1], -1)
        pairs = zip(parts, masks, strict=True)
        parts = [part if mask is None else part * (1 - mask) for part, mask in pairs]
        if self.convolution == "gated":
            whole = jnp.zeros((*x.shape[:3], 1))
            parts += [whole if mask is None else jnp.asarray(mask) for mask in masks]
        return jnp.concatenate(parts, -1)


@dataclasses.dataclass(kw_only=True)
class Blueprint(blueprint.Blueprint):
    """A PartialUNet before it is built."""

    levels: int = 8
    width: int = 64
    convolution: str = "partial"  # or "plain", "gated"
    form: str = "ratio"  # of partial convolution: or "sum", as naoto0804 has it
    stem_bias: bool = False

    def build(
        self, *, c_out: int = 3, c_more: int = 0, silent: bool = False, rngs: nnx.Rngs
    ) -> PartialUNet:
        """The network; `c_more` channels beside the photo are a source with a mask of its own."""
        net = PartialUNet(
            self.levels,
            c_in=(3, c_more) if c_more else 3,
            c_out=c_out,
            width=self.width,
            form=self.form,
            stem_bias=self.stem_bias,
            convolution=self.convolution,
            rngs=rngs,
        )
        if silent:
            blueprint.silence(net.decoder[-1].conv.conv.kernel)
        return net

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        return 2**self.levels


class Level(nnx.Module):
    """A convolution, a batch norm unless it is first or last, an activation, a gate if it is so."""

    def __init__(
        self,
        c_in: Sequence[int],
        c_out: int,
        kernel: int,
        stride: int,
        *,
        normed: bool,
        activation: norms.Activation,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        self.activation = activation
        self.conv = _convolution(c_in, c_out, kernel, stride, rngs=rngs, **options)
        self.norm = norms.BatchNorm(c_out, activation, slope=LEAK) if normed else None

    def __call__(
        self, x: Features, *masks: Mask | None, skip: Features | None = None
    ) -> tuple[Features, Sequence[Mask]]:
        """Maps x [N,H,W,C] and its masks to [N,H/stride,W/stride,D] and one mask, if it had any.

        Given a skip connection [N,2H,2W,S], and its masks after that of x, x is doubled first.
        """
        if isinstance(self.conv, GatedConv):
            x, gate = self.conv.halves(x, skip)
            return self._activated(x) * gate, ()
        x, mask = self.conv(x, *masks) if skip is None else self.conv.doubled(x, skip, *masks)
        return self._activated(x), (mask,) if masks else ()

    def _activated(self, x: Features) -> Features:
        return norms.activate(self.activation, x, LEAK) if self.norm is None else self.norm(x)


def _convolution(
    c_in: Sequence[int],
    c_out: int,
    kernel: int,
    stride: int,
    *,
    convolution: str,
    bias: bool,
    form: str,
    border: str,
    rngs: nnx.Rngs,
) -> PartialConv | GatedConv:
    match convolution:
        case "gated":
            return GatedConv(sum(c_in), c_out, kernel, stride, padding="symmetric", rngs=rngs)
        case "partial":
            options: dict[str, Any] = dict(form=form, border=border)
        case "plain":
            options = dict(border="outside")  # without masks this is a plain convolution
        case _:
            raise ValueError(
                f"convolution {convolution!r} is unknown; choose one of {CONVOLUTIONS}"
            )
    return PartialConv(c_in, c_out, kernel, stride, bias=bias, rngs=rngs, **options)
