"""The connected parts of a mask of any size, found a band of rows at a time.

Each band is labelled by itself; labels that touch across a seam are joined by union-find (Galler
and Fischer, 1964, doi:10.1145/364099.364331). No labels of the whole mask are kept: bands are
labelled anew whenever they are asked for, and a table says which part each of their labels is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from oldphoto_jax.photo import scratch

Window = tuple[slice, slice]  # rows and columns


class Components:
    """Marked pixels of mask [H,W] that touch each other at a side or a corner, numbered from 0.

    boxes  [K,4] of top, left, bottom, right; bottom and right are beyond it. Parts are in the
           order of their boxes: by top, then left, bottom and right

    The mask must stay as it is. It is looked at `rows` rows at a time (default: BAND pixels).
    """

    def __init__(self, mask: np.ndarray, rows: int | None = None):
        self.mask, self.rows = mask, rows
        boxes, pairs, count, above = [np.empty((0, 4), np.int64)], [], 0, None
        for band in scratch.bands(mask, rows=rows):
            left, labels, band_boxes = _label(mask[band])
            band_boxes[:, [0, 2]] += band.start
            edge = _edge(labels, left, count, mask.shape[1]) if len(band_boxes) else None
            if above is not None and edge is not None:
                pairs.append(_touching(above, edge[0]))
            above = None if edge is None else edge[1]
            boxes.append(band_boxes)
            count += len(band_boxes)
        self.boxes, self._numbers = _join(np.concatenate(boxes), pairs)

    def __len__(self) -> int:
        return len(self.boxes)

    def windows(self) -> Iterator[tuple[Window, np.ndarray]]:
        """Windows that hold all parts, and the numbers [h,w] int32 in them, -1 between parts.

        Each is the box around all that is marked in a band of rows; bands without are left out.
        """
        first = 0
        for band in scratch.bands(self.mask, rows=self.rows):
            left, labels, band_boxes = _label(self.mask[band])
            if not len(band_boxes):
                continue
            last = first + len(band_boxes)
            table = np.concatenate([np.array([-1], np.int32), self._numbers[first:last]])
            yield (band, slice(left, left + labels.shape[1])), table[labels]
            first = last

    def paint(self, codes: Sequence[int], folder: str | os.PathLike | None = None) -> np.ndarray:
        """[H,W] uint8, in part number i codes[i], 0 outside all parts; `scratch.zeros` makes it."""
        table = np.array([*codes, 0], np.uint8)
        if len(table) != len(self) + 1:
            raise ValueError(f"{len(table) - 1} codes for {len(self)} parts; give one for each")
        painted = scratch.zeros(self.mask.shape, np.uint8, folder)
        for window, numbers in self.windows():
            painted[window] = table[numbers]
            scratch.release(painted)
        return painted


def _label(band: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """The first marked column, the labels [h,w] from there on, and each label's box [K,4]."""
    marked = np.ascontiguousarray(band > 0, np.uint8)
    left, _, width, _ = cv2.boundingRect(marked)
    if not width:
        return 0, np.empty((0, 0), np.int32), np.empty((0, 4), np.int64)
    inside = np.ascontiguousarray(marked[:, left : left + width])
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    x, y, w, h = stats[1:, :4].T.astype(np.int64)
    x += left
    return left, labels, np.stack([y, x, y + h, x + w], axis=1)


def _edge(labels: np.ndarray, left: int, count: int, width: int) -> np.ndarray:
    """The first and the last row of a band [2,W]: numbers that go on from `count`, else -1."""
    edge = np.full((2, width), -1, np.int64)
    rows = labels[[0, -1]]
    edge[:, left : left + labels.shape[1]] = np.where(rows > 0, rows + (count - 1), -1)
    return edge


def _touching(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The pairs [K,2] of numbers in two neighbouring rows [W] that touch."""
    width = len(above)
    sides = [
        np.stack([above[max(0, -by) : width - max(0, by)], below[max(0, by) : width + min(0, by)]])
        for by in (-1, 0, 1)
    ]
    pairs = np.concatenate(sides, axis=1).T
    return np.unique(pairs[(pairs >= 0).all(axis=1)], axis=0)


def _join(boxes: np.ndarray, pairs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The boxes of what is left when touching parts are one, and each part's number in them."""
    parent = list(range(len(boxes)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    for one, other in (pair for touching in pairs for pair in touching.tolist()):
        one, other = root(one), root(other)
        parent[max(one, other)] = min(one, other)
    roots = np.array([root(number) for number in range(len(boxes))], np.int64)
    whole, numbers = np.unique(roots, return_inverse=True)
    joined = boxes[whole]
    np.minimum.at(joined[:, :2], numbers, boxes[:, :2])
    np.maximum.at(joined[:, 2:], numbers, boxes[:, 2:])
    order = np.lexsort(joined.T[::-1])
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return joined[order], place[numbers]
