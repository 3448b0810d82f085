"""The holes of a mask: each one's place and thickness; masks grown and feathered."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from oldphoto_jax.metrics.width import near


@dataclasses.dataclass(frozen=True)
class Hole:
    """Damaged pixels that touch each other, at a side or a corner.

    box        (top, left, bottom, right) in pixels; bottom and right are beyond it
    thickness  in pixels, of the widest disc in it; at the border half a disc is as good
    """

    box: tuple[int, int, int, int]
    thickness: int


def find(mask: np.ndarray) -> tuple[list[Hole], np.ndarray]:
    """The holes of mask [H,W], and their labels [H,W] int32: hole i is labelled i + 1.

    While it works it holds eight bytes for each pixel.
    """
    damaged = np.ascontiguousarray(mask > 0, np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(damaged, connectivity=8)
    depths, inside = depth(damaged), damaged > 0
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, labels[inside], depths[inside])
    left, top, width, height = boxes[1:, :4].T.tolist()
    thickness = [thick(one) for one in deepest[1:]]
    sides = zip(top, left, height, width, thickness, strict=True)
    return [Hole((y, x, y + h, x + w), thick) for y, x, h, w, thick in sides], labels


def depth(mask: np.ndarray) -> np.ndarray:
    """How far the nearest good pixel is, [H,W] float32, 0 where mask [H,W] is.

    There is nothing good beyond the border, where the network sees nothing either: a torn corner
    is deeper than a hole of the same shape inside the photo.
    """
    if mask.all():
        return np.full(mask.shape, max(mask.shape), np.float32)
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def thick(deepest: float) -> int:
    """The thickness in pixels of a hole that is so deep: of a band that reaches as far."""
    return max(0, round(2 * float(deepest)) - 1)


def grow(mask: np.ndarray, radius: int) -> np.ndarray:
    """mask [H,W] uint8 and all within `radius` pixels of it."""
    if radius == 0 or not mask.any():
        return mask
    return near(mask > 0, radius).astype(np.uint8)


def opacity(mask: np.ndarray, feather: int) -> np.ndarray:
    """How much of the fill shows, [H,W] float32: 1 in mask [H,W] uint8, 0 beyond `feather` pixels.

    Between them it falls evenly with the distance from the mask.
    """
    if feather == 0:
        return mask.astype(np.float32)
    distance = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(distance <= feather, 1 - distance / np.float32(feather + 1), np.float32(0))
