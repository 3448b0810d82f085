"""The channels of a TIFF page, as they are stored, to gray or RGB, alpha and what else there is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from tifffile import EXTRASAMPLE, PHOTOMETRIC

from oldphoto_jax.photo import profiles, samples
from oldphoto_jax.photo.codecs import tiff_codecs, tiff_header, tiff_ycbcr
from oldphoto_jax.photo.codecs.tiff_header import COLOR_MAP, Layout

PASSED = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.LINEAR_RAW, PHOTOMETRIC.MASK)
BLACK_LEVEL, WHITE_LEVEL = 50714, 50717  # DNG's
ALPHAS = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)


class Channels(NamedTuple):
    """Gray or RGB [H,W,1|3], alpha [H,W], further channels [H,W,E] and their ExtraSamples."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    extra: np.ndarray | None
    extra_kinds: tuple[int, ...]


def split(
    array: np.ndarray, layout: Layout, managed: profiles.Conversion | None = None
) -> Channels:
    """Gray or RGB, and what lies beside it, of all the samples [H,W,S] of a page.

    `managed` turns colours that are neither.
    """
    count, native = layout.colors, array.dtype.newbyteorder("=")
    shown = _shown(layout)
    known = [i for i, kind in enumerate(layout.extras, start=count) if kind in ALPHAS]
    channel = known[0] if known else None
    multiplied = channel is not None and layout.extras[channel - count] == EXTRASAMPLE.ASSOCALPHA
    others = [i for i in range(count, layout.samples) if i != channel]
    colors = _rgb_of(layout) if shown == PHOTOMETRIC.PALETTE else None

    def full(values: np.ndarray) -> np.ndarray:
        """Samples of fewer bits than 8, at the scale of 8."""
        return values if layout.bits >= 8 else values * np.uint8(255 // ((1 << layout.bits) - 1))

    levels = _levels(layout) if shown == PHOTOMETRIC.LINEAR_RAW else None

    def light(band: np.ndarray) -> np.ndarray:
        values = band[..., :count].astype(native, copy=False)
        if levels:
            top, (black, white) = np.iinfo(native).max, levels
            shares = (values.astype(np.float32) - black) / (white - black)
            return np.rint(shares.clip(0, 1) * top).astype(native)
        if colors is not None:
            return colors[values[..., 0].clip(0, len(colors) - 1)]
        if shown == PHOTOMETRIC.YCBCR:
            return tiff_ycbcr.to_rgb(values, layout.directory)
        values = full(values)
        if shown == PHOTOMETRIC.MINISWHITE:
            values = np.iinfo(values.dtype).max - values
        if multiplied:
            values = samples.unpremultiply(values, full(band[..., channel]))
        return managed.change(values) if managed else values

    def beside(which: list[int] | int) -> np.ndarray:
        return np.ascontiguousarray(full(array[..., which]), native)

    alpha = None if channel is None else beside(channel)
    extra = beside(others) if others else None
    kinds = tuple(layout.extras[i - count] for i in others)
    whole = array.flags.c_contiguous and array.dtype.isnative and layout.bits >= 8
    if shown in PASSED and not levels and array.shape[-1] == count and whole:
        return Channels(array, None, None, ())
    wide = 3 if count > 1 or colors is not None else 1
    return Channels(samples.by_bands(array, wide, light), alpha, extra, kinds)


def _shown(layout: Layout) -> PHOTOMETRIC:
    """What the samples mean once they are unpacked: some codecs make RGB of YCbCr."""
    inside = layout.photometric == PHOTOMETRIC.YCBCR and layout.codec in tiff_codecs.OWN_COLORS
    return PHOTOMETRIC.RGB if inside and not layout.planar else PHOTOMETRIC(layout.photometric)


def _levels(layout: Layout) -> tuple[float, float] | None:
    """What DNG has as black and white, where that is not all that fits."""
    black = layout.directory.values(BLACK_LEVEL, 1) or (0.0,)
    white = layout.directory.values(WHITE_LEVEL, 1) or (2.0**layout.bits - 1,)
    levels = black[0], white[0]
    return levels if levels != (0, 2**layout.bits - 1) and levels[0] < levels[1] else None


def _rgb_of(layout: Layout) -> np.ndarray:
    """The colours [N,3] of a palette; TIFF has them with 16 bits, all of the red ones first."""
    found = np.array(layout.directory.numbers(COLOR_MAP, 3 << 16), np.uint16)
    found = found[: len(found) // 3 * 3].reshape(3, -1).T
    found = found * np.uint16(257) if tiff_header.has_narrow_palette(layout.directory) else found
    return found if layout.bits == 16 else (found >> 8).astype(np.uint8)
