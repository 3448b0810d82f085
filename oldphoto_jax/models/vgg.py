"""VGG networks as feature extractors (Simonyan and Zisserman, 2015, https://arxiv.org/abs/1409.1556).

Layers are called as in the papers that compare photos by them: `relu3_2` is the rectified second
convolution of the third stage, `pool3` the maximum pooling after that stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.biased import Conv
from oldphoto_jax.photo.types import Features

DEPTHS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # convolutions in each stage
GROWTH = (1, 2, 4, 8, 8)  # channels of a stage over those of the first


def layer_names(depth: int) -> list[str]:
    """All that `taps` can name, in the order of computation."""
    if depth not in DEPTHS:
        raise ValueError(f"there is no VGG-{depth} here; choose from {sorted(DEPTHS)}")
    names = []
    for stage, count in enumerate(DEPTHS[depth], start=1):
        names += [f"relu{stage}_{i + 1}" for i in range(count)] + [f"pool{stage}"]
    return names


class VGG(nnx.Module):
    """The convolutions of a VGG-16 or VGG-19, without batch norm and without the classifier.

    `until` is the last layer it has; those beyond take no memory. A weights file of the whole
    network fills a shorter one stage by stage ("vgg.stages.0", ...). `width` is the channel count
    of the first stage, 64 in the paper; all others follow. It computes in the type of its kernels.
    Input: what its weights were trained on, for ImageNet's `models.resnet.normalize`; some losses
    feed photos as they are.
    """

    def __init__(
        self,
        depth: int = 16,
        *,
        until: str = "pool5",
        width: int = 64,
        c_in: int = 3,
        rngs: nnx.Rngs,
    ):
        names = layer_names(depth)
        if until not in names:
            raise ValueError(f"VGG-{depth} has no layer {until!r}; choose from {', '.join(names)}")
        self.names = tuple(names[: names.index(until) + 1])
        self.stages: nnx.List[nnx.List[Conv]] = nnx.List()
        for name in self.names:
            if name.startswith("pool"):
                continue
            stage = int(name[4]) - 1
            if stage == len(self.stages):
                self.stages.append(nnx.List())
            c = width * GROWTH[stage]
            self.stages[stage].append(blocks.conv(c_in, c, rngs=rngs))
            c_in = c

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] to the last layer, with `until="pool5"` [N,H/32,W/32,8 width]."""
        return self.taps(x, self.names[-1:])[0]

    def taps(self, x: Features, names: Sequence[str]) -> list[Features]:
        """The named layers of x [N,H,W,C], in the order of `names`; none beyond the deepest is run.

        Raises ValueError for a layer that this network lacks and for photos too small to pool.
        """
        if missing := [name for name in names if name not in self.names]:
            raise ValueError(
                f"this VGG has no {', '.join(missing)}; it has {self.names[0]} to {self.names[-1]}"
            )
        x = x.astype(self.stages[0][0].kernel[...].dtype)
        found: dict[str, Features] = {}
        for name, layer in self._layers():
            if len(found) == len(set(names)):
                break
            if layer is not None:
                x = jax.nn.relu(layer(x))
            elif min(x.shape[1:3]) < 2:
                raise ValueError(f"the photo is too small for {name}, which is given {x.shape}")
            else:
                x = nnx.max_pool(x, (2, 2), (2, 2))
            if name in names:
                found[name] = x
        return [found[name] for name in names]

    def _layers(self) -> Iterator[tuple[str, Conv | None]]:
        """Every layer's name and its convolution; None stands for pooling."""
        convs = iter([conv for stage in self.stages for conv in stage])
        for name in self.names:
            yield name, None if name.startswith("pool") else next(convs)
