"""The holes of a mask: each one's place and thickness; masks grown and feathered."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Hole:
    """Damaged pixels that touch each other, at a side or a corner.

    box        (top, left, bottom, right) in pixels; bottom and right are beyond it
    thickness  in pixels, of the widest disc in it
    """

    box: tuple[int, int, int, int]
    thickness: int


def find(mask: np.ndarray) -> tuple[list[Hole], np.ndarray]:
    """The holes of mask [H,W], and their labels [H,W] int32: hole i is labelled i + 1.

    While it works it holds eight bytes for each pixel.
    """
    damaged = np.ascontiguousarray(mask > 0, np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(damaged, connectivity=8)
    framed = np.pad(damaged, 1)  # beyond the photo there are no defects
    radius = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    inside = damaged > 0
    widest = np.zeros(count, np.float32)
    np.maximum.at(widest, labels[inside], radius[inside])
    left, top, width, height = boxes[1:, :4].T.tolist()
    thickness = np.maximum(0, np.rint(2 * widest[1:]) - 1).astype(int).tolist()
    sides = zip(top, left, height, width, thickness, strict=True)
    return [Hole((y, x, y + h, x + w), thick) for y, x, h, w, thick in sides], labels


def grow(mask: np.ndarray, radius: int) -> np.ndarray:
    """mask [H,W] uint8 and all within `radius` pixels of it."""
    if radius == 0 or not mask.any():
        return mask
    return (_distance(mask) <= radius).astype(np.uint8)  # as fast for a wide margin as for a thin


def opacity(mask: np.ndarray, feather: int) -> np.ndarray:
    """How much of the fill shows, [H,W] float32: 1 in mask [H,W] uint8, 0 beyond `feather` pixels.

    Between them it falls evenly with the distance from the mask.
    """
    if feather == 0:
        return mask.astype(np.float32)
    distance = _distance(mask)
    return np.where(distance <= feather, 1 - distance / np.float32(feather + 1), np.float32(0))


def _distance(mask: np.ndarray) -> np.ndarray:
    """From each pixel to the nearest one in mask [H,W] uint8, exact; endless without any."""
    return cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
