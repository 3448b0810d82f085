"""Colour spaces: sRGB, gray, YCbCr and Lab, on NumPy and on JAX arrays alike.

Every function maps the last axis and keeps the others, works under `jax.jit`, and has finite
gradients everywhere, black included. Values are floats (`image.to_float` makes them from files);
half precision comes back as float32. Nothing is clipped: what leaves 0..1 on the way back to
sRGB is out of gamut, and the caller decides what to do about it.

The sums are written out channel by channel because accelerators multiply small matrices in
reduced precision by default.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from oldphoto_jax.photo.types import AnyArray

RED, GREEN, BLUE = 0.299, 0.587, 0.114  # luma of ITU-R BT.601

XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
RGB_FROM_XYZ = (
    (3.2404813432005266, -1.5371515162713185, -0.4985363261688878),
    (-0.9692549499965682, 1.8759900014898907, 0.0415559265582928),
    (0.0556466391351772, -0.2040413383665112, 1.0573110696453443),
)
WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degrees
RGB_FROM_ICC_XYZ = (  # whose white is D50, by Bradford's matrix (Lindbloom, www.brucelindbloom.com)
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
ICC_WHITE = (0.96422, 1.0, 0.82521)
HALVINGS = 10  # of the range of L, in which a colour of known luma is looked for
LINEAR_BELOW = 0.008856  # where Lab's cube root gives way to a straight line


def rgb_to_gray(photo: AnyArray) -> AnyArray:
    """Luma 0.299 R + 0.587 G + 0.114 B (BT.601): [..,3] to [..,1], both 0..1."""
    xp, (red, green, blue) = _channels(photo, "rgb_to_gray")
    return xp.stack([RED * red + GREEN * green + BLUE * blue], axis=-1)


def gray_to_rgb(gray: AnyArray) -> AnyArray:
    """The same gray three times: [..,1] to [..,3]."""
    if gray.shape[-1:] != (1,):
        raise ValueError(f"gray_to_rgb wants [..,H,W,1], got {tuple(gray.shape)}")
    return gray.__array_namespace__().repeat(gray, 3, axis=-1)


def rgb_to_ycbcr(photo: AnyArray) -> AnyArray:
    """BT.601 full range (the one of JPEG): [..,3] sRGB 0..1 to Y, Cb, Cr in 0..1.

    Gray has Cb = Cr = 0.5. In bytes the centre is 128, that is 255 * Cb + 0.5.
    """
    xp, (red, green, blue) = _channels(photo, "rgb_to_ycbcr")
    luma = RED * red + GREEN * green + BLUE * blue
    cb = (blue - luma) / (2 - 2 * BLUE) + 0.5
    cr = (red - luma) / (2 - 2 * RED) + 0.5
    return xp.stack([luma, cb, cr], axis=-1)


def ycbcr_to_rgb(ycbcr: AnyArray) -> AnyArray:
    """The inverse of `rgb_to_ycbcr`. Chroma out of gamut leaves 0..1 and is not clipped."""
    xp, (luma, cb, cr) = _channels(ycbcr, "ycbcr_to_rgb")
    red = luma + (2 - 2 * RED) * (cr - 0.5)
    blue = luma + (2 - 2 * BLUE) * (cb - 0.5)
    green = (luma - RED * red - BLUE * blue) / GREEN
    return xp.stack([red, green, blue], axis=-1)


def fit_gamut(ycbcr: AnyArray) -> AnyArray:
    """The nearest colour of the same luma and hue that sRGB has, for each pixel [..,3].

    Chroma is drawn towards gray until no channel leaves 0..1: cutting channels one by one would
    change luma and hue. Hue is the direction in the plane of Cb and Cr, and with it the hue of
    HSV; luma outside 0..1 is cut to it.
    """
    xp, (luma, cb, cr) = _channels(ycbcr, "fit_gamut")
    luma = xp.clip(luma, 0, 1)
    red, blue = (2 - 2 * RED) * (cr - 0.5), (2 - 2 * BLUE) * (cb - 0.5)
    keep = xp.ones_like(luma)
    for offset in (red, blue, -(RED * red + BLUE * blue) / GREEN):
        room = xp.where(offset > 0, 1 - luma, luma)
        beyond = xp.abs(offset) > room
        keep = xp.minimum(keep, xp.where(beyond, room / xp.where(beyond, xp.abs(offset), 1), 1))
    return xp.stack([luma, 0.5 + keep * (cb - 0.5), 0.5 + keep * (cr - 0.5)], axis=-1)


def rgb_to_lab(photo: AnyArray) -> AnyArray:
    """CIE 1976 L*a*b*, D65 and 2 degrees: [..,3] sRGB 0..1 to L 0..100 and a, b about -110..110."""
    xp, channels = _channels(photo, "rgb_to_lab")
    linear = [_to_linear(xp, channel) for channel in channels]
    x, y, z = (
        _compress(xp, _weigh(row, linear) / white)
        for row, white in zip(XYZ_FROM_RGB, WHITE, strict=True)
    )
    return xp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab: AnyArray) -> AnyArray:
    """The inverse of `rgb_to_lab`. Colours that sRGB does not have leave 0..1, unclipped."""
    xp, xyz = _lab_to_xyz(lab, "lab_to_rgb", WHITE)
    return xp.stack([_to_srgb(xp, _weigh(row, xyz)) for row in RGB_FROM_XYZ], axis=-1)


def luma_ab_to_ycbcr(luma: AnyArray, ab: AnyArray) -> AnyArray:
    """The colour of that luma whose a and b are these: [..,1] and [..,2] to Y, Cb, Cr in 0..1.

    Luma comes back as it is; L, which no formula gives from the three, is found by halving. Where
    no colour has this luma with these a and b, it is one of L 0 or 100; colours that sRGB does not
    have leave 0..1, see `fit_gamut`. The gradient by a and b is that of the colour found.
    """
    if luma.shape[-1:] != (1,) or ab.shape[-1:] != (2,) or luma.shape[:-1] != ab.shape[:-1]:
        raise ValueError(
            f"luma_ab_to_ycbcr wants luma [..,H,W,1] and ab [..,H,W,2], got {tuple(luma.shape)} "
            f"and {tuple(ab.shape)}"
        )
    xp = ab.__array_namespace__()

    def at(light: AnyArray) -> AnyArray:
        return rgb_to_ycbcr(lab_to_rgb(xp.concatenate([light, ab], axis=-1)))

    def halve(_: Any, ends: tuple[AnyArray, AnyArray]) -> tuple[AnyArray, AnyArray]:
        low, high = ends
        middle = (low + high) / 2
        dark = at(middle)[..., :1] < luma
        return xp.where(dark, middle, low), xp.where(dark, high, middle)

    low, high = xp.zeros_like(ab[..., :1]), xp.full_like(ab[..., :1], 100)
    if xp is np:
        for step in range(HALVINGS):
            low, high = halve(step, (low, high))
    else:  # a loop for XLA, too, which compiles it in a fraction of the time
        from jax import lax

        low, high = lax.fori_loop(0, HALVINGS, halve, (low, high))
    under, over = at(low)[..., :1], at(high)[..., :1]
    share = (luma - under) / xp.maximum(over - under, 1e-6)  # nearly straight in so small a part
    light = low + xp.clip(share, 0, 1) * (high - low)
    return xp.concatenate([luma, at(light)[..., 1:]], axis=-1)


def icc_lab_to_rgb(lab: AnyArray) -> AnyArray:
    """Lab of D50, as ICC profiles and TIFF files have it, to sRGB [..,3], its white to sRGB's.

    Colours that sRGB does not have leave 0..1, unclipped.
    """
    xp, xyz = _lab_to_xyz(lab, "icc_lab_to_rgb", ICC_WHITE)
    return xp.stack([_to_srgb(xp, _weigh(row, xyz)) for row in RGB_FROM_ICC_XYZ], axis=-1)


def _lab_to_xyz(
    lab: AnyArray, name: str, white: tuple[float, float, float]
) -> tuple[ModuleType, list[AnyArray]]:
    xp, (light, a, b) = _channels(lab, name)
    y = (light + 16) / 116
    x, z = y + a / 500, xp.maximum(y - b / 200, 0)  # no colour has a negative Z
    return xp, [_expand(xp, value) * one for value, one in zip((x, y, z), white, strict=True)]


def _channels(x: AnyArray, name: str) -> tuple[ModuleType, tuple[AnyArray, AnyArray, AnyArray]]:
    """The array's own library (NumPy or jax.numpy) and its three channels, at least float32."""
    xp = x.__array_namespace__()
    if x.shape[-1:] != (3,):
        raise ValueError(f"{name} wants three channels last, [..,H,W,3], got {tuple(x.shape)}")
    if not xp.issubdtype(x.dtype, xp.floating):
        raise TypeError(f"{name} wants floats, got {x.dtype}: convert with image.to_float first")
    x = x.astype(xp.result_type(x.dtype, xp.float32))
    return xp, (x[..., 0], x[..., 1], x[..., 2])


def _weigh(weights: tuple[float, float, float], channels: list[AnyArray]) -> AnyArray:
    one, two, three = (weight * channel for weight, channel in zip(weights, channels, strict=True))
    return one + two + three


# In the four curves below the argument of a power is moved to a harmless value wherever the
# straight branch holds: `where` alone would still send the power's infinite slope at zero, or
# its NaN below, into the gradient.


def _to_linear(xp: ModuleType, value: AnyArray) -> AnyArray:
    curved = value > 0.04045
    safe = xp.where(curved, value, 1)
    return xp.where(curved, ((safe + 0.055) / 1.055) ** 2.4, value / 12.92)


def _to_srgb(xp: ModuleType, value: AnyArray) -> AnyArray:
    curved = value > 0.0031308
    safe = xp.where(curved, value, 1)
    return xp.where(curved, 1.055 * safe ** (1 / 2.4) - 0.055, value * 12.92)


def _compress(xp: ModuleType, value: AnyArray) -> AnyArray:
    curved = value > LINEAR_BELOW
    safe = xp.where(curved, value, 1)
    return xp.where(curved, xp.cbrt(safe), 7.787 * value + 16 / 116)


def _expand(xp: ModuleType, value: AnyArray) -> AnyArray:
    return xp.where(value > 0.2068966, value * value * value, (value - 16 / 116) / 7.787)
