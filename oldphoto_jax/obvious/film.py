"""Real damage of film, from masks that people have drawn on scans."""

from __future__ import annotations

import functools
import pathlib

import cv2
import numpy as np
from PIL import Image

from oldphoto_jax.obvious import fields
from oldphoto_jax.obvious.canvas import Canvas

FAMILY = "film-damage-real"  # of the folder of textures; keep it from what is trained
RICH = 0.004  # of a window at least so much is damage
TRIES = 40


def masks(textures: str | pathlib.Path) -> tuple[pathlib.Path, ...]:
    """The masks of that family in a folder of textures, by name; none if there is no such family.

    A mask is PNG, its pixels (of a palette or gray) above 0 where the film is damaged.
    """
    return tuple(sorted((pathlib.Path(textures) / FAMILY).glob("*.png")))


def draw(files: tuple[pathlib.Path, ...], rng: np.random.Generator, size: int) -> Canvas:
    """A window of one of the masks, two and a half to five times as large."""
    canvas = Canvas(size)
    scale = 2.5 + 2.5 * rng.random()
    side = int(size / scale) + 1
    for _ in range(TRIES):
        mask = _read(files[int(rng.integers(len(files)))])
        top, left = (int(rng.integers(max(n - side, 0) + 1)) for n in mask.shape)
        window = mask[top : top + side, left : left + side]
        if window.mean() >= RICH:
            break
    place = (np.arange(size) + 0.5) / scale - 0.5
    enlarged = fields.sample(window.astype(np.float64), place, place)
    canvas.cover = fields.cover(scale * (enlarged - 0.5))
    _, canvas.piece = cv2.connectedComponents((canvas.cover > 0).astype(np.uint8), connectivity=8)
    return canvas.turn(rng)


@functools.cache
def _read(file: pathlib.Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture if picture.mode == "P" else picture.convert("L")) > 0
