"""How well holes are filled: measured in the holes alone, pixel by pixel."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from oldphoto_jax.metrics.stream import Stream
from oldphoto_jax.metrics.width import width_bins
from oldphoto_jax.photo.types import Mask, Photo


@dataclasses.dataclass
class HolePsnr(Stream):
    """PSNR in dB over the pixels of the holes, together and by the width of the hole.

    Pooled: the logarithm is taken of the mean over all those pixels. A pixel's width is the
    diameter of the largest disc that covers it and lies in the hole.
    """

    EDGES: ClassVar[tuple[int, ...]] = (2, 4, 8, 16, 32)

    squares: np.ndarray  # [widths], of differences in 0..1
    pixels: np.ndarray

    @classmethod
    def of(cls, mask: Mask, photo: Photo, target: Photo) -> HolePsnr:
        """The stream of one batch: mask [N,H,W,1] of 0 and 1, photo and target [N,H,W,3], 0..1."""
        mask, photo, target = (np.asarray(array) for array in (mask, photo, target))
        if photo.shape != target.shape or mask.shape != (*photo.shape[:3], 1):
            raise ValueError(
                "photo and target must be equal [N,H,W,C] and the mask [N,H,W,1]; got "
                f"{photo.shape}, {target.shape}, {mask.shape}"
            )
        hole = mask[..., 0] > 0
        width = np.stack([width_bins(one, cls.EDGES) for one in hole])[hole]
        squares = np.square(np.float64(photo[hole]) - np.float64(target[hole])).mean(-1)
        bins = len(cls.EDGES) + 1
        return cls(np.bincount(width, squares, bins), np.bincount(width, minlength=bins))

    @classmethod
    def widths(cls) -> list[str]:
        """The names of the bins, "0-2", "2-4", ... "32+"; the lower edge is included."""
        edges = ("0", *map(str, cls.EDGES))
        names = [f"{low}-{high}" for low, high in zip(edges, edges[1:], strict=False)]
        return [*names, f"{edges[-1]}+"]

    def compute(self) -> dict[str, float]:
        """`psnr` of all holes and `psnr WIDTH` of each bin; NaN where there was no hole."""
        figures = {"psnr": _psnr(self.squares.sum(), self.pixels.sum())}
        for name, squares, pixels in zip(self.widths(), self.squares, self.pixels, strict=True):
            figures[f"psnr {name}"] = _psnr(squares, pixels)
        return figures


def _psnr(squares: float, pixels: int) -> float:
    if not pixels:
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(pixels / np.float64(squares)))
