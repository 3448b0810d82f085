"""Filling holes: what the damage of an old photograph hides is drawn anew from what is around."""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.models import biharmonic, grain, lite_unet, partial_unet, resnet
from oldphoto_jax.photo.types import Array, Batch, Features, Photo
from oldphoto_jax.predictors.predictor import Networks, Predictor

# How photos become what a network paints, and how that becomes a photo.
SPACES: dict[str, tuple[Callable[[Photo], Features], Callable[[Features], Features]]] = {
    "imagenet": (resnet.normalize, resnet.denormalize),
    "signed": (lambda photo: 2 * jnp.asarray(photo) - 1, lambda features: (features + 1) / 2),
}


@dataclasses.dataclass(kw_only=True)
class FillingPredictor(Predictor):
    """The `filler`: photo [N,H,W,3] and mask [N,H,W,1] -> the photo without holes.

    With a `draft` the network doesn't paint the hole but corrects a smooth (biharmonic) filling of
    it; a LiteUNet always does. With `grain` what was painted is lent the grain of the photo around.
    It paints in `space`, "imagenet" or "signed" (-1..1), in which a PartialUNet also sees.
    `max_size` is the thickness in pixels of the largest hole trained on.
    """

    does: ClassVar[str] = "fill holes"

    network: lite_unet.Blueprint | partial_unet.Blueprint = dataclasses.field(
        default_factory=partial_unet.Blueprint
    )
    space: str = "imagenet"
    draft: bool = False
    grain: bool = False
    max_size: int = 64

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The filler alone; its first answer is the draft, if it has one.

        Raises ValueError for an unknown `space`, and for a LiteUNet without a draft.
        """
        if self.space not in SPACES:
            raise ValueError(f"space {self.space!r} is unknown; choose one of {list(SPACES)}")
        if isinstance(self.network, lite_unet.Blueprint):
            if not self.draft:
                raise ValueError("a LiteUNet fills holes by correcting a draft: set draft=True")
            c_more = 1  # the mask
        else:
            c_more = 4 if self.draft else 0  # the draft and the mask
        filler = self.network.build(c_out=3, c_more=c_more, silent=self.draft, rngs=rngs)
        return {"filler": filler}

    @property
    def multiple(self) -> int:
        """Sides of photos are multiples of this."""
        return self.network.multiple

    def __call__(self, nets: Networks, batch: Batch) -> Batch:
        """`photo` with its holes filled; outside the mask it is what came in."""
        photo, mask = batch["photo"], batch["mask"]
        filled = jnp.clip(self.paint(nets, batch), 0, 1)
        if self.grain:
            filled = grain.lend(filled, photo, mask)
        mask = jnp.float32(mask)
        return {"photo": mask * jnp.float32(filled) + (1 - mask) * jnp.float32(photo)}

    def paint(self, nets: Networks, batch: Batch) -> jax.Array:
        """The network's whole photo [N,H,W,3], not yet put together with the good pixels."""
        photo, mask = batch["photo"], batch["mask"]
        inwards, outwards = SPACES[self.space]
        if not self.draft:
            return outwards(nets["filler"](inwards(photo), mask)[0])
        draft = biharmonic.fill(photo, mask, levels=round(math.log2(self.multiple)))
        return outwards(inwards(draft) + self._change(nets, photo, mask, draft))

    def _change(self, nets: Networks, photo: Array, mask: Array, draft: Array) -> jax.Array:
        """What the network changes in a draft, in `space`."""
        if isinstance(self.network, lite_unet.Blueprint):
            return nets["filler"](jnp.concatenate([self.network.normalize(draft), mask], -1))
        inwards, _ = SPACES[self.space]
        both = jnp.concatenate([inwards(photo), inwards(draft), mask], -1)
        return nets["filler"](both, mask, None)[0]
