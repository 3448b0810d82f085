"""Filling holes: what the damage of an old photograph hides is drawn anew from what is around.

Partial convolutions and their loss follow Liu et al., 2018 (https://arxiv.org/abs/1804.07723);
batch norm of the encoder freezes for the last part of training. With `draft` the network
doesn't paint the hole but corrects a smooth filling of it. A critic of patches that knows the mask
(Yu et al., 2019, https://arxiv.org/abs/1806.03589) may judge beside it.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.damage.blend import thicker
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.losses import adversarial, feature, pixel
from oldphoto_jax.metrics import hole, image, perceptual
from oldphoto_jax.metrics.stream import Mean
from oldphoto_jax.models import (
    biharmonic,
    discriminators,
    efficientnet,
    grain,
    lite_unet,
    partial_unet,
    resnet,
    vgg,
)
from oldphoto_jax.photo.types import Array, Batch, Features, Photo
from oldphoto_jax.task import Loss, Networks, Task, Terms
from oldphoto_jax.tasks.crop import crop
from oldphoto_jax.tasks.segment import Segment

WEIGHT = feature.INPAINTING_WEIGHTS | {"lpips": 0.0, "fool": 0.0}
TAPS = feature.PARTIAL_LAYERS
# How photos go into the network and come out of it.
SPACES: dict[str, tuple[Callable[[Photo], Features], Callable[[Features], Features]]] = {
    "imagenet": (resnet.normalize, resnet.denormalize),
    "signed": (lambda photo: 2 * jnp.asarray(photo) - 1, lambda features: (features + 1) / 2),
}


@dataclasses.dataclass(kw_only=True)
class Inpaint(Task):
    """The `filler`: photo [N,H,W,3] and mask [N,H,W,1] -> the photo without holes.

    `damage` and `holes` are what it learns to fill; `max_size`, the thickness in pixels of the
    largest hole among them, travels with the weights. Beside it play, where `weight` asks for
    them, a `critic` ("fool"), a frozen VGG-16 ("perceptual", "style") and a frozen LPIPS on AlexNet
    ("lpips"), which costs far less; and with `found` above 0 a frozen `segmenter`, that
    of `finder`, whose marks are the masks of that share of examples in training; validation always
    asks for the true ones.
    """

    size: int = 256  # side of the training crop, pixels
    enlarge: tuple[float, float] = (0.7, 2.0)  # scans are larger and softer than web photos
    network: str = "partial"  # or "lite", which always has a draft, and has only `widths` to set
    levels: int = 8
    width: int = 64
    convolution: str = "partial"  # or "plain", "gated"
    form: str = "ratio"  # of partial convolution: or "sum", as naoto0804 has it
    stem_bias: bool = False
    space: str = "imagenet"  # what the network sees and paints in; or "signed", -1..1
    draft: bool = False  # whether it corrects a smooth filling instead of painting from nothing
    widths: tuple[int, ...] = lite_unet.WIDTHS  # of the decoder of "lite", the deepest first
    grain: bool = False  # whether fillings are lent the grain of the photo around them
    damage: Damage = dataclasses.field(default_factory=lambda: Damage(clean=0.0))
    holes: Holes = dataclasses.field(default_factory=Holes)
    grow: int = 2  # masks are up to so many pixels wider than the damage, as users' masks are
    found: float = 0.0  # share of the examples whose masks a finder makes
    finder: Segment = dataclasses.field(default_factory=lambda: Segment(network="lite"))
    found_grow: int = 2  # pixels by which its masks are grown
    critic_width: int = 64
    critic_layers: int = 3
    weight: dict[str, float] = dataclasses.field(default_factory=WEIGHT.copy)

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The filler, and those that play along; VGG-16 up to the last of TAPS.

        Raises ValueError for settings that no network has.
        """
        if self.space not in SPACES:
            raise ValueError(f"space {self.space!r} is unknown; choose one of {list(SPACES)}")
        if unknown := self.weight.keys() - WEIGHT.keys():
            raise ValueError(f"weight names {sorted(unknown)}; the loss has {list(WEIGHT)}")
        nets: dict[str, nnx.Module] = {"filler": self._filler(rngs)}
        if self._judged:
            nets["critic"] = discriminators.PatchDiscriminator(
                4, width=self.critic_width, layers=self.critic_layers, spectral=True, rngs=rngs
            )
        if self._perceptive:
            nets["vgg"] = vgg.VGG(16, until=TAPS[-1], rngs=rngs)
        if self.weight.get("lpips"):
            nets["lpips"] = perceptual.Lpips("alex", rngs=rngs)
        if self.found:
            nets |= self.finder.networks(rngs)
        return nets

    def _filler(self, rngs: nnx.Rngs) -> lite_unet.LiteUNet | partial_unet.PartialUNet:
        filler: lite_unet.LiteUNet | partial_unet.PartialUNet
        if self.network == "lite":
            filler = lite_unet.LiteUNet(c_out=3, c_more=1, widths=self.widths, rngs=rngs)
            last = filler.final
        elif self.network == "partial":
            filler = partial_unet.PartialUNet(
                self.levels,
                c_in=(3, 4) if self.draft else 3,
                width=self.width,
                form=self.form,
                stem_bias=self.stem_bias,
                convolution=self.convolution,
                rngs=rngs,
            )
            last = filler.decoder[-1].conv.conv
        else:
            raise ValueError(f"network {self.network!r} is unknown; choose 'partial' or 'lite'")
        if self._drafts:  # the first answer is the draft itself
            last.kernel[...] = jnp.zeros_like(last.kernel[...])
        return filler

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        return lite_unet.LiteUNet.stride if self.network == "lite" else 2**self.levels

    @property
    def max_size(self) -> int:
        """Thickness, in pixels, of the largest hole that the network was trained on."""
        return max(self.damage.max_size, self.holes.max_size)

    def ready(self) -> None:
        """Raises ValueError for impossible settings of the damage and missing textures."""
        self.damage.check()

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """photo [H,W,3] aged and damaged, mask [H,W,1] of its holes, target; all in 0..1.

        Where a segmenter plays along, also `free` [H,W,1], the holes that are no damage, and
        `found` [1,1,1], which is 1 if the segmenter is to say where damage is.
        """
        aged = self.damage(crop(record["photo"], self.size, self.enlarge, rng), rng)
        mask = aged["mask"][..., 0] > 0
        grown = _grown(mask, int(rng.integers(self.grow + 1)))
        free = self.holes(mask.shape, rng)
        for more in (grown, free):
            if not thicker(mask | more, self.max_size):
                mask = mask | more
        example = {**aged, "mask": mask[..., None].astype(np.float32)}
        if not self.found:
            return example
        found = np.full((1, 1, 1), rng.random() < self.found, np.float32)
        return example | {"free": free[..., None].astype(np.float32), "found": found}

    def restorers(self) -> set[str] | None:
        """The filler; the others only judge."""
        return {"filler"}

    def losses(self) -> dict[str, Loss]:
        """The filler wants its photo to be the target, in the hole above all; see `judge`."""
        players: dict[str, Loss] = {"filler": self.fill}
        return players | ({"critic": self.judge} if self._judged else {})

    def predict(self, nets: Networks, batch: Batch) -> Batch:
        """The photo with its holes filled; outside the mask it is what came in."""
        filled = jnp.clip(self._filled(nets, batch), 0, 1)
        if self.grain:
            filled = grain.lend(filled, batch["photo"], batch["mask"])
        return {"photo": pixel.composite(filled, batch["photo"], batch["mask"])}

    def fill(self, nets: Networks, batch: Batch) -> Terms:
        """The terms of the paper, each times its weight, on photos normalized as for ImageNet.

        "lpips" and "fool" judge the target with its holes filled, with the grain lent to them.
        """
        batch = self._marked(nets, batch)
        mask, target = batch["mask"], resnet.normalize(batch["target"])
        photo = self._filled(nets, batch)
        filled = resnet.normalize(photo)
        extract = functools.partial(nets["vgg"].taps, names=TAPS) if self._perceptive else None
        terms = feature.inpainting(extract, filled, target, mask)
        shown = self._finished(photo, batch)
        if self.weight.get("lpips"):
            mixed = pixel.composite(shown, batch["target"], mask)
            terms["lpips"] = nets["lpips"](mixed, batch["target"]).mean()
        if self._judged:
            terms["fool"] = adversarial.fool_hinge(nets["critic"](_shown(shown, batch)))
        return {name: w * terms[name] for name, w in self.weight.items() if w}

    def judge(self, nets: Networks, batch: Batch) -> Terms:
        """The critic tells whole photos from filled ones; it is told where to look."""
        batch = self._marked(nets, batch)
        fake = jax.lax.stop_gradient(self._finished(self._filled(nets, batch), batch))
        scores = [nets["critic"](_shown(photo, batch)) for photo in (batch["target"], fake)]
        return {"judge": adversarial.judge_hinge(*scores)}

    def metrics(self, batch: Batch, prediction: Batch) -> dict[str, Any]:
        """In the holes alone (`hole`), and over the whole of each photo that has one."""
        photo, target = prediction["photo"], batch["target"]
        holed = np.any(batch["mask"], axis=(1, 2, 3))  # others have no error: infinite PSNR
        return {
            "hole": hole.HolePsnr.of(batch["mask"], photo, target),
            "psnr": Mean.of(image.psnr(photo, target)[holed]),
            "ssim": Mean.of(image.ssim(photo, target)[holed]),
        }

    def _filled(self, nets: Networks, batch: Batch) -> jax.Array:
        """The network's whole photo, not yet put together with the good pixels."""
        photo, mask = batch["photo"], batch["mask"]
        inwards, outwards = SPACES[self.space]
        if not self._drafts:
            return outwards(nets["filler"](inwards(photo), mask)[0])
        draft = biharmonic.fill(photo, mask, levels=round(math.log2(self.multiple)))
        if self.network == "lite":
            change = nets["filler"](jnp.concatenate([efficientnet.normalize(draft), mask], -1))
        else:
            both = jnp.concatenate([inwards(photo), inwards(draft), mask], -1)
            change, _ = nets["filler"](both, mask, None)
        return outwards(inwards(draft) + change)

    def _finished(self, photo: jax.Array, batch: Batch) -> jax.Array:
        """What the network painted with the grain lent to it, which it gets no gradient for."""
        if not self.grain:
            return photo
        still = jax.lax.stop_gradient(photo)
        lent = grain.lend(jnp.clip(still, 0, 1), batch["photo"], batch["mask"])
        return photo + (lent - still)

    def _marked(self, nets: Networks, batch: Batch) -> Batch:
        """The batch, its masks made by the segmenter where an example asks for that."""
        if not self.found:
            return batch
        found = self.finder.predict(nets, batch)["mask"]
        window = (1, 2 * self.found_grow + 1, 2 * self.found_grow + 1, 1)
        marks = jnp.float32(found >= self.finder.threshold)
        marks = jax.lax.reduce_window(marks, 0.0, jax.lax.max, window, (1, 1, 1, 1), "SAME")
        marks = jax.lax.stop_gradient(jnp.maximum(marks, batch["free"]))
        return batch | {"mask": jnp.where(batch["found"] > 0, marks, batch["mask"])}

    @property
    def _drafts(self) -> bool:
        return self.draft or self.network == "lite"

    @property
    def _judged(self) -> bool:
        return bool(self.weight.get("fool"))

    @property
    def _perceptive(self) -> bool:
        return bool(self.weight.get("perceptual") or self.weight.get("style"))


def _shown(photo: Array, batch: Batch) -> jax.Array:
    """What the critic sees: the target with this photo in its holes, and the mask."""
    mixed = pixel.composite(photo, batch["target"], batch["mask"])
    return jnp.concatenate([2 * mixed - 1, batch["mask"]], -1)


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
