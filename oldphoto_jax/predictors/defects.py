"""Finding defects: which pixels of an old photograph are damage and not picture."""

import dataclasses
from typing import ClassVar

import jax
from flax import nnx

from oldphoto_jax.models import lite_unet, unet
from oldphoto_jax.photo.types import Batch, Logits
from oldphoto_jax.predictors.predictor import Networks, Predictor


@dataclasses.dataclass(kw_only=True)
class DefectPredictor(Predictor):
    """The `segmenter`: photo [N,H,W,3] -> mask [N,H,W,1], the probability of damage, 0..1.

    `threshold` is the probability from which a pixel is called a defect, `careful` the one for
    owners who would rather lose a scratch than a button; validation sets both. `max_size` is the
    thickness in pixels of the largest defect trained on, and `unseen` are the kinds of damage and
    families of textures that training never drew: by them an exam asks what was understood.
    """

    does: ClassVar[str] = "find defects"

    network: lite_unet.Blueprint | unet.Blueprint = dataclasses.field(
        default_factory=unet.Blueprint
    )
    threshold: float = 0.5
    careful: float = 0.8
    max_size: int = 64
    unseen: tuple[str, ...] = ()

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The segmenter alone."""
        return {"segmenter": self.network.build(rngs=rngs)}

    @property
    def multiple(self) -> int:
        """Sides of photos are multiples of this."""
        return self.network.multiple

    def __call__(self, nets: Networks, batch: Batch) -> Batch:
        """`mask`: the probability of damage at every pixel."""
        return {"mask": jax.nn.sigmoid(self.logits(nets, batch))}

    def logits(self, nets: Networks, batch: Batch) -> Logits:
        """The same before the sigmoid, float32."""
        return nets["segmenter"](self.network.normalize(batch["photo"]))
