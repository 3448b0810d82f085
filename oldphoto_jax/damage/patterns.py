"""Regular patterns of a scene: cloth, print, tiles, rigging. Even where damage is irregular.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`.
"""

import string

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.regions import behind
from oldphoto_jax.damage.scenery import paint, patch, turned

DETAIL = 2  # a motif is drawn this much larger than it shows, as cloth may stretch it
UNIQUE = 8  # lines of print that are written out; the others of a page repeat them
FACES = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def lace(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Net, lace or wire mesh over part of the scene."""
    shape = photo.shape[:2]
    u, v = turned(shape, rng, bend=rng.uniform(0, 6))
    pitch = np.float32(np.pi / rng.uniform(4, 14))
    thin = rng.uniform(0.75, 0.93)
    threads = np.maximum(np.abs(np.cos(u * pitch)), np.abs(np.cos(v * pitch)))
    alpha = np.clip((threads - thin) / (1 - thin) * 1.5, 0, 1)
    return paint(photo, (alpha * patch(shape, rng)).astype(np.float32), rng, light=0.5)


def stripes(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Striped or checked cloth, woven and folded."""
    shape = photo.shape[:2]
    u, v = turned(shape, rng, bend=rng.uniform(2, 10))
    pitch = np.float32(2 * np.pi / rng.uniform(5, 24))
    width = rng.uniform(-0.3, 0.85)
    bands = np.clip(4 * (np.cos(u * pitch) - width), 0, 1)
    if rng.random() < 0.3:
        bands = np.maximum(bands, np.clip(4 * (np.cos(v * pitch) - width), 0, 1))
    return paint(photo, (bands * patch(shape, rng)).astype(np.float32), rng, light=0.5)


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
    return paint(photo, behind(canvas.alpha(), photo, rng), rng, light=0.5)


def dots(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Polka dots, rings or stars in a lattice: printed cloth, sequins, a painted ceiling."""
    shape = photo.shape[:2]
    size = 2 * 7 ** rng.random()
    pitch = max(size * rng.uniform(1.5, 3.5), size + 3)
    motifs = _motifs(size, pitch, rng)
    u, v = turned(shape, rng, bend=rng.choice(np.array([0.0, rng.uniform(1, 10)])))
    u, v = (DETAIL * t for t in (u, v))
    for t, period in ((u, motifs.shape[1]), (v, motifs.shape[0])):
        t -= np.float32(period) * np.floor(t * np.float32(1 / period))
    alpha = cv2.remap(motifs, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    if rng.random() < 0.65:
        alpha *= patch(shape, rng)
    return paint(photo, alpha, rng, light=0.5)


def _motifs(size: float, pitch: float, rng: np.random.Generator) -> np.ndarray:
    """Four by four motifs `size` pixels wide, `pitch` apart: a tile that repeats on all sides."""
    cell = DETAIL * pitch
    board = Canvas((round(4 * cell), round(4 * cell)))
    cell = board.shape[0] / 4
    row, column = np.divmod(np.arange(16), 4)
    x = column + 0.25 + 0.5 * (row % 2) * (rng.random() < 0.6)
    jitter = rng.choice([0.0, 0.5]) * (pitch - size) / pitch
    centers = np.stack([x, row + 0.5], axis=1) + rng.uniform(-jitter, jitter, (16, 2)) / 2
    turn, points = rng.uniform(0, 2 * np.pi), int(rng.integers(4, 7))
    star = size > 4 and rng.random() < 0.4
    corners = np.arange(2 * points if star else 24)
    angle = corners * (2 * np.pi / len(corners)) + turn
    radius = DETAIL * size / 2 * np.where(star & (corners % 2 == 1), rng.uniform(0.4, 0.6), 1)
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    hollow = not star and size > 6 and rng.random() < 0.2
    # What crosses the left or right edge of the tile goes on at the other.
    for center in np.concatenate([centers, centers - [4, 0], centers + [4, 0]]) * cell:
        board.polygon(center + outline)
        if hollow:
            board.polygon(center + 0.55 * outline, 0)
    return board.alpha()


def page(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Print: many even lines of small letters in one or two columns, often on its own paper."""
    height, width = shape = photo.shape[:2]
    cap = 5 * 4 ** rng.random() ** 1.5
    pitch = max(round(cap * rng.uniform(1.6, 2.4)), 7)
    if rng.random() < 0.5:
        left, top, right, bottom = 0, 0, width, height
    else:
        left, top = (rng.uniform(0, 0.5, 2) * (width, height)).astype(int)
        right, bottom = (rng.uniform(0.8, 1, 2) * (width, height)).astype(int)
    board, paper = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    paper[top:bottom, left:right] = 255
    margin, columns = round(0.8 * pitch), 1 + (rng.random() < 0.3)
    measure = (right - left - margin) // columns - margin
    if measure > 4:
        lines = _print(measure, pitch, cap, rng)
        for column in range(columns):
            x = left + margin + column * (measure + margin)
            for y in range(top + margin, bottom - margin - pitch, pitch):
                board[y : y + pitch, x : x + measure] = lines[rng.integers(UNIQUE)]
    view = _view(shape, rng, 0.08)
    pale = rng.random() < 0.5  # letters on a dark ground
    if rng.random() < 0.6:
        ground = cv2.warpPerspective(paper, view, (width, height), flags=cv2.INTER_LINEAR)
        photo = paint(
            photo, ground * np.float32(1 / 255), rng, 1 - pale, faintest=0.85, uneven=0.05
        )
    letters = cv2.warpPerspective(board, view, (width, height), flags=cv2.INTER_LINEAR)
    return paint(photo, letters * np.float32(1 / 255), rng, pale, faintest=0.6)


def _print(measure: int, pitch: int, cap: float, rng: np.random.Generator) -> np.ndarray:
    """Lines of words in one face, [UNIQUE,pitch,measure] uint8."""
    face, thick = FACES[rng.integers(len(FACES))], int(rng.integers(1, 3))
    size = DETAIL * cap / cv2.getTextSize("H", face, 1.0, 1)[0][1]
    board = np.zeros((UNIQUE, DETAIL * pitch, DETAIL * measure), np.uint8)
    base, letters = int(0.75 * DETAIL * pitch), list(string.ascii_lowercase + "eeetttaaoinsr")
    for row, line in enumerate(board):
        words = rng.choice(letters, max(int(3 * DETAIL * measure / (size * 20)), 2))
        words[1:][rng.random(len(words) - 1) < 0.17] = " "  # never blank: it has a width
        text = "".join(words).capitalize() if rng.random() < 0.8 else "".join(words).upper()
        room = DETAIL * measure / cv2.getTextSize(text, face, size, thick)[0][0]
        if row == 0:  # a paragraph ends early
            room *= rng.uniform(0.2, 0.8)
        text = text[: int(room * len(text))]
        cv2.putText(line, text, (0, base), face, size, 255, thick, cv2.LINE_AA)
    flat = board.reshape(-1, DETAIL * measure)
    small = cv2.resize(flat, (measure, UNIQUE * pitch), interpolation=cv2.INTER_AREA)
    return small.reshape(UNIQUE, pitch, measure)


def _view(shape: tuple[int, int], rng: np.random.Generator, strength: float) -> np.ndarray:
    """A camera's view [3,3] of a flat thing as large as the photo; corners stray by `strength`."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * shape[::-1]
    stray = rng.uniform(-strength, strength, (4, 2)) * shape[::-1]
    return cv2.getPerspectiveTransform(
        corners.astype(np.float32), (corners + stray).astype(np.float32)
    )


def tiles(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rules and grids in perspective: floor tiles, bricks, shelves, window panes, ruled paper."""
    shape = photo.shape[:2]
    build = ("floor", "bricks", "shelves", "panes", "ruled")[rng.integers(5)]
    least, most = {"shelves": (3, 9), "panes": (2, 6), "ruled": (12, 45)}.get(build, (6, 24))
    rows = int(rng.integers(least, most))
    columns = {"shelves": 1, "ruled": 0}.get(build, max(round(rows * rng.uniform(0.5, 1.2)), 2))
    width = rng.uniform(0.8, 1.6 if build == "ruled" else 4)
    low, high = np.array([0, rng.uniform(-0.2, 0.4), 1, rng.uniform(0.6, 1.2)]).reshape(2, 2)
    if build in ("panes", "ruled", "shelves") or rng.random() < 0.3:
        low, high = np.sort([rng.uniform(-0.1, 0.4, 2), rng.uniform(0.6, 1.1, 2)], axis=0)
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    if build == "floor":  # widens towards the camera
        corners[2:, 0] += np.array([1, -1]) * rng.uniform(0.2, 1.5)
        corners[:2, 0] += np.array([-1, 1]) * rng.uniform(0, 0.3)
    corners = (corners + rng.uniform(-0.06, 0.06, (4, 2))) * shape[::-1]
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    view = cv2.getPerspectiveTransform(square, corners.astype(np.float32))
    rules = _rules(rows, columns, build == "bricks")
    half = width / 2 / np.ptp(corners, axis=0)
    low, high = rules[:, 0] - half, rules[:, 1] + half
    quads = np.stack(
        [low, np.stack([high[:, 0], low[:, 1]], 1), high, np.stack([low[:, 0], high[:, 1]], 1)], 1
    )
    pale, canvas = rng.random() < 0.5, Canvas(shape)
    if build == "ruled" or rng.random() < 0.3:
        canvas.polygon(corners)
        photo = paint(photo, canvas.alpha(), rng, light=1 - pale, faintest=0.3, uneven=0.05)
        canvas = Canvas(shape)
    for quad in cv2.perspectiveTransform(quads, view):
        canvas.polygon(quad)
    return paint(photo, canvas.alpha(), rng, light=pale)


def _rules(rows: int, columns: int, bricks: bool) -> np.ndarray:
    """Straight lines in the unit square, [N,2,2] as (x, y) of both ends, evenly apart."""
    y = np.arange(rows + 1) / rows
    lines = [np.stack([[0 * y, y], [0 * y + 1, y]]).transpose(2, 0, 1)]
    if columns:
        x = np.arange(columns + 1) / columns
        if bricks:
            column, row = np.meshgrid(np.arange(columns), np.arange(rows))
            x = ((column + 0.5 * (row % 2)) / columns).ravel()
            top = (row / rows).ravel()
            lines.append(np.stack([[x, top], [x, top + 1 / rows]]).transpose(2, 0, 1))
        else:
            lines.append(np.stack([[x, 0 * x], [x, 0 * x + 1]]).transpose(2, 0, 1))
    return np.concatenate(lines)


def rigging(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ropes and cables: straight and even, fanning out from a mast, some with rungs, crossing."""
    canvas = Canvas(photo.shape[:2])
    size = np.array(canvas.shape[::-1])
    width, sag = rng.uniform(0.8, 3), rng.choice(np.array([0.0, 0.02]))
    for _ in range(int(rng.integers(1, 4))):
        head = rng.uniform(-0.1, [1.1, 0.4]) * size
        first = rng.uniform([-0.4, 0.6], [1.0, 1.3]) * size
        last = first + rng.uniform([0.15, -0.1], [0.8, 0.1]) * size
        for share in np.linspace(0, 1, int(rng.integers(2, 12))):
            _rope(canvas, head, first + share * (last - first), width, sag)
        if rng.random() < 0.4:
            for along in np.linspace(0.15, 1, int(rng.integers(8, 30))):
                start, end = (head + along * (foot - head) for foot in (first, last))
                _rope(canvas, start, end, 0.7 * width)
        if rng.random() < 0.6:
            foot = np.array([head[0] + rng.normal(0, 0.03) * size[0], 1.2 * size[1]])
            _rope(canvas, head * [1, 0.8], foot, width * rng.uniform(1.5, 4))
    for place, angle in zip(*rng.random((2, int(rng.integers(0, 5)))), strict=True):
        reach = size.sum() * np.array([np.cos(np.pi * angle), np.sin(np.pi * angle)])
        _rope(canvas, place * size - reach, place * size + reach, width * rng.uniform(0.6, 1.2))
    return paint(photo, behind(canvas.alpha(), photo, rng), rng, light=0.5)


def _rope(
    canvas: Canvas, start: np.ndarray, end: np.ndarray, width: float, sag: float = 0.0
) -> None:
    """An even line from start to end whose middle hangs by `sag` of its length."""
    t = np.linspace(0, 1, 16 if sag else 2)[:, None]
    length = max(float(np.hypot(*(end - start))), 1.0)
    path = start + t * (end - start) + 4 * t * (1 - t) * [0, sag * length]
    side = (end - start)[::-1] * [-1, 1] * (width / 2 / length)
    canvas.polygon(np.concatenate([path + side, (path - side)[::-1]]))
