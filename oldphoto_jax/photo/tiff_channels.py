"""The channels of a TIFF page, as they are stored, to gray or RGB and alpha."""

from __future__ import annotations

import numpy as np
import tifffile
from tifffile import EXTRASAMPLE, PHOTOMETRIC

from oldphoto_jax.photo import samples
from oldphoto_jax.photo.tiff_header import COLOR_CHANNELS


def split(array: np.ndarray, page: tifffile.TiffPage) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray or RGB, and alpha if there is any, of all the channels of a page."""
    photometric = PHOTOMETRIC(page.photometric)
    count = COLOR_CHANNELS[photometric]
    if array.shape[-1] < count:
        raise ValueError(f"{array.shape[-1]} channels, but {photometric.name} has {count}")
    known = (EXTRASAMPLE.UNASSALPHA, EXTRASAMPLE.ASSOCALPHA)
    alphas = [pair for pair in enumerate(page.extrasamples, start=count) if pair[1] in known]
    channel, kind = alphas[0] if alphas else (None, None)

    native = array.dtype.newbyteorder("=")

    def light(band: np.ndarray) -> np.ndarray:
        colors = _light(band[..., :count].astype(native, copy=False), photometric)
        if kind != EXTRASAMPLE.ASSOCALPHA:
            return colors
        return samples.unpremultiply(colors, band[..., channel].astype(native))

    plain = page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
    if plain and array.shape[-1] == count and array.flags.c_contiguous and array.dtype.isnative:
        return array, None
    alpha = None if kind is None else np.ascontiguousarray(array[..., channel], native)
    return samples.by_bands(array, min(count, 3), light), alpha


def _light(colors: np.ndarray, photometric: PHOTOMETRIC) -> np.ndarray:
    """Gray or RGB of what is stored, which may be darkness or inks."""
    top = np.iinfo(colors.dtype).max
    if photometric == PHOTOMETRIC.MINISWHITE:
        return top - colors
    if photometric == PHOTOMETRIC.SEPARATED:
        light = (top - colors).astype(np.uint32)
        return samples.divide(light[..., :3] * light[..., 3:], top).astype(colors.dtype)
    return colors
