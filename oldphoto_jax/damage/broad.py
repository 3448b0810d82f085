"""Damage that a child would point at: large, plain, often opaque, up to a quarter of a side.

Each function is kind(shape, rng, max_size) -> alpha [H,W] float32 in 0..1. What is lost shows what
lay behind the print in the scanner; see `blend.LOOKS["lid"]`.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.breaks import across
from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import (
    anywhere,
    clouds,
    field,
    fray,
    gates,
    jagged,
    profile,
    ragged,
    wander,
    white,
)
from oldphoto_jax.damage.stains import island

Shape = tuple[int, int]

WIDEST = 12.0  # pixels, of a line across the photo


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform, so that each doubling is as likely; `low` where there is no room."""
    return float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))


def cut(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One to three lines right across the photo: straight, wandering or broken, 1 to 12 px."""
    canvas = Canvas(shape)
    width = _between(rng, 1.0, min(WIDEST, max_size / 3))
    for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
        start, end = across(shape, rng)
        manner = rng.choice(["straight", "bent", "wandering", "jagged"], p=[0.3, 0.25, 0.2, 0.25])
        if manner == "wandering":
            angle = np.arctan2(*(end - start)[::-1])
            path = wander(start, angle, float(np.hypot(*(end - start))), rng, 0.5)
        else:
            path = jagged(start, end, rng, rng.uniform(0.004, 0.03) * (manner == "jagged"))
        count = len(path)
        if manner == "bent":
            normal = (end - start)[::-1] * [-1, 1] * rng.normal(0, 0.06)
            path = path + np.sin(np.linspace(0, np.pi, count))[:, None] * normal
        swing = rng.choice([0.0, 0.15, 0.5])
        rough = np.clip(1 + swing * (ragged(count, rng) + profile(count, rng, count // 6)), 0.2, 2)
        strength = np.ones(count)
        if rng.random() < 0.35:
            strength = gates(count, rng, rng.uniform(5, 60), rng.uniform(0.5, 0.95))
        canvas.stroke(path, width * rough, strength)
    alpha = canvas.alpha()
    return np.maximum(fray(alpha, rng, 1.2), 0.6 * alpha) if rng.random() < 0.3 else alpha


def blots(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One to six blots, from a crumb to the size of a hand; ragged, smooth or soft outlines."""
    side = min(shape)
    largest = _between(rng, 4.0, min(0.2 * side, 0.42 * max_size))
    wobble, edge = (
        rng.uniform(0.05, 0.5),
        rng.choice([1.0, 2.5, 0.3 * largest], p=[0.6, 0.25, 0.15]),
    )
    torn = rng.random() < 0.35
    alpha = np.zeros(shape, np.float32)
    for x, y in anywhere(shape, rng, int(rng.integers(1, 7)), margin=0):
        radius = max(largest * rng.uniform(0.35, 1), 2.0)
        reach = int(2.2 * radius) + 4
        left, right = max(int(x) - reach, 0), min(int(x) + reach, shape[1])
        top, bottom = max(int(y) - reach, 0), min(int(y) + reach, shape[0])
        window = alpha[top:bottom, left:right]
        here = np.array([x - left, y - top])
        piece = np.clip(island(window.shape, rng, here, radius, wobble) / np.float32(edge), 0, 1)
        if torn:
            piece = np.maximum(fray(piece, rng, np.clip(radius / 8, 1, 4)), 0.2 * piece)
        if rng.random() < 0.2:  # dried and cracked open inside
            piece = piece * np.clip(1.4 + clouds(piece.shape, rng, max(radius / 2, 3)), 0, 1)
        np.maximum(window, piece, out=window)
    return _dripped(alpha, largest, rng) if rng.random() < 0.15 else alpha


def _dripped(alpha: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Runs that leave the blots one way, thick at first and round at their ends."""
    canvas = Canvas(alpha.shape)
    rows, columns = np.nonzero(alpha > 0.5)
    angle = np.pi / 2 + rng.normal(0, 0.15) + rng.integers(4) * np.pi / 2
    for _ in range(int(rng.integers(1, 5)) if len(rows) else 0):
        at = rng.integers(len(rows))
        start = np.array([columns[at], rows[at]], float)
        path = wander(start, angle, size * rng.uniform(0.5, 3), rng, 0.1, step=1.5)
        canvas.stroke(path, max(size * rng.uniform(0.08, 0.25), 1.5))
    return np.maximum(alpha, canvas.alpha())


def lost_corner(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One or two corners gone, 5 to 38 % of the short side, cut straight, torn or broken round."""
    canvas, size = Canvas(shape), np.array(shape[::-1], float)
    largest = min(0.38 * min(shape), 0.8 * max_size)
    for where in rng.permutation(4)[: 1 + (rng.random() < 0.25)]:
        tip = np.array([where % 2, where // 2]) * size
        toward = np.where(tip > 0, -1.0, 1.0)
        one = _between(rng, 0.13 * largest, largest)
        other = np.clip(one * rng.uniform(0.4, 2.5), 3, largest)
        rough = 0.0 if rng.random() < 0.4 else rng.uniform(0.01, 0.07)
        a, b = tip + [toward[0] * one, 0], tip + [0, toward[1] * other]
        line = jagged(a + (a - b) * 0.05, b + (b - a) * 0.05, rng, rough, step=1.5)
        bulge = np.sin(np.linspace(0, np.pi, len(line))) * rng.choice([0.0, rng.normal(0, 0.2)])
        line = line - bulge[:, None] * toward * min(one, other)
        canvas.polygon(np.concatenate([line, [tip - 8 * toward]]))
    return _torn(canvas.alpha(), rng)


def lost_rim(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A strip along one side gone: straight, slanted or torn, up to a quarter of the other side."""
    canvas, (height, width) = Canvas(shape), shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    edge = int(rng.integers(4))
    start, end = corners[edge], corners[(edge + 1) % 4]
    inward = corners[(edge + 3) % 4] - start
    most = min(0.25 * float(np.hypot(*inward)), 0.45 * max_size)
    inward = inward / np.hypot(*inward)
    first, last = (_between(rng, 2.0, most) * rng.choice([1, 1, 0.2]) for _ in range(2))
    t = np.linspace(0, 1, max(int(np.hypot(*(end - start)) / 1.5), 8))
    depth = first + (last - first) * t
    if rng.random() < 0.6:
        depth = depth + rng.uniform(0.05, 0.5) * max(first, last) * ragged(len(t), rng, 7)
    if rng.random() < 0.25:  # only a part of the side
        depth = depth * gates(len(t), rng, len(t) / 3, 0.6)
    line = start + t[:, None] * (end - start) + np.clip(depth, -4, most)[:, None] * inward
    canvas.polygon(np.concatenate([line, [end - 6 * inward], [start - 6 * inward]]))
    return _torn(canvas.alpha(), rng)


def lost_piece(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A hole in the print, or a bite out of its edge, with a torn outline."""
    side = min(shape)
    center = anywhere(shape, rng, 1, margin=0)[0]
    if rng.random() < 0.5:
        axis = int(rng.integers(2))
        center[axis] = rng.choice([0.0, 1.0]) * shape[1 - axis]
    radius = _between(rng, 4.0, min(0.16 * side, 0.4 * max_size))
    inside = island(shape, rng, center, radius, rng.uniform(0.1, 0.45))
    return _torn(np.clip(inside, 0, 1), rng)


def sprinkles(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A cloud of specks: tens to many hundreds, dense in places, over a part or all of it."""
    canvas, side = Canvas(shape), min(shape)
    count = int(_between(rng, 40, 700))
    size = _between(rng, 1.0, min(max(0.02 * side, 3.0), max_size / 4))
    if rng.random() < 0.5:
        middle, spread = anywhere(shape, rng, 1)[0], rng.uniform(0.06, 0.35) * side
        places = middle + rng.normal(0, spread, (count, 2)) * rng.uniform(0.5, 1.5, 2)
    else:
        places = anywhere(shape, rng, count, margin=0)
    places = places[((places >= 0) & (places < shape[::-1])).all(axis=1)]
    x, y = places.astype(int).T
    crowd = field(shape, rng, rng.uniform(0.1, 0.6) * side)[y, x] + 0.3 * white((len(x),), rng)
    places = places[crowd > rng.uniform(-1.5, 0.2)]
    sizes = size * rng.lognormal(0, rng.uniform(0.1, 0.5), len(places))
    sizes = np.clip(sizes, 1.0, max_size / 3)
    canvas.specks(
        places, sizes, np.ones(len(places)), rng, longest=rng.choice(np.array([1.2, 2.5]))
    )
    return canvas.alpha()


def _torn(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The outline as paper tears, most of the time."""
    if rng.random() < 0.4:
        return alpha.astype(np.float32)
    return np.maximum(fray(alpha, rng, rng.uniform(0.8, 3)), cv2.erode(alpha, np.ones((5, 5))))
