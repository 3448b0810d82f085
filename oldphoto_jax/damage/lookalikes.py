"""What looks like damage and is not: thin bright or regular things that belong to the scene.

Each is kind(photo, rng) -> photo, [H,W,3] float32 in 0..1. They are drawn before the photo ages,
so that they share the blur and the grain of the scene, and no mask ever marks them.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.borders import border, corners, film, lid, mount
from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.greenery import blossoms, branches, crown, leaves, shadow
from oldphoto_jax.damage.masses import fur, mass, piece
from oldphoto_jax.damage.noise import anywhere, clouds, wander
from oldphoto_jax.damage.patterns import dots, fence, lace, page, rigging, stripes, tiles
from oldphoto_jax.damage.scenery import paint, patch
from oldphoto_jax.damage.writing import caption, handwriting, stamp, text


def wires(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cables and strings: long, even, sagging a little."""
    canvas = Canvas(photo.shape[:2])
    height, width = canvas.shape
    tilt, width_here = rng.normal(0, 0.5), rng.uniform(0.8, 3)
    t = np.linspace(0, 1, 80)
    for row in rng.uniform(0, height, int(rng.integers(1, 6))):
        sag = rng.uniform(0, 0.1) * height * 4 * t * (1 - t)
        y = row + (tilt + rng.normal(0, 0.05)) * width * (t - 0.5) + sag
        path = np.stack([t * width * 1.1 - 5, y], axis=1)
        canvas.stroke(path if rng.random() < 0.7 else path[:, ::-1], width_here)
    return paint(photo, canvas.alpha(), rng, light=0.3)


def strands(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Locks of hair: many thin smooth strands that run together."""
    canvas = Canvas(photo.shape[:2])
    side = min(canvas.shape)
    start, angle = anywhere(canvas.shape, rng, 1)[0], rng.uniform(0, 2 * np.pi)
    count, spread = int(rng.integers(8, 60)), rng.uniform(0.02, 0.12) * side
    across = np.array([-np.sin(angle), np.cos(angle)])
    roots = start + rng.normal(0, spread, (count, 1)) * across + rng.normal(0, 3, (count, 2))
    canvas.streaks(
        roots,
        angle + rng.normal(0, rng.uniform(0.03, 0.2), count),
        rng.uniform(0.15, 0.6) * side * rng.uniform(0.6, 1.2, count),
        rng.uniform(0.6, 1.6, count),
        rng.uniform(0.3, 0.9, count),
        rng.normal(0, 0.12) + rng.normal(0, 0.02, count),
    )
    return paint(photo, canvas.alpha(), rng, light=0.4)


def whiskers(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fan of tapering bristles: whiskers, feathers, fringes, lashes."""
    canvas = Canvas(photo.shape[:2])
    side = min(canvas.shape)
    root, angle = anywhere(canvas.shape, rng, 1, 0)[0], rng.uniform(0, 2 * np.pi)
    fan, reach, count = rng.uniform(0.15, 0.9), rng.uniform(0.05, 0.3), int(rng.integers(3, 16))
    canvas.streaks(
        root + rng.normal(0, 0.02 * side, (count, 2)),
        angle + rng.uniform(-fan, fan, count),
        reach * side * rng.uniform(0.6, 1.1, count),
        rng.uniform(0.7, 2, count),
        rng.uniform(0.5, 1, count),
        rng.normal(0, 0.1) + rng.normal(0, 0.04, count),
    )
    return paint(photo, canvas.alpha(), rng, light=0.6)


def grass(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blades and twigs that rise from an uneven ground line."""
    canvas = Canvas(photo.shape[:2])
    height, width = canvas.shape
    count = int(rng.integers(20, 90))
    first, last = np.sort(rng.uniform(-0.1, 1.1, 2)) * width
    ground, tall = rng.uniform(0.4, 1.1) * height, rng.uniform(0.03, 0.2) * height + 4
    x, y = rng.uniform(first, last, count), ground + rng.normal(0, 0.03 * height, count)
    canvas.streaks(
        np.stack([x, y], axis=1),
        rng.normal(-np.pi / 2, 0.3, count),
        tall * rng.uniform(0.4, 1.2, count),
        rng.uniform(0.7, 2.5, count),
        rng.uniform(0.4, 1, count),
        rng.normal(0, 0.08, count),
    )
    return paint(photo, canvas.alpha(), rng, light=0.45)


def highlights(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Catch-lights and shine: small bright spots with a glow, on the brighter side of things."""
    shape = photo.shape[:2]
    canvas = Canvas(shape)
    side = min(shape)
    count = int(rng.integers(1, 8))
    sizes = rng.uniform(0.006, 0.03, count) * side + 1
    centers = anywhere(shape, rng, 1)[0] + rng.normal(0, rng.uniform(0.05, 0.3) * side, (count, 2))
    canvas.specks(centers, sizes, rng.uniform(0.6, 1, count), rng, longest=3)
    core = cv2.GaussianBlur(canvas.alpha(), (0, 0), rng.uniform(0.5, 1.2))
    glow = cv2.GaussianBlur(core, (0, 0), rng.uniform(2, 5))
    shine = np.clip(core + 0.8 * glow, 0, 1)[..., None] * np.float32(rng.uniform(0.6, 1))
    return photo + shine * (1 - photo)


def glints(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Jewellery: pearls or links strung along a curve, or sequins and buttons in rows."""
    shape = photo.shape[:2]
    canvas = Canvas(shape)
    side = min(shape)
    size = rng.uniform(0.006, 0.018) * side + 1
    start, angle = anywhere(shape, rng, 1, 0)[0], rng.uniform(0, 2 * np.pi)
    apart, reach = size * rng.uniform(1.2, 3), rng.uniform(0.08, 0.4) * side
    path = wander(start, angle, reach, rng, 1.2, step=apart)
    sizes, strengths = np.full(len(path), size), rng.uniform(0.5, 1, len(path))
    canvas.specks(path, sizes, strengths, rng, longest=1.2)
    return paint(photo, canvas.alpha(), rng, light=0.85)


def bark(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Veined surfaces: bark, marble, dry ground, foliage; rough at every scale."""
    shape = photo.shape[:2]
    veins = np.abs(clouds(shape, rng, rng.uniform(0.04, 0.15) * min(shape) + 4, octaves=4))
    alpha = np.clip(1 - veins / np.float32(rng.uniform(0.06, 0.2)), 0, 1) * patch(shape, rng)
    return paint(photo, (alpha * rng.uniform(0.4, 1)).astype(np.float32), rng, light=0.35)


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
        cover, shade = make(reach / (diameter / 2), 2 * lit, diameter / 2)
        tone[window] += cover * (shade - tone[window])
        alpha[window] = np.maximum(alpha[window], cover)
        away = np.hypot(across + 0.12 * diameter * toward[0], down + 0.12 * diameter * toward[1])
        shadow[window] = np.maximum(shadow[window], away < diameter / 2)
    if make is not _bubble:
        shadow = cv2.GaussianBlur(shadow, (0, 0), 0.06 * size + 0.5)
        photo = photo * cv2.merge([1 - np.float32(0.5) * shadow] * 3)
    return paint(photo, alpha, rng, light=0.7, tone=tone, faintest=0.8)


def _window(shape: tuple[int, int], x: float, y: float, diameter: float):
    """The part of the photo around (x, y), and how far its pixels lie from there."""
    reach = diameter + 2
    left, right = (int(np.clip(x + side, 0, shape[1])) for side in (-reach, reach))
    top, bottom = (int(np.clip(y + side, 0, shape[0])) for side in (-reach, reach))
    across = np.arange(left, right, dtype=np.float32)[None] - np.float32(x)
    down = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    return (slice(top, bottom), slice(left, right)), across, down


def _button(reach: np.ndarray, lit: np.ndarray, radius: float):
    """A disc with a raised rim; `reach` is 1 at its edge, `lit` -1..1 towards the sun."""
    slope = np.where(reach > 0.8, lit, np.where(reach > 0.6, -lit, 0.3 * lit))
    return np.clip((1 - reach) * radius + 0.5, 0, 1), 0.8 + 0.5 * slope


def _ring(reach: np.ndarray, lit: np.ndarray, radius: float):
    """A round wire or band; its outer slope faces the sun where its inner slope does not."""
    band = np.clip((0.2 - np.abs(reach - 0.8)) * radius + 0.5, 0, 1)
    return band, 0.8 + 0.5 * np.where(reach > 0.8, lit, -lit)


def _bubble(reach: np.ndarray, lit: np.ndarray, radius: float):
    """A thin clear shell: a bright rim towards the sun, a faint one away from it, a glint."""
    rim = np.clip((0.08 - np.abs(reach - 0.92)) * radius + 0.7, 0, 1) * (0.55 + 0.35 * lit)
    body = 0.12 * np.clip((1 - reach) * radius + 0.5, 0, 1)
    glint = np.clip(1 - 5 * np.hypot(lit - 0.55, np.sqrt(np.maximum(reach**2 - lit**2, 0))), 0, 1)
    return np.clip(np.maximum(rim, body) + glint, 0, 1), np.ones_like(reach)


LOOKALIKES = {
    "text": text,
    "handwriting": handwriting,
    "wires": wires,
    "lace": lace,
    "stripes": stripes,
    "fence": fence,
    "strands": strands,
    "whiskers": whiskers,
    "grass": grass,
    "highlights": highlights,
    "glints": glints,
    "bark": bark,
    "dots": dots,
    "page": page,
    "tiles": tiles,
    "rigging": rigging,
    "leaves": leaves,
    "buttons": buttons,
    "caption": caption,
    "stamp": stamp,
    "border": border,
    "mount": mount,
    "corners": corners,
    "lid": lid,
    "film": film,
    "crown": crown,
    "branches": branches,
    "blossoms": blossoms,
    "shadow": shadow,
    "mass": mass,
    "fur": fur,
    "piece": piece,
}
