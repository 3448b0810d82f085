"""Samples from the libraries that decode them to arrays, without a second copy of a large scan."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from PIL import Image

from oldphoto_jax.photo.content import PhotoError

BAND = 1 << 18  # pixels


def bands(height: int, width: int) -> Iterator[slice]:
    """Rows, some at a time, from the top."""
    step = max(1, BAND // max(1, width))
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def by_bands(
    array: np.ndarray, channels: int, change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """`change` of [h,W,S] to [h,W,channels] for all rows, in little memory beside the result."""
    result = np.empty((*array.shape[:2], channels), array.dtype.newbyteorder("="))
    for rows in bands(*array.shape[:2]):
        result[rows] = change(array[rows])
    return result


def unpremultiply(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours [H,W,C] that were stored multiplied by alpha [H,W]."""
    top = np.iinfo(colors.dtype).max
    cover = np.maximum(alpha, 1)[..., None].astype(np.uint32)
    full = divide(colors.astype(np.uint32) * top, cover)
    return np.minimum(full, top).astype(colors.dtype)


def divide(value: np.ndarray, by: np.ndarray | int) -> np.ndarray:
    """Whole-number division, rounded to the nearest; 65535 * 65535 just fits 32 bits."""
    return (value + by // 2) // by


def from_pillow(
    image: Image.Image, change: Callable[[np.ndarray], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray or colour [H,W,1|3], and alpha [H,W] if there is any, of a file Pillow has opened.

    `change`, if given, maps the image's own samples [h,W,S] to RGB [h,W,3].
    """
    image.load()
    if image.mode[0] in "IF":
        raise PhotoError(f"Pillow's {image.mode} pixels; save it with 8 or 16 bits a channel")
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    width, height = image.im.size  # as stored; `image.size` of a TIFF file is upright
    pixels = np.empty((height, width, len(mode)), np.uint8)
    alpha = np.empty((height, width), np.uint8) if image.has_transparency_data else None
    for rows in bands(height, width):
        part = image.crop((0, rows.start, width, rows.stop))
        if change:
            pixels[rows] = change(np.asarray(part))
            continue
        band = np.asarray(part.convert(mode if alpha is None else mode + "A"))
        band = band.reshape(len(band), width, -1)
        pixels[rows] = band[..., : len(mode)]
        if alpha is not None:
            alpha[rows] = band[..., -1]
    return pixels, alpha


def from_opencv(data: mmap.mmap | bytes) -> np.ndarray:
    """Samples [H,W,S] in the order R, G, B, A."""
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("OpenCV cannot decode it")
    if array.ndim == 2:
        return array[..., None]
    for rows in bands(*array.shape[:2]):
        array[rows, :, :3] = array[rows, :, 2::-1].copy()
    return array
