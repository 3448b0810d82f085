"""Filling holes: what the damage of an old photograph hides is drawn anew from what is around.

Partial convolutions and their loss follow Liu et al., 2018 (https://arxiv.org/abs/1804.07723);
batch norm of the encoder freezes for the last part of training. With `draft` the network
doesn't paint the hole but corrects a smooth filling of it.
"""

import dataclasses
import functools

import cv2
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.damage.blend import thicker
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.losses import feature, pixel
from oldphoto_jax.metrics import hole, image
from oldphoto_jax.metrics.stream import Mean
from oldphoto_jax.models import biharmonic, partial_unet, resnet, vgg
from oldphoto_jax.task import Task
from oldphoto_jax.tasks.crop import crop

WEIGHT = feature.INPAINTING_WEIGHTS
TAPS = feature.PARTIAL_LAYERS
SPACES = {  # how photos go into the network and come out of it
    "imagenet": (resnet.normalize, resnet.denormalize),
    "signed": (lambda photo: 2 * photo - 1, lambda features: (features + 1) / 2),
}


@dataclasses.dataclass(kw_only=True)
class Inpaint(Task):
    """One player, the `filler`: photo [N,H,W,3] and mask [N,H,W,1] -> the photo without holes.

    `damage` and `holes` are what it learns to fill; `max_size`, the thickness in pixels of the
    largest hole among them, travels with the weights. A frozen VGG-16 plays along where the
    weights of "perceptual" or "style" ask for it.
    """

    size: int = 256  # side of the training crop, pixels
    enlarge: tuple[float, float] = (0.7, 2.0)  # scans are larger and softer than web photos
    levels: int = 8
    width: int = 64
    form: str = "ratio"  # of partial convolution: or "sum", as naoto0804 has it
    partial: bool = True  # or plain convolutions
    stem_bias: bool = False
    space: str = "imagenet"  # what the network sees and paints in; or "signed", -1..1
    draft: bool = False  # whether it corrects a smooth filling instead of painting from nothing
    damage: Damage = dataclasses.field(default_factory=lambda: Damage(clean=0.0))
    holes: Holes = dataclasses.field(default_factory=Holes)
    grow: int = 2  # masks are up to so many pixels wider than the damage, as users' masks are
    weight: dict[str, float] = dataclasses.field(default_factory=WEIGHT.copy)

    def networks(self, rngs):
        """The filler, and VGG-16 up to the last of TAPS if the loss looks through it.

        Raises ValueError for settings that no network has.
        """
        if self.space not in SPACES:
            raise ValueError(f"space {self.space!r} is unknown; choose one of {list(SPACES)}")
        if unknown := self.weight.keys() - WEIGHT.keys():
            raise ValueError(f"weight names {sorted(unknown)}; the loss has {list(WEIGHT)}")
        filler = partial_unet.PartialUNet(
            self.levels,
            c_in=(3, 4) if self.draft else 3,
            width=self.width,
            form=self.form,
            stem_bias=self.stem_bias,
            partial=self.partial,
            rngs=rngs,
        )
        if self.draft:  # the first answer is the draft itself
            kernel = filler.decoder[-1].conv.conv.kernel
            kernel[...] = jnp.zeros_like(kernel[...])
        if not self._perceptive:
            return {"filler": filler}
        return {"filler": filler, "vgg": vgg.VGG(16, until=TAPS[-1], rngs=rngs)}

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        return 2**self.levels

    @property
    def max_size(self) -> int:
        """Thickness, in pixels, of the largest hole that the network was trained on."""
        return max(self.damage.max_size, self.holes.max_size)

    def example(self, record, rng):
        """photo [H,W,3] aged and damaged, mask [H,W,1] of its holes, target; all in 0..1."""
        aged = self.damage(crop(record["photo"], self.size, self.enlarge, rng), rng)
        mask = aged["mask"][..., 0] > 0
        for more in (_grown(mask, int(rng.integers(self.grow + 1))), self.holes(mask.shape, rng)):
            if not thicker(mask | more, self.max_size):
                mask = mask | more
        return {**aged, "mask": np.float32(mask[..., None])}

    def restorers(self):
        """The filler; VGG-16 only judges."""
        return {"filler"}

    def losses(self):
        """The filler wants its photo to be the target, in the hole above all."""
        return {"filler": self.fill}

    def predict(self, nets, batch):
        """The photo with its holes filled; outside the mask it is what came in."""
        filled = jnp.clip(self._filled(nets, batch), 0, 1)
        return {"photo": pixel.composite(filled, batch["photo"], batch["mask"])}

    def fill(self, nets, batch):
        """The terms of the paper, each times its weight, on photos normalized as for ImageNet."""
        mask, target = batch["mask"], resnet.normalize(batch["target"])
        filled = resnet.normalize(self._filled(nets, batch))
        extract = functools.partial(nets["vgg"].taps, names=TAPS) if self._perceptive else None
        terms = feature.inpainting(extract, filled, target, mask)
        return {name: w * terms[name] for name, w in self.weight.items() if w}

    def metrics(self, batch, prediction):
        """In the holes alone (`hole`), and over the whole of each photo that has one."""
        photo, target = prediction["photo"], batch["target"]
        holed = np.any(batch["mask"], axis=(1, 2, 3))  # others have no error: infinite PSNR
        return {
            "hole": hole.HolePsnr.of(batch["mask"], photo, target),
            "psnr": Mean.of(image.psnr(photo, target)[holed]),
            "ssim": Mean.of(image.ssim(photo, target)[holed]),
        }

    def _filled(self, nets, batch):
        """The network's whole photo, not yet put together with the good pixels."""
        photo, mask = batch["photo"], batch["mask"]
        inwards, outwards = SPACES[self.space]
        if not self.draft:
            return outwards(nets["filler"](inwards(photo), mask)[0])
        draft = biharmonic.fill(photo, mask, levels=self.levels)
        both = jnp.concatenate([inwards(photo), inwards(draft), mask], -1)
        change, _ = nets["filler"](both, mask, None)
        return outwards(inwards(draft) + change)

    @property
    def _perceptive(self) -> bool:
        return bool(self.weight.get("perceptual") or self.weight.get("style"))


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
