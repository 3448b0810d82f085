"""Photos given colours: a network guesses them once for the whole photo, at a small size.

The guess is enlarged along the edges of the photo's own luma, which stays as it is; memory on the
device doesn't depend on the photo, and no seams can arise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from oldphoto_jax.metrics import color as measure
from oldphoto_jax.photo import color, guided, image, tone
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.types import AnyArray, Rows
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.options import Colorizing

if TYPE_CHECKING:
    from oldphoto_jax.predictors.colors import ColorPredictor

SIZE = Colorizing.size  # pixels; the shorter side of what the network sees
SMALLEST, LARGEST = 64, 1024
LONGEST = 1.5  # the longer side that it sees, in shorter ones
PROPORTIONS = ((1, 1), (1, LONGEST), (LONGEST, 1))  # of its sides, a program for each
RADIUS, EPSILON = 2, 1e-3  # of the guided filter, at the small size
STRIP = 1 << 18  # pixels that are worked on at once
DEPTHS = {np.dtype(np.uint8): image.to_uint8, np.dtype(np.uint16): image.to_uint16}


def colorize(
    stage: stages.Stage[ColorPredictor], pixels: np.ndarray, size: int = SIZE, strength: float = 1.0
) -> np.ndarray:
    """A file's pixels [H,W,1|3], uint8 or uint16, in colour: [H,W,3] of the same dtype.
    Luma stays within one code value of what it was, at every pixel. `strength` mixes the photo's
    own colours (of a gray one, none) with the network's; 0 gives back the pixels themselves.
    Raises ValueError where the network answers no numbers, MemoryError when the device cannot
    take the smallest size.
    """
    return paint(pixels, *guess(stage, pixels, size), strength) if strength else pixels


def guess(
    stage: stages.Stage[ColorPredictor], pixels: Rows, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees of a photo [H,W,1|3], and the colours that it finds for it.

    Luma [h,w,1] and chroma [h,w,2] (Cb and Cr, 0.5 is gray; times the gain of the weights),
    float32, of the working size. When the device runs out of memory the size is halved, and
    stderr told.
    """

    def go(size: int, _overlap: int) -> tuple[np.ndarray, np.ndarray]:
        height, width = pixels.shape[:2]
        luma = shrink(pixels, *working_size(height, width, size))
        height, width = luma.shape[:2]
        sides = view(height, width, size, stage.predictor.multiple)
        photo = color.gray_to_rgb(image.pad_to(luma, *sides))[None]
        answer = stage(photo)["photo"][0, :height, :width]
        if not np.isfinite(answer).all():
            raise ValueError("some colours are no numbers; these weights are broken")
        return luma, strengthened(stage, answer)

    return stages.within_memory(go, size, 0, SMALLEST, what="working size")


def strengthened(stage: stages.Stage[ColorPredictor], photo: AnyArray) -> AnyArray:
    """Cb and Cr [..,2] of what the network answers, [..,3], times the gain of its weights."""
    return 0.5 + stage.predictor.gain * (color.rgb_to_ycbcr(photo)[..., 1:] - 0.5)


def working_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of what the network sees of a photo, the shorter side being `size`.

    Both are smaller, in proportion, where the longer one would be more than LONGEST times that.
    """
    short, long = sorted((height, width))
    scale = min(size / short, LONGEST * size / long)
    return max(1, round(height * scale)), max(1, round(width * scale))


def view(height: int, width: int, size: int, multiple: int) -> tuple[int, int]:
    """The sides to which what the network sees, height x width, is padded by mirroring.

    The first of few shapes in which it fits, so that a folder makes few programs.
    """

    def grown(side: float) -> int:
        return math.ceil(side * size / multiple) * multiple

    shapes = [(grown(down), grown(across)) for down, across in PROPORTIONS]
    return next(shape for shape in shapes if shape[0] >= height and shape[1] >= width)


def shrink(pixels: Rows, height: int, width: int) -> np.ndarray:
    """Luma [height,width,1], float32 in 0..1, of pixels [H,W,1|3], made some rows at a time.

    Averages over areas; where the photo is the smaller one, it is interpolated.
    """
    columns = min(width, pixels.shape[1])
    strips = [image.resize(_luma(rows), len(rows), columns) for _, rows in _strips(pixels)]
    return image.resize(np.concatenate(strips), height, width)


def paint(
    pixels: np.ndarray, luma: np.ndarray, chroma: np.ndarray, strength: float = 1.0
) -> np.ndarray:
    """All rows of `Painted` at once, [H,W,3]."""
    return Painted(pixels, luma, chroma, strength)[:]


class Painted:
    """Pixels [H,W,1|3], uint8 or uint16, with chroma [h,w,2] that was found at luma [h,w,1].

    Looks like an array [H,W,3] whose rows are made when they are asked for, so that a large scan
    is never held in colour as a whole. Where sRGB lacks a colour of a pixel's luma, chroma is
    drawn towards gray; no channel is clipped.
    """

    ndim = 3

    def __init__(self, pixels: Rows, luma: np.ndarray, chroma: np.ndarray, strength: float = 1.0):
        self.pixels, self.strength = pixels, np.float32(strength)
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
        here = _luma(pixels)
        chroma = self._enlarged(here, top)
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


@dataclasses.dataclass(kw_only=True)
class Colorizer(Colorizing):
    """A network that guesses colours, and how they are laid on.

    Photos that are in colour already stay as they are, unless `recolor`. This is left out of
    `settings`: what was coloured on request stays so when others are added later. Raises ValueError
    for settings that don't fit.
    """

    stage: stages.Stage[ColorPredictor]

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength {self.strength}: give a number from 0 to 1")
        if not SMALLEST <= self.size <= LARGEST:
            raise ValueError(f"size {self.size}: give {SMALLEST} to {LARGEST} pixels")

    @property
    def settings(self) -> dict[str, Any]:
        """All that the coloured photos depend on, beside the photos and `recolor`."""
        return {"weights": self.stage.checksum} | super().settings

    def ready(self, height: int, width: int) -> None:
        """Begins to make the program of the view of a photo of these sides."""
        small = working_size(height, width, self.size)
        shown = view(*small, self.size, self.stage.predictor.multiple)
        self.stage.ready((1, *shown, 3))

    def reason(self, kind: str) -> str | None:
        """Why a photo of this kind is left as it is, or None."""
        if self.strength == 0:
            return "strength 0: left as it is"
        if kind in tone.COLORED and not self.recolor:
            return "in colour already: left as it is"
        return None


def colorfulness(pixels: np.ndarray) -> float:
    """`metrics.color.cf_hs2003` of pixels [H,W,1|3], without their grain: seen at size SIZE."""
    height, width = pixels.shape[:2]
    small = image.resize(pixels, *working_size(height, width, SIZE))
    return round(float(measure.cf_hs2003(files.rgb(small)[None])[0]), 2)


def _luma(pixels: np.ndarray) -> np.ndarray:
    photo = image.to_float(pixels)
    return photo if photo.shape[-1] == 1 else color.rgb_to_gray(photo)


def _strips(pixels: Rows) -> Iterator[tuple[int, np.ndarray]]:
    """The number of the first row and the rows, some at a time."""
    step = max(1, STRIP // pixels.shape[1])
    return ((top, pixels[top : top + step]) for top in range(0, pixels.shape[0], step))
