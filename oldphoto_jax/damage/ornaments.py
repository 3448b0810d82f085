"""Small things in rows and figures: beads, buttons, brocade, sequins; shaded as solid things are.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere, field, wander
from oldphoto_jax.damage.scenery import cover, paint, patch, turned


def glints(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Jewellery: links strung along a curve, or sequins and small stones in rows."""
    shape = photo.shape[:2]
    canvas = Canvas(shape)
    side = min(shape)
    size = rng.uniform(0.006, 0.018) * side + 1
    start, angle = anywhere(shape, rng, 1, 0)[0], rng.uniform(0, 2 * np.pi)
    apart, reach = size * rng.uniform(1.2, 3), rng.uniform(0.08, 0.4) * side
    path = wander(start, angle, reach, rng, 1.2, step=apart)
    sizes, strengths = np.full(len(path), size), rng.uniform(0.5, 1, len(path))
    canvas.specks(path, sizes, strengths, rng, longest=1.2)
    return paint(photo, canvas.alpha(), rng, light=0.5)


def beads(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strings of pearls or dark beads: round, close together, each lit from the same side."""
    shape = photo.shape[:2]
    side = min(shape)
    size = rng.uniform(0.012, 0.05) * side + 2
    reach = rng.uniform(0.15, 0.5) * side
    start, hang = anywhere(shape, rng, 1, -0.1)[0], rng.uniform(0.2, 1.6) * reach
    t = np.linspace(-1, 1, 200)
    tilt = rng.normal(0, 0.3) * reach
    alpha, tone = (np.full(shape, level, np.float32) for level in (0, 1))
    sun = rng.uniform(0, 2 * np.pi)
    gap, grade = rng.uniform(1.0, 1.4), rng.uniform(0, 0.6)
    for row in range(int(rng.integers(1, 4))):
        bow = reach - 1.1 * row * size, hang + 1.3 * row * size
        curve = start + np.stack([bow[0] * t, bow[1] * (1 - t * t) + tilt * t], axis=1)
        steps = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(curve, axis=0).T))])
        places = np.arange(0, steps[-1], max(gap * size, 2.5))[:90]
        middles = [np.interp(places, steps, curve[:, axis]) for axis in range(2)]
        thick = size * (1 - grade * np.abs(2 * places / steps[-1] - 1))
        for x, y, diameter in zip(*middles, thick, strict=True):
            window, across, down = _window(shape, x, y, 0.6 * diameter)
            far = np.hypot(across, down) / np.float32(diameter / 2)
            front = np.clip((1 - far) * np.float32(diameter / 2) + np.float32(0.5), 0, 1)
            lit = (across * np.float32(np.cos(sun)) + down * np.float32(np.sin(sun))) / diameter
            shade = np.float32(0.75) + lit - np.float32(0.25) * far * far
            shade += np.clip(6 * lit - 1.5, 0, 1) * np.clip(1.2 - far, 0, 1)
            tone[window] += front * (shade - tone[window])
            alpha[window] = np.maximum(alpha[window], front)
    shadow = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.3 * size))
    photo = cover(photo, np.float32(0.4) * shadow, np.zeros_like(photo))
    photo = paint(photo, alpha, rng, light=0.5, tone=tone, faintest=0.85)
    return _gloss(photo, alpha, tone - np.float32(0.15), rng)


def brocade(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Figured cloth, wallpaper, carpets, carving: one symmetric ragged figure again and again."""
    shape = photo.shape[:2]
    pitch = int(rng.uniform(0.02, 0.09) * min(shape)) + 5
    half = (pitch, int(pitch * rng.uniform(0.6, 1.6)) + 1)
    figure = field(half, rng, rng.uniform(0.25, 0.6) * pitch)
    figure += np.float32(0.5) * field(half, rng, 0.2 * pitch + 1)
    figure = np.clip((figure - np.float32(rng.uniform(-0.2, 0.6))) * 8, 0, 1)
    if rng.random() < 0.4:  # only its outline, embroidered
        figure = np.clip(1.5 - 3 * np.abs(figure - 0.5), 0, 1)
    figure = np.concatenate([figure, figure[:, ::-1]], axis=1)
    figure = np.concatenate([figure, figure[::-1]], axis=0).astype(np.float32)
    u, v = turned(shape, rng, bend=rng.choice(np.array([0.0, rng.uniform(1, 10)])))
    v = v + np.float32(half[0]) * (np.floor(u / (2 * half[1])) % 2) * (rng.random() < 0.5)
    u, v = u % np.float32(2 * half[1]), v % np.float32(2 * half[0])
    alpha = cv2.remap(figure, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    if rng.random() < 0.75:
        alpha *= patch(shape, rng)
    return paint(photo, alpha, rng, light=0.5)


def buttons(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Buttons, coins, rings and bubbles: round, with a lit side, a dark side and a shadow."""
    shape = photo.shape[:2]
    count, size = int(rng.integers(2, 14)), rng.uniform(4, 30)
    start = anywhere(shape, rng, 1, -0.2)[0]
    if rng.random() < 0.5:  # in a row, as on a coat
        angle, apart = rng.uniform(0, 2 * np.pi), size * rng.uniform(1.3, 4)
        steps = (np.arange(count)[:, None] - count // 2) * apart
        centers = start + steps * np.array([np.cos(angle), np.sin(angle)])
    else:
        centers = start + rng.normal(0, rng.uniform(1, 4) * size, (count, 2))
    sizes = np.full(count, size) if rng.random() < 0.6 else rng.uniform(4, size, count)
    alpha, tone, shadow = (np.full(shape, level, np.float32) for level in (0, 1, 0))
    squash, sun = rng.uniform(0.6, 1), rng.uniform(0, 2 * np.pi)
    make = (_button, _ring, _bubble)[rng.integers(3)]
    toward = np.array([np.cos(sun), np.sin(sun)])
    for (x, y), diameter in zip(centers, sizes, strict=True):
        window, across, down = _window(shape, x, y, diameter)
        down = down / squash
        reach, lit = np.hypot(across, down), (across * toward[0] + down * toward[1]) / diameter
        front, shade = make(reach / (diameter / 2), 2 * lit, diameter / 2)
        tone[window] += front * (shade - tone[window])
        alpha[window] = np.maximum(alpha[window], front)
        away = np.hypot(across + 0.12 * diameter * toward[0], down + 0.12 * diameter * toward[1])
        shadow[window] = np.maximum(shadow[window], away < diameter / 2)
    if make is not _bubble:
        shadow = np.asarray(cv2.GaussianBlur(shadow, (0, 0), 0.06 * size + 0.5))
        photo = photo * cv2.merge([1 - np.float32(0.5) * shadow] * 3)
    # Each has a light and a dark side, and a dark shadow besides: pale ones make it even.
    photo = paint(photo, alpha, rng, light=0.7, tone=tone, faintest=0.8)
    return photo if make is _bubble else _gloss(photo, alpha, tone, rng)


def _gloss(
    photo: np.ndarray, alpha: np.ndarray, tone: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The sun mirrored where `tone` says that a surface faces it: dark things shine as well."""
    shine = np.clip(3 * tone - np.float32(2.6), 0, 1) * alpha
    return cover(photo, shine * np.float32(rng.uniform(0.5, 0.9)), np.ones_like(photo))


def _window(
    shape: tuple[int, int], x: float, y: float, diameter: float
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The part of the photo around (x, y), and how far its pixels lie from there."""
    reach = diameter + 2
    left, right = (int(np.clip(x + side, 0, shape[1])) for side in (-reach, reach))
    top, bottom = (int(np.clip(y + side, 0, shape[0])) for side in (-reach, reach))
    across = np.arange(left, right, dtype=np.float32)[None] - np.float32(x)
    down = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    return (slice(top, bottom), slice(left, right)), across, down


def _button(reach: np.ndarray, lit: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A disc with a raised rim; `reach` is 1 at its edge, `lit` -1..1 towards the sun."""
    slope = np.where(reach > 0.8, lit, np.where(reach > 0.6, -lit, 0.3 * lit))
    return np.clip((1 - reach) * radius + 0.5, 0, 1), 0.8 + 0.5 * slope


def _ring(reach: np.ndarray, lit: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A round wire or band; its outer slope faces the sun where its inner slope does not."""
    band = np.clip((0.2 - np.abs(reach - 0.8)) * radius + 0.5, 0, 1)
    return band, 0.8 + 0.5 * np.where(reach > 0.8, lit, -lit)


def _bubble(reach: np.ndarray, lit: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A thin clear shell: a bright rim towards the sun, a faint one away from it, a glint."""
    rim = np.clip((0.08 - np.abs(reach - 0.92)) * radius + 0.7, 0, 1) * (0.55 + 0.35 * lit)
    body = 0.12 * np.clip((1 - reach) * radius + 0.5, 0, 1)
    glint = np.clip(1 - 5 * np.hypot(lit - 0.55, np.sqrt(np.maximum(reach**2 - lit**2, 0))), 0, 1)
    return np.clip(np.maximum(rim, body) + glint, 0, 1), np.ones_like(reach)
