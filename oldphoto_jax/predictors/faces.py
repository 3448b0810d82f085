"""Faces of noise: what a generator learned of a folder of portraits."""

import dataclasses
from typing import ClassVar

from flax import nnx

from oldphoto_jax.models import generators
from oldphoto_jax.photo.types import Batch
from oldphoto_jax.predictors.predictor import Networks, Predictor


@dataclasses.dataclass(kw_only=True)
class FacePredictor(Predictor):
    """The `generator`: noise [N,D], standard normal, -> photo [N,S,S,3] of a face that nobody has.

    S is `size`, D is `noise`.
    """

    does: ClassVar[str] = "make faces of noise"

    size: int = 64  # side of the photo, pixels: 8, 16, 32 ...
    noise: int = 128  # numbers that a face is made of
    width: int = 64  # channels of the last map, at half of `size`
    attention: tuple[int, ...] = (3, 4)  # levels, from 4x4 pixels up, that look everywhere

    @property
    def levels(self) -> int:
        """How often the first map of 4x4 pixels is doubled. Raises ValueError for other sizes."""
        levels = self.size.bit_length() - generators.SMALLEST.bit_length()
        if levels < 1 or self.size != generators.SMALLEST << levels:
            raise ValueError(
                f"size is {self.size}, but faces grow by doubling: make it 8, 16, 32, 64 ..."
            )
        return levels

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The generator alone. Raises ValueError for a size or levels that there are not."""
        generator = generators.AttentionGenerator(
            3,
            noise=self.noise,
            width=self.width,
            levels=self.levels,
            attention=self.attention,
            rngs=rngs,
        )
        return {"generator": generator}

    @property
    def multiple(self) -> int:
        """The only side that there is."""
        return self.size

    def __call__(self, nets: Networks, batch: Batch) -> Batch:
        """`photo` [N,S,S,3] in 0..1 of `noise` [N,D]."""
        return {"photo": (nets["generator"](batch["noise"]) + 1) / 2}
