"""What looks like damage and is not: thin bright or regular things that belong to the scene.

Each is kind(photo, rng) -> photo, [H,W,3] float32 in 0..1. They are drawn before the photo ages,
so that they share the blur and the grain of the scene, and no mask ever marks them.
"""

import string

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere, clouds, field, ragged, wander

LETTERS = string.ascii_letters + string.digits + " .,&-"


def _paint(photo: np.ndarray, alpha: np.ndarray, rng: np.random.Generator, light: float):
    """Puts alpha [H,W] into the scene in one ink, with a lens's softness and the scene's light."""
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.35, 0.9))
    pale = rng.random() < light
    level = rng.uniform(0.7, 1.0) if pale else rng.uniform(0.0, 0.3)
    ink = np.clip(level * rng.uniform(0.85, 1.1, 3), 0, 1).astype(np.float32)
    shading = np.clip(1 + 0.2 * field(alpha.shape, rng, 0.2 * min(alpha.shape)), 0.4, 1.2)
    place = np.flatnonzero(alpha > 0.01)
    goal = np.clip(ink * shading.take(place)[:, None], 0, 1)
    opacity = np.float32(rng.uniform(0.5, 1.0)) * alpha.take(place)[:, None]
    painted = photo.copy()
    flat = painted.reshape(-1, 3)
    flat[place] += opacity * (goal - flat[place])
    return painted


def _patch(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A soft-edged region [H,W] for a pattern: about a third of the photo."""
    side = min(shape)
    level = field(shape, rng, rng.uniform(0.25, 0.6) * side)
    return np.clip(6 * (level - rng.uniform(0, 0.6)), 0, 1).astype(np.float32)


def _turned(shape: tuple[int, int], rng: np.random.Generator, bend: float):
    """Coordinates (u, v) in pixels, turned at random and bent like cloth by `bend` pixels."""
    angle = rng.uniform(0, np.pi)
    x = np.arange(shape[1], dtype=np.float32)[None]
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    folds = [np.float32(bend) * field(shape, rng, 0.2 * min(shape)) for _ in range(2)]
    return cos * x + sin * y + folds[0], cos * y - sin * x + folds[1]


def text(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A caption, a shop sign or a signature."""
    shape = photo.shape[:2]
    side = min(shape)
    board = np.zeros(shape, np.uint8)
    faces = (
        cv2.FONT_HERSHEY_SIMPLEX,
        cv2.FONT_HERSHEY_COMPLEX,
        cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
        cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    )
    face, size = faces[rng.integers(4)], rng.uniform(0.25, 1.1) * max(side / 256, 0.6)
    x, y = rng.uniform(-0.1, 0.6) * shape[1], rng.uniform(0.1, 1) * shape[0]
    for row in range(int(rng.integers(1, 4))):
        words = "".join(rng.choice(list(LETTERS), int(rng.integers(3, 18))))
        where = (int(x), int(y + row * 32 * size))
        thick = int(rng.integers(1, 3))
        cv2.putText(board, words, where, face, size, 255, thick, cv2.LINE_AA)
    middle = (shape[1] / 2, shape[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, rng.normal(0, 8), 1)
    alpha = cv2.warpAffine(board, turn, shape[::-1]).astype(np.float32) / 255
    return _paint(photo, alpha, rng, light=0.5)


def handwriting(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines of joined loops as a pen leaves them."""
    canvas = Canvas(photo.shape[:2])
    side = min(canvas.shape)
    size = rng.uniform(0.012, 0.04) * side + 2
    start = anywhere(canvas.shape, rng, 1, 0)[0] * 0.8
    for row in range(int(rng.integers(1, 4))):
        t = np.arange(0, rng.uniform(20, 90), 0.25)
        tall = size * (1 + 0.5 * ragged(len(t), rng, 6))
        turn = 1.1 * t + 2.5 * ragged(len(t), rng, 6)  # uneven: loops, cusps and waves
        x = 0.45 * size * t + 0.6 * size * np.sin(turn + 2)
        y = tall * np.sin(turn) + 0.5 * size * ragged(len(t), rng, 3) + row * 4.5 * size
        line = start + np.stack([x * 0.6 - 0.25 * y, y], axis=1)
        press = 1 + 0.4 * ragged(len(t), rng, 6)
        canvas.stroke(line, max(0.1 * size, 0.8) * press, rng.uniform(0.6, 1))
    return _paint(photo, canvas.alpha(), rng, light=0.3)


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
    return _paint(photo, canvas.alpha(), rng, light=0.3)


def lace(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Net, lace or wire mesh over part of the scene."""
    shape = photo.shape[:2]
    u, v = _turned(shape, rng, bend=rng.uniform(0, 6))
    pitch = np.float32(np.pi / rng.uniform(4, 14))
    thin = rng.uniform(0.75, 0.93)
    threads = np.maximum(np.abs(np.cos(u * pitch)), np.abs(np.cos(v * pitch)))
    alpha = np.clip((threads - thin) / (1 - thin) * 1.5, 0, 1)
    return _paint(photo, (alpha * _patch(shape, rng)).astype(np.float32), rng, light=0.6)


def stripes(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Striped or checked cloth, woven and folded."""
    shape = photo.shape[:2]
    u, v = _turned(shape, rng, bend=rng.uniform(2, 10))
    pitch = np.float32(2 * np.pi / rng.uniform(5, 24))
    width = rng.uniform(-0.3, 0.85)
    bands = np.clip(4 * (np.cos(u * pitch) - width), 0, 1)
    if rng.random() < 0.3:
        bands = np.maximum(bands, np.clip(4 * (np.cos(v * pitch) - width), 0, 1))
    return _paint(photo, (bands * _patch(shape, rng)).astype(np.float32), rng, light=0.5)


def fence(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Railings: even upright bars with one or two cross rails."""
    canvas = Canvas(photo.shape[:2])
    height, width = canvas.shape
    pitch, bar = rng.uniform(0.02, 0.1) * width + 4, rng.uniform(0.8, 4)
    top, bottom = np.sort(rng.uniform(0, 1, 2)) * height
    lean = rng.normal(0, 0.06)
    first, last = np.sort(rng.uniform(-0.2, 1.2, 2)) * width
    for x in np.arange(first, last, pitch):
        canvas.stroke(np.array([[x, top], [x + lean * (bottom - top), bottom + 4]]), bar)
    for y in rng.uniform(top, bottom, int(rng.integers(1, 3))):
        canvas.stroke(np.array([[first, y], [last, y + lean * 20]]), bar * 1.2)
    return _paint(photo, canvas.alpha(), rng, light=0.35)


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
    return _paint(photo, canvas.alpha(), rng, light=0.4)


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
    return _paint(photo, canvas.alpha(), rng, light=0.6)


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
    return _paint(photo, canvas.alpha(), rng, light=0.45)


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
    return _paint(photo, canvas.alpha(), rng, light=0.85)


def bark(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Veined surfaces: bark, marble, dry ground, foliage; rough at every scale."""
    shape = photo.shape[:2]
    veins = np.abs(clouds(shape, rng, rng.uniform(0.04, 0.15) * min(shape) + 4, octaves=4))
    alpha = np.clip(1 - veins / np.float32(rng.uniform(0.06, 0.2)), 0, 1) * _patch(shape, rng)
    return _paint(photo, (alpha * rng.uniform(0.4, 1)).astype(np.float32), rng, light=0.35)


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
}
