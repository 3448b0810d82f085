"""What grows, and what it casts: crowns of trees, branches, leaves, blossoms, shadows.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere, clouds, field, white
from oldphoto_jax.damage.regions import behind
from oldphoto_jax.damage.scenery import cover, grid, paint, patch


def crown(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Crowns of trees and bushes: dense, ragged, with holes, against a sky that is the reverse."""
    shape = photo.shape[:2]
    height, width = shape
    side = min(shape)
    pale = rng.random() < 0.5
    if rng.random() < 0.5:
        photo = _sky(photo, rng, pale=not pale)
    x, y = grid(shape)
    body = np.full(shape, -4, np.float32)
    canvas = Canvas(shape)
    for _ in range(int(rng.integers(1, 4))):
        reach = rng.uniform(0.1, 0.35) * side * rng.uniform(0.7, 1.3, 2)
        place = _by_the_border(shape, rng)
        for _ in range(int(rng.integers(1, 5))):  # a crown is several balls of leaves
            middle = place + rng.normal(0, 0.5, 2) * reach
            away = ((x - middle[0]) / reach[0]) ** 2 + ((y - middle[1]) / reach[1]) ** 2
            np.maximum(body, (1 - away).astype(np.float32), out=body)
        if rng.random() < 0.5:
            foot = place + [rng.normal(0, 0.3) * reach[0], height]
            _limb(canvas, place, foot, rng.uniform(0.02, 0.08) * side, rng)
    leaf = rng.uniform(0.006, 0.016) * side + 0.5
    rough = clouds(shape, rng, rng.uniform(0.08, 0.25) * side, octaves=3)
    fine = clouds(shape, rng, 2 * leaf, octaves=2)
    rougher = cv2.addWeighted(body, 1, rough, rng.uniform(0.25, 0.7), rng.uniform(0, 0.4))
    body = np.asarray(cv2.addWeighted(rougher, 1, fine, rng.uniform(0.15, 0.4), 0))
    alpha = np.clip(body * np.float32(rng.uniform(3, 8)), 0, 1)
    tone = 1 + np.float32(rng.uniform(0.05, 0.25)) * (np.float32(0.5) * fine + rough)
    alpha = behind(np.maximum(alpha, canvas.alpha()), photo, rng)
    return paint(photo, alpha, rng, light=pale, tone=tone, faintest=0.8)


def branches(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bare branches that fork and taper, from a side of the photo or from a trunk."""
    canvas = Canvas(photo.shape[:2])
    side = min(canvas.shape)
    for _ in range(int(rng.integers(1, 4))):
        start = _by_the_border(canvas.shape, rng)
        middle = np.array(canvas.shape[::-1]) * rng.uniform(0.3, 0.7, 2)
        angle = np.arctan2(*(middle - start)[::-1]) + rng.normal(0, 0.3)
        length, thick = rng.uniform(0.3, 0.8) * side, rng.uniform(0.01, 0.04) * side + 1
        heading = angle + np.cumsum(rng.normal(0, 0.15, 12))
        moves = length / 12 * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        path = np.concatenate([[start], start + np.cumsum(moves, axis=0)])
        canvas.stroke(path, np.maximum(thick * np.linspace(1, 0.35, 13), 0.8))
        roots, angles, lengths = path[3:], heading[2:], np.full(10, length)
        for wide in (0.5 * thick, 0.25 * thick):
            # Each branch of the last generation sends some to both sides.
            parent = rng.integers(len(roots), size=int(rng.integers(1, 4) * len(roots)))
            along = lengths[parent] * (0 if len(roots) == 10 else rng.uniform(0.2, 0.95))
            ahead = np.stack([np.cos(angles[parent]), np.sin(angles[parent])], axis=1)
            roots, count = roots[parent] + along[:, None] * ahead, len(parent)
            angles = angles[parent] + rng.choice([-1, 1], count) * rng.uniform(0.3, 1, count)
            lengths = lengths[parent] * rng.uniform(0.2, 0.5, count)
            bends, shown = rng.normal(0, 0.03, count), np.ones(count)
            widths = np.full(count, max(wide, 0.8))
            canvas.streaks(roots, angles, lengths, widths, shown, bends)
    return paint(photo, behind(canvas.alpha(), photo, rng), rng, light=0.5, faintest=0.7)


def leaves(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Foliage: crowds of small leaves of one tone, thick here and thin there; flowers in grass."""
    shape = photo.shape[:2]
    canvas = Canvas(shape)
    size, count = 2 * 6 ** rng.random(), int(rng.integers(250, 1000))
    clumps = anywhere(shape, rng, int(rng.integers(1, 4)), 0)
    reach = size * np.sqrt(count / len(clumps)) * rng.uniform(0.35, 0.55)
    places = clumps[rng.integers(len(clumps), size=count)] + rng.uniform(-reach, reach, (count, 2))
    places = places[((places >= 0) & (places < shape[::-1])).all(axis=1)]
    x, y = places.astype(int).T
    crowd = field(shape, rng, 0.6 * reach)[y, x] + 0.2 * white((len(places),), rng)
    places = places[crowd > rng.uniform(-0.6, 0.3)]
    sizes = size * rng.uniform(0.5, 1.2, len(places))
    strengths = rng.uniform(0.6, 1, len(places))
    if rng.random() < 0.5:
        canvas.specks(places, sizes, strengths, rng, longest=1.8)
    else:
        angles = rng.uniform(0, 2 * np.pi) + rng.normal(0, 1, len(places))
        widths, bends = 0.6 * sizes, rng.normal(0, 0.1, len(places))
        canvas.streaks(places, angles, 1.3 * sizes, widths, strengths, bends)
    front = canvas.alpha()
    width = 2 * round(1.5 * size) + 1
    depth = cv2.blur(cv2.blur(front, (width, width)), (width, width))  # leaves farther back
    alpha = np.maximum(front, np.float32(rng.uniform(0, 1)) * depth)
    tone = 1 + np.float32(0.2) * field(shape, rng, 2 * size)
    return paint(photo, alpha, rng, light=0.5, tone=tone, faintest=0.7)


def bark(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Veined surfaces: bark, marble, dry ground, foliage; rough at every scale."""
    shape = photo.shape[:2]
    veins = np.abs(clouds(shape, rng, rng.uniform(0.04, 0.15) * min(shape) + 4, octaves=4))
    alpha = np.clip(1 - veins / np.float32(rng.uniform(0.06, 0.2)), 0, 1) * patch(shape, rng)
    return paint(photo, (alpha * rng.uniform(0.4, 1)).astype(np.float32), rng, light=0.5)


def blossoms(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bunch, wreath or hat of flowers: petals around a heart, the one before the other."""
    shape = photo.shape[:2]
    side = min(shape)
    size = rng.uniform(0.03, 0.14) * side + 3
    count = int(rng.integers(1, 16))
    start = anywhere(shape, rng, 1, -0.1)[0]
    centers = start + rng.normal(0, 0.45 * np.sqrt(count), (count, 2)) * size
    alpha, tone = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    petals, curled = int(rng.integers(4, 14)), rng.uniform(0.1, 0.5)
    heart, dip = rng.uniform(0.1, 0.35), rng.uniform(0.2, 0.8)
    for center in centers:
        here = size * rng.uniform(0.7, 1.2)
        left, top = np.maximum(np.floor(center - here - 2), 0).astype(int)
        right, bottom = np.minimum(np.ceil(center + here + 2), shape[::-1]).astype(int)
        if left >= right or top >= bottom:
            continue
        window = (slice(top, bottom), slice(left, right))
        x, y = grid((bottom - top, right - left))
        x, y = (x + np.float32(left - center[0])) / here, (y + np.float32(top - center[1])) / here
        y = y / np.float32(rng.uniform(0.6, 1))  # seen from aside
        reach, angle = np.hypot(x, y), np.arctan2(y, x) + np.float32(rng.uniform(0, 6.3))
        turns = angle * np.float32(petals / 2) + np.float32(3 * curled) * reach
        petal = np.abs(np.cos(turns))
        rim = np.float32(1 - curled) + np.float32(curled) * petal
        front = np.clip((rim - reach) * np.float32(here), 0, 1)
        shade = np.float32(0.7) + np.float32(0.35) * petal * np.minimum(1.4 * reach, 1)
        shade -= np.float32(dip) * np.clip(1 - (reach / np.float32(heart)) ** 2, 0, 1)
        tone[window] += front * (shade * np.float32(rng.uniform(0.8, 1.1)) - tone[window])
        alpha[window] = np.maximum(alpha[window], front)
    return paint(photo, alpha, rng, light=0.5, tone=tone, faintest=0.85)


def shadow(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cast shadows, or patches of sun: soft-edged, and what they fall on goes on below them."""
    shape = photo.shape[:2]
    side = min(shape)
    form = rng.integers(3)
    if form == 0:  # of leaves
        alpha = clouds(shape, rng, rng.uniform(0.06, 0.3) * side, octaves=2)
        alpha = np.clip(2 * alpha + np.float32(rng.uniform(0, 1)), 0, 1)
        if rng.random() < 0.5:
            alpha *= np.clip(3 * field(shape, rng, 0.5 * side) + 2, 0, 1)
    elif form == 1:  # of a roof, a wall, a person
        canvas = Canvas(shape)
        count = int(rng.integers(3, 9))
        angle = (np.arange(count) + rng.uniform(-0.4, 0.4, count)) * (2 * np.pi / count)
        reach = rng.uniform(0.3, 0.8) * side * rng.uniform(0.6, 1.2, count)
        start = anywhere(shape, rng, 1, -0.05)[0]
        canvas.polygon(start + np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1))
        alpha = canvas.alpha()
    else:  # of a railing, a shutter, a tree row
        canvas = Canvas(shape)
        lean, pitch = rng.uniform(0, np.pi), rng.uniform(0.04, 0.2) * side + 4
        along = np.array([np.cos(lean), np.sin(lean)])
        start, share = anywhere(shape, rng, 1, -0.2)[0], rng.uniform(0.2, 0.6)
        across = along[::-1] * [-1, 1]
        for step in np.arange(-rng.integers(1, 4), rng.integers(2, 6)):
            middle = start + step * pitch * across
            far, half = 3 * side * along, 0.5 * share * pitch * across
            corners = [middle - far - half, middle + far - half, middle + far + half]
            canvas.polygon(np.stack([*corners, middle - far + half]))
        alpha = canvas.alpha()
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.8, 0.025 * side + 1))
    depth = np.float32(rng.uniform(0.3, 0.65))
    if rng.random() < 0.5:
        return cover(photo, depth * alpha, np.zeros_like(photo))
    return cover(photo, alpha, np.minimum(photo / (1 - depth), 1))


def _sky(photo: np.ndarray, rng: np.random.Generator, pale: bool) -> np.ndarray:
    """Evens out the upper part of the photo to a light or a dark sky."""
    shape = photo.shape[:2]
    level = rng.uniform(0.75, 1) if pale else rng.uniform(0.02, 0.3)
    sky = level + np.float32(0.05) * field(shape, rng, 0.5 * min(shape))
    edge = rng.uniform(0.3, 1) * shape[0] + 0.1 * shape[0] * field((1, shape[1]), rng, 60)
    alpha = np.clip((edge - np.arange(shape[0])[:, None]) / (0.2 * shape[0]), 0, 1)
    share = np.float32(rng.uniform(0.5, 0.95))
    return cover(photo, share * alpha.astype(np.float32), cv2.merge([sky.astype(np.float32)] * 3))


def _by_the_border(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A point (x, y) at or near one of the four sides."""
    place = rng.random(2)
    place[rng.integers(2)] = rng.integers(2) + rng.normal(0, 0.1)
    return place * shape[::-1]


def _limb(
    canvas: Canvas, start: np.ndarray, end: np.ndarray, thick: float, rng: np.random.Generator
) -> None:
    """A trunk from the crown at `start` down to `end`, thicker there."""
    t = np.linspace(0, 1, 12)
    bend = rng.normal(0, thick) * np.sin(np.pi * t)
    path = start + t[:, None] * (end - start) + np.stack([bend, 0 * t], axis=1)
    canvas.stroke(path, thick * (0.6 + 0.4 * t))
