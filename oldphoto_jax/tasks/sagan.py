"""Faces of noise: a generator and a critic with self-attention, who learn from each other alone.

SAGAN (Zhang et al., 2019, https://arxiv.org/abs/1805.08318) without classes, as heykeetae's code
has it: spectral normalization in both players, hinge losses, one move each at every step.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from oldphoto_jax.losses import adversarial
from oldphoto_jax.metrics import frechet
from oldphoto_jax.models import discriminators
from oldphoto_jax.photo import image
from oldphoto_jax.photo.crop import view
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.predictors.faces import FacePredictor
from oldphoto_jax.predictors.predictor import Networks
from oldphoto_jax.task import NOTHING, Loss, Task, Terms

THUMBNAIL = 8  # pixels a side


@dataclasses.dataclass(kw_only=True)
class Sagan(Task):
    """Players: the `generator` of a `FacePredictor`, and the `critic`."""

    size: int = 64  # side of the faces, pixels: 8, 16, 32 ...
    share: tuple[float, float] = (0.9, 1.0)  # of the photo's short side that a face takes
    noise: int = 128  # numbers that a face is made of
    width: int = 64
    critic_width: int = 64
    attention: tuple[int, ...] = (3, 4)  # levels of either player after which it looks everywhere

    def predictor(self, figures: Mapping[str, float] = NOTHING) -> FacePredictor:
        """The generator; figures teach it nothing."""
        return FacePredictor(
            size=self.size, noise=self.noise, width=self.width, attention=self.attention
        )

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """Both players, of as many levels as `size` has doublings.

        Raises ValueError for a size or levels that there are not.
        """
        nets = self.predictor().networks(rngs)
        nets["critic"] = discriminators.AttentionDiscriminator(
            3,
            width=self.critic_width,
            levels=self.predictor().levels,
            attention=self.attention,
            rngs=rngs,
        )
        return nets

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """photo [S,S,3] of a true face in 0..1, and noise [D], of which another is to be made."""
        photo = image.to_float(view(record["photo"], self.size, self.share, rng))
        return {"photo": photo, "noise": rng.standard_normal(self.noise, np.float32)}

    def losses(self) -> dict[str, Loss]:
        """The generator wants the critic's praise, the critic to tell true faces from made ones."""
        return {"generator": self.fool, "critic": self.judge}

    def fool(self, nets: Networks, batch: Batch) -> Terms:
        """What the critic thinks of the faces that are made."""
        fake = nets["generator"](batch["noise"])
        return {"fool": adversarial.fool_hinge(nets["critic"](fake))}

    def judge(self, nets: Networks, batch: Batch) -> Terms:
        """True faces shall score above 1, those of the generator below -1."""
        fake = jax.lax.stop_gradient(nets["generator"](batch["noise"]))
        scores = [nets["critic"](face) for face in (2 * batch["photo"] - 1, fake)]
        return {"judge": adversarial.judge_hinge(*scores)}

    def metrics(self, batch: Batch, prediction: Batch) -> dict[str, Any]:
        """How far made and true faces lie apart as thumbnails of 8x8 pixels, and how they vary.

        That tells whether light, colours and where they lie are those of the faces, and whether
        all are the same; whether they look like faces the picture sheet tells.
        """
        made, true = (_thumbnails(x["photo"]) for x in (prediction, batch))
        return {"thumbnails": frechet.Between.of(made, true)}

    def pictures(self, batch: Batch, prediction: Batch) -> dict[str, np.ndarray]:
        """A true face and one that was made; they have nothing to do with each other."""
        return {"true": np.asarray(batch["photo"]), "made": np.asarray(prediction["photo"])}


def _thumbnails(photo: Array) -> np.ndarray:
    """Photos [N,S,S,3] as rows of the means of 8x8 blocks, [N,192]."""
    n, side = photo.shape[:2]
    block = side // THUMBNAIL
    return np.reshape(photo, (n, THUMBNAIL, block, THUMBNAIL, block, 3)).mean((2, 4)).reshape(n, -1)
