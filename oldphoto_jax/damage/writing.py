"""Writing on a photo: captions in ink or print, signatures, dates, rubber stamps.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`.
"""

import string

import cv2
import numpy as np

from oldphoto_jax.damage.borders import flat
from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import anywhere, clouds, field, ragged
from oldphoto_jax.damage.scenery import cover, grid, paint

LETTERS = string.ascii_letters + string.digits + " .,&-"
SLOPED = (cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)
FACES = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, *SLOPED)
WORDS = ("STUDIO", "FOTO", "ATELIER", "PHOTO", "COPYRIGHT", "POST CARD", "PROOF", "ARCHIV", "No.")


def text(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A caption, a shop sign, a date or a signature."""
    shape = photo.shape[:2]
    side = min(shape)
    board = np.zeros(shape, np.uint8)
    face, size = FACES[rng.integers(4)], rng.uniform(0.25, 1.1) * max(side / 256, 0.6)
    x, y = rng.uniform(-0.1, 0.6) * shape[1], rng.uniform(0.1, 1) * shape[0]
    for row in range(int(rng.integers(1, 4))):
        where = (int(x), int(y + row * 32 * size))
        thick = int(rng.integers(1, 3))
        cv2.putText(board, _words(rng), where, face, size, 255, thick, cv2.LINE_AA)
    middle = (shape[1] / 2, shape[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, rng.normal(0, 8), 1)
    alpha = cv2.warpAffine(board, turn, shape[::-1]).astype(np.float32) / 255
    return paint(photo, alpha, rng, light=0.5)


def handwriting(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines of joined loops as a pen leaves them, or of separate uneven letters."""
    shape = photo.shape[:2]
    size = rng.uniform(0.012, 0.04) * min(shape) + 2
    start = anywhere(shape, rng, 1, 0)[0] * 0.8
    rows, room = int(rng.integers(1, 4)), rng.uniform(6, 27) * size
    if rng.random() < 0.5:
        return paint(photo, _lettered(shape, start, size, room, rows, rng), rng, light=0.5)
    canvas = Canvas(shape)
    for row in range(rows):
        _pen(canvas, start + [0, row * 4.5 * size], size, room, rng)
    return paint(photo, canvas.alpha(), rng, light=0.5)


def caption(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is written or printed in the wide lower (or upper) border of a print or on its card."""
    shape = photo.shape[:2]
    height, width = shape
    high = rng.uniform(0.08, 0.22) * height
    pale = rng.random() < 0.5
    _, y = grid(shape)
    below = rng.random() < 0.8
    depth = np.float32(height - high) - y if below else y - np.float32(high)
    alpha = np.clip(0.5 - depth / np.float32(rng.uniform(1, 2)), 0, 1)
    if rng.random() < 0.8:
        alpha = np.ascontiguousarray(np.broadcast_to(alpha, shape), np.float32)
        photo = cover(photo, alpha, flat(shape, rng, pale))
    base = (height - high if below else 0) + rng.uniform(0.5, 0.75) * high
    left, room = rng.uniform(0.02, 0.4) * width, rng.uniform(0.3, 0.6) * width
    if rng.random() < 0.5:
        size, start = rng.uniform(0.1, 0.2) * high + 1, np.array([left, base])
        if rng.random() < 0.5:
            ink = _lettered(shape, start, size, room, 1, rng)
        else:
            canvas = Canvas(shape)
            _pen(canvas, start, size, room, rng)
            ink = canvas.alpha()
    else:
        board = np.zeros(shape, np.uint8)
        face, rows = FACES[rng.integers(4)], int(rng.integers(1, 3))
        size = max(rng.uniform(0.3, 0.7) * high / rows, 6) / 32
        for row in range(rows):
            where = (int(left), int(base + (row - (rows - 1) / 2) * 32 * size))
            thick = int(rng.integers(1, 3))
            cv2.putText(board, _words(rng), where, face, size, 255, thick, cv2.LINE_AA)
        ink = board * np.float32(1 / 255)
    return paint(photo, ink, rng, light=1 - pale, faintest=0.6)


def stamp(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rubber stamp or a blind stamp: rings, words around, a date within, ink here and there."""
    shape = photo.shape[:2]
    side = min(shape)
    radius = rng.uniform(0.08, 0.28) * side + 6
    middle = anywhere(shape, rng, 1, 0)[0]
    turn = np.float32(rng.uniform(0, 2 * np.pi))
    x, y = grid(shape)
    across, down = x - np.float32(middle[0]), y - np.float32(middle[1])
    reach = np.hypot(across, down * np.float32(rng.choice([1, rng.uniform(1, 1.6)])))
    pen = np.float32(max(0.012 * side, 0.8) * rng.uniform(0.4, 1))
    alpha = np.clip(pen + np.float32(0.5) - np.abs(reach - np.float32(radius)), 0, 1)
    inner = np.float32(radius * rng.uniform(0.6, 0.72))
    if rng.random() < 0.7:
        alpha = np.maximum(alpha, np.clip(pen + 0.5 - np.abs(reach - inner), 0, 1))
    # The words run along a strip that is then wound around the ring.
    tall, long = 24, int(24 * 2 * np.pi * 0.85 / (1 - inner / radius))
    strip = np.zeros((tall, long), np.uint8)
    words = " * ".join((_words(rng).upper(), *rng.choice(WORDS, 2)))
    cv2.putText(strip, words, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2, cv2.LINE_AA)
    angle = (np.arctan2(down, across) + turn) % np.float32(2 * np.pi)
    along = angle * np.float32(long / (2 * np.pi))
    over = (np.float32(radius) - reach) * np.float32(tall / (radius - inner))
    ring = cv2.remap(strip, along, over, cv2.INTER_LINEAR)
    date = np.zeros(shape, np.uint8)
    line = f"{rng.integers(1, 31)}.{rng.integers(1, 13)}.{rng.integers(1890, 1970)}"
    where = (int(middle[0] - 0.5 * radius), int(middle[1] + 0.1 * radius))
    cv2.putText(date, line, where, cv2.FONT_HERSHEY_SIMPLEX, radius / 110, 255, 1, cv2.LINE_AA)
    tilt = cv2.getRotationMatrix2D(tuple(middle), float(np.degrees(turn)), 1)
    tilted = cv2.warpAffine(date, tilt, shape[::-1])
    alpha = np.maximum(alpha, np.maximum(ring, tilted) * np.float32(1 / 255))
    ink = np.clip(1.2 * clouds(shape, rng, rng.uniform(0.1, 0.6) * radius, 3) + 1, 0.15, 1)
    return paint(photo, alpha * ink, rng, light=0.5, faintest=0.6)


def _words(rng: np.random.Generator) -> str:
    """Something to write: a word of the trade, a date or a number, or letters."""
    choice = rng.random()
    if choice < 0.2:
        return f"{WORDS[rng.integers(len(WORDS))]} {rng.integers(1, 9999)}"
    if choice < 0.4:
        return f"{rng.integers(1, 31)}.{rng.integers(1, 13)}.{rng.integers(1860, 1980)}"
    return "".join(rng.choice(list(LETTERS), int(rng.integers(3, 18))))


def _lettered(
    shape: tuple[int, int],
    start: np.ndarray,
    size: float,
    room: float,
    rows: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lines of letters by hand, [H,W] in 0..1: no two alike, none quite upright or in line."""
    board = np.zeros(shape, np.uint8)
    face = FACES[rng.integers(4)]
    bold = max(round(size * rng.uniform(0.15, 0.4)), 1)
    letters = list(string.ascii_lowercase + "eeaaoinnrst  ")
    for row in range(rows):
        x, y = start + [rng.normal(0, 2 * size), row * rng.uniform(3.2, 5) * size]
        for letter in rng.choice(letters, int(min(room / size, 30))):
            letter = letter.upper() if rng.random() < 0.15 else str(letter)
            here = (int(x), int(y + rng.normal(0, 0.15) * size))
            scale = size * rng.uniform(0.9, 1.15) / 9
            cv2.putText(board, letter, here, face, scale, 255, bold, cv2.LINE_AA)
            x += size * rng.uniform(1.4, 2)
    x, y = grid(shape)
    slant, climb = rng.normal(0, 0.25), rng.normal(0, 0.08)
    bends = [np.float32(0.3 * size) * field(shape, rng, 4 * size) for _ in range(2)]
    across = x + np.float32(slant) * (y - np.float32(start[1])) + bends[0]
    down = y + np.float32(climb) * (x - np.float32(start[0])) + bends[1]
    return cv2.remap(board, across, down, cv2.INTER_LINEAR) * np.float32(1 / 255)


def _pen(
    canvas: Canvas, start: np.ndarray, size: float, room: float, rng: np.random.Generator
) -> None:
    """One line of script from `start` on, letters about `size` high, `room` pixels long."""
    t = np.arange(0, room / (0.27 * size), 0.25)
    tall = size * (1 + 0.5 * ragged(len(t), rng, 6))
    turn = 1.1 * t + 2.5 * ragged(len(t), rng, 6)  # uneven: loops, cusps and waves
    x = 0.45 * size * t + 0.6 * size * np.sin(turn + 2)
    y = tall * np.sin(turn) + 0.5 * size * ragged(len(t), rng, 3)
    line = start + np.stack([x * 0.6 - 0.25 * y, y], axis=1)
    press = 1 + 0.4 * ragged(len(t), rng, 6)
    thick = max(0.1 * size, 0.8) * rng.uniform(0.9, 2)
    canvas.stroke(line, thick * press, rng.uniform(0.6, 1))
