"""What frames a print and is no damage: its border, mounts, album corners, the scanner's lid, film.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`. The
photo may be a part of a larger one: then it shows a border on some of its sides only.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import fibres, field
from oldphoto_jax.damage.scenery import cover, grid


def border(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The unprinted border of a print: straight, deckled or round-cornered, plain or with rules."""
    shape = photo.shape[:2]
    wide = rng.uniform(0.015, 0.12) * min(shape)
    depth = _depth(shape, wide, rng)
    pale = rng.random() < 0.5
    photo = _rules(photo, depth, rng)
    photo = cover(photo, _outside(depth, rng), flat(shape, rng, pale))
    if rng.random() < 0.4:  # the print ends too, and what it lies on shows
        edge = depth + np.float32(wide * rng.uniform(0.4, 0.8))
        if rng.random() < 0.4:
            edge = _deckle(edge, rng)
        photo = _lid(photo, edge, rng, not pale)
    return photo


def mount(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An oval, round or arched opening in a card, sharp or faded out, with or without a rule."""
    shape = photo.shape[:2]
    x, y = grid(shape)
    middle = np.array(shape[::-1]) * rng.uniform(0.4, 0.6, 2)
    reach = np.array(shape[::-1]) * rng.uniform(0.38, 0.62, 2)
    if rng.random() < 0.3:  # only a corner of a larger oval is in view
        reach = reach * rng.uniform(1.2, 2)
        middle = middle + (reach - 0.5 * np.array(shape[::-1])) * rng.choice([-1, 1], 2)
    power = rng.choice([2.0, 2.0, 2.5, 4.0])
    across, down = np.abs((x - middle[0]) / reach[0]), np.abs((y - middle[1]) / reach[1])
    if rng.random() < 0.2:  # an arch: round above, straight below
        down = np.where(y > middle[1], 0, down)
    away = (across**power + down**power) ** (1 / power) - 1
    depth = -(away * np.float32(min(reach))).astype(np.float32)
    pale = rng.random() < 0.5
    if rng.random() < 0.4:  # a vignette: the photo fades into its paper
        soft = np.float32(rng.uniform(0.05, 0.35) * min(shape))
        alpha = np.clip(0.5 - depth / soft, 0, 1)
        alpha = alpha * alpha * (3 - 2 * alpha)
    else:
        photo = _rules(photo, depth, rng)
        alpha = _outside(depth, rng)
    return cover(photo, alpha, flat(shape, rng, pale))


def corners(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Album corners: paper triangles over the corners of a print, or slits that hold it."""
    shape = photo.shape[:2]
    side = min(shape)
    canvas, seams = Canvas(shape), Canvas(shape)
    size, inset = rng.uniform(0.07, 0.2) * side, rng.uniform(0, 0.1) * side
    round_, pale = rng.random() < 0.25, rng.random() < 0.5
    bulge = rng.uniform(-0.1, 0.25) if round_ else 0.0
    t = np.linspace(0, 1, 12)[:, None]
    for right, low in ((0, 0), (1, 0), (1, 1), (0, 1)):
        if rng.random() < 0.15:
            continue
        turn = np.array([1 - 2 * right, 1 - 2 * low])
        tip = np.array([right * shape[1], low * shape[0]]) + inset * turn
        ends = tip + size * turn * [[1, 0], [0, 1]] * rng.uniform(0.85, 1.15, (2, 1))
        hem = ends[:1] + t * (ends[1:] - ends[:1]) + 4 * t * (1 - t) * bulge * size * turn
        canvas.polygon(np.concatenate([[tip], hem]))
        for line in (0.08, 0.18)[: rng.integers(0, 3)]:
            seams.stroke(hem - line * size * turn, max(0.006 * side, 0.8))
    if inset > 2:  # the page of the album around the print
        x, y = grid(shape)
        depth = np.minimum(np.minimum(x, shape[1] - x), np.minimum(y, shape[0] - y)) - inset
        page = flat(shape, rng, rng.random() < 0.5)
        photo = cover(photo, _outside(depth.astype(np.float32), rng), page)
    alpha = canvas.alpha()
    shadow = cv2.GaussianBlur(alpha, (0, 0), 0.008 * side + 0.5)
    photo = cover(photo, np.float32(0.4) * shadow, np.zeros_like(photo))
    photo = cover(photo, alpha, flat(shape, rng, pale))
    seam = np.full_like(photo, rng.uniform(0, 0.3) if pale else rng.uniform(0.6, 0.9))
    return cover(photo, 0.5 * seams.alpha() * alpha, seam)


def lid(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The scanner's lid around a print: white, gray or black, the print straight or not."""
    shape = photo.shape[:2]
    depth = _depth(shape, rng.uniform(0.01, 0.15) * min(shape), rng)
    if rng.random() < 0.4:  # the print has a border of its own within
        wide = np.float32(rng.uniform(0.02, 0.08) * min(shape))
        pale = rng.random() < 0.5
        photo = cover(photo, _outside(depth - wide, rng), flat(shape, rng, pale))
    if rng.random() < 0.25:
        depth = _deckle(depth, rng)
    return _lid(photo, depth, rng, pale=rng.random() < 0.5)


def film(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The edge of a film: a rebate with even, rounded perforations, numbers and arrows."""
    shape = photo.shape[:2]
    upright = rng.random() < 0.5
    length, depth = shape if upright else shape[::-1]
    wide = rng.uniform(0.05, 0.14) * min(shape)
    strip = np.zeros((max(int(wide), 4), length), np.float32)
    letters = np.zeros(strip.shape, np.uint8)
    high = len(strip)
    pitch = high * rng.uniform(0.7, 1.5)
    hole = np.array([pitch * rng.uniform(0.35, 0.65), high * rng.uniform(0.35, 0.6)])
    x, y = grid(strip.shape)
    place = high * rng.uniform(0.4, 0.55)
    step = (x + np.float32(rng.uniform(0, pitch))) % np.float32(pitch) - np.float32(pitch / 2)
    strip[:] = np.clip(0.5 - rounded(step, y - np.float32(place), hole, 0.25 * hole.min()), 0, 1)
    if high > 10 and rng.random() < 0.5:
        size = high * rng.uniform(0.008, 0.013)
        for start in np.arange(rng.uniform(0, 60), length, rng.uniform(4, 9) * high):
            words = ("SAFETY FILM", "NITRATE", "PANCHRO", "->", "|||", "")[rng.integers(6)]
            words = f"{rng.integers(1, 37)}{'A' * rng.integers(2)} {words}"
            where = (int(start), high - 1)
            cv2.putText(letters, words, where, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1, cv2.LINE_AA)
    pale = rng.random() < 0.5  # of the film's rebate; the light behind it is the reverse
    band, holes = np.zeros((2, depth, length), np.float32)
    band[:high], holes[:high] = 1, np.maximum(strip, letters * np.float32(0.8 / 255))
    if rng.random() < 0.4:
        band[-high:], holes[-high:] = 1, strip[::-1]
    if rng.random() < 0.5:
        band, holes = band[::-1], holes[::-1]
    if upright:
        band, holes = band.T, holes.T
    band, holes = (np.ascontiguousarray(part) for part in (band, holes))
    photo = cover(photo, cv2.GaussianBlur(band, (0, 0), 0.6), flat(shape, rng, pale))
    return cover(photo, cv2.GaussianBlur(holes, (0, 0), 0.5), flat(shape, rng, not pale))


def flat(shape: tuple[int, int], rng: np.random.Generator, pale: bool) -> np.ndarray:
    """Bare paper, card or plastic in one light or dark colour, [H,W,3], nearly even."""
    level = rng.uniform(0.7, 1) if pale else rng.uniform(0, 0.3)
    color = level * np.array([1, rng.uniform(0.93, 1.02), rng.uniform(0.82, 1.02)])
    rough = np.float32(rng.uniform(0, 0.03)) * field(shape, rng, 0.3 * min(shape))
    if rng.random() < 0.5:
        rough += np.float32(rng.uniform(0, 0.02)) * fibres(shape, rng)
    return np.clip(cv2.merge([rough + np.float32(c) for c in color]), 0, 1)


def rounded(x: np.ndarray, y: np.ndarray, size: np.ndarray, radius: float) -> np.ndarray:
    """How far (x, y) lies outside a rectangle around 0 with round corners; negative inside."""
    x = np.abs(x) - np.float32(size[0] / 2 - radius)
    y = np.abs(y) - np.float32(size[1] / 2 - radius)
    beyond = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return beyond + np.minimum(np.maximum(x, y), 0) - np.float32(radius)


def _depth(shape: tuple[int, int], wide: float, rng: np.random.Generator) -> np.ndarray:
    """How deep each pixel lies inside a print with a border about `wide`, [H,W] pixels.

    The print is straight or slightly turned, its corners sharp or round; sides may be out of view.
    """
    height, width = shape
    away = wide * rng.uniform(0.7, 1.3, 4)
    if rng.random() < 0.5:
        away[rng.permutation(4)[: rng.integers(1, 4)]] = -2 * min(shape)  # beyond the view
    left, top, right, bottom = away
    size = np.array([width - left - right, height - top - bottom])
    x, y = grid(shape)
    x, y = x - np.float32((left + width - right) / 2), y - np.float32((top + height - bottom) / 2)
    if rng.random() < 0.5:
        angle = rng.normal(0, 0.012)
        x, y = x + np.float32(angle) * (y + 0 * x), y - np.float32(angle) * (x + 0 * y)
    radius = rng.uniform(0.02, 0.12) * min(shape) if rng.random() < 0.3 else 0.0
    return -rounded(x, y, size, radius)


def _outside(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the print ends: 1 outside, with an edge as sharp as a contact print or an enlarger."""
    return np.clip(0.5 - depth / np.float32(rng.choice([1, rng.uniform(1, 3)])), 0, 1)


def _rules(photo: np.ndarray, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to two thin even lines along the edge, inside it or outside."""
    ink = np.full_like(photo, rng.uniform(0.75, 1) if rng.random() < 0.5 else rng.uniform(0, 0.25))
    for _ in range(int(rng.integers(0, 3))):
        place, half = rng.uniform(-2, 8), rng.uniform(0.4, 1.5)
        line = np.clip(np.float32(half + 0.5) - np.abs(depth - np.float32(place)), 0, 1)
        photo = cover(photo, line, ink)
    return photo


def _deckle(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cuts the edge in small even waves, as prints of the 1930s to 1950s have it."""
    x, y = grid(depth.shape)
    pitch = np.float32(2 * np.pi / rng.uniform(4, 12))
    waves = np.cos(x * pitch) + np.cos(y * pitch)  # along the edge; across it only a shift
    uneven = np.float32(0.5) * field(depth.shape, rng, 8)
    return depth + np.float32(rng.uniform(0.5, 2)) * (waves + uneven)


def _lid(photo: np.ndarray, depth: np.ndarray, rng: np.random.Generator, pale: bool) -> np.ndarray:
    """Puts a scanner's lid outside the print, with the print's shadow on it at times."""
    alpha = np.clip(0.5 - depth, 0, 1)
    level = (rng.uniform(0.85, 1), rng.uniform(0, 0.12), rng.uniform(0.3, 0.7))
    ground = np.full_like(photo, level[2] if rng.random() < 0.25 else level[not pale])
    if rng.random() < 0.4:
        reach = np.float32(rng.uniform(0.005, 0.02) * min(depth.shape) + 1)
        shade = np.exp(np.minimum(depth, 0) / reach) * np.float32(rng.uniform(0.1, 0.5))
        ground *= cv2.merge([1 - shade] * 3)
    return cover(photo, alpha, ground)
