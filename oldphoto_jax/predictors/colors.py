"""Colouring: luma is a contract, colour is learned."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.models import colorful, lite_unet, unet
from oldphoto_jax.photo import color, guided, palette, planes
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.predictors.predictor import Networks, Predictor


@dataclasses.dataclass(kw_only=True)
class ColorPredictor(Predictor):
    """The `generator`: gray photo [N,H,W,3] -> the photo in colour.

    Colour is predicted at 1/`stride` of the photo's sides and enlarged by a guided filter, which
    takes the edges from luma. With a `palette` the generator says of each of its colours how
    likely it is, and the photo gets their mean at `temperature`; without, it names one in `plane`.
    With `hints` it also looks at `hints` [N,H,W,3] of the batch, colours that somebody gives for
    some pixels: a and b of Lab, and 1 where there is one, else three zeros (Zhang et al., 2017,
    https://arxiv.org/abs/1705.02999). A batch without them has none. `gain` is what restoring
    multiplies chroma by; validation sets it.
    """

    does: ClassVar[str] = "colour photos"

    network: (
        lite_unet.Blueprint
        | unet.Blueprint
        | colorful.ECCV16Blueprint
        | colorful.SIGGRAPH17Blueprint
    ) = dataclasses.field(default_factory=unet.imagenet)
    palette: Grid | AbBins | None = None  # colours to choose among; None = it names the colour
    plane: str = "cbcr"  # or "ab"; of the colours that it names
    temperature: float = 1.0  # 1 = the mean colour, towards 0 the likeliest
    hints: bool = False
    gain: float = 1.0

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The generator alone; its first answer is gray.

        Raises ValueError for a palette that there is not, for a temperature without one, and for
        what the network cannot do.
        """
        if self.palette is None and self.temperature != 1:
            raise ValueError(
                f"there is no palette, but the temperature {self.temperature}: give a palette, "
                "such as Grid(side=19)"
            )
        palette.check(self.temperature)
        planes.check(self.plane)
        c_out = 2 if self.palette is None else len(self.palette)
        if isinstance(self.network, colorful.SIGGRAPH17Blueprint):
            if self.told_in != "ab" or self.palette is not None:
                raise ValueError('a SIGGRAPH17 names a and b: set plane="ab", and no palette')
            return {"generator": self.network.build(c_out=c_out, silent=True, rngs=rngs)}
        if isinstance(self.network, colorful.ECCV16Blueprint):
            if self.hints or not isinstance(self.palette, AbBins):
                raise ValueError("an ECCV16 chooses among AbBins, and takes no hints")
            eccv16 = self.network.build(c_out=c_out, silent=True, rngs=rngs)
            eccv16.centres[...] = self.palette.centres
            return {"generator": eccv16}
        c_sparse = 3 if self.hints else 0
        network = self.network.build(c_out=c_out, c_sparse=c_sparse, silent=True, rngs=rngs)
        return {"generator": network}

    @property
    def multiple(self) -> int:
        """Sides of photos are multiples of this."""
        return self.network.multiple

    @property
    def stride(self) -> int:
        """How many times smaller than the photo its colours are."""
        return self.network.out_stride

    @property
    def told_in(self) -> str:
        """The plane of its colours: the palette's, or that in which it names them."""
        return self.plane if self.palette is None else self.palette.plane

    def __call__(self, nets: Networks, batch: Batch) -> Batch:
        """`photo` in colour, before `gain`: luma stays, colours fit the gamut of sRGB."""
        return {"photo": self.painted(batch, self.answer(nets, batch))}

    def painted(self, batch: Batch, answer: jax.Array) -> Array:
        """The photo in the colours of an answer, [N,H,W,3]."""
        luma = color.rgb_to_gray(batch["photo"])
        colours = self.colours(answer, self.temperature)
        if self.stride > 1:
            full = (*luma.shape[:-1], 2)
            slope, offset = (
                jax.image.resize(coefficient, full, "linear")
                for coefficient in guided.fit(self.shrunk(luma), colours, radius=1)
            )
            colours = slope * luma + offset
        ycbcr = planes.beside(luma, colours, self.told_in)
        return color.ycbcr_to_rgb(color.fit_gamut(ycbcr))

    def answer(self, nets: Networks, batch: Batch) -> jax.Array:
        """What the generator says at 1/stride of the photo's sides, see `colours`; float32."""
        net, (seen, ab, hinted) = nets["generator"], self.told(batch)
        if isinstance(self.network, colorful.SIGGRAPH17Blueprint):
            return net.tail(net.trunk(seen, ab, hinted))
        if not self.hints:
            return net(seen)
        return net(jnp.concatenate([seen, ab / planes.PLANES["ab"], hinted], -1))

    def told(self, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What the generator gets to see: the gray photo [N,H,W,C] in its form, and hints.

        Those are a and b [N,H,W,2], 0 where nothing is known, and 1 where something is, [N,H,W,1].
        """
        gray = color.gray_to_rgb(color.rgb_to_gray(batch["photo"]))
        hints = batch.get("hints") if self.hints else None
        hints = jnp.zeros(gray.shape) if hints is None else jnp.float32(hints)
        hinted = hints[..., 2:]
        return self.network.normalize(gray), hints[..., :2] * hinted, hinted

    def colours(self, answer: jax.Array, temperature: float = 1.0) -> jax.Array:
        """The colours [..,2] of an answer, float32, in the plane that they are told in."""
        if isinstance(self.network, colorful.SIGGRAPH17Blueprint):
            return answer
        if self.palette is None:
            return planes.named(jnp.float32(answer), self.plane)
        return self.palette.decode(answer, temperature)

    def shrunk(self, x: Array) -> jax.Array:
        """Means of blocks: [N,H,W,C] to [N,H/stride,W/stride,C], float32."""
        window = (self.stride, self.stride)
        return nnx.avg_pool(jnp.float32(x), window, window)


@dataclasses.dataclass(kw_only=True)
class ChoicePredictor(ColorPredictor):
    """The same, which also hands out what it chooses from.

    `answer` [N,H/stride,W/stride,K] says how likely each of the palette's K colours is: logits,
    float32. Needs a palette.
    """

    @classmethod
    def of(cls, one: ColorPredictor) -> "ChoicePredictor":
        """That of a ColorPredictor. Raises ValueError for one that names a single colour."""
        if one.palette is None:
            raise ValueError(
                "these weights name one colour for each place and have no others to choose from; "
                "take some that choose among many, such as colorize-lite or eccv16"
            )
        return cls(**{field.name: getattr(one, field.name) for field in dataclasses.fields(one)})

    def __call__(self, nets: Networks, batch: Batch) -> Batch:
        """`photo` in colour, before `gain`, and the `answer`."""
        answer = self.answer(nets, batch)
        return {"photo": self.painted(batch, answer), "answer": answer}
