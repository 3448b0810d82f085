"""Holes filled from their rims, by OpenCV: photo [H,W,C] float32 (0..1), mask [H,W], 1 is damaged.

Both raise ValueError where a mask leaves no good pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_jax.photo import image

RADIUS = 3  # pixels around a point that both methods weigh


def telea(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fast marching from the rim inwards (Telea, 2004, doi:10.1080/10867651.2004.10487596)."""
    return _opencv(photo, mask, cv2.INPAINT_TELEA)


def navier_stokes(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Isophotes carried on like the flow of a fluid (Bertalmio et al., CVPR 2001)."""
    return _opencv(photo, mask, cv2.INPAINT_NS)


def check(mask: np.ndarray) -> None:
    """Raises ValueError where mask [H,W] leaves no good pixel to fill from."""
    if mask.all():
        height, width = mask.shape
        raise ValueError(
            f"a hole leaves no good pixel in a tile of {height} x {width}; use larger tiles, or "
            "larger crops in training"
        )


def _opencv(photo: np.ndarray, mask: np.ndarray, method: int) -> np.ndarray:
    """One channel after the other in 16 bits: of three channels OpenCV fills 8 bits only."""
    check(mask)
    damaged = mask > 0
    filled = []
    for channel in np.moveaxis(image.to_uint16(photo), -1, 0):
        channel = channel.copy()
        # At the border OpenCV reads what is damaged, so that must not tell anything.
        channel[damaged] = channel[~damaged].mean()
        filled.append(cv2.inpaint(channel, damaged.astype(np.uint8), RADIUS, method))
    return image.to_float(np.stack(filled, axis=-1))
