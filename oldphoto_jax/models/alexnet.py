"""AlexNet's convolutions, in the later form of one tower (https://arxiv.org/abs/1404.5997)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.biased import Conv
from oldphoto_jax.photo.types import Features

LAYERS = ("relu1", "relu2", "relu3", "relu4", "relu5")
CHANNELS = (64, 192, 384, 256, 256)
SMALLEST = 31  # pixels a side, so that the second pooling leaves one


class AlexNet(nnx.Module):
    """Five convolutions and the two poolings between the first three; no classifier.

    Krizhevsky et al., 2012, as torchvision has it. `width` is the channel count of the first
    convolution, 64 there; all others follow. It computes in the type of its kernels. Input: see
    `models.resnet.normalize`.
    """

    def __init__(self, *, width: int = 64, rngs: nnx.Rngs):
        conv = functools.partial(blocks.conv, rngs=rngs)
        c1, c2, c3, c4, c5 = (width * c // 64 for c in CHANNELS)
        init = blocks.HE_FAN_IN
        # torchvision pads this one by 2 where `blocks.conv` would by 5
        first = Conv(3, c1, (11, 11), 4, padding=((2, 2), (2, 2)), kernel_init=init, rngs=rngs)
        self.convs = nnx.List([first, conv(c1, c2, 5), conv(c2, c3), conv(c3, c4), conv(c4, c5)])

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,3] to `relu5`, about [N,H/16,W/16,4 width]."""
        return self.taps(x, LAYERS[-1:])[0]

    def taps(self, x: Features, names: Sequence[str] = LAYERS) -> list[Features]:
        """The named rectified convolutions, in the order of `names`; none beyond them is run.

        Raises ValueError for another name and for photos smaller than 31 pixels.
        """
        if missing := [name for name in names if name not in LAYERS]:
            raise ValueError(f"AlexNet has no {', '.join(missing)}; choose from {LAYERS}")
        if min(x.shape[1:3]) < SMALLEST:
            raise ValueError(f"AlexNet needs photos of {SMALLEST} x {SMALLEST}, got {x.shape}")
        x = x.astype(self.convs[0].kernel[...].dtype)
        found: dict[str, Features] = {}
        for name, conv in zip(LAYERS, self.convs, strict=True):
            if len(found) == len(set(names)):
                break
            if name in ("relu2", "relu3"):
                x = nnx.max_pool(x, (3, 3), (2, 2))
            x = jax.nn.relu(conv(x))
            if name in names:
                found[name] = x
        return [found[name] for name in names]
