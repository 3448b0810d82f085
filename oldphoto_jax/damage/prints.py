"""How the whole picture is printed: halftone screens, embossed papers, moire of a scanned print.

Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of `lookalikes.LOOKALIKES`.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.noise import field, white
from oldphoto_jax.damage.scenery import grid


def halftone(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A screen of dots or of lines, 3 to 8 pixels apart, as books and newspapers print photos."""
    shape = photo.shape[:2]
    u, v = _rotated(shape, rng.uniform(0, np.pi))
    pitch = np.float32(2 * np.pi / (3 * (8 / 3) ** rng.random()))
    if rng.random() < 0.7:
        screen = np.float32(0.25) * (np.cos(u * pitch) + np.cos(v * pitch))
    else:
        screen = np.float32(0.5) * np.cos(u * pitch)
    # Ink where the screen is lighter than the photo: small dots in the lights, holes in the darks.
    soft = np.float32(rng.uniform(1, 4))
    low, high = rng.uniform(0, 0.2), rng.uniform(0.85, 1)
    share = np.float32(rng.uniform(0.35, 1))
    printed = (photo - np.float32(0.5) + screen[..., None]) * soft + np.float32(0.5)
    printed = np.clip(printed, 0, 1) * np.float32(high - low) + np.float32(low)
    if rng.random() < 0.5:
        printed = cv2.GaussianBlur(printed, (0, 0), rng.uniform(0.4, 1))
    return cv2.addWeighted(photo, float(1 - share), printed, float(share), 0)


def paper(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The relief of a textured paper under slanting light: linen, silk, honeycomb, pebbles."""
    shape = photo.shape[:2]
    pitch = 3 * (9 / 3) ** rng.random()
    wave = np.float32(2 * np.pi / pitch)
    u, v = _rotated(shape, rng.choice(np.array([0, np.pi / 4, rng.uniform(0, np.pi)])))
    build = ("linen", "silk", "honeycomb", "pebbles")[rng.integers(4)]
    if build == "linen":
        slubs = cv2.blur(white(shape, rng), (9, 1)), cv2.blur(white(shape, rng), (1, 9))
        height = np.cos(u * wave) + np.cos(v * wave) + slubs[0] + slubs[1]
    elif build == "pebbles":
        height = 1.5 * field(shape, rng, 0.6 * pitch)
    else:  # three waves at 60 degrees make hexagons: bumps, or cells between thin walls
        one, two, three = (np.cos((u * c + v * s) * wave) for c, s in HEXAGON)
        height = one + two + three
        if build == "honeycomb":
            height = -np.maximum(height, np.float32(-0.8))
    sun = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(sun)) * cv2.Sobel(height, cv2.CV_32F, 1, 0)
    slope += np.float32(np.sin(sun)) * cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope *= np.float32(rng.uniform(0.015, 0.07) / (float(slope.std()) + 1e-6))
    if rng.random() < 0.4:  # the light does not reach all of it alike
        slope *= np.clip(1 + field(shape, rng, 0.4 * min(shape)), 0, 2)
    return np.clip(photo + cv2.cvtColor(slope, cv2.COLOR_GRAY2RGB), 0, 1)


def moire(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slow beats of two fine gratings, plain or curved, with the gratings themselves or without."""
    shape = photo.shape[:2]
    side = min(shape)
    u, v = _rotated(shape, rng.uniform(0, np.pi))
    bent = u + np.float32(rng.uniform(0, 0.05) * side) * field(shape, rng, 0.5 * side)
    beat = np.float32(2 * np.pi / rng.uniform(8, 60))
    bands = np.cos(bent * beat)
    if rng.random() < 0.5:
        bands *= np.cos(v * beat * np.float32(rng.uniform(0.5, 1.5)))
    if rng.random() < 0.6:
        bands *= np.cos((u + v) * np.float32(2 * np.pi / rng.uniform(2.2, 5)))
    bands *= np.float32(rng.uniform(0.04, 0.15))
    return np.clip(photo * (1 + bands[..., None]) + 0.3 * bands[..., None], 0, 1)


HEXAGON = tuple(
    (np.float32(np.cos(angle)), np.float32(np.sin(angle)))
    for angle in (0, np.pi / 3, 2 * np.pi / 3)
)


def _rotated(shape: tuple[int, int], angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates [H,W] in pixels, turned by `angle`."""
    x, y = grid(shape)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x
