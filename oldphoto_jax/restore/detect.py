"""Where a photo is damaged: the probability of every pixel, and the mask made from it."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np

from oldphoto_jax.photo import files, image
from oldphoto_jax.restore import batch, holes, tiles
from oldphoto_jax.restore import stage as stages

TILE, OVERLAP = 1024, 64
FLIPS = ((), (2,), (1,), (1, 2))  # none, left-right, up-down, both: axes of [N,H,W,C]
RED = np.array([255, 0, 0])


def ask(stage: stages.Stage, photo: np.ndarray, tta: bool = False) -> np.ndarray:
    """The defect probability [N,H,W,1] of photo [N,H,W,3] (0..1), float32.

    With `tta` (test-time augmentation) it is the mean over the photo and its mirror images.
    """
    flips = FLIPS if tta else FLIPS[:1]
    answers = [np.flip(stage(np.flip(photo, axes))["mask"], axes) for axes in flips]
    return sum(answers) / np.float32(len(answers))


def detect(
    stage: stages.Stage,
    photo: np.ndarray,
    tta: bool = False,
    tile: int = TILE,
    overlap: int = OVERLAP,
    tiles_at_once: int = 1,
) -> np.ndarray:
    """The defect probability [H,W] float32 of a photo of any size, seen in overlapping tiles.

    photo [H,W,1|3] is float32 in 0..1, or integer as it was read: it is then converted tile by
    tile, which spares a large scan most of its memory. Raises ValueError for a tile or overlap
    that the network cannot take, MemoryError when the device cannot take the smallest tile.
    """

    def answer(pixels: np.ndarray) -> np.ndarray:
        return ask(stage, _rgb(pixels), tta)

    options = dict(tile=tile, overlap=overlap, multiple=stage.task.multiple, batch=tiles_at_once)
    return stages.in_tiles(answer, photo, **options)[..., 0]


def cut(probability: np.ndarray, threshold: float, min_size: int = 0) -> np.ndarray:
    """The mask [H,W] uint8, 1 from the threshold of probability [H,W] on.

    Connected specks whose longer side is under `min_size` pixels are left out.
    """
    mask = (probability >= threshold).astype(np.uint8)
    if min_size > 1:
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        longer = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
        mask *= (longer >= min_size).astype(np.uint8)[labels]
    return mask


def thickest(mask: np.ndarray) -> int:
    """The thickness in pixels of the thickest defect in mask [H,W], as `holes.Hole` has it."""
    return holes.thick(holes.depth(mask).max())


def overlay(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A file's pixels [H,W,1|3] with the defects of mask [H,W] tinted red, [H,W,3] uint8."""
    shown = pixels if pixels.dtype == np.uint8 else image.to_uint8(image.to_float(pixels))
    shown = np.broadcast_to(shown, (*mask.shape, 3)).copy()
    damaged = mask > 0
    shown[damaged] = np.rint(0.4 * shown[damaged] + 0.6 * RED)
    return shown


@dataclasses.dataclass(kw_only=True)
class Detector:
    """Makes mask, probability map and overlay of photo files, as `batch.run` asks for them.

    `threshold` is that of the weights unless given. Raises ValueError for settings that don't fit.
    """

    stage: stages.Stage
    threshold: float | None = None
    tta: bool = False
    tile: int = TILE
    overlap: int = OVERLAP
    min_size: int = 0

    def __post_init__(self):
        if self.threshold is None:
            self.threshold = self.stage.task.threshold
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold {self.threshold}: a probability lies in 0..1")
        if self.min_size < 0:
            raise ValueError(f"min size {self.min_size}: give a number of pixels, 0 or more")
        tiles.check(self.tile, self.overlap, self.stage.task.multiple)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the masks depend on, beside the photos."""
        names = ("threshold", "tta", "tile", "overlap", "min_size")
        return {"weights": self.stage.checksum, **{name: getattr(self, name) for name in names}}

    def __call__(self, job: batch.Job) -> dict[str, Any]:
        """Writes the job's files, the mask last; returns what was found.

        `size` is [H,W], `marked` the share of pixels in the mask, `thickest` in pixels;
        `beyond_training` says that this is more than the network was trained on.
        """
        pixels = files.read(job.photo).pixels
        probability = detect(self.stage, pixels, self.tta, self.tile, self.overlap)
        mask = cut(probability, self.threshold, self.min_size)
        pictures = {
            "prob": lambda: image.to_uint16(probability[..., None]),
            "overlay": lambda: overlay(pixels, mask),
            "mask": lambda: mask[..., None] * np.uint8(255),
        }
        for kind, picture in pictures.items():
            if kind in job.outputs:
                job.outputs[kind].parent.mkdir(parents=True, exist_ok=True)
                files.write_png(job.outputs[kind], picture())
        thickness = thickest(mask)
        return {
            "size": [int(side) for side in mask.shape],
            "marked": round(float(mask.mean()), 6),
            "thickest": thickness,
            "beyond_training": thickness > self.stage.task.max_size,
        }


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """[..,H,W,1|3] of bytes, 16-bit numbers or floats as float32 [..,H,W,3] in 0..1."""
    photo = pixels if pixels.dtype.kind == "f" else image.to_float(pixels)
    return np.repeat(photo, 3, axis=-1) if photo.shape[-1] == 1 else photo
