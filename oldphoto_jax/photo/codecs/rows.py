"""The rows of a photo that is to be written: band after band, so that none need lie whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.types import Rows

BAND = 1 << 20  # bytes of pixels


def height(photo: PhotoFile[Rows]) -> int:
    """How many rows `bands` gives at a time; the last band may have less."""
    _, width, colors = photo.pixels.shape
    return max(1, BAND // (width * colors * photo.pixels.dtype.itemsize))


def size(photo: PhotoFile[Rows]) -> int:
    """Bytes of all samples, alpha among them."""
    rows, width, colors = photo.pixels.shape
    return rows * width * (colors + (photo.alpha is not None)) * photo.pixels.dtype.itemsize


def bands(photo: PhotoFile[Rows]) -> Iterator[np.ndarray]:
    """All channels [h,W,S], alpha last, some rows at a time, each once and from the top.

    Raises ValueError where lazily made rows are not what they promised.
    """
    step, pixels = height(photo), photo.pixels
    for top in range(0, pixels.shape[0], step):
        end = min(top + step, pixels.shape[0])
        band = pixels[top:end]
        if band.shape != (end - top, *pixels.shape[1:]) or band.dtype != pixels.dtype:
            raise ValueError(
                f"rows {top}:{end} are {band.shape} {band.dtype} of pixels that say they are "
                f"{pixels.shape} {pixels.dtype}"
            )
        if photo.alpha is not None:
            band = np.concatenate([band, photo.alpha[top:end, :, None]], axis=-1)
        yield band


def whole(photo: PhotoFile[Rows]) -> np.ndarray:
    """All channels [H,W,S] at once, for formats whose writers take nothing less."""
    if isinstance(photo.pixels, np.ndarray) and photo.alpha is None:
        return photo.pixels
    rows, width, colors = photo.pixels.shape
    result = np.empty((rows, width, colors + (photo.alpha is not None)), photo.pixels.dtype)
    top = 0
    for band in bands(photo):
        result[top : top + len(band)] = band
        top += len(band)
    return result
