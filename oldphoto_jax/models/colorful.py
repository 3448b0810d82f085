"""The colouring networks of Zhang et al., which choose among colours in the plane of a and b.

"Colorful image colorization", 2016, https://arxiv.org/abs/1603.08511 (ECCV16), and "Real-time
user-guided image colorization", 2017, https://arxiv.org/abs/1705.02999 (SIGGRAPH17). Both see L in
Lab units, 0..100, and give a and b in Lab units, about -110..110; their published weights fit.
"""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.norm import BatchNorm
from oldphoto_jax.models import blueprint
from oldphoto_jax.photo import color
from oldphoto_jax.photo.types import Array, Features, Logits, Photo

STRIDE = 8  # sides are multiples of it; classes are told at two of its halvings
AB_SCALE = 110.0  # a and b inside the networks are over this
LEAK = 0.2
CONVOLUTIONS, DILATIONS = (2, 2, 3, 3, 3, 3, 3), (1, 1, 1, 1, 2, 2, 1)  # of the encoder's blocks
# Channels of the blocks: seven of the encoder, then those of the decoder
ECCV16_WIDTHS = (64, 128, 256, 512, 512, 512, 512, 256)
SIGGRAPH17_WIDTHS = (*ECCV16_WIDTHS, 128, 128)


class Centres(nnx.Variable):
    """The colours that classes stand for: given, not trained."""


class ECCV16(nnx.Module):
    """How likely each of `classes` colours is, at a quarter of the photo's sides.

    The first three blocks halve the map, the fifth and sixth are dilated, a transposed convolution
    doubles it once. `centres` [classes,2] holds a and b of the colours in Lab units, which whoever
    makes the network knows; until then all are gray. In the published weights the logits are
    divided by the temperature of the paper's annealed mean already. It computes in the type of its
    kernels.
    """

    def __init__(
        self, *, widths: Sequence[int] = ECCV16_WIDTHS, classes: int = 313, rngs: nnx.Rngs
    ):
        *encoder, c = _checked(widths, ECCV16_WIDTHS)
        self.encoder = _encoder(1, encoder, halving=True, rngs=rngs)
        self.enlarge = blocks.enlarging(encoder[-1], c, rngs=rngs)
        self.convs = nnx.List([blocks.conv(c, c, rngs=rngs) for _ in range(2)])
        self.logits = blocks.conv(c, classes, 1, rngs=rngs)
        self.centres = Centres(jnp.zeros((classes, 2)))

    def __call__(self, lightness: Array) -> Logits:
        """Maps L [N,H,W,1] to float32 logits [N,H/4,W/4,classes].

        Raises ValueError unless both sides are multiples of 8.
        """
        x = _seen(lightness).astype(self.logits.kernel[...].dtype)
        for block in self.encoder:
            x = block(x)
        x = jax.nn.relu(self.enlarge(x))
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        return self.logits(x).astype(jnp.float32)

    def ab(self, lightness: Array) -> jax.Array:
        """Maps L [N,H,W,1] to a and b [N,H,W,2], float32: the mean colour, enlarged bilinearly."""
        return jax.image.resize(self.mean(self(lightness)), (*lightness.shape[:3], 2), "linear")

    def mean(self, logits: Logits) -> jax.Array:
        """Maps logits [..,classes] to the mean a and b [..,2] of the colours, float32."""
        odds = jax.nn.softmax(jnp.float32(logits))
        return jnp.matmul(odds, self.centres[...], precision=jax.lax.Precision.HIGHEST)


class Trunk(NamedTuple):
    """What both heads of SIGGRAPH17 stand on: features at the sides, a half and a quarter."""

    full: Features
    half: Features
    quarter: Features


class SIGGRAPH17(nnx.Module):
    """a and b for every pixel, led by hints; beside them how likely each of `classes` colours is.

    A U-Net with dilated blocks. The published training has two stages, in which one head learns
    with the `trunk` while the other gets its features through `jax.lax.stop_gradient`: first
    `classes`, then `tail`. `mask_cent` is taken off the mask of hints: 0 in the weights that came
    from Caffe, 0.5 in those that were trained in PyTorch. It computes in the type of its kernels.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = SIGGRAPH17_WIDTHS,
        classes: int = 529,
        mask_cent: float = 0.0,
        rngs: nnx.Rngs,
    ):
        widths = _checked(widths, SIGGRAPH17_WIDTHS)
        c1, c2, c3, *_, c7, c8, c9, c10 = widths
        self.mask_cent = mask_cent
        self.encoder = _encoder(4, widths[:7], halving=False, rngs=rngs)
        self.up8, self.block8 = Up(c7, c3, c8, rngs=rngs), Block(c8, c8, 2, rngs=rngs)
        self.up9, self.block9 = Up(c8, c2, c9, rngs=rngs), Block(c9, c9, 1, rngs=rngs)
        self.up10, self.conv10 = Up(c9, c1, c10, rngs=rngs), blocks.conv(c10, c10, rngs=rngs)
        self.logits = blocks.conv(c8, classes, 1, rngs=rngs)
        self.out = blocks.conv(c10, 2, 1, rngs=rngs)

    def __call__(
        self, lightness: Array, hints: Array | None = None, hinted: Array | None = None
    ) -> tuple[jax.Array, Logits]:
        """Maps L, and hints if there are any, to a and b [N,H,W,2] and `classes`; see `trunk`."""
        trunk = self.trunk(lightness, hints, hinted)
        return self.tail(trunk), self.classes(trunk)

    def trunk(
        self, lightness: Array, hints: Array | None = None, hinted: Array | None = None
    ) -> Trunk:
        """The features of L [N,H,W,1], of hints [N,H,W,2] and where they are, [N,H,W,1].

        Hints are a and b in Lab units and 0 elsewhere; `hinted` is 1 at their pixels and 0
        elsewhere. Raises ValueError unless both sides are multiples of 8, and for one without the
        other.
        """
        if (hints is None) != (hinted is None):
            raise ValueError("hints come with a mask that is 1 where they are: give both or none")
        x = _seen(lightness)
        if hints is None or hinted is None:
            hints, hinted = jnp.zeros((*x.shape[:3], 2)), jnp.zeros(x.shape)
        x = jnp.concatenate([x, hints / AB_SCALE, hinted - self.mask_cent], -1)
        x = x.astype(self.out.kernel[...].dtype)
        taps = []
        for i, block in enumerate(self.encoder):
            x = block(x[:, ::2, ::2] if i in (1, 2, 3) else x)
            taps.append(x)
        full, half, quarter = taps[:3]
        return Trunk(full, half, self.block8(self.up8(x, quarter)))

    def classes(self, trunk: Trunk) -> Logits:
        """How likely each colour is, float32 logits [N,H/4,W/4,classes]."""
        return self.logits(trunk.quarter).astype(jnp.float32)

    def tail(self, trunk: Trunk) -> jax.Array:
        """a and b [N,H,W,2] in Lab units, within -110..110, float32."""
        x = self.block9(self.up9(trunk.quarter, trunk.half))
        x = jax.nn.leaky_relu(self.conv10(self.up10(x, trunk.full)), LEAK)
        return AB_SCALE * jnp.tanh(self.out(x).astype(jnp.float32))


@dataclasses.dataclass(kw_only=True)
class _Blueprint(blueprint.Blueprint):
    """What the blueprints of both share."""

    def normalize(self, photo: Photo) -> Features:
        """L in Lab units, [N,H,W,1] in 0..100, of a photo [N,H,W,3] in 0..1."""
        return color.rgb_to_lab(jnp.asarray(photo))[..., :1]

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        return STRIDE


@dataclasses.dataclass(kw_only=True)
class ECCV16Blueprint(_Blueprint):
    """An ECCV16 before it is built."""

    out_stride: ClassVar[int] = 4  # the answer's sides are those of the photo over this

    widths: tuple[int, ...] = ECCV16_WIDTHS

    def build(self, *, c_out: int = 313, silent: bool = False, rngs: nnx.Rngs) -> ECCV16:
        """The network, which chooses among `c_out` colours; with `silent` all are as likely."""
        net = ECCV16(widths=self.widths, classes=c_out, rngs=rngs)
        if silent:
            blueprint.silence(net.logits.kernel)
        return net


@dataclasses.dataclass(kw_only=True)
class SIGGRAPH17Blueprint(_Blueprint):
    """A SIGGRAPH17 before it is built."""

    out_stride: ClassVar[int] = 1

    widths: tuple[int, ...] = SIGGRAPH17_WIDTHS
    classes: int = 529  # colours to choose among, beside a and b
    mask_cent: float = 0.0  # taken off the mask of hints; 0.5 in weights trained in PyTorch

    def build(self, *, c_out: int = 2, silent: bool = False, rngs: nnx.Rngs) -> SIGGRAPH17:
        """The network; with `silent` gray, and all colours as likely. `c_out` is 2, a and b."""
        if c_out != 2:
            raise ValueError(f"c_out is {c_out}, but this network gives a and b: it must be 2")
        net = SIGGRAPH17(
            widths=self.widths, classes=self.classes, mask_cent=self.mask_cent, rngs=rngs
        )
        if silent:
            blueprint.silence(net.logits.kernel)
            blueprint.silence(net.out.kernel)
        return net


class Block(nnx.Module):
    """Convolutions of 3x3 with a ReLU each, the last of `stride`; then batch norm."""

    def __init__(
        self,
        c_in: int,
        c: int,
        count: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        rngs: nnx.Rngs,
    ):
        self.convs: nnx.List[nnx.Conv] = nnx.List()
        for i in range(count):
            step = stride if i == count - 1 else 1
            self.convs.append(blocks.conv(c_in, c, 3, step, dilation=dilation, rngs=rngs))
            c_in = c
        self.norm = BatchNorm(c)

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,c_in] to [N,H/stride,W/stride,c]."""
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        return self.norm(x)


class Up(nnx.Module):
    """Doubles a map by a transposed convolution and adds the convolved skip connection; ReLU."""

    def __init__(self, c_in: int, c_skip: int, c: int, *, rngs: nnx.Rngs):
        self.enlarge = blocks.enlarging(c_in, c, rngs=rngs)
        self.skip = blocks.conv(c_skip, c, rngs=rngs)

    def __call__(self, x: Features, skip: Features) -> Features:
        """Maps [N,H,W,c_in] and skip [N,2H,2W,c_skip] to [N,2H,2W,c]."""
        return jax.nn.relu(self.enlarge(x) + self.skip(skip))


def _encoder(c_in: int, widths: Sequence[int], *, halving: bool, rngs: nnx.Rngs) -> nnx.List[Block]:
    """The seven blocks that both networks begin with; with `halving` the first three do."""
    sizes = zip((c_in, *widths[:-1]), widths, CONVOLUTIONS, DILATIONS, strict=True)
    return nnx.List(
        [
            Block(*size, stride=2 if halving and i < 3 else 1, dilation=dilation, rngs=rngs)
            for i, (*size, dilation) in enumerate(sizes)
        ]
    )


def _seen(lightness: Array) -> jax.Array:
    """L as the first convolution sees it, about -0.5..0.5."""
    sides = lightness.shape[1:3]
    if lightness.ndim != 4 or lightness.shape[-1] != 1 or any(side % STRIDE for side in sides):
        raise ValueError(
            f"L is {lightness.shape}, but this network takes [N,H,W,1] with sides that are "
            f"multiples of {STRIDE}: pad the photo"
        )
    return (jnp.float32(lightness) - 50) / 100


def _checked(widths: Sequence[int], usual: Sequence[int]) -> Sequence[int]:
    if len(widths) != len(usual):
        raise ValueError(
            f"widths are {tuple(widths)}: give {len(usual)}, one for each block, such as "
            f"{tuple(usual)}"
        )
    return widths
