"""Small roundish defects: dust, flecks, pinholes, spots and smut.

Each function is kind(shape, rng, max_size) -> alpha [H,W] float32 in 0..1.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere, clouds, wander

Shape = tuple[int, int]


def _scale(shape: Shape, rng: np.random.Generator) -> float:
    """Half of all specks keep their size in pixels, half grow with the photo (1 at 256)."""
    return 1.0 if rng.random() < 0.5 else max(min(shape) / 256, 0.7)


def _count(shape: Shape, rng: np.random.Generator, low: float, high: float) -> int:
    """A log-uniform number of specks for 256x256, grown with the square root of the area."""
    grown = np.sqrt(shape[0] * shape[1]) / 256
    return max(int(np.exp(rng.uniform(np.log(low), np.log(high))) * grown), 1)


def dust(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Fine dust all over: grains of 1 to 5 pixels, mostly tiny, a few drawn out to streaks."""
    canvas = Canvas(shape)
    count = _count(shape, rng, 8, 140)
    sizes = np.clip(rng.lognormal(0.45, 0.45, count) * _scale(shape, rng), 1.0, max_size / 3)
    strengths = rng.uniform(0.35, 1, count)
    centers = anywhere(shape, rng, count)
    streaks = rng.random(count) < 0.12
    canvas.specks(centers[~streaks], sizes[~streaks], strengths[~streaks], rng, longest=2.2)
    canvas.specks(centers[streaks], sizes[streaks] * 0.8, strengths[streaks], rng, longest=7)
    return canvas.alpha()


def flecks(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Clusters of flecks where the surface has begun to lift, dense inside and loose around."""
    canvas = Canvas(shape)
    side = min(shape)
    for middle in anywhere(shape, rng, int(rng.integers(1, 4))):
        count = _count(shape, rng, 8, 60)
        spread = rng.uniform(0.02, 0.12) * side
        centers = middle + rng.standard_t(3, (count, 2)) * spread * rng.uniform(0.4, 1, 2)
        largest = min(rng.uniform(3, 8) * _scale(shape, rng), max_size / 3)
        sizes = 1 + (largest - 1) * rng.random(count) ** 3
        canvas.specks(centers, sizes, rng.uniform(0.6, 1, count), rng, longest=2.5)
    return canvas.alpha()


def pinholes(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Tiny round sharp holes in the emulsion, 1.2 to 4 pixels wide."""
    canvas = Canvas(shape)
    count = _count(shape, rng, 2, 25)
    sizes = np.clip(rng.uniform(1.2, 4, count) * _scale(shape, rng), 1.2, max_size / 3)
    canvas.specks(anywhere(shape, rng, count), sizes, np.ones(count), rng, longest=1.15)
    return canvas.alpha()


def spots(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A few larger spots with uneven outlines: dried drops, retouching dye, blistered emulsion."""
    canvas = Canvas(shape)
    largest = min(rng.uniform(0.015, 0.07) * min(shape), 0.7 * max_size)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for center in anywhere(shape, rng, int(rng.integers(1, 8))):
        radius = max(largest * rng.uniform(0.25, 1) / 2, 1.2)
        swing = sum(
            rng.normal(0, 0.16 / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 6)
        )
        reach = radius * np.clip(1 + swing, 0.4, 1.6) * rng.uniform(0.7, 1)
        outline = np.stack([np.cos(angle), np.sin(angle)], axis=1) * reach[:, None]
        canvas.polygon(center + outline * rng.uniform(0.7, 1.2, 2), rng.uniform(0.5, 1))
    alpha = canvas.alpha()
    if rng.random() < 0.5:  # half of them dried to a stronger rim
        soft = cv2.GaussianBlur(alpha, (0, 0), max(largest / 8, 0.8))
        alpha = alpha * np.clip(1.25 - 0.8 * soft, 0.3, 1)
    return alpha


def smut(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Crumbly clots of dirt with loose crumbs and fibres sticking out."""
    side = min(shape)
    canvas = Canvas(shape)
    reach = np.clip(rng.uniform(0.02, 0.09) * side, 3, 0.45 * max_size)
    middles = anywhere(shape, rng, int(rng.integers(1, 4)), margin=0)
    for middle in middles:
        for _ in range(int(rng.integers(0, 5))):
            path = wander(
                middle, rng.uniform(0, 2 * np.pi), reach * rng.uniform(1, 2.5), rng, 1.5, 1.0
            )
            canvas.stroke(path, rng.uniform(0.7, 1.6), rng.uniform(0.5, 1))
        count = int(rng.integers(5, 25))
        centers = middle + rng.normal(0, reach * 0.9, (count, 2))
        canvas.specks(centers, 1 + 2 * rng.random(count) ** 2, np.full(count, 0.9), rng)
    x = np.arange(shape[1], dtype=np.float32)[None]
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    stretch = rng.uniform(0.7, 1.5)
    near = [(x - left) ** 2 + ((y - top) * stretch) ** 2 for left, top in middles.tolist()]
    distance = np.sqrt(np.minimum.reduce(near)) / np.float32(reach)
    lumps = clouds(shape, rng, max(reach * 0.5, 2), octaves=3)
    clot = np.clip(4 * (0.55 * lumps + 0.6 - distance), 0, 1)
    return np.maximum(canvas.alpha(), clot)
