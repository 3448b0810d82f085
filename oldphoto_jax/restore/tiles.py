"""Photos of any size through a network that sees one tile at a time.

A photo becomes overlapping squares of two sizes at most, so that few programs are compiled, and the
results are laid side by side like wallpaper: each sheet fades into the one before it. Fading is
`old + ramp * (new - old)`, so where two tiles agree the join changes nothing, to the last bit.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from oldphoto_jax.photo import image
from oldphoto_jax.restore import ahead

LARGE = 1 << 19  # pixels; so many keep all cores busy, and want memory that none should want twice


@dataclasses.dataclass(frozen=True)
class Split:
    """One side of a photo: tiles of `side` pixels that begin at `starts`."""

    side: int
    starts: tuple[int, ...]


def split(length: int, side: int, overlap: int, multiple: int = 1) -> Split:
    """Covers `length` pixels with as few tiles of `side` pixels as can be.

    Spare pixels widen the overlaps evenly. Neighbours share at least `overlap` pixels. Tiles begin
    at multiples of `multiple`, where the strides of the network would also fall in the whole photo.
    Raises ValueError as `check` does.
    """
    check(side, overlap, multiple)
    length, side, overlap = (-(-n // multiple) for n in (length, side, overlap))
    count = max(1, math.ceil((length - overlap) / (side - overlap)))
    spare = max(0, length - side)
    starts = (spare * i // max(1, count - 1) for i in range(count))
    return Split(side * multiple, tuple(start * multiple for start in starts))


def plan(
    height: int, width: int, tile: int, overlap: int, multiple: int = 1
) -> tuple[Split, Split]:
    """The tiles of a photo, down and across: squares of `tile` pixels a side, or of half of that.

    Whichever are fewer pixels in all; so photos of all sizes make programs for two shapes. Small
    squares, which have twice the joins, share twice as much. Raises ValueError as `check` does.
    """
    both = [tuple(split(n, tile, overlap, multiple) for n in (height, width))]
    half = tile // 2
    if half % multiple == 0 and 2 * overlap <= half // multiple // 2 * multiple:
        both.append(tuple(split(n, half, 2 * overlap, multiple) for n in (height, width)))
    down, across = min(both, key=lambda two: math.prod(len(n.starts) * n.side for n in two))
    return down, across


def fade(along: Split, index: int, overlap: int) -> int:
    """Where tile `index` begins to count: there its fade into the tile before it begins.

    The fade, `overlap` / 2 long, stands in the middle of what the two tiles share. Their
    outermost pixels, which saw the least of their surroundings, count for nothing: at least
    `overlap` / 4 of them.
    """
    if index == 0:
        return 0
    return (along.starts[index - 1] + along.side + along.starts[index] - overlap // 2) // 2


def counts(along: Split, index: int, overlap: int) -> tuple[int, int]:
    """The pixels in which tile `index` counts for something: from, and up to, these places.

    The last tile counts up to its end, which may lie beyond the photo.
    """
    begin = fade(along, index, overlap)
    if index == len(along.starts) - 1:
        return begin, along.starts[index] + along.side
    return begin, fade(along, index + 1, overlap) + overlap // 2


def ramp(overlap: int) -> np.ndarray:
    """The weight of the new tile in each of the `overlap` / 2 pixels of a fade, in 0..1."""
    length = overlap // 2
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length))


def check(tile: int, overlap: int, multiple: int) -> None:
    """Raises ValueError unless tiles of this side and overlap can be cut and joined."""
    if tile < multiple or tile % multiple:
        near = max(1, round(tile / multiple)) * multiple
        raise ValueError(f"tile {tile}: this network takes multiples of {multiple}, say {near}")
    most = tile // multiple // 2 * multiple
    if not 0 <= overlap <= most:
        raise ValueError(f"overlap {overlap}: with tiles of {tile} it must lie in 0..{most}")


def rows(
    function: Callable[[np.ndarray], np.ndarray],
    photo: np.ndarray,
    *,
    tile: int = 1024,
    overlap: int = 64,
    multiple: int = 1,
    batch: int = 1,
) -> Iterator[tuple[int, np.ndarray]]:
    """Gives `function` [N,h,w,C] -> [N,h,w,D] the photo [H,W,C] in tiles, from top to bottom.

    Yields the number of the first row and the rows [n,W,D] that are finished, each row once;
    beside them only a row of tiles is held in memory. Every call holds exactly `batch` tiles of
    one shape. A side shorter than its tile is padded by reflection. `function` may return
    another number type than it takes; blending asks for floating point.
    """
    height, width = photo.shape[:2]
    down, across = plan(height, width, tile, overlap, multiple)
    results = _results(function, photo, down, across, batch)
    above = None  # of the row of tiles before, what the next one fades into
    for row, top in enumerate(down.starts):
        for column, left in enumerate(across.starts):
            piece = next(results)[: height - top, : width - left]
            if column == 0:
                strip = np.empty((len(piece), width, piece.shape[-1]), piece.dtype)
            lay(strip.swapaxes(0, 1), piece.swapaxes(0, 1), across, column, overlap)
        begin = fade(down, row, overlap) - top
        if above is not None:
            mix(above, strip[begin : begin + len(above)], overlap)
            strip[begin : begin + len(above)] = above
        end = len(strip)
        if row + 1 < len(down.starts):
            end = fade(down, row + 1, overlap) - top
            above = strip[end : end + overlap // 2].copy()
        yield top + begin, strip[begin:end]


def _results(
    function: Callable[[np.ndarray], np.ndarray],
    photo: np.ndarray,
    down: Split,
    across: Split,
    batch: int,
) -> Iterator[np.ndarray]:
    """The function's answer for every tile, row by row, computed `batch` tiles at a time."""

    def answers(group: Sequence[tuple[int, int]]) -> np.ndarray:
        tiles = [cut(photo, place, (down.side, across.side)) for place in group]
        tiles += tiles[-1:] * (batch - len(group))  # a smaller batch would be one more program
        return np.asarray(function(np.stack(tiles)))[: len(group)]

    places = iter(itertools.product(down.starts, across.starts))
    groups = iter(lambda: [*itertools.islice(places, batch)], [])
    large = batch * down.side * across.side > LARGE
    for answer in ahead.results(answers, groups, 1 if large else ahead.AT_ONCE):
        yield from answer


def cut(photo: np.ndarray, place: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """The tile of this shape at this place, mirrored where the photo ends."""
    (top, left), (height, width) = place, shape
    return image.pad_to(photo[top : top + height, left : left + width], height, width)


def lay(canvas: np.ndarray, piece: np.ndarray, along: Split, index: int, overlap: int) -> None:
    """Lays piece `index` onto the canvas along the first axis, fading in over `overlap` / 2."""
    start = along.starts[index]
    if index == 0:
        canvas[: len(piece)] = piece
        return
    begin = fade(along, index, overlap)
    end = begin + overlap // 2
    mix(canvas[begin:end], piece[begin - start : end - start], overlap)
    canvas[end : start + len(piece)] = piece[end - start :]


def mix(under: np.ndarray, over: np.ndarray, overlap: int) -> None:
    """Fades `under` into `over`, both [`overlap` / 2,...], along the first axis and in place."""
    weight = ramp(overlap).astype(under.dtype)[:, None, None]
    under += weight * (over - under)
