"""Randomness with a shape: smooth fields, ragged profiles, wandering and jagged paths.

Fields are [H,W] float32, profiles [N] float64, paths [N,2] float64 as (x, y) in pixels.
"""

from statistics import NormalDist

import cv2
import numpy as np

NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / 4096) for i in range(4096)], np.float32)


def field(shape: tuple[int, int], rng: np.random.Generator, cell: float) -> np.ndarray:
    """Smooth noise of about unit variance, [H,W] float32, with bumps about `cell` pixels wide."""
    # Four samples a bump are smooth enough for a straight enlargement, and far cheaper.
    coarse = max(cell / 4, 1.0)
    rows, columns = (int(np.ceil(side / coarse)) + 1 for side in shape)
    step = max(cell, 1.0) / coarse
    grid = white((int(rows / step) + 4, int(columns / step) + 4), rng)
    dx, dy = 1 + rng.random(2)  # a random shift hides the lattice of the grid
    to_grid = np.array([[1 / step, 0, dx], [0, 1 / step, dy]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    bumps: np.ndarray = cv2.warpAffine(grid, to_grid, (columns, rows), flags=flags)
    bumps *= 1.4
    return bumps[: shape[0], : shape[1]] if coarse == 1 else cv2.resize(bumps, shape[::-1])


def clouds(
    shape: tuple[int, int], rng: np.random.Generator, cell: float, octaves: int = 3
) -> np.ndarray:
    """Fractal noise of about unit variance: `field` at `cell`, half of it, ... ever weaker."""
    total = field(shape, rng, cell)
    power = 1.0
    for octave in range(1, octaves):
        total = cv2.addWeighted(
            total, 1, field(shape, rng, max(cell * 0.5**octave, 1.5)), 0.5**octave, 0
        )
        power += 0.25**octave
    return total / np.float32(np.sqrt(power))


def white(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Independent standard normal noise, float32, from 4096 levels (five times as fast)."""
    return NORMAL.take(rng.integers(0, len(NORMAL), shape, np.uint16))


def fibres(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The surface of bare paper: fine grain with short fibres one way, about unit variance."""
    grain = white(shape, rng)
    long, short = (7, 1) if rng.random() < 0.5 else (1, 7)
    return 0.6 * cv2.blur(grain, (2, 2)) + 1.6 * cv2.blur(grain, (long, short))


def fray(alpha: np.ndarray, rng: np.random.Generator, depth: float) -> np.ndarray:
    """Tears the outline of alpha [H,W] as paper tears: tooth and gap up to about `depth` pixels.

    Lines thinner than `depth` break up; what should stay whole is added again by the caller.
    """
    soft = cv2.GaussianBlur(alpha, (0, 0), 0.6 * depth)
    size = max(round(1.5 * depth), 2)
    teeth = cv2.blur(cv2.blur(white(alpha.shape, rng), (size, size)), (2, 2))
    torn = cv2.addWeighted(soft, 3.5, teeth, 1.3 * size, -1.55)
    return np.clip(torn, 0, 1, out=torn)


def profile(count: int, rng: np.random.Generator, knots: int) -> np.ndarray:
    """A slow random curve [count] within -1..1 through `knots` random values."""
    return _through(rng.uniform(-1, 1, max(knots, 2)), count)


def ragged(count: int, rng: np.random.Generator, octaves: int = 6) -> np.ndarray:
    """A fractal random curve [count], about -1..1: a random walk of 2^octaves steps and back."""
    steps = min(2**octaves, max(count, 2))
    walk = np.cumsum(rng.standard_normal(steps + 1)) * (1.2 / np.sqrt(steps))
    bridge = walk - np.arange(steps + 1) * (walk[-1] / steps)
    return _through(bridge - bridge[rng.integers(steps)], count)


def _through(values: np.ndarray, count: int) -> np.ndarray:
    places = np.arange(count) * ((len(values) - 1) / max(count - 1, 1))
    return np.interp(places, np.arange(len(values)), values)


def wander(
    start: np.ndarray,
    angle: float,
    length: float,
    rng: np.random.Generator,
    curl: float = 0.0,
    step: float = 2.0,
) -> np.ndarray:
    """A smooth path [N,2] from `start` at `angle`, turning by up to about `curl` radians."""
    count = max(int(length / step), 4)
    bend = ragged(count, rng, octaves=3) * curl + np.linspace(0, 1, count) * rng.normal(0, curl)
    heading = angle + bend
    moves = step * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return np.asarray(start) + np.cumsum(moves, axis=0)


def jagged(
    start: np.ndarray, end: np.ndarray, rng: np.random.Generator, rough: float, step: float = 2.0
) -> np.ndarray:
    """A broken line [N,2] from `start` to `end`; it strays by about `rough` of its length."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = end - start
    length = max(float(np.hypot(*along)), 1.0)
    count = max(int(length / step), 4)
    t = np.linspace(0, 1, count)
    normal = np.array([-along[1], along[0]]) / length
    stray = ragged(count, rng, octaves=7) * rough * length * np.minimum(1, 6 * t * (1 - t))
    return start + t[:, None] * along + stray[:, None] * normal


def anywhere(
    shape: tuple[int, int], rng: np.random.Generator, count: int, margin: float = 0.05
) -> np.ndarray:
    """Random points [count,2] in the picture, or a `margin` (share of a side) outside it."""
    height, width = shape
    return rng.uniform(-margin, 1 + margin, (count, 2)) * [width, height]


def gates(count: int, rng: np.random.Generator, piece: float, open_share: float) -> np.ndarray:
    """On and off along a line: [count] of 0 and 1 in pieces of about `piece` samples."""
    knots = max(int(count / max(piece, 1)), 2)
    wave = profile(count, rng, knots) + 0.5 * profile(count, rng, 2 * knots)
    threshold = np.sort(wave)[min(int((1 - open_share) * count), count - 1)]
    return (wave >= threshold).astype(float)
