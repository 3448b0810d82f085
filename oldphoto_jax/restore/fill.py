"""The holes of a photo filled tile by tile; not one bit of any other pixel changes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import numpy as np

from oldphoto_jax.photo import image, scratch
from oldphoto_jax.restore import ahead, holes, tiles
from oldphoto_jax.restore.classical import Filler
from oldphoto_jax.restore.options import Inpainting

TILE, OVERLAP = Inpainting.tile, Inpainting.overlap


def fill(
    pixels: np.ndarray,
    mask: np.ndarray,
    filler: Filler,
    *,
    tile: int = TILE,
    overlap: int = OVERLAP,
    multiple: int = 1,
    feather: int = 0,
    strength: float = 1.0,
    damaged: np.ndarray | None = None,
    result: np.ndarray | None = None,
    folder: str | os.PathLike | None = None,
) -> np.ndarray:
    """A copy of a file's pixels [H,W,1|3], uint8 or uint16, with the holes of mask [H,W] filled.

    `filler` sees float32 tiles (0..1), only those in which there is something to fill; a gray
    photo is shown to it as one channel, even where the file has three. The fill fades out over
    `feather` pixels around the holes; pixels further away stay as they are, bit by bit. Only
    `strength` of it shows, as in `soften`. Holes in `damaged` [H,W] are hidden from the filler
    and stay as they are as well.

    The copy goes into `result`, by default an array of `scratch.empty` in `folder`. Beside pixels,
    masks and result one row of tiles is held in memory. Raises ValueError for a mask of another
    size, tiles that `tiles.check` refuses, and a fill that is not a number.
    """
    check(pixels, mask)
    if result is None:
        result = scratch.empty(pixels.shape, pixels.dtype, folder)
    for band in scratch.bands(pixels, result):
        result[band] = pixels[band]
    if strength == 0:
        return result
    frame = _Frame(pixels, mask, holes.grow(mask, feather, folder), feather, damaged)
    down, across = (tiles.split(length, tile, overlap, multiple) for length in mask.shape)
    wanted = [frame.wanted(down, across, row, overlap) for row in range(len(down.starts))]

    def fill_tile(place: tuple[int, int]) -> np.ndarray:
        top, left = down.starts[place[0]], across.starts[place[1]]
        return frame.fill(filler, np.s_[top : top + down.side, left : left + across.side])

    places = ((row, column) for row, columns in enumerate(wanted) for column in columns)
    pieces = ahead.results(fill_tile, places)
    above = None  # of the row of tiles before, what the next one fades into
    for row, top in enumerate(down.starts):
        begin, end = tiles.counts(down, row, overlap)
        strip = None
        for column in wanted[row]:
            piece = next(pieces)
            if strip is None:
                strip = np.zeros((len(piece), mask.shape[1], piece.shape[-1]), np.float32)
            tiles.lay(strip.swapaxes(0, 1), piece.swapaxes(0, 1), across, column, overlap)
        if strip is None:
            above = None
            continue
        if above is not None:
            tiles.mix(above, strip[begin - top :][: len(above)], overlap)
            strip[begin - top :][: len(above)] = above
        final = row == len(down.starts) - 1
        stop = (end if final else end - overlap // 2) - top
        frame.compose(result, strip[begin - top : stop], begin)
        above = None if final else strip[stop : end - top].copy()
        for array in (result, pixels, mask, frame.grown, damaged):
            scratch.release(array)
    soften(result, pixels, strength)
    return result


def lay(
    pixels: np.ndarray,
    mask: np.ndarray,
    rows: Iterable[tuple[slice, np.ndarray]],
    *,
    feather: int = 0,
    damaged: np.ndarray | None = None,
    folder: str | os.PathLike | None = None,
) -> np.ndarray:
    """What `fill` gives where the fill of the whole photo is known: `rows` of it, from the top on.

    Each are told with the rows [n,W,1|3] themselves, in 0..1.
    """
    check(pixels, mask)
    result = scratch.empty(pixels.shape, pixels.dtype, folder)
    frame = _Frame(pixels, mask, holes.grow(mask, feather, folder), feather, damaged)
    channels = frame.pixels.shape[-1]  # of a gray photo one: all three are equal
    for band, strip in rows:
        result[band] = pixels[band]
        frame.compose(result, strip[..., :channels], band.start)
        for array in (result, pixels, mask, frame.grown, damaged):
            scratch.release(array)
    return result


def soften(filled: np.ndarray, pixels: np.ndarray, strength: float) -> None:
    """Draws what was filled back towards pixels [H,W,C] of the same dtype, in place.

    `strength` (0..1) is how much of the change stays: old + strength * (new - old), rounded.
    """
    if strength == 1:
        return
    for band in scratch.bands(filled, pixels):
        changed = filled[band] != pixels[band]
        old, new = (array[band][changed].astype(np.float32) for array in (pixels, filled))
        filled[band][changed] = np.rint(old + np.float32(strength) * (new - old))


def check(pixels: np.ndarray, mask: np.ndarray) -> None:
    """Raises ValueError unless mask [H,W] has the size of pixels [H,W,C]."""
    if mask.shape != pixels.shape[:2]:
        raise ValueError(
            f"the mask has {mask.shape}, the photo {pixels.shape[:2]} pixels: give equal sizes"
        )


@dataclasses.dataclass
class _Frame:
    """What `fill` works on: the photo, its holes, `grown` by the feather, and other damage."""

    pixels: np.ndarray
    mask: np.ndarray
    grown: np.ndarray
    feather: int
    damaged: np.ndarray | None

    def __post_init__(self) -> None:
        if all(image.is_gray(self.pixels[band]) for band in scratch.bands(self.pixels)):
            self.pixels = self.pixels[..., :1]

    def wanted(self, down: tiles.Split, across: tiles.Split, row: int, overlap: int) -> list[int]:
        """The columns of a row of tiles in which some of the fill shows."""
        begin, end = tiles.counts(down, row, overlap)
        wide = self.wide(np.s_[begin:end])
        reach = (tiles.counts(across, column, overlap) for column in range(len(across.starts)))
        return [column for column, (first, last) in enumerate(reach) if wide[:, first:last].any()]

    def wide(self, rows: slice) -> np.ndarray:
        """Where some of the fill shows, 1 or 0 in these rows [h,W]."""
        wide = self.grown[rows]
        return wide if self.damaged is None else wide * (self.damaged[rows] == 0)

    def fill(self, filler: Filler, window: tuple[slice, slice]) -> np.ndarray:
        """The filler's answer [h,w,C] for a window of the photo."""
        hidden = self.grown[window]
        if self.damaged is not None:
            hidden = hidden | self.damaged[window]
        if hidden.all():
            height, width = hidden.shape
            raise ValueError(
                f"a hole takes up a whole tile of {height} x {width} pixels, so that "
                "nothing good is seen around it; use larger tiles or leave it by a limit"
            )
        return filler(image.to_float(self.pixels[window]), hidden)

    def compose(self, result: np.ndarray, strip: np.ndarray, begin: int) -> None:
        """Puts rows of fill [h,W,C] into the result, from row `begin` on."""
        end, margin = begin + len(strip), min(begin, self.feather)
        around = self.mask[begin - margin : end + self.feather]
        alpha = holes.opacity(around, self.feather)[margin:][: len(strip)]
        places = np.nonzero(self.wide(np.s_[begin:end]))
        if np.isnan(new := strip[places]).any():
            raise ValueError("the fill holds values that are no numbers; these weights are broken")
        full = np.float32(np.iinfo(result.dtype).max)
        old = self.pixels[begin:end][places].astype(np.float32)
        new = old + alpha[places][:, None] * (np.clip(new, 0, 1) * full - old)
        result[begin:end][places] = np.rint(new).astype(result.dtype)
