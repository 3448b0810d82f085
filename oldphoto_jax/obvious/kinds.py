"""Eleven kinds of damage that nobody overlooks, 4 pixels to a quarter of the side thick.

Each is a function (random numbers, side in pixels) -> Canvas; the twelfth, real damage of film, is
in `film`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from oldphoto_jax.obvious import fields
from oldphoto_jax.obvious.canvas import Canvas

Draw = Callable[[np.random.Generator, int], Canvas]
FADED = -9.0  # half a thickness that leaves nothing of a crack


def line(rng: np.random.Generator, size: int) -> Canvas:
    """One or two lines right across, 4 to 12 px thick: straight, wandering or broken."""
    canvas = Canvas(size)
    for _ in range(1 + (rng.random() < 0.35)):
        straight, broken = rng.random() < 0.4, rng.random() < 0.4
        inner = 0 if straight else int(rng.integers(3, 8))
        points = np.empty((inner + 2, 2))
        points[:, 0] = np.linspace(-20, size + 20, inner + 2)
        start, end = rng.random(2)
        points[:, 1] = size * (start + (end - start) * np.linspace(0, 1, inner + 2))
        points[1:-1, 1] += 0.16 * size * (rng.random(inner) - 0.5)
        if rng.random() < 0.5:
            points = points[:, ::-1]
        path = fields.spline(points, 8 if inner else 40)
        half = np.maximum(_between(rng, 4.6, 12) / 2 * (0.85 + 0.3 * rng.random(len(path))), 2.3)
        for run in _runs(rng, len(path)) if broken else [slice(None)]:
            canvas.add(fields.cover(fields.stroke(path[run], half[run], size)))
    return canvas


def gouge(rng: np.random.Generator, size: int) -> Canvas:
    """A few short, thick scratches that run much the same way."""
    canvas = Canvas(size)
    way = fields.direction(rng)
    for _ in range(int(rng.integers(2, 8))):
        middle = size * (0.1 + 0.8 * rng.random(2))
        own = way + 0.6 * (rng.random(2) - 0.5)
        across = np.array([-own[1], own[0]])
        length, bow = _between(rng, 18, 90), 12 * (rng.random() - 0.5)
        ends = np.stack([-0.5 * length * own, bow * across, 0.5 * length * own])
        path = fields.spline(middle + ends, 6)
        t = np.linspace(-1, 1, len(path))
        half = _between(rng, 2.6, 8) * (1 - 0.55 * (t * t)) * (0.85 + 0.3 * rng.random(len(path)))
        canvas.add(fields.cover(fields.stroke(path, half, size)))
    return canvas


def blot(rng: np.random.Generator, size: int) -> Canvas:
    """One to three blots from 10 px to a quarter of the side, with soft or ragged rims."""
    canvas = Canvas(size)
    y, x = fields.grid(size)
    for _ in range(int(rng.integers(1, 4))):
        radius = _between(rng, 5, size / 10, small=True)
        way, longer = fields.direction(rng), 1 + 0.6 * rng.random()
        dy, dx = y - size * rng.random(), x - size * rng.random()
        along, across = (dy * way[0] + dx * way[1]) / longer, dx * way[0] - dy * way[1]
        away = np.sqrt(along * along + across * across)
        uneven = 2 * fields.noise(rng, size, max(radius * 0.9, 4), 4) - 1
        depth = radius * (1 + _between(rng, 0.3, 0.9) * uneven) - away
        soft = 1 if rng.random() < 0.5 else min(_between(rng, 2, 6), radius / 3)
        canvas.add(fields.cover(depth, soft))
    return canvas


def corner(rng: np.random.Generator, size: int) -> Canvas:
    """A missing corner, torn, or broken along the borders of Voronoi cells."""
    y, x = fields.grid(size)
    high, wide = (_between(rng, 0.14, 0.36) * size for _ in range(2))
    steep = np.sqrt(1 / (high * high) + 1 / (wide * wide))
    depth = (1 - y / high - x / wide) / steep
    if rng.random() < 0.4:
        first, _, _ = fields.voronoi(rng, size, _between(rng, 18, 34), 3)
        inside = np.bincount(first.ravel(), (depth > 0).ravel())
        lost = inside > 0.5 * np.bincount(first.ravel())
        depth = np.where(lost[first], 1.0, -1.0)
    else:
        depth = depth + _between(rng, 4, 14) * (2 * fields.noise(rng, size, 30, 4) - 1)
    return _lid(rng, depth).turn(rng)


def rim(rng: np.random.Generator, size: int) -> Canvas:
    """A side torn off, along all of it or in bites."""
    y, _ = fields.grid(size)
    profile = fields.noise(rng, size, _between(rng, 40, 140), 4)[0]
    profile = (profile - profile.min()) / (profile.max() - profile.min())
    thick = _between(rng, 0.06, 0.22) * size
    if rng.random() < 0.5:
        depth = thick * (1.6 * profile[None] - 0.6) - y  # bites
    else:
        depth = thick * (0.3 + 0.7 * profile[None]) - y
    depth = depth + 3 * (2 * fields.noise(rng, size, 10, 3) - 1)
    return _lid(rng, depth).turn(rng)


def flakes(rng: np.random.Generator, size: int) -> Canvas:
    """Emulsion that has come off in pieces, here and there or in one region."""
    canvas = Canvas(size)
    spacing = _between(rng, 14, 56, small=True)
    first, _, depth = fields.voronoi(rng, size, spacing, spacing / 6)
    chance = rng.random(first.max() + 1)
    dense = fields.noise(rng, size, size / 3)
    sums = np.bincount(first.ravel(), dense.ravel()), np.bincount(first.ravel())
    odds = 0.55 * (sums[0] / np.maximum(sums[1], 1) - 0.35)
    gone = chance[: len(odds)] < odds
    canvas.cover = np.where(gone[first], fields.cover(depth - 0.5), 0.0)
    canvas.piece = np.where(canvas.cover > 0, first + 1, 0)
    return canvas


def cracks(rng: np.random.Generator, size: int) -> Canvas:
    """A network of thick cracks, over everything or a part."""
    canvas = Canvas(size)
    first, other, depth = fields.voronoi(rng, size, _between(rng, 45, 120), 7)
    half = _between(rng, 2.4, 4.2) * (0.9 + 0.4 * fields.noise(rng, size, 25))
    if rng.random() < 0.6:
        half = np.where(fields.noise(rng, size, size / 2) > 0.45, half, FADED)
    canvas.cover = fields.cover(half - depth)
    low, high = np.minimum(first, other), np.maximum(first, other)
    canvas.piece = np.where(canvas.cover > 0, low * (high.max() + 1) + high + 1, 0)
    _, pieces = np.unique(canvas.piece, return_inverse=True)
    canvas.piece = pieces.reshape(size, size)
    return canvas


def specks(rng: np.random.Generator, size: int) -> Canvas:
    """A cloud of specks, each 5 to 12 px wide."""
    canvas = Canvas(size)
    uneven = 2 * fields.noise(rng, size, 5, 2) - 1
    middle, spread = size * (0.2 + 0.6 * rng.random(2)), size * _between(rng, 0.2, 0.6)
    for _ in range(int(rng.integers(20, 120))):
        at = middle + spread * (rng.random((3, 2)).sum(axis=0) - 1.5)
        radius = _between(rng, 2.6, 6, small=True)
        end = at + radius * rng.random() * fields.direction(rng)
        half = np.array([radius, radius * _between(rng, 0.7, 1)])
        depth = fields.stroke(np.stack([at, end]), half, size)
        canvas.add(fields.cover(depth + 0.3 * radius * uneven))
    return canvas


def tape(rng: np.random.Generator, size: int) -> Canvas:
    """One or two strips of tape, right across or with jagged ends."""
    canvas = Canvas(size, tint=0.12, warm=True)
    y, x = fields.grid(size)
    for _ in range(1 + (rng.random() < 0.3)):
        middle, way = size * (0.15 + 0.7 * rng.random(2)), fields.direction(rng)
        half = _between(rng, 10, 0.11 * size)
        length = 2.0 * size if rng.random() < 0.4 else _between(rng, 0.15, 0.4) * size
        dy, dx = y - middle[0], x - middle[1]
        along, across = dy * way[0] + dx * way[1], dx * way[0] - dy * way[1]
        jagged = 4 * (2 * fields.noise(rng, size, 7) - 1)
        depth = np.minimum(half - np.abs(across), length - np.abs(along) + jagged)
        canvas.add(fields.cover(depth))
        streaks = fields.noise(rng, size, 9)[0]
        place = np.clip((across + half) * (size - 1) / (2 * half), 0, size - 1).astype(int)
        canvas.relief = np.where(depth > 0, 0.08 * (streaks[place] - 0.5), canvas.relief)
    return canvas


def ink(rng: np.random.Generator, size: int) -> Canvas:
    """A spot of ink or paint with drips that run from it and drops around it."""
    canvas = Canvas(size, tint=0.15)
    y, x = fields.grid(size)
    middle, radius = size * (0.1 + 0.8 * rng.random(2)), _between(rng, 8, size / 10)
    wobble = 1 + 0.35 * (2 * fields.noise(rng, size, radius) - 1)
    dy, dx = y - middle[0], x - middle[1]
    depth = radius * wobble - np.sqrt(dy * dy + dx * dx)
    for _ in range(int(rng.integers(0, 5))):
        start = middle + np.array([0.0, radius * 1.3 * (rng.random() - 0.5)])
        length, sway = _between(rng, 1.2, 4) * radius, 6 * (rng.random(3) - 0.5)
        down = np.stack([length * np.array([0, 0.35, 0.7, 1]), [0, *sway]], axis=1)
        path = fields.spline(start + down, 6)
        half = _between(rng, 2.4, 5) * np.linspace(1.2, 0.9, len(path))
        half[-4:] *= np.array([1.1, 1.3, 1.4, 1.4])  # the drop at its end
        depth = np.maximum(depth, fields.stroke(path, half, size))
    canvas.add(fields.cover(depth))
    for _ in range(int(rng.integers(0, 14))):
        at = middle + 3.5 * radius * (2 * rng.random(2) - 1)
        dy, dx = y - at[0], x - at[1]
        drop = _between(rng, 2.6, 9, small=True) * wobble
        canvas.add(fields.cover(drop - np.sqrt(dy * dy + dx * dx)))
    return canvas


def brush(rng: np.random.Generator, size: int) -> Canvas:
    """A stroke of a brush, whose bristles end one by one."""
    canvas = Canvas(size, tint=0.15)
    middle, way = size * (0.25 + 0.5 * rng.random(2)), fields.direction(rng)
    across = np.array([-way[1], way[0]])
    length, bows = _between(rng, 0.3, 0.9) * size, 0.25 * size * (rng.random(4) - 0.5)
    t = np.linspace(-0.5, 0.5, 4)[:, None]
    path = fields.spline(middle + length * t * way + bows[:, None] * across, 10)
    wide = _between(rng, 10, 0.12 * size)
    depth = np.full((size, size), fields.FAR)
    for place in np.arange(-wide / 2, wide / 2, 3.6):
        start, end = rng.integers(0, 5), len(path) - rng.integers(0, 8)
        half = np.full(len(path), _between(rng, 2.3, 3.4))
        run = slice(int(start), int(end))
        bristle = fields.stroke((path + place * across)[run], half[run], size)
        depth = np.maximum(depth, bristle)
    canvas.add(fields.cover(depth))
    return canvas


KINDS: dict[str, Draw] = {
    "line": line,
    "gouge": gouge,
    "blot": blot,
    "corner": corner,
    "rim": rim,
    "flakes": flakes,
    "cracks": cracks,
    "specks": specks,
    "tape": tape,
    "ink": ink,
    "brush": brush,
}


def _between(rng: np.random.Generator, low: float, high: float, small: bool = False) -> float:
    """A number from low to high; `small` ones are likelier if asked for."""
    share = rng.random()
    return low + (high - low) * (share * share if small else share)


def _runs(rng: np.random.Generator, count: int) -> list[slice]:
    """Stretches of a path of `count` points, with gaps between them."""
    runs, start = [], 0
    while start < count - 2:
        end = start + int(rng.integers(4, 14))
        runs.append(slice(start, min(end, count)))
        start = end + int(rng.integers(1, 4))
    return runs


def _lid(rng: np.random.Generator, depth: np.ndarray) -> Canvas:
    """Missing paper: a flat lid, a torn edge of white fibers, the shadow of the photo on it."""
    canvas = Canvas(len(depth))
    canvas.add(fields.cover(depth))
    inside = (canvas.cover >= 0.5).astype(np.uint8)
    away = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    away = away[1:-1, 1:-1].astype(np.float64)
    fibers = 0.0
    if rng.random() < 0.7:
        fibers = _between(rng, 1.5, 5)
        frayed = fibers * (0.4 + 1.2 * fields.noise(rng, len(depth), 6, 2))
        canvas.fiber = fields.cover(frayed - away, 1.5)
    if rng.random() < 0.5:
        reach = _between(rng, 5, 14)
        canvas.relief = -_between(rng, 0.06, 0.2) * np.clip(1 - (away - fibers) / reach, 0, 1)
    return canvas
