"""AlbuNet: a U-Net whose encoder is a ResNet.

From Iglovikov and Shvets, 2018 (https://arxiv.org/abs/1801.05746) and Shvets et al., 2018
(https://arxiv.org/abs/1803.01207), whose published weights fit.
"""

import dataclasses
import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks, remat
from oldphoto_jax.layers.biased import ConvTranspose
from oldphoto_jax.layers.norm import BatchNorm
from oldphoto_jax.layers.told import Told
from oldphoto_jax.models import blueprint, resnet
from oldphoto_jax.models.resnet import Pool, ResNet
from oldphoto_jax.photo.types import Features, Logits, Photo


class AlbuNet(nnx.Module):
    """Logits for every pixel of a photo: which pixels are scratched, or what colour they have.

    The original halves the photo in its stem and again by pooling. For defects a few pixels wide
    take `stem_kernel=3, stem_stride=1, pool=None`: the first two stages then work at full
    resolution, and the last two decoders keep the size they get.

    `width` is 64 in the original; the decoder follows with half of it, unless `decoder_width`
    says otherwise (at full resolution the decoder is what costs). `out_stride` 2 or 4 leaves the
    last enlargements out, for answers that are smooth, as colour is. `stages=3` leaves out the
    deepest stage of the encoder and its decoder. `squeeze` lets each decoder narrow its input by
    a 1x1 convolution before it enlarges it, which saves most of its work in wide encoders.
    `decoder_norm` normalizes in the decoder, too: without, most of its units die young at rates
    that suit a short training. The original has norm layers in the encoder only.

    `deconv` learns its up-sampling by transposed convolutions. `align_corners` up-samples as
    PyTorch did before 0.4, which the published weights were trained with. `norm` is the kind of
    `layers.norm`, `pool`, `variant` and `again` are those of the encoder; the decoder's stages are
    computed anew with it, too. Input is normalized, by
    `resnet.normalize` if the encoder comes from ImageNet. `c_sparse` channels beside the photo (see
    `blocks.gather`) pass by the encoder and go to the decoder, which at first doesn't hear them.
    """

    def __init__(
        self,
        depth: int = 34,
        *,
        c_out: int = 1,
        width: int = 64,
        decoder_width: int | None = None,
        stem_kernel: int = 7,
        stem_stride: int = 2,
        pool: Pool = "max2",
        stages: int = 4,
        variant: str = "torch",
        out_stride: int = 1,
        squeeze: bool = False,
        decoder_norm: bool = False,
        deconv: bool = False,
        align_corners: bool = False,
        norm: str = "batch",
        c_in: int = 3,
        c_sparse: int = 0,
        again: bool = False,
        rngs: nnx.Rngs,
    ):
        if stem_stride not in (1, 2):
            raise ValueError(f"stem_stride is {stem_stride}, but the decoder can undo only 1 or 2")
        if stages not in (3, 4):
            raise ValueError(f"stages is {stages}, but the decoder fits an encoder of 3 or 4")
        shrink = stem_stride * (2 if pool else 1)
        if out_stride < 1 or shrink % out_stride:
            raise ValueError(f"out_stride is {out_stride}; it must divide {shrink}, the stem's")
        self.encoder = ResNet(
            depth,
            width=width,
            c_in=c_in,
            stem_kernel=stem_kernel,
            stem_stride=stem_stride,
            pool=pool,
            stages=stages,
            variant=variant,
            norm=norm,
            again=again,
            rngs=rngs,
        )
        self.again, self.c_in = again, c_in
        self.stride = 2**stages * shrink
        heard = self.encoder.channels[1:] if c_sparse else ()
        self.more = nnx.List([Told(c_sparse, c, rngs=rngs) for c in heard])
        _, e2, e3, e4, *e5 = self.encoder.channels
        c, grow = decoder_width or width // 2, shrink // out_stride
        decoder = functools.partial(
            Decoder,
            deconv=deconv,
            align_corners=align_corners,
            squeeze=squeeze,
            norm=decoder_norm,
            rngs=rngs,
        )
        self.center = decoder(self.encoder.channels[-1], 16 * c, 8 * c)
        self.dec5 = decoder(8 * c + e5[0], 16 * c, 8 * c) if e5 else None
        self.dec4 = decoder(8 * c + e4, 16 * c, 8 * c)
        self.dec3 = decoder(8 * c + e3, 8 * c, 2 * c)
        self.dec2 = decoder(2 * c + e2, 4 * c, 4 * c, enlarge=grow >= 2)
        self.dec1 = decoder(4 * c, 4 * c, c, enlarge=grow == 4)
        self.dec0 = blocks.conv(c, c, rngs=rngs)
        self.final = blocks.conv(c, c_out, 1, rngs=rngs)

    def __call__(self, x: Features) -> Logits:
        """Maps [N,H,W,c_in + c_sparse] to float32 logits [N,H,W,c_out].

        With `out_stride` of H and W over that.
        Raises ValueError unless both sides are multiples of `stride`.
        """
        if x.ndim != 4 or x.shape[1] % self.stride or x.shape[2] % self.stride:
            raise ValueError(
                f"input is {x.shape}, but this network takes [N,H,W,C] with sides that are "
                f"multiples of {self.stride}: pad the photo"
            )
        _, *taps = self.encoder.features(x[..., : self.c_in])
        for i, layer in enumerate(self.more):
            beside = x[..., self.c_in :].astype(taps[i].dtype)
            taps[i] = taps[i] + layer(beside, x.shape[1] // taps[i].shape[1])
        e2, e3, e4, *e5 = taps
        y = self._decode(self.center, nnx.max_pool(taps[-1], (2, 2), (2, 2)))
        if self.dec5 is not None:
            y = self._decode(self.dec5, y, *e5)
        for decoder, skip in ((self.dec4, e4), (self.dec3, e3), (self.dec2, e2)):
            y = self._decode(decoder, y, skip)
        y = self._decode(self.dec1, y)
        y = jax.nn.relu(self.dec0(y))
        return self.final(y).astype(jnp.float32)

    def _decode(self, decoder: "Decoder", *features: Features) -> Features:
        return remat.call(decoder, jnp.concatenate(features, -1), again=self.again)


@dataclasses.dataclass(kw_only=True)
class Blueprint(blueprint.Blueprint):
    """An AlbuNet before it is built: by default the one of 18 layers that finds thin defects.

    Its stem keeps the full resolution. For answers that are smooth see `imagenet`.
    """

    depth: int = 18
    width: int = 64  # of the encoder's first stage; ImageNet's weights have 64
    decoder_width: int = 0  # 0 = half of `width`, as published
    stem_kernel: int = 3
    stem_stride: int = 1
    pool: str = ""  # after the stem: none, "max2" as in AlbuNet, or "max3" as in torchvision
    stages: int = 4  # of the encoder; 3 leaves out the deepest and most of the weights
    variant: str = "torch"  # of the encoder; "keras" for Caffe's way to see photos
    out_stride: int = 1  # the answer's sides are those of the photo over this
    squeeze: bool = False  # narrow the decoder's inputs by 1x1 convolutions
    decoder_norm: bool = False  # batch norm in the decoder, too
    norm: str = "batch"  # of the encoder; or "inplace"
    remat: bool = False  # blocks are computed anew for the gradient, which saves memory

    def build(
        self, *, c_out: int = 1, c_sparse: int = 0, silent: bool = False, rngs: nnx.Rngs
    ) -> AlbuNet:
        """The network, which sees photos of three channels and `c_sparse` beside (`AlbuNet`)."""
        net = AlbuNet(
            self.depth,
            c_out=c_out,
            c_sparse=c_sparse,
            width=self.width,
            decoder_width=self.decoder_width or None,
            stem_kernel=self.stem_kernel,
            stem_stride=self.stem_stride,
            pool=cast(Pool, self.pool or None),
            stages=self.stages,
            variant=self.variant,
            out_stride=self.out_stride,
            squeeze=self.squeeze,
            decoder_norm=self.decoder_norm,
            norm=self.norm,
            again=self.remat,
            rngs=rngs,
        )
        if silent:
            blueprint.silence(net.final.kernel)
        return net

    def normalize(self, photo: Photo) -> Features:
        """As ImageNet's ResNets of this `variant` learned to see photos."""
        return resnet.normalize(photo, self.variant)

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        return 2**self.stages * self.stem_stride * (2 if self.pool else 1)


def imagenet(
    *, depth: int = 50, variant: str = "keras", out_stride: int = 2, **more: Any
) -> Blueprint:
    """A blueprint with the stem that ImageNet's encoders have, for answers that are smooth."""
    stem: dict[str, Any] = dict(stem_kernel=7, stem_stride=2, pool="max3")
    return Blueprint(depth=depth, variant=variant, out_stride=out_stride, **stem, **more)


class Decoder(nnx.Module):
    """Enlarges twofold and convolves twice, each time with a ReLU, and with `norm` batch norm.

    With `squeeze` a 1x1 convolution narrows the input to c_mid channels first.
    """

    def __init__(
        self,
        c_in: int,
        c_mid: int,
        c_out: int,
        *,
        enlarge: bool = True,
        deconv: bool,
        align_corners: bool,
        squeeze: bool,
        norm: bool,
        rngs: nnx.Rngs,
    ):
        self.enlarge, self.align_corners = enlarge, align_corners
        self.squeeze = blocks.conv(c_in, c_mid, 1, rngs=rngs) if squeeze else None
        self.conv1 = blocks.conv(c_mid if squeeze else c_in, c_mid, bias=not norm, rngs=rngs)
        self.norm1, self.norm2 = (BatchNorm(c) if norm else None for c in (c_mid, c_out))
        self.deconv = deconv and enlarge  # at equal size a plain convolution stands in
        if self.deconv:
            self.conv2: nnx.Conv | nnx.ConvTranspose = ConvTranspose(
                c_mid,
                c_out,
                (4, 4),
                (2, 2),
                padding="SAME",
                transpose_kernel=True,
                use_bias=not norm,
                rngs=rngs,
            )
        else:
            self.conv2 = blocks.conv(c_mid, c_out, bias=not norm, rngs=rngs)

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,c_in] to [N,2H,2W,c_out], or without `enlarge` to [N,H,W,c_out]."""
        if self.squeeze is not None:
            x = self.squeeze(x)
        if self.enlarge and not self.deconv:
            x = blocks.double(x, align_corners=self.align_corners)
        x = _rectified(self.conv1(x), self.norm1)
        return _rectified(self.conv2(x), self.norm2)


def _rectified(x: Features, norm: BatchNorm | None) -> Features:
    return jax.nn.relu(x if norm is None else norm(x))
