"""Large dark or light regions with an outline of their own: fur hats, coats, locks, scarves, skies.

A blot crosses the edges of things; these follow them: each region is cut out of the photo by its
own edges. Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of
`lookalikes.LOOKALIKES`.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import clouds, field, white
from oldphoto_jax.damage.regions import region
from oldphoto_jax.damage.scenery import cover


def mass(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One or two regions of the photo nearly black or nearly white, where they are."""
    for _ in range(1 + (rng.random() < 0.3)):
        alpha = region(photo, rng)
        if rng.random() < 0.3:
            alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.7, 3))
        photo = cover(photo, alpha, _toned(photo, rng, rng.random() < 0.5))
    return photo


def fur(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fur hat, a beard, a lock, a shaggy coat: a region whose outline bristles with hairs."""
    alpha = region(photo, rng)
    pale = rng.random() < 0.5
    comb = rng.uniform(0, 2 * np.pi)
    alpha = _bristle(alpha, rng, comb)
    goal = _toned(photo, rng, pale) + np.float32(rng.uniform(0.01, 0.04)) * _hairs(
        alpha.shape, rng, comb
    )
    return cover(photo, alpha, goal)


def piece(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A thing from elsewhere in the photo, turned or mirrored, nearly black or nearly white."""
    shape = photo.shape[:2]
    alpha = region(photo, rng)
    scale, angle = np.exp(rng.uniform(-0.5, 0.4)), rng.normal(0, 0.4)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([rng.choice([-1, 1]), 1])
    weight = max(float(alpha.sum()), 1e-6)
    x = float((alpha.sum(axis=0) * np.arange(shape[1])).sum() / weight)
    y = float((alpha.sum(axis=1) * np.arange(shape[0])).sum() / weight)
    goal = rng.uniform(0, 1, 2) * shape[::-1]
    move = np.concatenate([turn, (goal - turn @ [x, y])[:, None]], axis=1)
    thing = cv2.merge([*cv2.split(photo), alpha])
    thing = cv2.warpAffine(thing, move, shape[::-1], flags=cv2.INTER_LINEAR)
    alpha = thing[..., 3].copy()
    if rng.random() < 0.4:
        alpha = _bristle(alpha, rng, rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.5:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 2))
    seen = thing[..., :3] + (1 - thing[..., 3:]) * photo  # what a bristle shows is near by
    goal = _toned(seen, rng, rng.random() < 0.5, detail=0.6)
    # A plain piece would pass for a hole in the print: folds and weave tell it from one.
    cloth = clouds(shape, rng, rng.uniform(0.03, 0.12) * min(shape), octaves=4)
    goal += cv2.cvtColor(np.float32(rng.uniform(0.02, 0.08)) * cloth, cv2.COLOR_GRAY2RGB)
    return cover(photo, alpha, goal)


def _toned(
    photo: np.ndarray, rng: np.random.Generator, pale: bool, detail: float = 0.1
) -> np.ndarray:
    """The photo nearly black or nearly white all over; of its texture at least `detail` is kept."""
    scene = 1 - photo if pale else photo
    even = cv2.GaussianBlur(scene, (0, 0), 3)
    level, depth = rng.uniform(0, 0.12), rng.uniform(0.3 * detail, 0.35)
    detail = rng.uniform(max(depth, detail), 0.9)
    dark: np.ndarray = cv2.addWeighted(scene, detail, even, depth - detail, level)
    light = 1 + np.float32(0.35) * field(photo.shape[:2], rng, 0.2 * min(photo.shape[:2]))
    dark *= cv2.merge([np.clip(light, 0.4, 2)] * 3)
    tint = rng.uniform(0, 1)  # from its own colour to gray
    gray = cv2.cvtColor(cv2.cvtColor(dark, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    dark = cv2.addWeighted(dark, 1 - tint, gray, tint, 0)
    return 1 - dark if pale else dark


def _bristle(alpha: np.ndarray, rng: np.random.Generator, comb: float) -> np.ndarray:
    """Adds short hairs along the outline of alpha [H,W], combed towards the angle `comb`."""
    shape = alpha.shape
    smooth = cv2.GaussianBlur(alpha, (0, 0), 2)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    y, x = np.nonzero(np.hypot(dx, dy) > 0.25)
    if len(x) == 0:
        return alpha
    count = min(max(int(len(x) * rng.uniform(0.15, 0.5)), 8), 700)
    chosen = rng.integers(len(x), size=count)
    x, y = x[chosen], y[chosen]
    lean = rng.uniform(0, 0.9)
    away = np.arctan2(
        -(1 - lean) * dy[y, x] + lean * 0.5 * np.sin(comb),
        -(1 - lean) * dx[y, x] + lean * 0.5 * np.cos(comb),
    )
    lengths = rng.uniform(0.005, 0.035) * min(shape) * rng.uniform(0.3, 1.3, count) + 2
    widths, strengths = rng.uniform(0.5, 1.4, count), rng.uniform(0.2, 0.9, count)
    canvas = Canvas(shape)
    away += rng.normal(0, 0.3, count)
    roots = np.stack([x, y], axis=1) - np.stack([np.cos(away), np.sin(away)], axis=1)
    canvas.streaks(roots, away, lengths, widths, strengths, rng.normal(0, 0.1, count))
    return np.maximum(alpha, canvas.alpha())


def _hairs(shape: tuple[int, int], rng: np.random.Generator, comb: float) -> np.ndarray:
    """Hair seen from near: noise [H,W,3] of about unit variance, drawn out along the comb."""
    long = int(rng.integers(5, 13))
    line = np.zeros((long, long), np.float32)
    middle = (long - 1) / 2
    reach = middle * np.array([np.cos(comb), np.sin(comb)])
    ends = np.round(np.stack([middle - reach, middle + reach])).astype(int).tolist()
    cv2.line(line, ends[0], ends[1], 1.0)
    hairs: np.ndarray = cv2.filter2D(white(shape, rng), -1, line / np.float32(np.sqrt(line.sum())))
    hairs *= 1 + np.float32(0.5) * field(shape, rng, 0.08 * min(shape) + 4)
    return cv2.cvtColor(hairs, cv2.COLOR_GRAY2RGB)
