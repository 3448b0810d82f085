"""Where a photo is damaged: the probability of every pixel, and the mask made from it."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from oldphoto_jax.photo import image, scratch
from oldphoto_jax.restore import components, octaves, tiles
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.options import Detecting

if TYPE_CHECKING:
    from oldphoto_jax.predictors.defects import DefectPredictor

TILE, OVERLAP = Detecting.tile, Detecting.overlap
NEAR = 3 << 19  # pixels, 1.6 megapixels: larger photos are looked at from further away, too
FLIPS = ((), (2,), (1,), (1, 2))  # none, left-right, up-down, both: axes of [N,H,W,C]
RED = np.array([255, 0, 0])


def ask(stage: stages.Stage[DefectPredictor], photo: np.ndarray, tta: bool = False) -> np.ndarray:
    """The defect probability [N,H,W,1] of photo [N,H,W,3] (0..1), float32.

    With `tta` (test-time augmentation) it is the mean over the photo and its mirror images.
    """
    flips = FLIPS if tta else FLIPS[:1]
    answers = [np.flip(stage(np.flip(photo, axes))["mask"], axes) for axes in flips]
    return functools.reduce(np.add, answers) / np.float32(len(answers))


def probability(
    stage: stages.Stage[DefectPredictor],
    pixels: np.ndarray,
    tta: bool = False,
    tile: int = TILE,
    overlap: int = OVERLAP,
    tiles_at_once: int = 1,
    folder: str | os.PathLike | None = None,
    coarse: bool = True,
) -> np.ndarray:
    """The defect probability [H,W] of a photo of any size: uint16, 65535 is certain, as in PNG.

    pixels [H,W,1|3] are float32 in 0..1, or integers as they were read. They are seen in
    overlapping tiles, and converted tile by tile, which spares a large scan most of its memory.

    With `coarse`, photos of more than NEAR pixels are also looked at from further away, at half
    their size, and at half of that, until they are small; what is found at any of the sizes
    counts. Broad defects of large scans are beyond what the network sees of them near by.

    Large maps lie in scratch space in `folder`; one row of tiles is held in memory. Raises
    ValueError for a tile or overlap that the network cannot take and for answers that are no
    numbers, MemoryError when the device cannot take the smallest tile.
    """
    probabilities = scratch.empty(pixels.shape[:2], np.uint16, folder)

    def go(tile: int, overlap: int) -> np.ndarray:
        options = dict(multiple=stage.predictor.multiple, batch=tiles_at_once)
        finished = tiles.rows(_answerer(stage, tta), pixels, tile=tile, overlap=overlap, **options)
        for top, rows in finished:
            probabilities[top : top + len(rows)] = image.to_uint16(rows[..., 0])
            scratch.release(probabilities)
            scratch.release(pixels)
        return probabilities

    probabilities = stages.within_memory(go, tile, overlap, stage.predictor.multiple)
    height, width = probabilities.shape
    if coarse and height * width > NEAR:
        small = octaves.halve(pixels, folder)
        small = probability(stage, small, tta, tile, overlap, tiles_at_once, folder)
        for band, rows in octaves.double(small, height, width):
            np.maximum(probabilities[band], rows, out=probabilities[band])
            scratch.release(probabilities)
    return probabilities


def cut(
    probability: np.ndarray,
    threshold: float,
    min_size: int = 0,
    folder: str | os.PathLike | None = None,
) -> np.ndarray:
    """The mask [H,W] uint8, 1 from the threshold of probability [H,W] on.

    The map is uint16 at full scale, and then makes the same mask in this run as when it is read
    back from its file, or floats in 0..1. Connected specks whose longer side is under `min_size`
    pixels are left out. Large masks lie in scratch space in `folder`.
    """
    if probability.dtype == np.uint16:
        threshold = step(threshold)
    mask = scratch.empty(probability.shape, np.uint8, folder)
    for band in scratch.bands(probability, mask):
        mask[band] = probability[band] >= threshold
    if min_size > 1:
        parts = components.Components(mask)
        top, left, bottom, right = parts.boxes.T
        mask = parts.paint(np.maximum(bottom - top, right - left) >= min_size, folder)
    return mask


def step(threshold: float) -> int:
    """The first of a map's 65536 steps that reaches a threshold in 0..1."""
    return int(np.searchsorted(np.arange(65536) / 65535, threshold))


def overlay(
    pixels: np.ndarray, mask: np.ndarray, folder: str | os.PathLike | None = None
) -> np.ndarray:
    """A file's pixels [H,W,1|3] with the defects of mask [H,W] tinted red, [H,W,3] uint8."""
    result = scratch.empty((*mask.shape, 3), np.uint8, folder)
    for band in scratch.bands(pixels, mask, result):
        rows, damaged = pixels[band], mask[band] > 0
        shown = rows if rows.dtype == np.uint8 else image.to_uint8(image.to_float(rows))
        result[band] = shown
        result[band][damaged] = np.rint(0.4 * result[band][damaged] + 0.6 * RED)
    return result


def white(mask: np.ndarray, folder: str | os.PathLike | None = None) -> np.ndarray:
    """mask [H,W] as a picture [H,W,1] uint8: white where damaged, black elsewhere."""
    result = scratch.empty((*mask.shape, 1), np.uint8, folder)
    for band in scratch.bands(mask, result):
        np.multiply(mask[band, :, None] > 0, np.uint8(255), out=result[band])
    return result


@dataclasses.dataclass(kw_only=True)
class Detector(Detecting):
    """A network that finds damage, and how it is asked.

    `threshold` is that of the weights unless given; with `careful` it is their higher one, which
    rather loses a scratch than a button. `tiles_at_once` changes what rounding may change. Raises
    ValueError for settings that don't fit.
    """

    stage: stages.Stage[DefectPredictor]
    tiles_at_once: int = 1

    def __post_init__(self) -> None:
        if self.careful and self.threshold is not None:
            raise ValueError(f"careful is a threshold of its own; leave out {self.threshold}")
        self.threshold = self.level
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold {self.threshold}: a probability lies in 0..1")
        if self.min_size < 0:
            raise ValueError(f"min size {self.min_size}: give a number of pixels, 0 or more")
        if self.tiles_at_once < 1:
            raise ValueError(f"tiles at once {self.tiles_at_once}: give 1 or more")
        tiles.check(self.tile, self.overlap, self.stage.predictor.multiple)

    @property
    def multiple(self) -> int:
        """Sides of tiles are multiples of this."""
        return self.stage.predictor.multiple

    @property
    def level(self) -> float:
        """The threshold that holds: the given one, else that of the weights."""
        known = self.stage.predictor
        # Weights of before there were two of them may have one above the other's default.
        own = max(known.careful, known.threshold) if self.careful else known.threshold
        return own if self.threshold is None else self.threshold

    @property
    def settings(self) -> dict[str, Any]:
        """All that the masks depend on, beside the photos."""
        return {"weights": self.stage.checksum} | super().settings

    def ready(self, height: int, width: int) -> None:
        """Begins to make the program of the tiles of a photo of these sides."""
        down, across = tiles.plan(height, width, self.tile, self.overlap, self.multiple)
        self.stage.ready((self.tiles_at_once, down.side, across.side, 3))

    def find(self, pixels: np.ndarray, folder: str | os.PathLike | None = None) -> np.ndarray:
        """The `probability` of a file's pixels [H,W,1|3]."""
        return probability(
            self.stage,
            pixels,
            self.tta,
            self.tile,
            self.overlap,
            tiles_at_once=self.tiles_at_once,
            folder=folder,
            coarse=self.coarse,
        )


def _answerer(
    stage: stages.Stage[DefectPredictor], tta: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """`ask` for tiles [N,H,W,1|3] as they are in a file."""
    return lambda pixels: ask(stage, _rgb(pixels), tta)


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """[..,H,W,1|3] of bytes, 16-bit numbers or floats as float32 [..,H,W,3] in 0..1."""
    photo = pixels if pixels.dtype.kind == "f" else image.to_float(pixels)
    return np.repeat(photo, 3, axis=-1) if photo.shape[-1] == 1 else photo
