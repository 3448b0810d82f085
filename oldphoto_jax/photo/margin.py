"""The margin of a scan: what the scanner saw beside the print, its lid or a dark room.

A lid is of one colour, smoother than any paper, reaches the edges of the scan along two or more of
its sides that meet, and ends at the print with a step. A print's own white border is paper, and
belongs to the print, unless it cannot be told from the lid.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np

from oldphoto_jax.photo import exif, image, xmp_packet
from oldphoto_jax.photo.content import PhotoFile

LONGEST = 512  # pixels of the reduced scan that is looked at
NEAR = 0.05  # of full scale: how far the lid may be from its own colour
ALONG = 0.9  # share of an edge that is lid; the print may poke out over the rest
WHOLE = 0.98  # share of a line that is lid, for it to hold nothing of the print
DEEPEST = 0.4  # of a side; what reaches farther is no margin
STEP = 0.08  # of full scale, at least, between lid and print
STEEP = 0.6  # share of the lid's rim with such a step
EDGES = {"top": 0, "left": 1, "bottom": 2, "right": 3}
MEETING = (("top", "left"), ("top", "right"), ("bottom", "left"), ("bottom", "right"))


@dataclasses.dataclass(frozen=True)
class Margin:
    """Where the print lies in its scan, and which pixels of the reduced scan are lid.

    `top` and `left` are the first row and column that hold something of the print, `height` and
    `width` its extent, in pixels of the scan; `scan` is its size (H, W).
    """

    top: int
    left: int
    height: int
    width: int
    scan: tuple[int, int]
    lid: np.ndarray
    """[h,w] bool, at most LONGEST a side: torn edges and wedges beside a print laid askew too."""

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the print."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)

    def mask(self, height: int, width: int) -> np.ndarray:
        """The lid at the scan's size, [H,W] uint8, 1 where there is no print."""
        lid = self.lid.astype(np.uint8)
        return cv2.resize(lid, (width, height), interpolation=cv2.INTER_NEAREST)


def cropped(photo: PhotoFile[np.ndarray], found: Margin) -> PhotoFile[np.ndarray]:
    """The print alone, with all that lies beside its pixels made to fit.

    A sentence in `notes` tells what was cut away. Names of faces and other regions, whose places
    are shares of the sides, go.
    """
    rows, columns = found.window
    arrays = {"pixels": photo.pixels, "alpha": photo.alpha, "extra": photo.extra}
    cut: dict[str, Any] = {
        name: None if one is None else one[rows, columns] for name, one in arrays.items()
    }
    below = photo.pixels.shape[0] - rows.stop
    right = photo.pixels.shape[1] - columns.stop
    told = f"cropped to the print: {found.top}, {right}, {below} and {found.left} pixels are gone "
    told += "at the top, right, bottom and left"
    return dataclasses.replace(
        photo,
        **cut,
        exif=photo.exif and exif.sized(photo.exif, found.height, found.width),
        xmp=photo.xmp and xmp_packet.resized(photo.xmp),
        notes=(*photo.notes, told),
    )


def find(pixels: np.ndarray) -> Margin | None:
    """The margin of a scan [H,W,1|3], uint8 or uint16, or None where it has none.

    Costs one area reduction. Raises as `image.resize` does for what is no image.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    rows, columns = (max(1, round(scale * side)) for side in (height, width))
    small = image.to_float(image.resize(pixels, rows, columns))
    lids = {edge: _lid(small, edge) for edge in EDGES}
    met = {edge for pair in MEETING if _meet(lids, *pair) for edge in pair}
    lid = np.zeros((rows, columns), bool)
    for edge in met:
        lid |= lids[edge]
    if not _steep(small, lid):
        return None
    top, left, bottom, right = (_depth(lid, edge) if edge in met else 0 for edge in EDGES)
    # Lines that are cut off by a part belong to the print
    y, x = -(-top * height // rows), -(-left * width // columns)
    end_y, end_x = height - bottom * height // rows, width - right * width // columns
    return Margin(y, x, end_y - y, end_x - x, (height, width), lid)


def _first(array: np.ndarray, edge: str) -> np.ndarray:
    """The array turned so that this edge is its first row."""
    return np.rot90(array, -EDGES[edge])


def _lid(small: np.ndarray, edge: str) -> np.ndarray:
    """[h,w] bool: what has the edge's colour and hangs together with it; none if it is no lid."""
    line = _first(small, edge)[0]
    color = np.median(line, axis=0)
    if np.mean(np.abs(line - color).max(axis=-1) <= NEAR) < ALONG:
        return np.zeros(small.shape[:2], bool)
    near = (np.abs(small - color).max(axis=-1) <= NEAR).astype(np.uint8)
    _, labels = cv2.connectedComponents(near, connectivity=4)
    edged = _first(labels, edge)[0]
    return np.isin(labels, np.unique(edged[edged > 0]))


def _meet(lids: dict[str, np.ndarray], one: str, other: str) -> bool:
    """Whether two edges have the same lid, and it reaches no farther than a margin may."""
    a, b = lids[one], lids[other]
    if not (a & b).any() or np.mean(a | b) > 2 * DEEPEST:
        return False
    sides = {one: a, other: b}
    deep = [_depth(lid, edge) / len(_first(lid, edge)) for edge, lid in sides.items()]
    return min(deep) > 0 and max(deep) <= DEEPEST


def _depth(lid: np.ndarray, edge: str) -> int:
    """How many lines from this edge on are lid and nothing else."""
    whole = _first(lid, edge).mean(axis=1) >= WHOLE
    return len(whole) if whole.all() else int(np.argmin(whole))


def _steep(small: np.ndarray, lid: np.ndarray) -> bool:
    """Whether there is a lid, and it ends with a step nearly everywhere, as fog does not."""
    grown = [cv2.dilate(lid.astype(np.uint8), np.ones((n, n), np.uint8)) > 0 for n in (5, 9)]
    ring = grown[1] & ~grown[0]
    if not ring.any():
        return False
    color = np.median(small[lid], axis=0)
    return float(np.mean(np.abs(small[ring] - color).max(axis=-1) >= STEP)) >= STEEP
