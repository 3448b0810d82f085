"""Colours that somebody gave at places of a photo: dabs and strokes, or a picture drawn over it.

Places are shares of the photo's width and height, so that one set of hints fits a photo and its
small view alike. A hint names a hue and how vivid it is, in Lab's a and b; how light a pixel is
stays the photo's own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from oldphoto_jax.photo import color

RADIUS = 0.01  # of a stroke, in shorter sides of the photo
KEYS = {"points", "color", "radius"}
SHIFT = 4  # binary digits after the point, of the places that OpenCV draws at
SOLID = 0.5  # share of a pixel from which what is drawn over it counts
FORM = (
    'write {"hints": [{"points": [[0.4, 0.3]], "color": "#b5651d"}]}: x and y in shares of the '
    'width and height; several points are a stroke, and "radius" is in shorter sides'
)


@dataclasses.dataclass(frozen=True)
class Stroke:
    """A colour, sRGB in 0..1, along points (x, y), 0..1 of the width and height; one is a dab.

    `radius` is half the stroke's width, in shorter sides of the photo.
    """

    points: tuple[tuple[float, float], ...]
    color: tuple[float, float, float]
    radius: float = RADIUS


def parse(told: Any) -> list[Stroke]:
    """The strokes that a JSON file tells of: {"hints": [{"points", "color", "radius"}, ...]}.

    A colour is "#rrggbb" or [r, g, b] in 0..255. Raises ValueError for anything else, with the
    number of the hint, from 1 on, and for places outside the photo.
    """
    if not isinstance(told, Mapping) or not isinstance(told.get("hints"), Sequence):
        raise ValueError(f"has no list of hints; {FORM}")
    if not told["hints"]:
        raise ValueError(f"has no hint; {FORM}")
    return [_stroke(f"hint {number}", one) for number, one in enumerate(told["hints"], 1)]


def drawn(strokes: Sequence[Stroke], height: int, width: int) -> np.ndarray:
    """Strokes as [height,width,3] float32: a, b (Lab) and 1 where there is a hint, else 0.

    Later ones cover earlier ones; the smallest dab is a pixel.
    """
    result = np.zeros((height, width, 3), np.float32)
    for stroke in strokes:
        radius = max(stroke.radius * min(height, width), 0.5)
        mask = np.zeros((height, width), np.uint8)
        # OpenCV's whole numbers stand at the centres of pixels
        places = np.array([(x * width - 0.5, y * height - 0.5) for x, y in stroke.points])
        places = np.int32(np.round(np.clip(places, 0, (width - 1, height - 1)) * (1 << SHIFT)))
        thick = max(1, round(2 * radius))
        for start, end in zip(places[:-1], places[1:], strict=True):
            cv2.line(mask, start.tolist(), end.tolist(), 1, thick, shift=SHIFT)
        for place in places:
            whole = round((radius - 0.5) * (1 << SHIFT))
            cv2.circle(mask, place.tolist(), whole, 1, cv2.FILLED, shift=SHIFT)
        rgb = np.array(stroke.color, np.float32)
        result[mask > 0] = (*color.rgb_to_lab(rgb)[1:], 1)
    return result


def seen(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture [H,W,4], uint8 or uint16, drawn over a photo, as `drawn` gives strokes.

    What is less than half opaque is no hint. Where it is made smaller, colours are averaged over
    what is drawn. Raises ValueError where nothing is, where all is, and for a picture that has
    other proportions than the photo.
    """
    if picture.ndim != 3 or picture.shape[-1] != 4:
        raise ValueError("has no transparency; draw hints over the photo on a transparent layer")
    tall, wide = picture.shape[:2]
    if abs(math.log(wide * height / (tall * width))) > 2 / min(height, width):
        raise ValueError(
            f"has {wide} x {tall} pixels, which are not the proportions of the photo "
            f"({width} x {height}); draw over the whole photo"
        )
    full = np.iinfo(picture.dtype).max
    solid = np.float32(picture[..., 3] >= SOLID * full)
    if not solid.any():
        raise ValueError("nothing is drawn in it: every pixel is transparent")
    if solid.all():
        raise ValueError("covers the whole photo; leave transparent where you know no colour")
    own = color.rgb_to_lab(np.float32(picture[..., :3]) / full)[..., 1:]
    both = np.concatenate([own * solid[..., None], solid[..., None]], -1)
    how = cv2.INTER_AREA if tall >= height else cv2.INTER_NEAREST
    both = cv2.resize(both, (width, height), interpolation=how)
    share = both[..., 2:]
    some = share > (0 if tall >= height else SOLID)
    return np.where(some, np.concatenate([both[..., :2] / np.maximum(share, 1e-6), some], -1), 0)


def _stroke(what: str, told: Any) -> Stroke:
    if not isinstance(told, Mapping) or not {"points", "color"} <= told.keys():
        raise ValueError(f"{what} has no points or no color; {FORM}")
    if unknown := told.keys() - KEYS:
        raise ValueError(f"{what} has {sorted(unknown)}, which hints have not; {FORM}")
    radius = told.get("radius", RADIUS)
    if not _number(radius) or not 0 < radius <= 1:
        raise ValueError(f"{what}: radius {radius!r}: give shorter sides, above 0, at most 1")
    points = told["points"]
    good = isinstance(points, Sequence) and not isinstance(points, str) and len(points)
    if not good or not all(_place(point) for point in points):
        raise ValueError(
            f"{what}: points {points!r}: give [x, y] pairs from 0 to 1, shares of the photo's "
            "width and height"
        )
    places = tuple((float(x), float(y)) for x, y in points)
    return Stroke(places, _color(what, told["color"]), float(radius))


def _color(what: str, told: Any) -> tuple[float, float, float]:
    """sRGB in 0..1."""
    values: Sequence[Any] = ()
    if isinstance(told, str) and len(told) == 7 and told.startswith("#"):
        try:
            values = bytes.fromhex(told[1:])
        except ValueError:
            values = ()
    elif isinstance(told, Sequence) and not isinstance(told, str):
        values = told
    if len(values) != 3 or not all(_number(one) and 0 <= one <= 255 for one in values):
        raise ValueError(f"{what}: color {told!r}: give '#rrggbb', or [r, g, b] from 0 to 255")
    red, green, blue = (float(one) / 255 for one in values)
    return red, green, blue


def _place(point: Any) -> bool:
    good = isinstance(point, Sequence) and not isinstance(point, str) and len(point) == 2
    return good and all(_number(one) and 0 <= one <= 1 for one in point)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
