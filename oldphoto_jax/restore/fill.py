"""The holes of a photo filled tile by tile; not one bit of any other pixel changes."""

from __future__ import annotations

import dataclasses

import numpy as np

from oldphoto_jax.photo import image
from oldphoto_jax.restore import holes, tiles
from oldphoto_jax.restore.classical import Filler

TILE, OVERLAP = 512, 128


def fill(
    pixels: np.ndarray,
    mask: np.ndarray,
    filler: Filler,
    *,
    tile: int = TILE,
    overlap: int = OVERLAP,
    multiple: int = 1,
    feather: int = 0,
    damaged: np.ndarray | None = None,
) -> np.ndarray:
    """A copy of a file's pixels [H,W,1|3], uint8 or uint16, with the holes of mask [H,W] filled.

    `filler` sees float32 tiles (0..1), only those in which there is something to fill; a gray
    photo is shown to it as one channel, even where the file has three. The fill fades out over
    `feather` pixels around the holes; pixels further away stay as they are, bit by bit. Holes in
    `damaged` [H,W] are hidden from the filler and stay as they are as well. Beside pixels and
    result it holds some bytes of mask for each pixel and one row of tiles. Raises ValueError for
    a mask of another size, tiles that `tiles.check` refuses, and a fill that is not a number.
    """
    if mask.shape != pixels.shape[:2]:
        raise ValueError(
            f"the mask has {mask.shape}, the photo {pixels.shape[:2]} pixels: give equal sizes"
        )
    frame = _Frame(pixels, mask, feather, damaged)
    rows, columns = (tiles.split(n, tile, overlap, multiple) for n in mask.shape)
    result = pixels.copy()
    for row, top in enumerate(rows.starts):
        begin, end = tiles.counts(rows, row, overlap)
        if not frame.wide[begin:end].any():
            continue
        strip = None
        for column, left in enumerate(columns.starts):
            first, last = tiles.counts(columns, column, overlap)
            if not frame.wide[begin:end, first:last].any():
                continue
            window = np.s_[top : top + rows.side, left : left + columns.side]
            if frame.hidden[window].all():
                raise ValueError(
                    f"a hole takes up a whole tile of {rows.side} x {columns.side} pixels, so that "
                    "nothing good is seen around it; use larger tiles or leave it by a limit"
                )
            piece = filler(image.to_float(frame.pixels[window]), frame.hidden[window])
            if strip is None:
                strip = np.zeros((len(piece), mask.shape[1], piece.shape[-1]), np.float32)
            tiles.lay(strip.swapaxes(0, 1), piece.swapaxes(0, 1), columns, column, overlap)
        weight = np.ones(end - begin, np.float32)
        if row:
            weight[: overlap // 2] = tiles.ramp(overlap)
        frame.compose(result, strip[begin - top : end - top], begin, weight)
    return result


@dataclasses.dataclass
class _Frame:
    """What `fill` works on: the photo, its holes, and where each tile's fill goes."""

    pixels: np.ndarray
    mask: np.ndarray
    feather: int
    damaged: np.ndarray | None

    def __post_init__(self):
        if _is_gray(self.pixels):
            self.pixels = self.pixels[..., :1]
        self.wide = holes.grow(self.mask, self.feather)
        self.hidden = self.wide
        if self.damaged is not None:
            self.wide = self.wide * (self.damaged == 0)
            self.hidden = self.wide | self.damaged

    def compose(
        self, result: np.ndarray, strip: np.ndarray, begin: int, weight: np.ndarray
    ) -> None:
        """Puts rows of fill [h,W,C] into the result; `weight` [h] fades them into those above."""
        end, margin = begin + len(strip), min(begin, self.feather)
        around = self.mask[begin - margin : end + self.feather]
        alpha = holes.opacity(around, self.feather)[margin:][: len(strip)]
        places = np.nonzero(self.wide[begin:end])
        if np.isnan(new := strip[places]).any():
            raise ValueError("the fill holds values that are no numbers; these weights are broken")
        full = np.float32(np.iinfo(result.dtype).max)
        old = self.pixels[begin:end][places].astype(np.float32)
        new = old + alpha[places][:, None] * (np.clip(new, 0, 1) * full - old)
        under = result[begin:end][places][:, : new.shape[-1]].astype(np.float32)
        new = under + weight[places[0]][:, None] * (new - under)
        result[begin:end][places] = np.rint(new).astype(result.dtype)


def _is_gray(pixels: np.ndarray) -> bool:
    """Whether all channels of [H,W,1|3] are the same, everywhere."""
    first = pixels[..., 0]
    return all(np.array_equal(first, pixels[..., n]) for n in range(1, pixels.shape[-1]))
