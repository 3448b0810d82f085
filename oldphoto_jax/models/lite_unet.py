"""A U-Net for laptops: an ImageNet encoder that is cheap, and a decoder that never enlarges fully.

As AlbuNet (https://arxiv.org/abs/1801.05746) it hands every scale of a pretrained encoder to the
decoder; as in feature pyramids (Lin et al., 2017, https://arxiv.org/abs/1612.03144) they are added,
not stacked. Full resolution is kept in channels: pixels go in by space-to-depth and come out by
depth-to-space (Shi et al., 2016, https://arxiv.org/abs/1609.05158), so that lines one pixel wide
are drawn at half the sides, at a quarter of the work. Answers that are smooth, as colour is, need
no more than a quarter of the sides: the finest scale is then left out.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks, told
from oldphoto_jax.layers.norm import BatchNorm
from oldphoto_jax.models import blueprint, efficientnet
from oldphoto_jax.photo.types import Features, Logits, Photo

WIDTHS = (96, 64, 48, 32)  # at 1/16, 1/8, 1/4 and 1/2 of the sides
SCALES = {1: (16, 8, 4, 2), 4: (16, 8, 4)}  # of the decoder, for each `out_stride`


class LiteUNet(nnx.Module):
    """Logits, or whatever `c_out` are, for every pixel of a photo, from EfficientNet-Lite0.

    `widths` are the decoder's channels, from the deepest scale to the finest (WIDTHS). Input: see
    `efficientnet.normalize`; `c_more` channels beside the photo, such as a mask, pass by the
    encoder, which knows photos alone, and go to every scale of the decoder. With `sparse` the last
    of them is 1 where the others say something, which may be a single pixel: see `layers.told`.
    `out_stride` 4 ends at a quarter of the sides. Raises ValueError for another stride than 1 and 4
    and unless there is a width for each scale.
    """

    stride = 32

    def __init__(
        self,
        *,
        c_out: int = 1,
        c_more: int = 0,
        sparse: bool = False,
        widths: Sequence[int] | None = None,
        out_stride: int = 1,
        rngs: nnx.Rngs,
    ):
        if out_stride not in SCALES:
            raise ValueError(f"out_stride is {out_stride}; choose one of {list(SCALES)}")
        scales = SCALES[out_stride]
        widths = WIDTHS[: len(scales)] if widths is None else widths
        if len(widths) != len(scales) or min(widths) < 1:
            *more, last = (f"1/{scale}" for scale in scales)
            listed = f"{', '.join(more)} and {last}"
            raise ValueError(f"widths are {widths}; give one for each of {listed}")
        conv = functools.partial(blocks.conv, rngs=rngs)
        self.encoder = efficientnet.EfficientNetLite(stages=6, rngs=rngs)
        *skips, deepest = self.encoder.channels
        fine = out_stride == 1
        self.fine = conv((3 + c_more) * 4, widths[-1], bias=False) if fine else None
        self.fine_norm = BatchNorm(widths[-1], "relu") if fine else None
        self.center = conv(deepest, widths[0], 1)
        self.levels: nnx.List[Level] = nnx.List()
        c = widths[0]
        for c_skip, width in zip(skips[::-1][: len(widths)], widths, strict=True):
            self.levels.append(Level(c, c_skip, width, rngs=rngs))
            c = width
        coarse = widths[:-1] if fine else widths  # the finest scale has `fine`
        beside = functools.partial(told.Told, rngs=rngs) if sparse else conv
        self.more = nnx.List([beside(c_more, width) for width in coarse] if c_more else [])
        self.final = conv(c, 4 * c_out if fine else c_out, 1)

    def __call__(self, x: Features) -> Logits:
        """Maps [N,H,W,3 + c_more] to float32 logits [N,H,W,c_out], or of H and W over 4.

        Raises ValueError unless both sides are multiples of `stride`.
        """
        *skips, deepest = self.encoder.features(x[..., :3])
        x = x.astype(deepest.dtype)
        y = self.center(deepest)
        more: list[Features | None] = [None] * len(self.levels)
        for i, layer in enumerate(self.more):
            beside, times = x[..., 3:], SCALES[1][i]
            if isinstance(layer, told.Told):
                more[i] = layer(beside, times)
            else:
                more[i] = layer(blocks.shrink(beside, times))
        if self.fine is not None and self.fine_norm is not None:
            more[-1] = self.fine_norm(self.fine(to_depth(x)))
        skips = skips[::-1][: len(self.levels)]
        for level, skip, extra in zip(self.levels, skips, more, strict=True):
            y = level(y, skip, extra)
        y = self.final(y)
        return (y if self.fine is None else to_space(y)).astype(jnp.float32)


@dataclasses.dataclass(kw_only=True)
class Blueprint(blueprint.Blueprint):
    """A LiteUNet before it is built; `widths` are of its decoder, the deepest first.

    `out_stride` 4 ends at a quarter of the sides and wants one width less.
    """

    widths: tuple[int, ...] = WIDTHS
    out_stride: int = 1

    def build(
        self,
        *,
        c_out: int = 1,
        c_more: int = 0,
        c_sparse: int = 0,
        silent: bool = False,
        rngs: nnx.Rngs,
    ) -> LiteUNet:
        """The network; `c_more` channels come in beside the photo, or `c_sparse` sparse ones.

        The latter (see `LiteUNet`) change nothing at first, so that it may go on from weights that
        knew of none.
        """
        if c_more and c_sparse:
            raise ValueError(f"{c_more} channels and {c_sparse} sparse ones: it takes one kind")
        net = LiteUNet(
            c_out=c_out,
            c_more=c_more or c_sparse,
            sparse=c_sparse > 0,
            widths=self.widths,
            out_stride=self.out_stride,
            rngs=rngs,
        )
        if silent:
            blueprint.silence(net.final.kernel)
        if c_sparse and net.fine is not None:
            kernel = net.fine.kernel[...].reshape(3, 3, 4, 3 + c_sparse, -1)
            net.fine.kernel[...] = kernel.at[:, :, :, 3:].set(0).reshape(net.fine.kernel.shape)
        return net

    def normalize(self, photo: Photo) -> Features:
        """As EfficientNet-Lite0 learned to see photos."""
        return efficientnet.normalize(photo)

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        return LiteUNet.stride


class Level(nnx.Module):
    """One scale of the decoder: what comes from below, doubled, and the encoder's, added."""

    def __init__(self, c_in: int, c_skip: int, c: int, *, rngs: nnx.Rngs):
        self.narrow = blocks.conv(c_in, c, 1, rngs=rngs)
        self.skip = blocks.conv(c_skip, c, 1, rngs=rngs)
        self.conv1 = blocks.conv(c, c, bias=False, rngs=rngs)
        self.norm1 = BatchNorm(c, "relu")
        self.conv2 = blocks.conv(c, c, bias=False, rngs=rngs)
        self.norm2 = BatchNorm(c, "relu")

    def __call__(self, x: Features, skip: Features, more: Features | None = None) -> Features:
        """Maps [N,H,W,c_in] and skip [N,2H,2W,c_skip] to [N,2H,2W,c]; adds `more`, if any."""
        y = blocks.double(self.narrow(x)) + self.skip(skip)
        y = y if more is None else y + more
        y = self.norm1(self.conv1(y))
        return self.norm2(self.conv2(y))


def to_depth(x: Features) -> Features:
    """Each 2x2 pixels become one with four times the channels: [N,H,W,C] to [N,H/2,W/2,4C]."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // 2, w // 2, 4 * c)


def to_space(x: Features) -> Features:
    """What `to_depth` did, undone: [N,H,W,4C] to [N,2H,2W,C]."""
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, 2 * h, 2 * w, c // 4)
