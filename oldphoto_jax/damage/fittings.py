"""Made things of lines and lights: wires, ropes, windows, wheels, chandeliers, lamps, eyes.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere, field
from oldphoto_jax.damage.regions import behind
from oldphoto_jax.damage.scenery import cover, paint


def wires(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cables and strings: long, even, sagging a little."""
    canvas = Canvas(photo.shape[:2])
    height, width = canvas.shape
    tilt, width_here = rng.normal(0, 0.5), rng.uniform(0.8, 3)
    t = np.linspace(0, 1, 80)
    for row in rng.uniform(0, height, int(rng.integers(2, 8))):
        sag = rng.uniform(0, 0.1) * height * 4 * t * (1 - t)
        y = row + (tilt + rng.normal(0, 0.05)) * width * (t - 0.5) + sag
        path = np.stack([t * width * 1.1 - 5, y], axis=1)
        canvas.stroke(path if rng.random() < 0.7 else path[:, ::-1], width_here)
    return paint(photo, behind(canvas.alpha(), photo, rng), rng, light=0.5)


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


def lamps(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lamps, candles and stars: points of light with a glow, some with rays, at night or by day."""
    shape = photo.shape[:2]
    side = min(shape)
    canvas = Canvas(shape)
    if rng.random() < 0.4:
        photo = photo * np.float32(rng.uniform(0.2, 0.7))
    count = int(rng.integers(1, 30))
    if rng.random() < 0.5:  # a row, as in a street or along a cornice
        ends = anywhere(shape, rng, 2)
        t = np.linspace(0, 1, count)[:, None]
        centers = ends[0] + t * (ends[1] - ends[0]) + rng.normal(0, 0.01 * side, (count, 2))
    else:
        centers = anywhere(shape, rng, count)
    sizes = rng.uniform(0.004, 0.02) * side * rng.uniform(0.5, 1.3, count) + 1
    canvas.specks(centers, sizes, rng.uniform(0.7, 1, count), rng, longest=1.1)
    if count < 8 and rng.random() < 0.6:
        rays, turn = int(rng.choice([4, 6, 8])), rng.uniform(0, np.pi)
        angles = np.tile(turn + np.arange(rays) * (2 * np.pi / rays), count)
        reach = np.repeat(sizes * rng.uniform(2, 6, count), rays)
        widths = np.full(count * rays, 1.2)
        roots = np.repeat(centers, rays, axis=0)
        canvas.streaks(roots, angles, reach, widths, widths / 2, 0 * angles)
    core = cv2.GaussianBlur(canvas.alpha(), (0, 0), rng.uniform(0.5, 1))
    glow = cv2.GaussianBlur(core, (0, 0), rng.uniform(1, 3) * float(sizes.mean()))
    shine = np.clip(1.5 * core + np.float32(rng.uniform(1, 3)) * glow, 0, 1)
    return cover(photo, shine * np.float32(rng.uniform(0.7, 1)), np.ones_like(photo))


def chandelier(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Curved arms about a stem, with candles at their ends and drops of glass."""
    shape = photo.shape[:2]
    side = min(shape)
    canvas, lights = Canvas(shape), Canvas(shape)
    middle, reach = anywhere(shape, rng, 1, -0.1)[0], rng.uniform(0.1, 0.35) * side
    thick = rng.uniform(0.006, 0.02) * side + 0.6
    stem = np.stack([middle - [0, 2 * reach], middle + [0, 0.5 * reach]])
    canvas.stroke(stem, thick)
    t = np.linspace(0, 1, 16)
    drop, lift = rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.6)
    spread = np.cos(np.linspace(0.1, np.pi - 0.1, int(rng.integers(3, 10))))
    for tier in range(int(rng.integers(1, 3))):
        high = middle - [0, 0.9 * tier * reach]
        for share in spread * (1 - 0.4 * tier):
            x = share * reach * np.sin(np.pi / 2 * t)
            y = reach * (drop * np.sin(np.pi * t) - lift * t * t)
            arm = high + np.stack([x, y], axis=1)
            canvas.stroke(arm, thick)
            candle = np.stack([arm[-1], arm[-1] - [0, 0.15 * reach]])
            canvas.stroke(candle, 1.5 * thick)
            lights.specks(candle[1:], np.array([2.2 * thick]), np.ones(1), rng, 1.6)
            for hung in arm[4::4]:  # drops of glass
                lights.specks(hung[None] + [0, 1.5 * thick], np.array([thick]), np.ones(1), rng, 2)
    photo = paint(photo, canvas.alpha(), rng, light=0.5, faintest=0.7)
    return paint(photo, lights.alpha(), rng, light=0.7, faintest=0.8)


def rope(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ropes, cords and braids: thick, even, with a twist that shows."""
    canvas, lay = Canvas(photo.shape[:2]), Canvas(photo.shape[:2])
    side = min(canvas.shape)
    for _ in range(int(rng.integers(1, 4))):
        width = rng.uniform(0.01, 0.045) * side + 3
        ends = anywhere(canvas.shape, rng, 2, 0.2)
        length = max(float(np.hypot(*(ends[1] - ends[0]))), 8.0)
        t = np.linspace(0, 1, max(int(length / (0.5 * width)), 4))
        sag = rng.normal(0, 0.15) * length * 4 * t * (1 - t)
        path = ends[0] + t[:, None] * (ends[1] - ends[0]) + np.stack([0 * t, sag], axis=1)
        canvas.stroke(path, width)
        heading = np.arctan2(*np.gradient(path, axis=0).T[::-1]) + rng.choice([-1, 1]) * 0.7
        back = 0.65 * width * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        full = np.ones(len(t))
        lay.streaks(path - back, heading, 1.3 * width * full, 0.3 * width * full, full, 0.1 * full)
    alpha, pale = behind(canvas.alpha(), photo, rng), rng.random() < 0.5
    photo = paint(photo, alpha, rng, light=pale, faintest=0.8)
    twist = lay.alpha() * alpha * np.float32(rng.uniform(0.3, 0.8))
    level = rng.uniform(0.1, 0.4) if pale else rng.uniform(0.4, 0.8)
    return cover(photo, twist, np.full_like(photo, level))


def window(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A window with bars: panes flat and bright, seen from within, or dark, seen from outside."""
    shape = photo.shape[:2]
    size = rng.uniform(0.2, 0.8, 2) * shape[::-1]
    corner = rng.uniform(-0.15, 0.9, 2) * shape[::-1]
    rows, columns = rng.integers(1, 6, 2)
    bar = rng.uniform(0.008, 0.03) * min(shape) + 0.8
    tall, wide = size[1] / rows, size[0] / columns
    frame, panes = Canvas(shape), Canvas(shape)
    lean = rng.normal(0, 0.05)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])

    def box(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        points = first + square * (last - first)
        return points + lean * points[:, ::-1] * [0, 1]

    frame.polygon(box(corner - 2 * bar, corner + size + 2 * bar))
    for row in range(rows):
        for column in range(columns):
            first = corner + np.array([column * wide, row * tall]) + bar / 2
            panes.polygon(box(first, first + np.maximum([wide - bar, tall - bar], 1)))
    pale = rng.random() < 0.5
    if rng.random() < 0.7:
        photo = paint(photo, frame.alpha(), rng, light=1 - pale, faintest=0.7)
    tone = 1 + np.float32(0.25) * field(shape, rng, 0.3 * min(shape))
    return paint(photo, panes.alpha(), rng, light=pale, tone=tone, faintest=0.75)


def wheel(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Wheels, fans and clock faces: rim, hub and even spokes, seen from aside."""
    canvas = Canvas(photo.shape[:2])
    side = min(canvas.shape)
    radius, squash = rng.uniform(0.1, 0.4) * side, rng.uniform(0.3, 1)
    tilt, spokes = rng.normal(0, 0.3), int(rng.integers(5, 33))
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    thin = rng.uniform(0.004, 0.012) * side + 0.6
    rim, hub = thin * rng.uniform(1, 4), rng.uniform(0.08, 0.25)
    middle = anywhere(canvas.shape, rng, 1, 0)[0]
    around = np.linspace(0, 2 * np.pi, 73)
    for _ in range(int(rng.integers(1, 3))):
        circle = np.stack([squash * np.cos(around), np.sin(around)], axis=1) @ turn
        canvas.stroke(middle + radius * circle, rim)
        canvas.polygon(middle + hub * radius * circle)
        if rng.random() < 0.3:
            canvas.stroke(middle + 0.85 * radius * circle, thin)
        for angle in np.arange(spokes) * (2 * np.pi / spokes) + rng.uniform(0, 1):
            end = np.array([squash * np.cos(angle), np.sin(angle)]) @ turn
            canvas.stroke(np.stack([middle, middle + radius * end]), thin)
        middle = middle + rng.uniform(1.5, 4) * radius * np.array([rng.choice([-1, 1]), 0.05])
    return paint(photo, behind(canvas.alpha(), photo, rng), rng, light=0.5, faintest=0.7)


def eyes(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Eyes and spectacles: a dark or pale iris with a dark pupil and a small bright catch-light."""
    shape = photo.shape[:2]
    size = rng.uniform(0.012, 0.06) * min(shape) + 2
    white, iris, pupil, light = (Canvas(shape) for _ in range(4))
    around = np.linspace(0, 2 * np.pi, 25)[:-1]
    circle = np.stack([np.cos(around), np.sin(around)], axis=1)
    lids, sun = rng.uniform(0.5, 0.9), rng.normal(0, 0.25, 2)
    start, apart = anywhere(shape, rng, 1, -0.1)[0], rng.uniform(4, 6) * size
    glass, tilt = rng.random() < 0.3, rng.normal(0, 0.15)
    for side in (-0.5, 0.5):
        middle = start + side * apart * np.array([np.cos(tilt), np.sin(tilt)])
        white.polygon(middle + size * circle * [1.6, lids])
        iris.polygon(middle + 0.75 * size * circle * [1, min(1, lids / 0.75)])
        pupil.polygon(middle + 0.35 * size * circle)
        light.polygon(middle + size * (sun + rng.uniform(0.12, 0.25) * circle))
        if glass:
            pupil.stroke(middle + 2.2 * size * circle[np.r_[:24, 0]], 0.15 * size + 0.6)
    photo = paint(photo, white.alpha(), rng, light=1, faintest=0.5)
    photo = paint(photo, iris.alpha(), rng, light=0.3, faintest=0.6)
    photo = paint(photo, pupil.alpha(), rng, light=0, faintest=0.8)
    return paint(photo, light.alpha(), rng, light=1, faintest=0.8)
