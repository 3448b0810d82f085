"""How wide a defect is at each of its pixels, and which pixels lie near others."""

from __future__ import annotations

import cv2
import numpy as np

LARGE = 12  # from this radius on a distance transform is quicker than a dilation by a disc


def width_bins(mask: np.ndarray, edges: tuple[int, ...]) -> np.ndarray:
    """For each pixel of a mask [H,W] how many of the rising `edges` its defect's width reaches.

    This is granulometry: a pixel is at least e wide if the opening by a disc of diameter e keeps
    it. The mask is doubled first, so that odd and even widths both have a middle: a distance
    there is a width here. Outside the picture counts as clean. Only the box around all defects
    is looked at, to save time.
    """
    bins = np.zeros(mask.shape, np.int64)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return bins
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    double = np.pad(mask[box].astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1), 1)
    depth = cv2.distanceTransform(double, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    for edge in edges:
        centers = depth >= edge
        if not centers.any():
            break
        kept = near(centers, edge, touching=False)[1:-1, 1:-1]
        upper, lower = kept[::2], kept[1::2]
        bins[box] += upper[:, ::2] | upper[:, 1::2] | lower[:, ::2] | lower[:, 1::2]
    return bins


def near(marked: np.ndarray, radius: int, touching: bool = True) -> np.ndarray:
    """The pixels of [H,W] at most `radius` (if not touching: less) from a marked one, Euclidean."""
    if radius >= LARGE and marked.any():
        away = cv2.distanceTransform((~marked).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return away <= radius if touching else away < radius
    axis = np.arange(-radius, radius + 1)
    squares = axis**2 + axis[:, None] ** 2
    disc = squares <= radius**2 if touching else squares < radius**2
    return cv2.dilate(marked.astype(np.uint8), disc.astype(np.uint8)).astype(bool)
