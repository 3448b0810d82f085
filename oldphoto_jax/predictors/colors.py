"""Colouring: luma is a contract, chroma is learned."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.models import lite_unet, unet
from oldphoto_jax.photo import color, guided, palette
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.predictors.predictor import Networks, Predictor


@dataclasses.dataclass(kw_only=True)
class ColorPredictor(Predictor):
    """The `generator`: gray photo [N,H,W,3] -> the photo in colour.

    Chroma is predicted at 1/`stride` of the photo's sides and enlarged by a guided filter, which
    takes the edges from luma. With a `palette` the generator says of that many colours a side
    (`photo.palette`) how likely they are, and the photo gets their mean at `temperature`. `gain` is
    what restoring multiplies chroma by; validation sets it.
    """

    does: ClassVar[str] = "colour photos"

    network: lite_unet.Blueprint | unet.Blueprint = dataclasses.field(default_factory=unet.imagenet)
    palette: int = 0  # colours a side to choose among, an odd number; 0 = it names the colour
    temperature: float = 1.0  # 1 = the mean colour, towards 0 the likeliest
    gain: float = 1.0

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The generator alone; its first answer is gray.

        Raises ValueError for a palette that there is not, and for a temperature without one.
        """
        if not self.palette and self.temperature != 1:
            raise ValueError(
                f"palette is 0, but the temperature {self.temperature}: give a palette its size, "
                "such as 19"
            )
        palette.check(self.temperature)
        c_out = len(palette.axis(self.palette)) ** 2 if self.palette else 2
        return {"generator": self.network.build(c_out=c_out, silent=True, rngs=rngs)}

    @property
    def multiple(self) -> int:
        """Sides of photos are multiples of this."""
        return self.network.multiple

    @property
    def stride(self) -> int:
        """How many times smaller than the photo its chroma is."""
        return self.network.out_stride

    def __call__(self, nets: Networks, batch: Batch) -> Batch:
        """`photo` in colour, before `gain`: luma stays, chroma fits the gamut of sRGB."""
        luma = color.rgb_to_gray(batch["photo"])
        chroma = self.chroma(self.answer(nets, batch), self.temperature)
        full = (*luma.shape[:-1], 2)
        slope, offset = (
            jax.image.resize(coefficient, full, "linear")
            for coefficient in guided.fit(self.shrunk(luma), chroma, radius=1)
        )
        ycbcr = jnp.concatenate([luma, slope * luma + offset], -1)
        return {"photo": color.ycbcr_to_rgb(color.fit_gamut(ycbcr))}

    def answer(self, nets: Networks, batch: Batch) -> jax.Array:
        """What the generator says at 1/stride of the photo's sides, see `chroma`; float32."""
        gray = color.gray_to_rgb(color.rgb_to_gray(batch["photo"]))
        return nets["generator"](self.network.normalize(gray))

    def chroma(self, answer: jax.Array, temperature: float = 1.0) -> jax.Array:
        """Cb and Cr of an answer, 0..1, float32."""
        if self.palette:
            return palette.mean(answer, temperature)
        return 0.5 + 0.5 * jnp.tanh(jnp.float32(answer))

    def shrunk(self, x: Array) -> jax.Array:
        """Means of blocks: [N,H,W,C] to [N,H/stride,W/stride,C], float32."""
        window = (self.stride, self.stride)
        return nnx.avg_pool(jnp.float32(x), window, window)
