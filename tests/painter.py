"""A small network that fills holes, and something to fill: for the tests of inpainting."""

import dataclasses

import cv2
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.restore import stage
from tests import untrained


class Near(nnx.Module):
    """A network that sees one pixel far."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(4, 3, (3, 3), rngs=rngs)

    def __call__(self, x):
        return nnx.sigmoid(self.conv(x))


@dataclasses.dataclass
class Paint(Predictor):
    """Fills holes with it."""

    multiple: int = 16
    max_size: int = 9

    def networks(self, rngs):
        return {"filler": Near(rngs)}

    def __call__(self, nets, batch):
        mask = batch["mask"]
        seen = jnp.concatenate([batch["photo"] * (1 - mask), mask], axis=-1)
        return {"photo": nets["filler"](seen)}


def stage_of(predictor):
    """The predictor with networks that have learned nothing."""
    return stage.Stage(predictor, untrained.networks(predictor), "toy")


def scene(dtype=np.uint8, channels=3, size=(300, 450)):
    """Noise, and a mask of dust, a long scratch and a hole at the border."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max, (*size, channels), dtype, endpoint=True)
    mask = (rng.random(size) > 0.9995).astype(np.uint8)
    mask = cv2.line(mask, (5, 20), (size[1] - 9, size[0] - 30), 1, 3)
    mask[-7:, 40:49] = 1
    return pixels, mask
