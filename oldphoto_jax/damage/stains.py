"""Stains and what lies on the print: water, foxing, blots, fingerprints, tape.

Each function is kind(shape, rng, max_size) -> alpha [H,W] float32 in 0..1.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.noise import anywhere, clouds, field

Shape = tuple[int, int]


def island(
    shape: Shape, rng: np.random.Generator, center: np.ndarray, radius: float, wobble: float
) -> np.ndarray:
    """Signed distance in pixels (positive inside) to an uneven closed outline around `center`."""
    height, width = shape
    x = (np.arange(width, dtype=np.float32) - np.float32(center[0]))[None]
    y = (np.arange(height, dtype=np.float32) - np.float32(center[1]))[:, None]
    squeeze = np.float32(rng.uniform(0.6, 1.6))
    distance = np.sqrt(x * x * squeeze + y * y / squeeze)
    bumps = clouds(shape, rng, max(radius * 0.9, 4), octaves=4)
    return np.float32(radius) - distance + np.float32(wobble * radius) * bumps


def water_stain(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A dried puddle: a narrow strong tide line, sometimes two, around a nearly clear inside.

    The inside is weak enough not to count as a defect when the puddle is larger than `max_size`.
    """
    side = min(shape)
    radius = rng.uniform(0.08, 0.45) * side
    inside = island(shape, rng, anywhere(shape, rng, 1, 0.15)[0], radius, rng.uniform(0.12, 0.3))
    rim = max(rng.uniform(0.004, 0.02) * side, 1.5)
    # Pigment gathers at the shore: sharp towards dry paper, trailing off inwards.
    tide = np.exp(-np.maximum(inside, 0) / rim) * np.clip(inside + 1, 0, 1)
    if rng.random() < 0.35:
        second = inside - rng.uniform(3, 8) * rim
        tide = np.maximum(tide, 0.6 * np.exp(-np.abs(second) / (0.8 * rim)))
    uneven = np.clip(0.75 + 0.4 * field(shape, rng, max(0.15 * side, 4)), 0.1, 1)
    level = rng.uniform(0.15, 0.45) if 2.6 * radius < max_size else 0.0
    return np.maximum(tide * uneven, level * np.clip(inside, 0, 1)).astype(np.float32)


def foxing(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Rust-brown age spots in loose groups, soft at the edge and darker in the middle."""
    side = min(shape)
    alpha = np.zeros(shape, np.float32)
    count = int(rng.integers(3, 28))
    largest = min(max(rng.uniform(0.01, 0.06) * side, 4), 0.45 * max_size)
    middle, spread = anywhere(shape, rng, 1)[0], rng.uniform(0.1, 0.6) * side
    for x, y in middle + rng.normal(0, spread, (count, 2)):
        radius = max(largest * rng.random() ** 2, 1.2)
        reach = int(2 * radius) + 2
        left, top = int(x) - reach, int(y) - reach
        first_x, first_y = max(left, 0), max(top, 0)
        last_x, last_y = min(left + 2 * reach, shape[1]), min(top + 2 * reach, shape[0])
        if last_x <= first_x or last_y <= first_y:
            continue
        window = alpha[first_y:last_y, first_x:last_x]
        here = np.array([x - first_x, y - first_y])
        inside = island(window.shape, rng, here, radius, 0.25) / radius
        np.maximum(window, rng.uniform(0.3, 1) * np.clip(1.6 * inside, 0, 1), out=window)
    return alpha


def blot(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Spilled ink, glue or developer: one blot with a few drops around it."""
    side = min(shape)
    radius = min(max(rng.uniform(0.03, 0.13) * side, 3), 0.36 * max_size)
    center = anywhere(shape, rng, 1)[0]
    inside = island(shape, rng, center, radius, rng.uniform(0.08, 0.25))
    edge = np.float32(rng.choice([1.0, 3.0, 0.5 * radius], p=[0.5, 0.3, 0.2]))
    alpha = np.clip(inside / edge, 0, 1)
    for angle, far in zip(
        rng.uniform(0, 2 * np.pi, 6), rng.uniform(1.3, 3.5, rng.integers(0, 7)), strict=False
    ):
        x, y = center + radius * far * np.array([np.cos(angle), np.sin(angle)])
        size = max(radius * rng.uniform(0.05, 0.22), 0.8)
        drop = np.zeros(shape, np.uint8)
        where = (round(16 * x), round(16 * y))
        cv2.circle(drop, where, round(16 * size), 255, -1, cv2.LINE_AA, shift=4)
        alpha = np.maximum(alpha, drop.astype(np.float32) / 255)
    clotted = np.clip(0.8 + 0.3 * field(shape, rng, max(radius / 2, 3)), 0.3, 1)
    return (alpha * clotted).astype(np.float32)


def fingerprint(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """Greasy ridges: bent concentric lines within an oval, broken where the finger pressed less."""
    side = min(shape)
    height, width = shape
    center = anywhere(shape, rng, 1, margin=0)[0]
    radius = rng.uniform(0.1, 0.22) * side
    period = max(radius / rng.uniform(7, 12), 2.8)
    turn = rng.uniform(0, np.pi)
    x = (np.arange(width, dtype=np.float32) - np.float32(center[0]))[None]
    y = (np.arange(height, dtype=np.float32) - np.float32(center[1]))[:, None]
    across = np.float32(np.cos(turn)) * x + np.float32(np.sin(turn)) * y
    along = np.float32(np.cos(turn)) * y - np.float32(np.sin(turn)) * x
    bend = field(shape, rng, max(radius * 0.7, 4)) * np.float32(0.22 * radius)
    core = np.float32(rng.uniform(0.1, 0.5) * radius)
    rings = np.sqrt((across * 1.3) ** 2 + (along * 0.8 + core) ** 2) + bend
    ridges = np.clip(0.5 + 1.5 * np.sin(rings * np.float32(2 * np.pi / period)), 0, 1)
    oval = np.clip(2.5 * (1 - np.sqrt((across * 1.25) ** 2 + along**2) / np.float32(radius)), 0, 1)
    pressed = np.clip(0.7 + 0.6 * clouds(shape, rng, max(radius * 0.5, 3)), 0, 1)
    return (ridges * oval * pressed).astype(np.float32)


def tape(shape: Shape, rng: np.random.Generator, max_size: int) -> np.ndarray:
    """A strip of old adhesive tape or its glue: straight edges, ragged ends, patchy inside."""
    side = min(shape)
    height, width = shape
    center, turn = anywhere(shape, rng, 1)[0], rng.normal(0, 0.25) + rng.integers(2) * np.pi / 2
    half = min(max(rng.uniform(0.02, 0.09) * side, 3), 0.4 * max_size)
    reach = half * rng.uniform(1.5, 8)
    x = (np.arange(width, dtype=np.float32) - np.float32(center[0]))[None]
    y = (np.arange(height, dtype=np.float32) - np.float32(center[1]))[:, None]
    along = np.float32(np.cos(turn)) * x + np.float32(np.sin(turn)) * y
    across = np.float32(np.cos(turn)) * y - np.float32(np.sin(turn)) * x
    torn = field(shape, rng, 3) * 1.2
    inside = np.minimum(np.float32(half) - np.abs(across), np.float32(reach) - np.abs(along) + torn)
    patchy = np.clip(0.6 + 0.2 * clouds(shape, rng, max(half, 4)), 0.2, 1)
    edge = 0.35 * np.exp(-np.maximum(inside, 0) / 1.5)
    return (np.clip(inside, 0, 1) * np.clip(patchy + edge, 0, 1)).astype(np.float32)
