"""Holes filled without learning: the baselines of inpainting, and enough for thin scratches.

A filler maps photo [H,W,C] float32 (0..1) and mask [H,W] (1 where damaged) to the filled photo.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from skimage import restoration

from oldphoto_jax.photo import image

Filler = Callable[[np.ndarray, np.ndarray], np.ndarray]

RADIUS = 3  # pixels around a point that Telea's and the Navier-Stokes method weigh
REACH = 4  # pixels around a hole that decide what these methods fill it with


def telea(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fast marching from the rim inwards (Telea, 2004, doi:10.1080/10867651.2004.10487596)."""
    return _opencv(photo, mask, cv2.INPAINT_TELEA)


def navier_stokes(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Isophotes carried on like the flow of a fluid (Bertalmio et al., CVPR 2001)."""
    return _opencv(photo, mask, cv2.INPAINT_NS)


def biharmonic(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The smoothest sheet through the rim (Damelin and Hoang, 2018, doi:10.1155/2018/3950312).

    One sparse system in double precision. On one core a hole of 200 x 200 pixels takes a second
    and some 120 MB, one of 300 x 300 three seconds; thin scratches next to nothing.
    """
    _check(mask)
    # float32 would lose the digits that the fourth derivative of a thick hole needs.
    precise = photo.astype(np.float64)
    filled = restoration.inpaint_biharmonic(precise, mask > 0, channel_axis=-1)
    return filled.astype(np.float32)


METHODS: dict[str, Filler] = {
    "telea": telea,
    "navier-stokes": navier_stokes,
    "biharmonic": biharmonic,
}


def _opencv(photo: np.ndarray, mask: np.ndarray, method: int) -> np.ndarray:
    """One channel after the other in 16 bits: of three channels OpenCV fills 8 bits only."""
    _check(mask)
    damaged = mask > 0
    filled = []
    for channel in np.moveaxis(image.to_uint16(photo), -1, 0):
        channel = channel.copy()
        # At the border OpenCV reads what is damaged, so that must not tell anything.
        channel[damaged] = channel[~damaged].mean()
        filled.append(cv2.inpaint(channel, damaged.astype(np.uint8), RADIUS, method))
    return image.to_float(np.stack(filled, axis=-1))


def _check(mask: np.ndarray) -> None:
    if mask.all():
        height, width = mask.shape
        raise ValueError(
            f"a hole leaves no good pixel in a tile of {height} x {width}; use larger tiles"
        )
