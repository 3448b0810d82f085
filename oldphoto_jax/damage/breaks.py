"""Where the print itself gave way: creases, cracks, tears, worn edges, lost emulsion.

Each function is kind(shape, rng, max_size) -> alpha [H,W] float32 in 0..1.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.lines import taper
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
)

Shape = tuple[int, int]


def across(shape: Shape, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two ends of a line through the photo: along a side, over a corner, or any way."""
    height, width = shape
    center, reach = anywhere(shape, rng, 1, margin=-0.1)[0], float(np.hypot(height, width))
    style = rng.choice(["side", "corner", "any"], p=[0.5, 0.25, 0.25])
    if style == "corner":
        corner = rng.integers(0, 2, 2) * [width, height]
        center = corner + (np.array([width, height]) / 2 - corner) * rng.uniform(0.15, 0.7)
        to_center = np.array([width, height]) / 2 - corner
        angle = np.arctan2(to_center[1], to_center[0]) + np.pi / 2 + rng.normal(0, 0.25)
    elif style == "side":
        angle = rng.integers(2) * np.pi / 2 + rng.normal(0, 0.12)
    else:
        angle = rng.uniform(0, np.pi)
    step = reach * np.array([np.cos(angle), np.sin(angle)])
    return center - step, center + step


def _worn(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rough outlines for what is wide; hairlines stay, somewhat weakened, and do not break."""
    if rng.random() < 0.25:
        return alpha
    return np.maximum(fray(alpha, rng, rng.uniform(0.8, 1.8)), rng.uniform(0.4, 1.0) * alpha)


def _fold(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One fold: a ragged white core that comes and goes, hairline cracks beside it, chips on it."""
    canvas = Canvas(shape)
    side = min(shape)
    start, end = across(shape, rng)
    path = jagged(start, end, rng, rng.uniform(0.002, 0.012), step=1.5)
    if rng.random() < 0.3:  # it does not reach all the way
        cut = np.sort(rng.integers(0, len(path), 2))
        path = path[cut[0] : cut[1] + 8]
    path = path + rng.normal(0, 0.25, path.shape)
    count = len(path)
    width = rng.uniform(0.8, 2.2) if rng.random() < 0.5 else rng.uniform(0.004, 0.018) * side
    width = min(max(width, 0.8), max_size / 4)
    wear = np.clip(0.75 + 0.5 * ragged(count, rng) + 0.35 * profile(count, rng, count // 2), 0, 2)
    opened = np.maximum(gates(count, rng, 12, rng.uniform(0.6, 1)), 0.35 * (wear > 0.5))
    canvas.stroke(path, width * wear, np.clip(0.45 + 0.6 * wear, 0, 1) * opened)
    for _ in range(int(rng.integers(0, 5))):
        first, size = rng.integers(0, count), int(rng.integers(8, 60))
        piece = path[first : first + size]
        apart = rng.normal(0, 1.5 * width + 1.5) + rng.normal(0, 3) * np.linspace(0, 1, len(piece))
        beside = np.stack([apart, -apart], axis=1) + rng.normal(0, 0.3, piece.shape)
        canvas.stroke(piece + beside, rng.uniform(0.6, 1.4) * taper(len(piece), rng), 0.8)
    chips = rng.integers(0, count, int(rng.integers(0, 14)))
    largest = min(1 + 2.2 * width, max_size / 3)
    sizes = 1 + (largest - 1) * rng.random(len(chips)) ** 2
    centers = path[chips] + rng.normal(0, width * 0.5, (len(chips), 2))
    canvas.specks(centers, sizes, rng.uniform(0.7, 1, len(chips)), rng, longest=2.5)
    return canvas.alpha()


def crease(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A single fold with its cracked white core."""
    return _worn(_fold(shape, rng, max_size), rng)


def folds(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Two or three folds that cross."""
    drawn = [_fold(shape, rng, max_size) for _ in range(int(rng.integers(2, 4)))]
    return _worn(np.maximum.reduce(drawn), rng)


def crack(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A crack in glass or emulsion: a jagged trunk that forks into thinner and thinner branches."""
    canvas = Canvas(shape)
    side = min(shape)
    width = min(rng.uniform(0.9, 2.5) * rng.choice([1.0, max(side / 256, 1.0)]), max_size / 4)
    start = anywhere(shape, rng, 1)[0]
    pending = [(start, rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.9) * side, width, 0)]
    while pending:
        start, angle, length, width, depth = pending.pop()
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        path = jagged(start, end, rng, rng.uniform(0.02, 0.06), step=1.5)
        count = len(path)
        thin = np.linspace(1, 0.4, count) * np.clip(1 + 0.6 * ragged(count, rng), 0.3, 2)
        strength = np.maximum(gates(count, rng, 8, rng.uniform(0.7, 1)), 0.3)
        canvas.stroke(path, width * thin, strength)
        for _ in range(int(rng.integers(0, 4)) if depth < 3 else 0):
            fork = path[rng.integers(count // 5, count)]
            turn = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.4)
            share = rng.uniform(0.2, 0.6)
            pending.append((fork, turn, max(length * share, 4), max(width * 0.7, 0.6), depth + 1))
    return canvas.alpha()


def craquelure(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A net of fine cracks around irregular cells, fading out over part of the photo."""
    height, width = shape
    side = min(shape)
    cell = max(rng.uniform(0.03, 0.14) * side, 9)
    seeds = np.full(shape, 255, np.uint8)
    count = max(int(height * width / cell**2), 4)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    _, cells = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.indices(shape, dtype=np.float32)
    columns += np.float32(0.16 * cell) * clouds(shape, rng, cell * 0.7, 2)
    rows += np.float32(rng.uniform(0.08, 0.16) * cell) * clouds(shape, rng, cell * 0.7, 2)
    # Labels stay below 2^24, so they pass unharmed through float32 nearest-neighbour remapping.
    cells = cv2.remap(
        cells.astype(np.float32), columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT
    )
    edges = np.zeros(shape, np.float32)
    edges[:, 1:] = cells[:, 1:] != cells[:, :-1]
    np.maximum(edges[1:], cells[1:] != cells[:-1], out=edges[1:])
    net = rng.uniform(1.1, 1.9) * cv2.GaussianBlur(edges, (0, 0), rng.uniform(0.4, 0.8))
    place = np.clip(0.2 + 1.6 * field(shape, rng, rng.uniform(0.3, 0.8) * side), 0, 1)
    broken = np.clip(0.9 + 0.8 * clouds(shape, rng, max(0.03 * side, 4), 2), 0, 1)
    return (np.clip(net, 0, 1) * place * broken).astype(np.float32)


def tear(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A rip that runs in from an edge, open there and closing to a hairline."""
    canvas = Canvas(shape)
    height, width = shape
    side = min(shape)
    middle = np.array([width, height]) / 2
    start = anywhere(shape, rng, 1, margin=0)[0]
    edge = int(rng.integers(4))
    start[edge % 2] = (0, 0, width, height)[edge]
    aim = middle - start + rng.normal(0, 0.25 * side, 2)
    length = rng.uniform(0.12, 0.7) * side
    start = start - aim / max(np.hypot(*aim), 1) * 3
    end = start + aim / max(np.hypot(*aim), 1) * length
    path = jagged(start, end, rng, rng.uniform(0.02, 0.06), step=1.5)
    count = len(path)
    gape = min(max(rng.uniform(0.005, 0.04) * side, 2), max_size / 3)
    opening = gape * np.linspace(1, 0, count) ** rng.uniform(0.7, 2) + rng.uniform(0.7, 1.8)
    canvas.stroke(path, opening * np.clip(1 + 0.5 * ragged(count, rng), 0.3, 2))
    return _worn(canvas.alpha(), rng)


def worn_edge(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One to four sides frayed away: a ragged band with nicks."""
    height, width = shape
    canvas = Canvas(shape)
    side = min(shape)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    deepest = max_size / 2 - 5
    for edge in rng.permutation(4)[: rng.integers(1, 5)]:
        start, end = corners[edge], corners[(edge + 1) % 4]
        inward = corners[(edge + 3) % 4] - start
        inward = inward / np.hypot(*inward)
        t = np.linspace(0, 1, max(int(np.hypot(*(end - start)) / 1.5), 8))
        base = rng.uniform(-0.01, 0.03) * side
        swing = rng.uniform(0.006, 0.03) * side
        depth = base + swing * ragged(len(t), rng, 7) + 0.4 * profile(len(t), rng, len(t))
        nicks = np.maximum(profile(len(t), rng, len(t) // 8) - 0.8, 0) * rng.uniform(0, 0.3) * side
        depth = np.clip(depth + nicks, -4, min(deepest, 0.12 * side))
        line = start + t[:, None] * (end - start) + depth[:, None] * inward
        canvas.polygon(np.concatenate([line, [end - 4 * inward], [start - 4 * inward]]))
    return canvas.alpha()


def corner(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """One to three corners broken off or worn round."""
    height, width = shape
    canvas = Canvas(shape)
    side = min(shape)
    largest = min(0.3 * side, 0.62 * (max_size / 2 - 5) / 0.707)
    for where in rng.permutation(4)[: rng.integers(1, 4)]:
        tip = np.array([where % 2 * width, where // 2 * height], float)
        toward = np.where(tip > 0, -1.0, 1.0)
        one, other = rng.uniform(0.3, 1, 2) * largest
        a, b = tip + [toward[0] * one, 0], tip + [0, toward[1] * other]
        line = jagged(a, b, rng, rng.uniform(0.01, 0.06), step=1.5)
        round_off = np.sin(np.linspace(0, np.pi, len(line))) * rng.uniform(-0.25, 0.2) * one
        line = line - round_off[:, None] * toward * 0.7
        canvas.polygon(np.concatenate([line, [tip - 6 * toward]]))
    return canvas.alpha()


def flakes(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Emulsion that came off in patches with sharp torn outlines and crumbs around them."""
    side = min(shape)
    cell = float(np.clip(rng.uniform(0.02, 0.12) * side, 5, 0.6 * max_size))
    surface = clouds(shape, rng, cell, octaves=4)
    center = anywhere(shape, rng, 1)[0].astype(np.float32)
    x = np.arange(shape[1], dtype=np.float32)[None] - center[0]
    y = np.arange(shape[0], dtype=np.float32)[:, None] - center[1]
    reach = np.float32(rng.uniform(0.12, 0.6) * side)
    level = rng.uniform(1.1, 1.9)
    lifted = surface - np.float32(level) - 0.7 * np.minimum((x * x + y * y) / reach**2, 4)
    return np.clip(4 * lifted, 0, 1).astype(np.float32)


def peel(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A surface strip torn off lengthwise: a broad ragged band with threads along its sides."""
    canvas = Canvas(shape)
    side = min(shape)
    start, angle = anywhere(shape, rng, 1)[0], rng.uniform(0, 2 * np.pi)
    path = wander(start, angle, rng.uniform(0.08, 0.5) * side, rng, 0.3, step=1.5)
    count = len(path)
    width = min(max(rng.uniform(0.01, 0.07) * side, 3), max_size / 2.5)
    rough = np.clip(0.9 + 0.7 * ragged(count, rng, 5), 0.1, 1.6)
    canvas.stroke(path, width * rough * taper(count, rng) ** 0.5)
    torn = fray(canvas.alpha(), rng, float(np.clip(width / 4, 1, 4)))
    threads = Canvas(shape)
    for _ in range(int(rng.integers(2, 8))):
        first = int(rng.integers(0, count))
        piece = path[first : first + int(rng.integers(8, 40))] + rng.normal(0, width * 0.5, 2)
        threads.stroke(piece, rng.uniform(0.7, 1.8) * taper(len(piece), rng), 0.9)
    return np.maximum(torn, threads.alpha())
