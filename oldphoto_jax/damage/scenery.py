"""How a thing that belongs to the scene is put into it: its ink, its place, its bend."""

import cv2
import numpy as np

from oldphoto_jax.damage.noise import field

STRIP = 32  # rows painted at a time: what they need stays in the cache


def paint(
    photo: np.ndarray,
    alpha: np.ndarray,
    rng: np.random.Generator,
    light: float,
    tone: np.ndarray | None = None,
    faintest: float = 0.5,
    uneven: float = 0.2,
) -> np.ndarray:
    """Puts alpha [H,W] into the scene in one ink, with a lens's softness and the scene's light.

    `light` is how often the ink is pale, `faintest` the least it may cover, `uneven`
    how much the light on it varies; `tone` [H,W] multiplies the ink, about 1.
    """
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.35, 0.9))
    pale = rng.random() < light
    level = rng.uniform(0.7, 1.0) if pale else rng.uniform(0.0, 0.3)
    ink = np.clip(level * rng.uniform(0.85, 1.1, 3), 0, 1).astype(np.float32)
    shading = np.float32(uneven) * field(alpha.shape, rng, 0.2 * min(alpha.shape))
    shading += 1
    np.clip(shading, 0.4, 1.2, out=shading)
    if tone is not None:
        shading *= tone
    # A blur's tail is not ink.
    alpha = np.asarray(cv2.threshold(alpha, 0.01, 0, cv2.THRESH_TOZERO)[1])
    alpha *= np.float32(rng.uniform(faintest, 1.0))
    painted = photo.copy()
    for top in range(0, len(photo), STRIP):
        rows = slice(top, top + STRIP)
        if not alpha[rows].any():
            continue
        goal = cv2.merge([np.clip(shading[rows] * level, 0, 1) for level in ink])
        goal -= painted[rows]
        goal *= cv2.merge([alpha[rows]] * 3)
        painted[rows] += goal
    return np.clip(painted, 0, 1, out=painted)


def cover(photo: np.ndarray, alpha: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Puts the picture `goal` [H,W,3] in front of the photo where alpha [H,W] says, in 0..1."""
    covered = goal - photo
    covered *= cv2.merge([alpha] * 3)
    covered += photo
    return np.clip(covered, 0, 1, out=covered)


def patch(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A soft-edged region [H,W] for a pattern: about a third of the photo."""
    side = min(shape)
    level = field(shape, rng, rng.uniform(0.25, 0.6) * side)
    level -= np.float32(rng.uniform(0, 0.6))
    level *= 6
    return np.clip(level, 0, 1, out=level)


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels are: x [1,W] and y [H,1], float32."""
    height, width = shape
    return np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]


def turned(
    shape: tuple[int, int], rng: np.random.Generator, bend: float
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (u, v) in pixels, turned at random and bent like cloth by `bend` pixels."""
    angle = rng.uniform(0, np.pi)
    x, y = grid(shape)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    folds = [np.float32(bend) * field(shape, rng, 0.2 * min(shape)) for _ in range(2)]
    return cos * x + sin * y + folds[0], cos * y - sin * x + folds[1]
