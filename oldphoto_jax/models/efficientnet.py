"""EfficientNet-Lite0 (Tan & Le, 2019, https://arxiv.org/abs/1905.11946), an encoder for laptops.

The Lite form, made for small devices, has ReLU6 instead of swish and no squeeze-and-excitation:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax import lax

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.biased import Conv, Linear
from oldphoto_jax.layers.depthwise import DepthwiseConv
from oldphoto_jax.layers.norm import BatchNorm
from oldphoto_jax.photo.types import Features, Logits, Photo

# blocks of a stage, its channels, expansion, kernel, stride
STAGES = (
    (1, 16, 1, 3, 1),
    (2, 24, 6, 3, 2),
    (2, 40, 6, 5, 2),
    (3, 80, 6, 3, 2),
    (3, 112, 6, 5, 1),
    (4, 192, 6, 5, 2),
    (1, 320, 6, 3, 1),
)
EPSILON = 1e-3
_norm = functools.partial(BatchNorm, epsilon=EPSILON)


def normalize(photo: Photo) -> Features:
    """A photo [..,H,W,3] in 0..1 as this network was shown ImageNet: in -1..1."""
    return jnp.asarray(photo) * 2 - 1


class EfficientNetLite(nnx.Module):
    """The classifier, or with `classes=None` the encoder it contains, of which `features` gives
    all scales.

    `early` is the stem and the stages down to a quarter of the sides, `late` the others: what is
    fine-tuned on small data may leave `early` as it is. Of the seven stages it has the first
    `stages`. Input: see `normalize`. It computes in the type of its kernels.
    """

    def __init__(self, *, stages: int = 7, classes: int | None = None, rngs: nnx.Rngs):
        if not 2 < stages <= len(STAGES):
            raise ValueError(f"stages is {stages}; the encoder has 3 to {len(STAGES)} of them")
        if classes and stages < len(STAGES):
            raise ValueError(f"a classifier needs all {len(STAGES)} stages, not {stages}")
        self.early = Early(rngs=rngs)
        self.late = nnx.List(_stages(STAGES[2:stages], STAGES[1][1], rngs))
        self.channels = tuple(_tapped([stage[1] for stage in STAGES[:stages]]))
        self.head = Head(STAGES[-1][1], classes, rngs=rngs) if classes else None

    def __call__(self, x: Features) -> Logits:
        """Maps normalized photos [N,H,W,3] to float32 logits [N,classes]."""
        if self.head is None:
            raise ValueError("this network has no classes; call features instead")
        return self.head(self.features(x)[-1])

    def features(self, x: Features) -> list[Features]:
        """The last features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the sides, of `channels` each.

        Raises ValueError unless both sides are multiples of 32.
        """
        if x.ndim != 4 or x.shape[1] % 32 or x.shape[2] % 32:
            raise ValueError(
                f"input is {x.shape}, but this network takes [N,H,W,3] with sides that are "
                "multiples of 32: pad the photo"
            )
        all_stages = self.early(x.astype(self.early.stem.kernel[...].dtype))
        for stage in self.late:
            y = all_stages[-1]
            for block in stage:
                y = block(y)
            all_stages.append(y)
        return _tapped(all_stages)


def _tapped(stages: list) -> list:
    """Of all stages those that end a scale."""
    last = [i for i in range(len(stages)) if i + 1 == len(stages) or STAGES[i + 1][-1] == 2]
    return [stages[i] for i in last]


def _stages(
    stages: Sequence[tuple[int, int, int, int, int]], c: int, rngs: nnx.Rngs
) -> list[nnx.List]:
    made = []
    for count, c_out, growth, size, stride in stages:
        first = InvertedResidual(c, c_out, growth, size, stride, rngs=rngs)
        rest = [
            InvertedResidual(c_out, c_out, growth, size, 1, rngs=rngs) for _ in range(count - 1)
        ]
        made.append(nnx.List([first, *rest]))
        c = c_out
    return made


class Early(nnx.Module):
    """Stem and the first two stages."""

    def __init__(self, *, rngs: nnx.Rngs):
        c = 32
        self.stem = Conv(
            3,
            c,
            (3, 3),
            2,
            padding="SAME",
            use_bias=False,
            kernel_init=blocks.HE_FAN_OUT,
            rngs=rngs,
        )
        self.norm = _norm(c)
        self.stages = nnx.List(_stages(STAGES[:2], c, rngs))

    def __call__(self, x: Features) -> list[Features]:
        """Maps [N,H,W,3] to [N,H/2,W/2,16] and [N,H/4,W/4,24]."""
        y, found = _relu6(self.norm(self.stem(x))), []
        for stage in self.stages:
            for block in stage:
                y = block(y)
            found.append(y)
        return found


class InvertedResidual(nnx.Module):
    """Widens by 1x1, filters each channel by itself, narrows by 1x1, beside a shortcut.

    Sandler et al., 2018, https://arxiv.org/abs/1801.04381.
    """

    def __init__(self, c_in: int, c: int, growth: int, size: int, stride: int, *, rngs: nnx.Rngs):
        pointwise = functools.partial(
            blocks.conv, kernel=1, bias=False, init=blocks.HE_FAN_OUT, rngs=rngs
        )
        wide = c_in * growth
        self.expand = pointwise(c_in, wide) if growth > 1 else None
        self.expand_norm = _norm(wide) if growth > 1 else None
        self.depthwise = DepthwiseConv(wide, size, stride, rngs=rngs)
        self.depthwise_norm = _norm(wide)
        self.project = pointwise(wide, c)
        self.project_norm = _norm(c)
        self.shortcut = stride == 1 and c_in == c

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,c_in] to [N,H/stride,W/stride,c]."""
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = _relu6(self.expand_norm(self.expand(x)))
        y = _relu6(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.shortcut else y


class Head(nnx.Module):
    """Features [N,h,w,c] to float32 logits [N,classes]."""

    def __init__(self, c: int, classes: int, *, rngs: nnx.Rngs):
        self.conv = blocks.conv(c, 1280, 1, bias=False, init=blocks.HE_FAN_OUT, rngs=rngs)
        self.norm = _norm(1280)
        self.linear = Linear(1280, classes, rngs=rngs)

    def __call__(self, x: Features) -> Logits:
        """Maps [N,h,w,c] to logits [N,classes]."""
        y = jnp.mean(_relu6(self.norm(self.conv(x))), axis=(1, 2))
        return self.linear(y).astype(jnp.float32)


def _relu6(x: Features) -> Features:
    return lax.clamp(jnp.zeros((), x.dtype), x, jnp.full((), 6, x.dtype))
