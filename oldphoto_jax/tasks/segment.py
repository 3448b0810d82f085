"""Finding defects: which pixels of an old photograph are damage and not picture.

A U-Net on an ImageNet-style encoder, trained on real photographs that our generators aged.
Losses follow the Mail.ru restorer (https://habr.com/ru/companies/vk/articles/459696/): weighted
cross-entropy plus Dice. So does the usual network, AlbuNet-18 with stride 1 in its first
convolution and without max-pool; a LiteUNet, on EfficientNet-Lite0, is for laptops.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from oldphoto_jax.damage.defects import unseen
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.losses import mask as losses
from oldphoto_jax.metrics import mask as metrics
from oldphoto_jax.models import lite_unet, unet
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.crop import ENLARGE, crop, paired
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.predictor import Networks
from oldphoto_jax.task import NOTHING, Loss, Task, Terms

GRAY, NEGATIVE = 0.3, 0.5  # shares of photos with true masks that are shown so
WEIGHT = {"bce": 1.0, "dice": 1.0, "focal": 0.0}  # also "center_line", see `losses.mask`


@dataclasses.dataclass(kw_only=True)
class Segment(Task):
    """One player, the `segmenter` of a `DefectPredictor`.

    `threshold` and `careful` are the predictor's, until validation sets both in the weights that a
    run writes. `damage.max_size` is the largest defect trained on.
    """

    size: int = 256  # side of the training crop, pixels
    enlarge: tuple[float, float] = ENLARGE
    network: lite_unet.Blueprint | unet.Blueprint = dataclasses.field(
        default_factory=unet.Blueprint
    )
    damage: Damage = dataclasses.field(default_factory=Damage)
    weight: dict[str, float] = dataclasses.field(default_factory=WEIGHT.copy)
    positive_weight: float = 0.0  # of a defect pixel; 0 = clean/defect ratio of each batch
    threshold: float = 0.5
    careful: float = 0.8

    def predictor(self, figures: Mapping[str, float] = NOTHING) -> DefectPredictor:
        """With the lowest thresholds that mark 0.3 and 0.05 % of the undamaged photos at most.

        So validation says, where it had such photos; else the threshold at which it overlapped
        best, if it had defects.
        """
        best, owners, careful = (
            float(figures.get(name, math.nan))
            for name in (
                "ranking/best_threshold",
                "threshold_for_clean/0.003",
                "threshold_for_clean/0.0005",
            )
        )
        threshold = next(filter(math.isfinite, (owners, best)), self.threshold)
        careful = max(careful if math.isfinite(careful) else self.careful, threshold)
        return DefectPredictor(
            network=self.network,
            threshold=threshold,
            careful=careful,
            max_size=self.damage.max_size,
            unseen=unseen(self.damage.only, self.damage.exclude),
        )

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The segmenter alone."""
        return self.predictor().networks(rngs)

    def ready(self) -> None:
        """Raises ValueError for impossible settings of the damage and missing textures."""
        self.damage.check()

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """photo [H,W,3] aged and damaged, mask [H,W,1] of its defects; both in 0..1.

        A record that has a true mask is damaged already: nothing is drawn on it.
        """
        if "mask" in record:
            photo, mask = paired(record["photo"], record["mask"], self.size, rng)
            return {"photo": developed(image.to_float(photo), rng), "mask": mask}
        aged = self.damage(crop(record["photo"], self.size, self.enlarge, rng), rng)
        return {"photo": aged["photo"], "mask": aged["mask"]}

    def losses(self) -> dict[str, Loss]:
        """The segmenter wants its logits to agree with the mask."""
        return {"segmenter": self.agree}

    def agree(self, nets: Networks, batch: Batch) -> Terms:
        """Every loss times its weight; those of weight 0 are left out."""
        logits, mask = self.predictor().logits(nets, batch), batch["mask"]
        terms = {
            "bce": lambda: losses.bce(logits, mask, self._positive_weight(mask)),
            "dice": lambda: losses.dice(logits, mask),
            "focal": lambda: losses.focal(logits, mask),
            "center_line": lambda: losses.center_line_dice(logits, mask),
        }
        return {name: w * terms[name]() for name, w in self.weight.items() if w}

    def metrics(self, batch: Batch, prediction: Batch) -> dict[str, Any]:
        """Pooled over the split; see `metrics.mask` for each of them."""
        mask, found = batch["mask"], prediction["mask"]
        return {
            "ranking": metrics.Ranking.of(mask, found),
            "overlap": metrics.Overlap.of(mask, found, self.threshold),
            "within_2_px": metrics.BoundaryF1.of(mask, found, self.threshold),
            "marked_on_clean": metrics.MarkedArea.of(mask, found, self.threshold),
            "threshold_for_clean": metrics.CleanScores.of(mask, found),
        }

    def _positive_weight(self, mask: Array) -> Array | float:
        """Clean pixels for every defect pixel, within reason on batches with few defects."""
        if self.positive_weight:
            return self.positive_weight
        defect = mask.mean()
        return jax.numpy.clip((1 - defect) / jax.numpy.maximum(defect, 1e-6), 1.0, 100.0)


def developed(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another print of photo [H,W,3], 0..1: tone a little off, gray at times, or the negative.

    Few photos have true masks. What stands out in them stands out in all of these too, and what is
    dark in one is light in another.
    """
    if rng.random() < GRAY:
        photo = color.gray_to_rgb(color.rgb_to_gray(photo))
    photo = np.clip(photo, 0, 1) ** np.float32(np.exp(rng.uniform(-0.2, 0.2)))
    photo = 0.5 + rng.uniform(0.85, 1.1) * (photo - 0.5) + rng.uniform(-0.05, 0.05)
    photo = np.clip(photo, 0, 1, dtype=np.float32)
    return 1 - photo if rng.random() < NEGATIVE else photo
