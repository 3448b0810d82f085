"""Thin tapering things in bundles: locks of hair, whiskers, lashes, fringes, grass, reeds.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`.
"""

import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere
from oldphoto_jax.damage.scenery import paint


def strands(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Locks of hair: many thin smooth strands that run together."""
    canvas = Canvas(photo.shape[:2])
    side = min(canvas.shape)
    start, angle = anywhere(canvas.shape, rng, 1)[0], rng.uniform(0, 2 * np.pi)
    count, spread = int(rng.integers(8, 60)), rng.uniform(0.02, 0.12) * side
    across = np.array([-np.sin(angle), np.cos(angle)])
    roots = start + rng.normal(0, spread, (count, 1)) * across + rng.normal(0, 3, (count, 2))
    canvas.streaks(
        roots,
        angle + rng.normal(0, rng.uniform(0.03, 0.2), count),
        rng.uniform(0.15, 0.6) * side * rng.uniform(0.6, 1.2, count),
        rng.uniform(0.6, 1.6, count),
        rng.uniform(0.3, 0.9, count),
        rng.normal(0, 0.12) + rng.normal(0, 0.02, count),
    )
    return paint(photo, canvas.alpha(), rng, light=0.5)


def whiskers(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fan of tapering bristles: whiskers, feathers, fringes, lashes."""
    canvas = Canvas(photo.shape[:2])
    side = min(canvas.shape)
    root, angle = anywhere(canvas.shape, rng, 1, 0)[0], rng.uniform(0, 2 * np.pi)
    fan, reach, count = rng.uniform(0.15, 0.9), rng.uniform(0.05, 0.3), int(rng.integers(3, 16))
    canvas.streaks(
        root + rng.normal(0, 0.02 * side, (count, 2)),
        angle + rng.uniform(-fan, fan, count),
        reach * side * rng.uniform(0.6, 1.1, count),
        rng.uniform(0.7, 2, count),
        rng.uniform(0.5, 1, count),
        rng.normal(0, 0.1) + rng.normal(0, 0.04, count),
    )
    return paint(photo, canvas.alpha(), rng, light=0.5)


def grass(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blades and twigs that rise from an uneven ground line."""
    canvas = Canvas(photo.shape[:2])
    height, width = canvas.shape
    count = int(rng.integers(20, 90))
    first, last = np.sort(rng.uniform(-0.1, 1.1, 2)) * width
    ground, tall = rng.uniform(0.4, 1.1) * height, rng.uniform(0.03, 0.2) * height + 4
    x, y = rng.uniform(first, last, count), ground + rng.normal(0, 0.03 * height, count)
    canvas.streaks(
        np.stack([x, y], axis=1),
        rng.normal(-np.pi / 2, 0.3, count),
        tall * rng.uniform(0.4, 1.2, count),
        rng.uniform(0.7, 2.5, count),
        rng.uniform(0.4, 1, count),
        rng.normal(0, 0.08, count),
    )
    return paint(photo, canvas.alpha(), rng, light=0.5)
