"""The exam's questions: one kind of damage at a time, dark and light alike, on crops of photos."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from oldphoto_jax.obvious import fields
from oldphoto_jax.obvious.kinds import Draw
from oldphoto_jax.obvious.paint import Painted, luma, paint

TRIES = 24  # shapes for each kind and polarity before the next kind is tried
TONES = ("colour", "gray", "toned")


@dataclasses.dataclass(frozen=True)
class Pair:
    """A crop uint8 [S,S,3], and the same kind of damage on it darker and lighter than it."""

    kind: str
    target: np.ndarray
    dark: Painted
    light: Painted


def pair(
    record: Mapping[str, Any], kinds: Mapping[str, Draw], size: int, seed: int, index: int
) -> Pair | None:
    """Question `index` of an exam, on a photo uint8 [H,W,3]: the kinds take turns.

    If a kind cannot be drawn on this crop in both polarities, the next one is; None if none can.
    """
    target = crop(record["photo"], size, np.random.default_rng((seed, index)))
    target = tone(target, TONES[index // len(kinds) % len(TONES)])
    names = list(kinds)
    for step in range(len(names)):
        kind = names[(index + step) % len(names)]
        drawn = functools.partial(_draw, target, kinds[kind], (seed, index, step))
        dark = drawn(True)
        light = drawn(False) if dark is not None else None
        if dark is not None and light is not None:
            return Pair(kind, target, dark, light)
    return None


def crop(photo: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random square of photo uint8 [H,W,3], enlarged first if a side is shorter than it."""
    short = min(photo.shape[:2])
    if short < size:
        rows, columns = (max(size, n * size // short) for n in photo.shape[:2])
        places = (
            (np.arange(wanted) + 0.5) * n / wanted - 0.5
            for wanted, n in ((rows, photo.shape[0]), (columns, photo.shape[1]))
        )
        photo = np.rint(fields.sample(photo.astype(np.float64), *places)).astype(np.uint8)
    top, left = (int(rng.integers(n - size + 1)) for n in photo.shape[:2])
    return photo[top : top + size, left : left + size]


def tone(photo: np.ndarray, name: str) -> np.ndarray:
    """Photo uint8 [H,W,3] in one of TONES: as it is, gray, or the brown of a toned print."""
    if name == "colour":
        return photo
    gray = luma(photo)[..., None]
    middle = gray * (255 - gray) // 255 if name == "toned" else 0 * gray
    brown = np.array([10, -2, -14]) * middle // 32
    return np.clip(gray + brown, 0, 255).astype(np.uint8)


def _draw(target: np.ndarray, draw: Draw, seed: tuple[int, ...], dark: bool) -> Painted | None:
    # Both polarities start from the same shapes; they part where one of them does not hold.
    for trial in range(TRIES):
        rng = np.random.default_rng((*seed, trial))
        painted = paint(target, draw(rng, len(target)), dark, rng)
        if painted is not None:
            return painted
    return None
