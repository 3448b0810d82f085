"""How colourful a photo is, one number a photo. On the host, in NumPy float64.

Two forms are in use under one name and differ by up to a third; report which one it is.
"""

from __future__ import annotations

import numpy as np

from oldphoto_jax.photo.types import Photo


def cf_hs2003(photo: Photo) -> np.ndarray:
    """Colourfulness of sRGB photos [N,H,W,3], 0..1: [N], 0 for gray, above 80 for vivid.

    Hasler and Suesstrunk, 2003, https://doi.org/10.1117/12.477378.
    """
    return _colourfulness(*_opponents(photo))


def cf_ddcolor(photo: Photo) -> np.ndarray:
    """The same of the opponent colours' absolute values, as DDColor's published code has it.

    Kang et al., 2023, https://arxiv.org/abs/2212.11613.
    """
    return _colourfulness(*map(np.abs, _opponents(photo)))


def _opponents(photo: Photo) -> tuple[np.ndarray, np.ndarray]:
    """Red against green and yellow against blue, on 0..255."""
    if len(photo.shape) != 4 or photo.shape[-1] != 3:
        raise ValueError(f"colourfulness takes photos [N,H,W,3], got {photo.shape}")
    red, green, blue = np.moveaxis(255 * np.asarray(photo, np.float64), -1, 0)
    return red - green, (red + green) / 2 - blue


def _colourfulness(red_green: np.ndarray, yellow_blue: np.ndarray) -> np.ndarray:
    pixels = (1, 2)
    spread = np.hypot(red_green.std(axis=pixels), yellow_blue.std(axis=pixels))
    mean = np.hypot(red_green.mean(axis=pixels), yellow_blue.mean(axis=pixels))
    return spread + 0.3 * mean
