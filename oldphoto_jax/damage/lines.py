"""Long thin defects: scratches of every sort, gouges, hairs and lint.

Each function is kind(shape, rng, max_size) -> alpha [H,W] float32 in 0..1.
"""

import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere, fray, gates, profile, ragged, wander

Shape = tuple[int, int]


def line_width(shape: Shape, rng: np.random.Generator, widest: float = 0.012) -> float:
    """A width in pixels: often 0.7 to 2.5 at any resolution, else up to `widest` of a side."""
    if rng.random() < 0.6:
        return rng.uniform(0.7, 2.5)
    return max(rng.uniform(0.15, 1) * widest * min(shape), 0.8)


def taper(count: int, rng: np.random.Generator) -> np.ndarray:
    """Rises from 0 to 1 at the start and falls back at the end, each over a random stretch."""
    t = np.linspace(0, 1, count)
    rise, fall = rng.uniform(0.02, 0.4, 2)
    return np.clip(np.minimum(t / rise, (1 - t) / fall), 0, 1)


def _length(shape: Shape, rng: np.random.Generator, low: float, high: float) -> float:
    return min(shape) * np.exp(rng.uniform(np.log(low), np.log(high)))


def scratch(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One to five single scratches, straight or slightly curved, thinning out at their ends."""
    canvas = Canvas(shape)
    for start in anywhere(shape, rng, int(rng.integers(1, 6))):
        curl = rng.choice(np.array([0.02, 0.1, 0.5]), p=[0.5, 0.3, 0.2])
        path = wander(start, rng.uniform(0, 2 * np.pi), _length(shape, rng, 0.08, 1.3), rng, curl)
        count = len(path)
        widest = min(line_width(shape, rng), max_size / 2)
        width = widest * (0.35 + 0.65 * taper(count, rng)) * (1 + 0.25 * ragged(count, rng))
        strength = np.clip(0.7 + 0.5 * ragged(count, rng), 0.1, 1) * rng.uniform(0.4, 1)
        if rng.random() < 0.4:
            strength = strength * gates(count, rng, rng.uniform(3, 20), rng.uniform(0.5, 0.95))
        canvas.stroke(path, width, strength)
    return canvas.alpha()


def bundle(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Parallel scratches from one rub, of different lengths and strengths."""
    canvas = Canvas(shape)
    start, angle = anywhere(shape, rng, 1)[0], rng.uniform(0, 2 * np.pi)
    across = np.array([-np.sin(angle), np.cos(angle)])
    along = np.array([np.cos(angle), np.sin(angle)])
    length = _length(shape, rng, 0.1, 0.9)
    spread = rng.uniform(0.01, 0.12) * min(shape) + 3
    spine = wander(start, angle, length, rng, rng.choice(np.array([0.02, 0.2])))
    for _ in range(int(rng.integers(3, 14))):
        first, last = np.sort(rng.uniform(0, 1, 2))
        piece = spine[int(first * len(spine)) : int(last * len(spine)) + 4]
        shift = across * rng.normal(0, spread) + along * rng.normal(0, 2)
        count = len(piece)
        width = min(line_width(shape, rng, 0.006), max_size / 4) * (0.4 + 0.6 * taper(count, rng))
        open_share = rng.uniform(0.4, 1)
        strength = rng.uniform(0.3, 1) * gates(count, rng, rng.uniform(3, 15), open_share)
        canvas.stroke(piece + shift, width, strength)
    return canvas.alpha()


def film_lines(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Film transport scratches: long, nearly parallel to a side, broken into dashes."""
    height, width = shape
    canvas = Canvas(shape)
    upright = rng.random() < 0.75
    long = height if upright else width
    tilt = rng.normal(0, 0.01)
    for _ in range(int(rng.integers(1, 6))):
        place = rng.uniform(0, width if upright else height)
        t = np.linspace(0, long, max(long // 2, 4))
        drift = place + tilt * t + rng.uniform(0, 1.5) * ragged(len(t), rng)
        path = np.stack([drift, t] if upright else [t, drift], axis=1)
        opened = gates(len(t), rng, rng.uniform(2, 40), rng.uniform(0.3, 1))
        reach = np.abs(np.linspace(0, 1, len(t)) - rng.random()) < rng.uniform(0.2, 1.2)
        width_here = min(line_width(shape, rng, 0.008), max_size / 2)
        rough = 1 + 0.4 * profile(len(t), rng, len(t) // 3)
        canvas.stroke(path, width_here * rough, rng.uniform(0.3, 1) * opened * reach)
    return canvas.alpha()


def gouge(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Short deep scratches with torn edges that bare the paper; some fork or kink."""
    canvas = Canvas(shape)
    side = min(shape)
    for start in anywhere(shape, rng, int(rng.integers(1, 5)), margin=0):
        angle = rng.uniform(0, 2 * np.pi)
        width = min(max(rng.uniform(0.004, 0.025) * side, 2.0), max_size / 3)
        length = rng.uniform(0.03, 0.22) * side
        for _ in range(int(rng.integers(1, 4))):
            path = wander(start, angle, length, rng, 0.4, step=1.5)
            count = len(path)
            rough = 1 + 0.8 * ragged(count, rng)
            canvas.stroke(path, width * taper(count, rng) ** 0.6 * np.clip(rough, 0.15, 2))
            start, angle = path[rng.integers(count)], angle + rng.normal(0, 1.2)
            width, length = width * 0.6, length * rng.uniform(0.3, 0.9)
    alpha = canvas.alpha()
    return np.maximum(fray(alpha, rng, rng.uniform(0.8, 1.6)), 0.7 * alpha)


def scuff(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A rubbed place: many short fine scratches, mostly one way, thinning out around it."""
    canvas = Canvas(shape)
    side = min(shape)
    count = int(rng.integers(20, 90))
    middle, angle = anywhere(shape, rng, 1)[0], rng.uniform(0, np.pi)
    spread = rng.uniform(0.05, 0.3) * side
    turn = rng.choice([0.08, 0.3, 1.5], p=[0.5, 0.35, 0.15])
    stray = rng.normal(0, 1, (count, 2)) * spread * [1, rng.uniform(0.3, 1)]
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    canvas.streaks(
        middle + stray @ turned,
        angle + rng.normal(0, turn, count),
        side * np.exp(rng.uniform(np.log(0.015), np.log(0.2), count)),
        rng.uniform(0.5, 1.8, count),
        rng.uniform(0.25, 1, count),
        rng.normal(0, 0.03, count),
    )
    return canvas.alpha()


def hair(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One or two hairs on the scanner glass: even width, smooth curves, now and then a loop."""
    canvas = Canvas(shape)
    for start in anywhere(shape, rng, int(rng.integers(1, 3)), margin=0.1):
        length = _length(shape, rng, 0.15, 1.2)
        curl = rng.uniform(0.4, 3.0)
        path = wander(start, rng.uniform(0, 2 * np.pi), length, rng, curl, step=1.5)
        width = min(line_width(shape, rng, 0.008), max_size / 4) * rng.uniform(0.9, 1.3)
        canvas.stroke(path, width * (0.8 + 0.2 * taper(len(path), rng)), rng.uniform(0.6, 1))
    return canvas.alpha()


def lint(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Short curled fibres scattered about, some with a frayed second thread."""
    canvas = Canvas(shape)
    for start in anywhere(shape, rng, int(rng.integers(2, 16)), margin=0):
        length = _length(shape, rng, 0.015, 0.12) + 3
        angle = rng.uniform(0, 2 * np.pi)
        width = min(line_width(shape, rng, 0.007), max_size / 4)
        for _ in range(int(rng.integers(1, 3))):
            path = wander(start, angle + rng.normal(0, 0.3), length, rng, 2.0, step=1.0)
            rough = 1 + 0.3 * ragged(len(path), rng)
            canvas.stroke(path, width * rough, rng.uniform(0.45, 1))
            width *= 0.6
    return canvas.alpha()
