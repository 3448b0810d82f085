"""The guided filter: a smooth answer of low resolution takes on the edges of a sharp photo.

He and Sun, 2015, https://arxiv.org/abs/1505.00996. Works on NumPy and on JAX arrays alike.
"""

from __future__ import annotations

import numpy as np

from oldphoto_jax.photo.types import AnyArray


def fit(
    luma: AnyArray, chroma: AnyArray, radius: int = 4, epsilon: float = 1e-3
) -> tuple[AnyArray, AnyArray]:
    """The slope and the offset by which `slope * luma + offset` best explains chroma nearby.

    luma [..,H,W,1] and chroma [..,H,W,C], floats of about 0..1; both results are [..,H,W,C] and
    averaged over the windows that see the pixel. A window reaches `radius` pixels to each side;
    where luma varies less than `epsilon` (a variance) the slope goes to 0 and chroma is just
    averaged. Enlarge both results, not chroma, and apply them to a luma of full resolution.
    """
    if luma.shape[-1] != 1 or luma.shape[:-1] != chroma.shape[:-1]:
        raise ValueError(f"luma {luma.shape} and chroma {chroma.shape} are not of the same places")
    luma, chroma = luma - 0.5, chroma - 0.5  # sums of small numbers round less
    mean_luma, mean_chroma = box(luma, radius), box(chroma, radius)
    covariance = box(luma * chroma, radius) - mean_luma * mean_chroma
    slope = covariance / (box(luma * luma, radius) - mean_luma * mean_luma + epsilon)
    slope, offset = box(slope, radius), box(mean_chroma - slope * mean_luma, radius)
    return slope, offset + 0.5 - 0.5 * slope


def box(x: AnyArray, radius: int) -> AnyArray:
    """Mean over the square window around each place of [..,H,W,C], as far as it lies inside."""
    if radius < 0:
        raise ValueError(f"radius {radius}: it must be 0 or more")
    for axis in (-3, -2):
        x = _slide(x, radius, axis)
    return x


def _slide(x: AnyArray, radius: int, axis: int) -> AnyArray:
    xp, count = x.__array_namespace__(), x.shape[axis]
    place = np.arange(count)
    last, before = np.minimum(place + radius, count - 1), np.maximum(place - radius, 0) - 1
    sums = xp.cumsum(x, axis=axis)
    sums = xp.concatenate([xp.zeros_like(xp.take(sums, np.arange(1), axis=axis)), sums], axis=axis)
    window = xp.take(sums, last + 1, axis=axis) - xp.take(sums, before + 1, axis=axis)
    widths = (last - before).reshape(-1, 1, 1) if axis == -3 else (last - before).reshape(-1, 1)
    return window / widths.astype(x.dtype)
