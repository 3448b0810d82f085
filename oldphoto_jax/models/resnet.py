"""Residual networks (He et al., 2016, https://arxiv.org/abs/1512.03385) of 18, 34 and 50 layers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks, remat
from oldphoto_jax.layers import norm as norms
from oldphoto_jax.layers.biased import Linear
from oldphoto_jax.photo.types import Features, Logits, Photo

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

Pool = Literal["max3", "max2"] | None


def normalize(photo: Photo, variant: str = "torch") -> Features:
    """A photo [..,H,W,3] in 0..1 as ImageNet networks were shown it.

    "torch": RGB less the ImageNet mean, over its standard deviation. "keras" (after Caffe): BGR
    in 0..255 less the mean.
    """
    photo = jnp.asarray(photo)
    if variant == "keras":
        return photo[..., ::-1] * 255 - jnp.asarray(CAFFE_MEAN_BGR, photo.dtype)
    return (photo - jnp.asarray(MEAN, photo.dtype)) / jnp.asarray(STD, photo.dtype)


def denormalize(features: Features) -> Features:
    """The photo that `normalize` turned into these, for networks that paint in their own space."""
    return features * jnp.asarray(STD, features.dtype) + jnp.asarray(MEAN, features.dtype)


class ResNet(nnx.Module):
    """An ImageNet classifier, or with `classes=None` the encoder it contains.

    `width` is the channel count of the first stage, 64 in the paper; all others follow. `pool`
    comes after the stem: "max3" is 3x3/2 (torchvision), "max2" is 2x2/2 (AlbuNet). Of the four
    stages it has the first `stages`. The variants
    differ inside: "keras" has biases in its convolutions, epsilon 1e-3, and, in 50 layers, the
    stride on the first 1x1 convolution of a block and not on the 3x3. `norm` is the kind of
    `layers.norm`; "inplace" turns every ReLU into a leaky one. With `again` blocks are computed
    anew for the gradient (`layers.remat`).

    It computes in the type of its kernels. Input: see `normalize`.
    """

    def __init__(
        self,
        depth: int = 18,
        *,
        width: int = 64,
        c_in: int = 3,
        stem_kernel: int = 7,
        stem_stride: int = 2,
        pool: Pool = "max3",
        stages: int = 4,
        classes: int | None = None,
        variant: str = "torch",
        norm: str = "batch",
        again: bool = False,
        rngs: nnx.Rngs,
    ):
        if depth not in DEPTHS:
            raise ValueError(f"there is no ResNet-{depth} here; choose from {sorted(DEPTHS)}")
        if pool not in ("max3", "max2", None):
            raise ValueError(f"pool {pool!r} is unknown; choose 'max3', 'max2' or None")
        if variant not in ("torch", "keras"):
            raise ValueError(f"variant {variant!r} is unknown; choose 'torch' or 'keras'")
        if not 1 <= stages <= 4:
            raise ValueError(f"stages is {stages}; a ResNet has 1 to 4 of them")
        keras = variant == "keras"
        conv = functools.partial(blocks.conv, bias=keras, init=blocks.HE_FAN_OUT, rngs=rngs)
        normalize = functools.partial(norms.normalize, norm, epsilon=1e-3 if keras else 1e-5)
        bottleneck = functools.partial(Bottleneck, stride_first=keras)
        block: Callable[..., nnx.Module] = bottleneck if depth == 50 else BasicBlock
        growth = 4 if depth == 50 else 1

        self.pool, self.again = pool, again
        self.channels = (width, *(width * growth * 2**i for i in range(stages)))
        self.stem = conv(c_in, width, stem_kernel, stem_stride)
        self.stem_norm = normalize(width, "relu")
        self.stages: nnx.List[nnx.List] = nnx.List()
        for i, count in enumerate(DEPTHS[depth][:stages]):
            c_in, c, stride = self.channels[i], width * 2**i, 1 if i == 0 else 2
            first = block(c_in, c, stride, conv=conv, normalize=normalize)
            c_in = self.channels[i + 1]
            rest = [block(c_in, c, 1, conv=conv, normalize=normalize) for _ in range(count - 1)]
            self.stages.append(nnx.List([first, *rest]))
        self.head = Linear(self.channels[-1], classes, rngs=rngs) if classes else None

    def __call__(self, x: Features) -> Logits:
        """Maps normalized photos [N,H,W,C] to float32 logits [N,classes]."""
        if self.head is None:
            raise ValueError("this ResNet has no classes; call features or pooled instead")
        return self.head(self.pooled(x)).astype(jnp.float32)

    def pooled(self, x: Features) -> jax.Array:
        """Maps [N,H,W,C] to the mean of the last features, [N,D]."""
        return jnp.mean(self.features(x)[-1], axis=(1, 2))

    def features(self, x: Features) -> list[Features]:
        """The activated stem, before pooling, and each stage: a tap [N,h,w,D] more than stages."""
        x = x.astype(self.stem.kernel[...].dtype)
        taps = [self.stem_norm(self.stem(x))]
        x = self._shrink(taps[0])
        for stage in self.stages:
            for block in stage:
                x = remat.call(block, x, again=self.again)
            taps.append(x)
        return taps

    def _shrink(self, x: Features) -> Features:
        if self.pool == "max3":
            return nnx.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        return nnx.max_pool(x, (2, 2), (2, 2)) if self.pool == "max2" else x


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, c_in: int, c: int, stride: int, *, conv: Callable, normalize: Callable):
        self.conv1, self.norm1 = conv(c_in, c, 3, stride), normalize(c, "relu")
        self.conv2, self.norm2 = conv(c, c, 3), normalize(c)
        self.shortcut = Shortcut(c_in, c, stride, conv=conv, normalize=normalize)

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] to [N,H/stride,W/stride,c]."""
        y = self.norm1(self.conv1(x))
        y = self.norm2(self.conv2(y))
        return norms.activate(self.norm1.activation, y + self.shortcut(x))


class Bottleneck(nnx.Module):
    """A 3x3 convolution between two 1x1, the last of which makes 4c channels of c."""

    def __init__(
        self,
        c_in: int,
        c: int,
        stride: int,
        *,
        conv: Callable,
        normalize: Callable,
        stride_first: bool,
    ):
        strides = (stride, 1) if stride_first else (1, stride)
        self.conv1, self.norm1 = conv(c_in, c, 1, strides[0]), normalize(c, "relu")
        self.conv2, self.norm2 = conv(c, c, 3, strides[1]), normalize(c, "relu")
        self.conv3, self.norm3 = conv(c, 4 * c, 1), normalize(4 * c)
        self.shortcut = Shortcut(c_in, 4 * c, stride, conv=conv, normalize=normalize)

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] to [N,H/stride,W/stride,4c]."""
        y = self.norm1(self.conv1(x))
        y = self.norm2(self.conv2(y))
        y = self.norm3(self.conv3(y))
        return norms.activate(self.norm1.activation, y + self.shortcut(x))


class Shortcut(nnx.Module):
    """The identity where shapes allow it, else a 1x1 convolution and a norm."""

    def __init__(self, c_in: int, c: int, stride: int, *, conv: Callable, normalize: Callable):
        same = stride == 1 and c_in == c
        self.conv = None if same else conv(c_in, c, 1, stride)
        self.norm = None if same else normalize(c)

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] to [N,H/stride,W/stride,c]."""
        return x if self.conv is None or self.norm is None else self.norm(self.conv(x))
