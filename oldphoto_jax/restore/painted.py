"""Colours laid on a photo at its own size and depth, some rows at a time."""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_jax.photo import color, guided, image
from oldphoto_jax.photo.hints import Hints
from oldphoto_jax.photo.types import Rows

RADIUS, EPSILON = 2, 1e-3  # of the guided filter, at the small size
STRIP = 1 << 18  # pixels that are worked on at once
DEPTHS = {np.dtype(np.uint8): image.to_uint8, np.dtype(np.uint16): image.to_uint16}


def paint(
    pixels: np.ndarray, luma: np.ndarray, chroma: np.ndarray, strength: float = 1.0
) -> np.ndarray:
    """All rows of `Painted` at once, [H,W,3]."""
    return Painted(pixels, luma, chroma, strength)[:]


class Painted:
    """Pixels [H,W,1|3], uint8 or uint16, with chroma [h,w,2] that was found at luma [h,w,1].

    Looks like an array [H,W,3] whose rows are made when they are asked for, so that a large scan
    is never held in colour as a whole. Where sRGB lacks a colour of a pixel's luma, chroma is
    drawn towards gray; no channel is clipped. Where somebody gave a hint its a and b are taken as
    they are, at every pixel's luma.
    """

    ndim = 3

    def __init__(
        self,
        pixels: Rows,
        luma: np.ndarray,
        chroma: np.ndarray,
        strength: float = 1.0,
        hints: Hints | None = None,
    ):
        self.pixels, self.strength, self.hints = pixels, np.float32(strength), hints
        self.shape, self.dtype = (*pixels.shape[:2], 3), pixels.dtype
        height, width = pixels.shape[:2]
        self._enlarged = Enlarged(luma, chroma, height, width)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The rows of a slice without step, [n,W,3]."""
        top, bottom, _ = rows.indices(self.shape[0])
        step = max(1, STRIP // self.shape[1])
        result = np.empty((max(bottom - top, 0), *self.shape[1:]), self.dtype)
        for start in range(top, bottom, step):
            end = min(start + step, bottom)
            result[start - top : end - top] = self._rows(start, end)
        return result

    def _rows(self, top: int, bottom: int) -> np.ndarray:
        pixels = self.pixels[top:bottom]
        here = luma_of(pixels)
        chroma = self._enlarged(here, top)
        if self.hints is not None:
            hints = self.hints.rows(top, bottom, *self.shape[:2])
            known = hints[..., 2] > 0
            told = color.luma_ab_to_ycbcr(here[known], hints[known, :2])
            chroma[known] = told[:, 1:]
        new = color.fit_gamut(np.concatenate([here, chroma], axis=-1))[..., 1:]
        own = 0.5 if pixels.shape[-1] == 1 else color.rgb_to_ycbcr(image.to_float(pixels))[..., 1:]
        # The colours of one luma that sRGB has are a convex set, so that no mixture leaves it.
        mixed = own + self.strength * (new - own)
        ycbcr = np.concatenate([here, mixed], axis=-1)
        return DEPTHS[self.dtype](color.ycbcr_to_rgb(ycbcr))


class Enlarged:
    """Chroma [h,w,2] at a photo's own size [H,W], made some rows at a time, guided by luma [h,w,1].

    It never leaves the range that chroma has within RADIUS pixels: a linear model would, where
    the photo shows more contrast than was left at the small size.
    """

    def __init__(self, luma: np.ndarray, chroma: np.ndarray, height: int, width: int):
        self.height, self.width = height, width
        slope, offset = guided.fit(luma, chroma, RADIUS, EPSILON)
        window = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
        low, high = cv2.erode(chroma, window), cv2.dilate(chroma, window)
        self.fields = np.stack([slope, offset, low, high]).transpose(3, 0, 1, 2)  # [2,4,h,w]

    def __call__(self, luma: np.ndarray, top: int) -> np.ndarray:
        """Chroma [n,W,2] of the n rows from `top` on, whose luma is [n,W,1]."""
        count = len(luma)
        # Both axes as OpenCV's INTER_LINEAR has them: values stand at the centres of pixels.
        place = (top + np.arange(count) + 0.5) * (self.fields.shape[2] / self.height) - 0.5
        place = np.clip(place, 0, self.fields.shape[2] - 1)
        above = place.astype(int)
        below = np.minimum(above + 1, self.fields.shape[2] - 1)
        share = (place - above).astype(np.float32)[:, None]
        result = np.empty((count, self.width, 2), np.float32)
        for channel, fields in enumerate(self.fields):
            rows = [(1 - share) * field[above] + share * field[below] for field in fields]
            slope, offset, low, high = (
                cv2.resize(field, (self.width, count), interpolation=cv2.INTER_LINEAR)
                for field in rows
            )
            result[..., channel] = np.clip(slope * luma[..., 0] + offset, low, high)
        return result


def luma_of(pixels: np.ndarray) -> np.ndarray:
    """Luma [H,W,1], float32 in 0..1, of pixels [H,W,1|3] of a file."""
    photo = image.to_float(pixels)
    return photo if photo.shape[-1] == 1 else color.rgb_to_gray(photo)
