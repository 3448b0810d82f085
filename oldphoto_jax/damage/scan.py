"""What a scanner does to a photo and its defects."""

import cv2
import numpy as np

from oldphoto_jax.damage import fading
from oldphoto_jax.damage.blend import changed, hold, thicker


def scan(
    photo: np.ndarray,
    mask: np.ndarray,
    target: np.ndarray,
    max_size: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same blur, noise and JPEG for both; the mask takes in what the blur carried over.

    JPEG ringing of a defect outside the mask stays in the photo and passes into the target.
    """
    blur = rng.uniform(0.3, 0.9) if rng.random() < 0.5 else 0.0
    noise: np.ndarray | float = 0.0
    if rng.random() < 0.5:
        noise = np.asarray(cv2.cvtColor(fading.white(mask.shape, rng), cv2.COLOR_GRAY2RGB))
        noise *= np.float32(rng.uniform(0.003, 0.02))
    quality = int(rng.integers(45, 97)) if rng.random() < 0.5 else 0

    def effects(picture: np.ndarray) -> np.ndarray:
        if blur:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        picture = np.clip(picture + noise, 0, 1)
        return fading.jpeg(picture, quality) if quality else picture

    clean, scanned = effects(target), effects(photo) if mask.any() else None
    if scanned is None:
        return clean, mask, clean
    around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    grown = mask | (around & changed(scanned, clean))
    if not thicker(grown, max_size):  # growing may join neighbours into one piece too thick
        mask = grown
    return scanned, mask, hold(clean, scanned, mask)
