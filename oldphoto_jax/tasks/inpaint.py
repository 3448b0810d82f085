"""Filling holes: what the damage of an old photograph hides is drawn anew from what is around.

Partial convolutions and their loss follow Liu et al., 2018 (https://arxiv.org/abs/1804.07723);
batch norm of the encoder freezes for the last part of training. With `draft` the network
doesn't paint the hole but corrects a smooth filling of it. A critic of patches that knows the mask
(Yu et al., 2019, https://arxiv.org/abs/1806.03589) may judge beside it.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.damage.holed import GROW, holed
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.losses import adversarial, feature, pixel
from oldphoto_jax.metrics import hole, image, perceptual
from oldphoto_jax.metrics.stream import Mean
from oldphoto_jax.models import discriminators, grain, lite_unet, partial_unet, resnet, vgg
from oldphoto_jax.photo.crop import ENLARGE, crop
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.predictors.predictor import Networks
from oldphoto_jax.task import NOTHING, Loss, Task, Terms

WEIGHT = feature.INPAINTING_WEIGHTS | {"lpips": 0.0, "fool": 0.0}
TAPS = feature.PARTIAL_LAYERS


@dataclasses.dataclass(kw_only=True)
class Inpaint(Task):
    """The `filler` of a `FillingPredictor`, and who judges it.

    `damage` and `holes` are what it learns to fill; the thickness in pixels of the largest hole
    among them travels with the weights. Beside it play, where `weight` asks for
    them, a `critic` ("fool"), a frozen VGG-16 ("perceptual", "style") and a frozen LPIPS on AlexNet
    ("lpips"), which costs far less; and with `found` above 0 the frozen `segmenter` of `finder`,
    whose marks are the masks of that share of examples in training; validation always asks for the
    true ones.
    """

    size: int = 256  # side of the training crop, pixels
    enlarge: tuple[float, float] = ENLARGE
    network: lite_unet.Blueprint | partial_unet.Blueprint = dataclasses.field(
        default_factory=partial_unet.Blueprint
    )
    space: str = "imagenet"  # what the network paints in; or "signed", -1..1
    draft: bool = False  # whether it corrects a smooth filling instead of painting from nothing
    grain: bool = False  # whether fillings are lent the grain of the photo around them
    damage: Damage = dataclasses.field(default_factory=lambda: Damage(clean=0.0))
    holes: Holes = dataclasses.field(default_factory=Holes)
    grow: int = GROW
    found: float = 0.0  # share of the examples whose masks a finder makes
    finder: DefectPredictor = dataclasses.field(
        default_factory=lambda: DefectPredictor(network=lite_unet.Blueprint())
    )
    found_grow: int = 2  # pixels by which its masks are grown
    critic_width: int = 64
    critic_layers: int = 3
    weight: dict[str, float] = dataclasses.field(default_factory=WEIGHT.copy)

    def predictor(self, figures: Mapping[str, float] = NOTHING) -> FillingPredictor:
        """The filler's; validation teaches it nothing."""
        return FillingPredictor(
            network=self.network,
            space=self.space,
            draft=self.draft,
            grain=self.grain,
            max_size=max(self.damage.max_size, self.holes.max_size),
        )

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The filler, and those that play along; VGG-16 up to the last of TAPS.

        Raises ValueError for settings that no network has.
        """
        if unknown := self.weight.keys() - WEIGHT.keys():
            raise ValueError(f"weight names {sorted(unknown)}; the loss has {list(WEIGHT)}")
        nets = self.predictor().networks(rngs)
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

    def ready(self) -> None:
        """Raises ValueError for impossible settings of the damage and missing textures."""
        self.damage.check()

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """photo [H,W,3] aged and damaged, mask [H,W,1] of its holes, target; all in 0..1.

        Where a segmenter plays along, also `free` [H,W,1], the holes that are no damage, and
        `found` [1,1,1], which is 1 if the segmenter is to say where damage is.
        """
        photo = crop(record["photo"], self.size, self.enlarge, rng)
        example = holed(photo, self.damage, self.holes, self.grow, rng)
        free = example.pop("free")
        if not self.found:
            return example
        found = np.full((1, 1, 1), rng.random() < self.found, np.float32)
        return example | {"free": free, "found": found}

    def losses(self) -> dict[str, Loss]:
        """The filler wants its photo to be the target, in the hole above all; see `judge`."""
        players: dict[str, Loss] = {"filler": self.fill}
        return players | ({"critic": self.judge} if self._judged else {})

    def fill(self, nets: Networks, batch: Batch) -> Terms:
        """The terms of the paper, each times its weight, on photos normalized as for ImageNet.

        "lpips" and "fool" judge the target with its holes filled, with the grain lent to them.
        """
        batch = self._marked(nets, batch)
        mask, target = batch["mask"], resnet.normalize(batch["target"])
        photo = self.predictor().paint(nets, batch)
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
        painted = self.predictor().paint(nets, batch)
        fake = jax.lax.stop_gradient(self._finished(painted, batch))
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
        found = self.finder(nets, batch)["mask"]
        window = (1, 2 * self.found_grow + 1, 2 * self.found_grow + 1, 1)
        marks = jnp.float32(found >= self.finder.threshold)
        marks = jax.lax.reduce_window(marks, 0.0, jax.lax.max, window, (1, 1, 1, 1), "SAME")
        marks = jax.lax.stop_gradient(jnp.maximum(marks, batch["free"]))
        return batch | {"mask": jnp.where(batch["found"] > 0, marks, batch["mask"])}

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
