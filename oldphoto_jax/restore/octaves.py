"""Photos at half their size, and what was found there at the full one, some rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2
import numpy as np

from oldphoto_jax.photo import scratch

EVEN = 256  # rows in a band; an even number, so that pairs of rows stay together


def halve(pixels: np.ndarray, folder: str | os.PathLike | None = None) -> np.ndarray:
    """Pixels [H,W,C] averaged over areas to half their sides, rounded up; of the same dtype."""
    height, width, channels = pixels.shape
    small = scratch.empty((-(-height // 2), -(-width // 2), channels), pixels.dtype, folder)
    for band in scratch.bands(pixels, small, rows=EVEN):
        half = slice(band.start // 2, -(-band.stop // 2))
        small[half] = _halved(pixels[band]).reshape(small[half].shape)
    return small


def _halved(rows: np.ndarray) -> np.ndarray:
    size = -(-rows.shape[1] // 2), -(-rows.shape[0] // 2)
    return cv2.resize(np.ascontiguousarray(rows), size, interpolation=cv2.INTER_AREA)


def double(small: np.ndarray, height: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of small [h,w] at twice its size, cut to height x width, band by band.

    Between the pixels it is interpolated linearly, across the edges of bands as within them.
    """
    for top in range(0, height, EVEN):
        bottom = min(top + EVEN, height)
        first, last = max(top // 2 - 1, 0), min(-(-bottom // 2) + 1, len(small))
        rows = np.ascontiguousarray(small[first:last])
        size = (2 * rows.shape[1], 2 * len(rows))
        large = cv2.resize(rows, size, interpolation=cv2.INTER_LINEAR)
        begin = top - 2 * first
        yield slice(top, bottom), large[begin : begin + bottom - top, :width]


def halve_mask(mask: np.ndarray, folder: str | os.PathLike | None = None) -> np.ndarray:
    """mask [H,W] uint8 at half its sides: 1 where `halve` averages over any pixel that it marks."""
    height, width = mask.shape
    small = scratch.empty((-(-height // 2), -(-width // 2)), np.uint8, folder)
    for band in scratch.bands(mask, small, rows=EVEN):
        half = slice(band.start // 2, -(-band.stop // 2))
        small[half] = _halved((mask[band] > 0).astype(np.float32)) > 0
    return small


def doubled(
    small: np.ndarray, height: int, width: int, folder: str | os.PathLike | None = None
) -> np.ndarray:
    """All rows of `double`, of small [h,w,C]: [height,width,C] of the same dtype."""
    large = scratch.empty((height, width, small.shape[-1]), small.dtype, folder)
    for band, rows in double(small, height, width):
        large[band] = rows.reshape(large[band].shape)
        scratch.release(large)
    return large
