"""How well holes are filled: measured in the holes alone, pixel by pixel."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self

import numpy as np

from oldphoto_jax.metrics.stream import Stream, ratio
from oldphoto_jax.metrics.width import width_bins
from oldphoto_jax.photo.types import Mask, Photo


@dataclasses.dataclass
class ByWidth(Stream):
    """Sums over the pixels of holes, together and by the width of the hole.

    Pooled: a measure is taken of the mean over all those pixels. A pixel's width is the diameter
    of the largest disc that covers it and lies in the hole.
    """

    EDGES: ClassVar[tuple[int, ...]] = (2, 4, 8, 16, 32)
    MEASURE: ClassVar[str]

    total: np.ndarray  # [widths]
    pixels: np.ndarray

    @classmethod
    def widths(cls) -> list[str]:
        """The names of the bins, "0-2", "2-4", ... "32+"; the lower edge is included."""
        edges = ("0", *map(str, cls.EDGES))
        names = [f"{low}-{high}" for low, high in zip(edges, edges[1:], strict=False)]
        return [*names, f"{edges[-1]}+"]

    @classmethod
    def bins(cls, mask: Mask) -> np.ndarray:
        """Which of `widths` each pixel of a hole belongs to, [N,H,W]; elsewhere 0."""
        return np.stack([width_bins(one[..., 0] > 0, cls.EDGES) for one in np.asarray(mask)])

    @classmethod
    def pooled(cls, mask: Mask, values: np.ndarray, bins: np.ndarray | None = None) -> Self:
        """The stream of values [N,H,W,C] in the holes of mask [N,H,W,1].

        `bins`, if they are known from `bins`, saves the time to look for them.
        """
        hole = np.asarray(mask)[..., 0] > 0
        width = (cls.bins(mask) if bins is None else bins)[hole]
        count = len(cls.EDGES) + 1
        total = np.bincount(width, np.float64(values[hole]).mean(-1), count)
        return cls(total, np.bincount(width, minlength=count))

    @staticmethod
    def measure(mean: float) -> float:
        """What is told of the mean over pixels."""
        return mean

    def compute(self) -> dict[str, float]:
        """The measure of all holes and "MEASURE WIDTH" of each bin; NaN where there was no hole."""
        figures = {self.MEASURE: self.measure(ratio(self.total.sum(), self.pixels.sum()))}
        for name, total, pixels in zip(self.widths(), self.total, self.pixels, strict=True):
            figures[f"{self.MEASURE} {name}"] = self.measure(ratio(total, pixels))
        return figures


@dataclasses.dataclass
class HolePsnr(ByWidth):
    """PSNR in dB; infinite for holes filled perfectly."""

    MEASURE: ClassVar[str] = "psnr"

    @classmethod
    def of(
        cls, mask: Mask, photo: Photo, target: Photo, bins: np.ndarray | None = None
    ) -> HolePsnr:
        """The stream of one batch: mask [N,H,W,1] of 0 and 1, photo and target [N,H,W,3], 0..1."""
        mask, photo, target = (np.asarray(array) for array in (mask, photo, target))
        if photo.shape != target.shape or mask.shape != (*photo.shape[:3], 1):
            raise ValueError(
                "photo and target must be equal [N,H,W,C] and the mask [N,H,W,1]; got "
                f"{photo.shape}, {target.shape}, {mask.shape}"
            )
        return cls.pooled(mask, np.square(np.float64(photo) - np.float64(target)), bins)

    @staticmethod
    def measure(mean: float) -> float:
        """The mean squared error in dB."""
        with np.errstate(divide="ignore"):
            return float(-10 * np.log10(np.float64(mean)))


@dataclasses.dataclass
class HoleSsim(ByWidth):
    """Structural similarity, the mean of its map over the pixels of the holes."""

    MEASURE: ClassVar[str] = "ssim"

    @classmethod
    def of(cls, mask: Mask, similarity: np.ndarray, bins: np.ndarray | None = None) -> HoleSsim:
        """The stream of mask [N,H,W,1] and similarity [N,H,W,C], from `image.ssim_map`."""
        mask, similarity = np.asarray(mask), np.asarray(similarity)
        if mask.shape != (*similarity.shape[:3], 1):
            raise ValueError(
                "the map must be [N,H,W,C] and the mask [N,H,W,1]; got "
                f"{similarity.shape}, {mask.shape}"
            )
        return cls.pooled(mask, similarity, bins)
