"""A photo while one defect after the other is laid on it."""

import dataclasses

import cv2
import numpy as np

from oldphoto_jax.damage.blend import LOOKS, lay, ridge, shade, thicker
from oldphoto_jax.damage.defects import Kind
from oldphoto_jax.damage.inks import Inks


@dataclasses.dataclass
class Layers:
    """A photo while defects are laid on it: damaged and target [H,W,3], mask [H,W] bool."""

    damaged: np.ndarray
    mask: np.ndarray
    target: np.ndarray
    inks: Inks
    busy: np.ndarray
    relief: bool
    max_size: int

    def lay(
        self, kinds: list[Kind], attempts: int, enough: float, most: float, rng: np.random.Generator
    ) -> None:
        """Lays these kinds in turn, each at least once, until a share `enough` is damaged.

        A piece that would damage more than the share `most`, or be thicker than `max_size`, is
        left out.
        """
        for attempt in range(attempts):
            kind = kinds[attempt % len(kinds)]
            alpha = kind.draw(self.mask.shape, rng, self.max_size)
            if kind.ridge and rng.random() < kind.ridge:
                layer, spots = ridge(self.damaged, alpha, self.busy, rng)
            else:
                layer, spots = lay(self.damaged, alpha, LOOKS[kind.look], self.inks, self.busy, rng)
            union = self.mask | spots
            if not spots.any() or union.mean() > most or thicker(union, self.max_size - 4):
                continue
            self.damaged, self.mask = layer, union
            if self.relief and kind.relief and rng.random() < 0.6:
                bend = cv2.cvtColor(shade(alpha, rng), cv2.COLOR_GRAY2RGB)
                self.damaged, self.target = (
                    np.clip(photo + bend, 0, 1) for photo in (self.damaged, self.target)
                )
            if self.mask.mean() > enough and attempt + 1 >= len(kinds):
                break
