"""YCbCr in TIFF files as TIFF 6.0 has it, section 21: colours smaller than the lightness."""

from __future__ import annotations

import numpy as np

from oldphoto_jax.photo.codecs.tiff_directory import Directory

COEFFICIENTS, REFERENCE = 529, 532
STANDARD = (0.299, 0.587, 0.114)  # of ITU-R BT.601
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)  # black and white of Y, Cb and Cr


def enlarge(units: np.ndarray, rows: int, columns: int, across: int, down: int) -> np.ndarray:
    """Samples [rows,columns,S] of units: `down` rows of `across` lightnesses, then each colour.

    Every lightness gets the colours of its unit, as in libtiff.
    """
    high, wide = -(-rows // down), -(-columns // across)
    units = units.reshape(high, wide, -1)
    lights = units[..., : across * down].reshape(high, wide, down, across)
    result = np.empty((high * down, wide * across, units.shape[-1] - across * down + 1), np.uint8)
    result[..., 0] = lights.swapaxes(1, 2).reshape(result.shape[:2])
    for channel in range(1, result.shape[-1]):
        plane = units[..., across * down + channel - 1]
        result[..., channel] = plane.repeat(down, axis=0).repeat(across, axis=1)
    return result[:rows, :columns]


def to_rgb(colors: np.ndarray, page: Directory) -> np.ndarray:
    """RGB [H,W,3] of YCbCr [H,W,3], 8 bits, by the page's coefficients and range."""
    told, span = page.values(COEFFICIENTS, 3), page.values(REFERENCE, 6)
    red, green, blue = told if len(told) == 3 and told[1] > 0 else STANDARD
    low_y, high_y, low_b, high_b, low_r, high_r = span if len(span) == 6 else FULL_RANGE
    y, b, r = np.moveaxis(colors.astype(np.float32), -1, 0)
    y = (y - low_y) * (255 / ((high_y - low_y) or 255))
    b = (b - low_b) * (127 / ((high_b - low_b) or 127))
    r = (r - low_r) * (127 / ((high_r - low_r) or 127))
    light_r = y + (2 - 2 * red) * r
    light_b = y + (2 - 2 * blue) * b
    light_g = (y - red * light_r - blue * light_b) / green
    light = np.stack([light_r, light_g, light_b], axis=-1)
    return np.rint(light).clip(0, 255).astype(np.uint8)
