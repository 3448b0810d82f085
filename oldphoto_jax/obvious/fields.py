"""Fields over a square picture, from which shapes are cut: noise, strokes, Voronoi cells.

A field is float64 [S,S]. Depths are in pixels, above 0 inside the shape. Only sums, products and
square roots of single numbers are taken, which IEEE 754 rounds alike on every machine: no sines,
no powers, no products of matrices.
"""

from __future__ import annotations

import numpy as np

FAR = -1e6  # the depth of a shape that is not there
REACH = 8  # pixels around a stroke in which its depth is known


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The middles of all pixels, y and x, [S,S] each."""
    y, x = np.mgrid[:size, :size] + 0.5
    return y, x


def noise(rng: np.random.Generator, size: int, cell: float, octaves: int = 1) -> np.ndarray:
    """Smooth noise from 0 to 1, whose lumps are `cell` pixels wide; each octave halves them.

    Random numbers on a lattice, put through a quadratic B-spline.
    """
    total = np.zeros((size, size))
    for octave in range(octaves):
        pitch = max(cell / 2**octave, 1.0)
        lattice = rng.random((int(size / pitch) + 4,) * 2)
        place = np.arange(size) / pitch + rng.random()
        total += _spline(_spline(lattice, place).T, place).T / 2**octave
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def sample(field: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Field [H,W] or [H,W,C] at real rows [h] and columns [w], between pixels linearly."""
    for axis, place in enumerate((rows, columns)):
        last = field.shape[axis] - 1
        place = np.clip(place, 0, last)
        low = np.minimum(np.floor(place).astype(int), max(last - 1, 0))
        high = np.minimum(low + 1, last)
        share = (place - low).reshape([-1 if i == axis else 1 for i in range(field.ndim)])
        field = field.take(low, axis) * (1 - share) + field.take(high, axis) * share
    return field


def spline(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom spline through points [K,2], as a polyline of `steps` pieces a span."""
    points = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = (np.arange(steps) / steps)[:, None]
    spans = []
    for a, b, c, d in zip(points, points[1:], points[2:], points[3:], strict=False):
        bend = (2 * a - 5 * b + 4 * c - d) * t + (3 * b - a - 3 * c + d) * (t * t)
        spans.append(b + 0.5 * t * ((c - a) + bend))
    return np.concatenate([*spans, points[-2:-1]])


def stroke(points: np.ndarray, half: np.ndarray, size: int) -> np.ndarray:
    """Depth of a stroke along a polyline [K,2] of y and x, `half` [K] pixels to either side."""
    depth = np.full((size, size), FAR)
    for a, b, wide, wider in zip(points, points[1:], half, half[1:], strict=False):
        margin = max(wide, wider) + REACH
        low = np.clip(np.floor(np.minimum(a, b) - margin), 0, size).astype(int)
        high = np.clip(np.ceil(np.maximum(a, b) + margin), 0, size).astype(int)
        box = slice(low[0], high[0]), slice(low[1], high[1])
        y = np.arange(low[0], high[0])[:, None] + 0.5 - a[0]
        x = np.arange(low[1], high[1])[None] + 0.5 - a[1]
        along = b - a
        t = (y * along[0] + x * along[1]) / max(along[0] * along[0] + along[1] * along[1], 1e-9)
        t = np.clip(t, 0, 1)
        y, x = y - t * along[0], x - t * along[1]
        depth[box] = np.maximum(depth[box], wide + t * (wider - wide) - np.sqrt(y * y + x * x))
    return depth


def voronoi(
    rng: np.random.Generator, size: int, spacing: float, warp: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest of many sites to each pixel, the second nearest, and the depth in its cell.

    Sites stand one in each square of a grid `spacing` pixels wide, numbered from 0. Borders waver
    by up to `warp` pixels. The depth is the distance to the border with the second nearest.
    """
    y, x = grid(size)
    y = y + warp * (2 * noise(rng, size, spacing / 2, 3) - 1)
    x = x + warp * (2 * noise(rng, size, spacing / 2, 3) - 1)
    margin = 3 + int(warp / spacing)
    count = int(size / spacing) + 1 + 2 * margin
    corners = np.moveaxis(np.mgrid[:count, :count], 0, -1) - margin
    sites = ((corners + rng.random((count, count, 2))) * spacing).reshape(-1, 2)
    row, column = (np.floor(place / spacing).astype(int) + margin for place in (y, x))
    best, second = np.full((2, size, size), np.inf)
    first, other = np.zeros((2, size, size), int)
    for step in np.ndindex(5, 5):  # no site farther off is one of the two nearest
        number = (row + step[0] - 2) * count + column + step[1] - 2
        dy, dx = y - sites[number, 0], x - sites[number, 1]
        away = dy * dy + dx * dx
        nearer, near = away < best, away < second
        second = np.where(nearer, best, np.where(near, away, second))
        other = np.where(nearer, first, np.where(near, number, other))
        best, first = np.where(nearer, away, best), np.where(nearer, number, first)
    between = sites[first] - sites[other]
    apart = np.sqrt(between[..., 0] * between[..., 0] + between[..., 1] * between[..., 1])
    return first, other, (second - best) / (2 * apart)


def cover(depth: np.ndarray, soft: float = 1.0) -> np.ndarray:
    """How much of each pixel a shape covers, 0..1; its rim is `soft` pixels wide."""
    return np.clip(depth / soft + 0.5, 0, 1)


def direction(rng: np.random.Generator) -> np.ndarray:
    """A random unit vector [2]."""
    while True:
        y, x = 2 * rng.random(2) - 1
        length = np.sqrt(y * y + x * x)
        if 0.1 < length < 1:
            return np.array([y, x]) / length


def _spline(lattice: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Rows of a lattice [n,m] blended at places [k] by a quadratic B-spline: [k,m]."""
    low = np.floor(place).astype(int)
    t = (place - low)[:, None]
    left, right = 0.5 * (1 - t) * (1 - t), 0.5 * t * t
    return lattice[low] * left + lattice[low + 1] * (1 - left - right) + lattice[low + 2] * right
