"""The holes of a mask: each one's place and thickness; masks grown and feathered.

Masks are looked at a band of rows at a time, so that those of large scans take little memory.
"""

from __future__ import annotations

import dataclasses
import os

import cv2
import numpy as np

from oldphoto_jax.metrics.width import near
from oldphoto_jax.photo import scratch
from oldphoto_jax.restore.components import Components, Window

HALO = 32  # rows around a band that are looked at first: most defects are thinner
DEEPEST = 1024  # pixels; what is deeper is measured as this deep, for memory's sake


@dataclasses.dataclass(frozen=True)
class Hole:
    """Damaged pixels that touch each other, at a side or a corner.

    box        (top, left, bottom, right) in pixels; bottom and right are beyond it
    thickness  in pixels, of the widest disc in it; at the border half a disc is as good. Holes
               of 2 * DEEPEST - 1 are that thick or thicker
    """

    box: tuple[int, int, int, int]
    thickness: int


def find(mask: np.ndarray, rows: int | None = None) -> tuple[list[Hole], Components]:
    """The holes of mask [H,W], in the order of their boxes, and the same as parts of the mask.

    `Components.paint` marks what was chosen for each hole. `rows` is the height of a band.
    """
    parts = Components(mask, rows)
    deepest = np.zeros(len(parts), np.float32)
    for window, numbers in parts.windows():
        inside = numbers >= 0
        np.maximum.at(deepest, numbers[inside], depth(mask, window)[inside])
    thickness = map(thick, deepest.tolist())
    boxes = map(tuple, parts.boxes.tolist())
    return [Hole(box, one) for box, one in zip(boxes, thickness, strict=True)], parts


def thickest(mask: np.ndarray, rows: int | None = None) -> int:
    """The thickness in pixels of the thickest hole in mask [H,W], 0 where there is none."""
    deepest = 0.0
    for band in scratch.bands(mask, rows=rows):
        left, _, width, _ = cv2.boundingRect(np.ascontiguousarray(mask[band] > 0, np.uint8))
        if width:
            deepest = max(deepest, depth(mask, (band, slice(left, left + width))).max())
    return thick(deepest)


def share(mask: np.ndarray) -> float:
    """The share of pixels that mask [H,W] marks, 0..1."""
    return sum(np.count_nonzero(mask[band]) for band in scratch.bands(mask)) / mask.size


def depth(mask: np.ndarray, window: Window) -> np.ndarray:
    """How far the nearest good pixel is, in a window [h,w] of mask [H,W], up to DEEPEST; float32.

    The window holds all that is marked in its rows. There is nothing good beyond the border,
    where the network sees nothing either: a torn corner is deeper than a hole of the same shape
    inside the photo. More rows are looked at until no pixel can have a nearer one unseen.
    """
    (top, bottom), (left, right) = ((side.start, side.stop) for side in window)
    height, width = mask.shape
    # The column beside a window is good, and so no nearer pixel lies beyond it.
    first, last = max(0, left - 1), min(width, right + 1)
    halo = HALO
    while True:
        begin, end = max(0, top - halo), min(height, bottom + halo)
        seen = np.ascontiguousarray(mask[begin:end, first:last] == 0, np.uint8)
        if seen.any():
            distance = cv2.distanceTransform(1 - seen, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        else:
            distance = np.full(seen.shape, max(mask.shape), np.float32)
        distance = distance[top - begin : bottom - begin, left - first : right - first]
        whole = (begin, end) == (0, height)
        if whole or halo >= DEEPEST or distance.max() <= halo + 1:
            return np.minimum(distance, np.float32(DEEPEST))
        halo = min(2 * halo, DEEPEST)


def thick(deepest: float) -> int:
    """The thickness in pixels of a hole that is so deep: of a band that reaches as far."""
    return max(0, round(2 * float(deepest)) - 1)


def grow(
    mask: np.ndarray,
    radius: int,
    folder: str | os.PathLike | None = None,
    rows: int | None = None,
) -> np.ndarray:
    """mask [H,W] uint8 and all within `radius` pixels of it; the mask itself where that is all."""
    if radius == 0:
        return mask
    grown = scratch.zeros(mask.shape, np.uint8, folder)
    for band in scratch.bands(mask, grown, rows=rows):
        begin = max(0, band.start - radius)
        around = mask[begin : band.stop + radius]
        if around.any():
            grown[band] = near(around > 0, radius)[band.start - begin :][: band.stop - band.start]
    return grown


def opacity(mask: np.ndarray, feather: int) -> np.ndarray:
    """How much of the fill shows, [H,W] float32: 1 in mask [H,W] uint8, 0 beyond `feather` pixels.

    Between them it falls evenly with the distance from the mask.
    """
    if feather == 0:
        return mask.astype(np.float32)
    distance = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(distance <= feather, 1 - distance / np.float32(feather + 1), np.float32(0))
