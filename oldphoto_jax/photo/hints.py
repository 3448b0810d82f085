"""Colours that somebody gave at places of a photo: dabs and strokes, or a picture drawn over it.

Places are shares of the photo's width and height, so that one set of hints fits a photo and its
small view alike. A hint names a hue and how vivid it is, in Lab's a and b; how light a pixel is
stays the photo's own.

    hints = parse({"hints": [{"points": [[0.4, 0.3], [0.5, 0.3]], "color": "#b5651d"}]})
    small = Hints(tuple(hints)).at(256, 384)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.photo import color

RADIUS = 0.01  # of a stroke, in shorter sides of the photo
KEYS = {"points", "color", "radius"}
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


@dataclasses.dataclass(frozen=True, eq=False)
class Hints:
    """What somebody told of the colours of a photo: strokes, and a picture drawn over them.

    The picture is [H,W,4], uint8 or uint16, see `seen`.
    """

    strokes: tuple[Stroke, ...] = ()
    picture: np.ndarray | None = None

    def at(self, height: int, width: int) -> np.ndarray:
        """For a photo or its view of these sides, [height,width,3] float32, as `drawn` has it.

        Raises ValueError for a picture that does not fit, or says nothing.
        """
        result = drawn(self.strokes, height, width)
        if self.picture is None:
            return result
        over = seen(self.picture, height, width)
        return np.where(over[..., 2:] > 0, over, result)

    def rows(self, top: int, bottom: int, height: int, width: int) -> np.ndarray:
        """Of a photo of these sides the rows from `top` to before `bottom`, [n,width,3].

        A picture of another size than the photo's has the pixels nearest to these.
        """
        result = drawn(self.strokes, height, width, top, bottom)
        if self.picture is None:
            return result
        over = _nearest(self.picture, top, bottom, height, width)
        return np.where(over[..., 2:] > 0, over, result)


def drawn(
    strokes: Sequence[Stroke], height: int, width: int, top: int = 0, bottom: int | None = None
) -> np.ndarray:
    """Strokes as [height,width,3] float32: a, b (Lab) and 1 where there is a hint, else 0.

    Later ones cover earlier ones; the smallest dab is a pixel. With `top` and `bottom` only those
    rows, [bottom - top,width,3].
    """
    bottom = height if bottom is None else bottom
    result = np.zeros((bottom - top, width, 3), np.float32)
    for stroke in strokes:
        radius = max(stroke.radius * min(height, width), 0.5)
        known = (*color.rgb_to_lab(np.array(stroke.color, np.float32))[1:], 1)
        # Pixels stand at their centres
        exact = np.array([(x * width - 0.5, y * height - 0.5) for x, y in stroke.points])
        places = np.clip(exact, 0, (width - 1, height - 1))
        ends = (places[:-1], places[1:]) if len(places) > 1 else (places, places)
        for start, end in zip(*ends, strict=True):
            _line(result, start, end, radius, top, known)
    return result


def _line(
    result: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    radius: float,
    top: int,
    known: tuple[float, ...],
) -> None:
    """Puts `known` where pixels are within the radius of a line, or nearest to its ends."""
    low, high = np.minimum(start, end) - radius, np.maximum(start, end) + radius
    left, right = max(0, math.floor(low[0])), min(result.shape[1], math.ceil(high[0]) + 1)
    first, last = max(0, math.floor(low[1]) - top), min(len(result), math.ceil(high[1]) + 1 - top)
    if first >= last:
        return
    x, y = np.arange(left, right) - start[0], np.arange(first, last)[:, None] + top - start[1]
    along = end - start
    share = np.clip((x * along[0] + y * along[1]) / max(along @ along, 1e-9), 0, 1)
    near = (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 <= radius**2
    result[first:last, left:right][near] = known
    for across, down in np.rint([start, end]).astype(int):
        if 0 <= down - top < len(result):
            result[down - top, across] = known


def seen(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture [H,W,4], uint8 or uint16, drawn over a photo, as `drawn` gives strokes.

    What is less than half opaque is no hint. Where it is made smaller, colours are averaged over
    what is drawn. Raises ValueError as `check` does.
    """
    solid = check(picture, height, width)
    tall, wide = picture.shape[:2]
    if tall < height:
        return _nearest(picture, 0, height, height, width)
    down, across = np.nonzero(solid)
    place = down * height // tall * width + across * width // wide
    known = np.concatenate([_ab(picture[solid]), np.ones((len(place), 1), np.float32)], -1)
    sums = [np.bincount(place, channel, height * width) for channel in known.T]
    result = np.stack(sums, -1).reshape(height, width, 3).astype(np.float32)
    return result / np.maximum(result[..., 2:], 1)


def check(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Where a picture [H,W,4], drawn over a photo of these sides, gives hints: [H,W] of bool.

    Raises ValueError where nothing is drawn, where all is, and for a picture that has other
    proportions than the photo.
    """
    if picture.ndim != 3 or picture.shape[-1] != 4:
        raise ValueError("has no transparency; draw hints over the photo on a transparent layer")
    tall, wide = picture.shape[:2]
    if abs(math.log(wide * height / (tall * width))) > 2 / min(height, width):
        raise ValueError(
            f"has {wide} x {tall} pixels, which are not the proportions of the photo "
            f"({width} x {height}); draw over the whole photo"
        )
    solid = picture[..., 3] >= SOLID * np.iinfo(picture.dtype).max
    if not solid.any():
        raise ValueError("nothing is drawn in it: every pixel is transparent")
    if solid.all():
        raise ValueError("covers the whole photo; leave transparent where you know no colour")
    return solid


def _nearest(picture: np.ndarray, top: int, bottom: int, height: int, width: int) -> np.ndarray:
    """Rows of a picture as it lies over a photo of these sides, as `drawn` gives strokes."""
    tall, wide = picture.shape[:2]
    down = (2 * np.arange(top, bottom) + 1) * tall // (2 * height)
    across = (2 * np.arange(width) + 1) * wide // (2 * width)
    part = picture[np.ix_(down, across)]
    solid = part[..., 3] >= SOLID * np.iinfo(part.dtype).max
    result = np.zeros((*solid.shape, 3), np.float32)
    result[solid, :2], result[solid, 2] = _ab(part[solid]), 1
    return result


def _ab(pixels: np.ndarray) -> np.ndarray:
    """a and b of Lab, [n,2] float32, of pixels [n,4] at full scale."""
    return color.rgb_to_lab(pixels[:, :3].astype(np.float32) / np.iinfo(pixels.dtype).max)[:, 1:]


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
