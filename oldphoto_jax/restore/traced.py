"""What the host does to pixels once more, for programs that are compiled as a whole.

Photos are [N,H,W,C], float32 in 0..1, and all of one size. Tiles lie where `tiles` has them and
fade into each other as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.photo import image
from oldphoto_jax.photo.types import Array, Batch, Mask
from oldphoto_jax.restore import octaves, tiles
from oldphoto_jax.restore.tiles import Split

FULL_SCALE = 65535  # of a stored probability


def in_tiles(
    function: Callable[[Batch], Array],
    arrays: Batch,
    down: Split,
    across: Split,
    overlap: int,
) -> jax.Array:
    """`function`, which maps [N,h,w,C] to [N,h,w,D], asked tile by tile: [N,H,W,D].

    `arrays` are [N,H,W,C], mirrored where tiles reach beyond them.
    """
    height, width = next(iter(arrays.values())).shape[1:3]
    places = [(top, left) for top in down.starts for left in across.starts]
    cut = {
        name: _stacked(array, places, (down.side, across.side)) for name, array in arrays.items()
    }
    # One tile of all photos after the other, or memory would grow with the photo.
    answers = jax.lax.map(function, cut)
    columns = len(across.starts)
    rows = [
        _joined([answers[row * columns + n] for n in range(columns)], across, overlap, axis=2)
        for row in range(len(down.starts))
    ]
    return _joined(rows, down, overlap, axis=1)[:, :height, :width]


def _stacked(array: Array, places: Sequence[tuple[int, int]], shape: tuple[int, int]) -> jax.Array:
    """The tiles of this shape at these places, [tiles,N,h,w,C]."""
    height, width = shape
    cut = [jnp.asarray(array)[:, top : top + height, left : left + width] for top, left in places]
    return jnp.stack([image.pad_to(one, height, width) for one in cut])


def _joined(pieces: Sequence[jax.Array], along: Split, overlap: int, axis: int) -> jax.Array:
    """The pieces side by side along an axis, each fading into the one before it."""
    weight = tiles.ramp(overlap).astype(np.float32)
    weight = weight.reshape([-1 if n == axis else 1 for n in range(pieces[0].ndim)])
    whole = pieces[0]
    for index, piece in enumerate(pieces[1:], 1):
        start, begin = along.starts[index], tiles.fade(along, index, overlap)
        end = begin + overlap // 2
        before, under = (_part(whole, *ends, axis) for ends in ((0, begin), (begin, end)))
        over = _part(piece, begin - start, end - start, axis)
        after = _part(piece, end - start, along.side, axis)
        whole = jnp.concatenate([before, under + weight * (over - under), after], axis=axis)
    return whole


def _part(array: jax.Array, begin: int, end: int, axis: int) -> jax.Array:
    return jax.lax.slice_in_dim(array, begin, end, axis=axis)


def widen(mask: Mask, radius: int, fade: bool = False) -> Mask:
    """mask [N,H,W,1] with all within `radius` pixels (Euclidean); as `holes.grow` has it.

    With `fade`, as `holes.opacity`: 1 in the mask, falling evenly to 0 beyond `radius` pixels.
    """
    result = mask
    for y in range(-radius, radius + 1):
        for x in range(-radius, radius + 1):
            away = np.hypot(x, y)
            if 0 < away <= radius:
                weight = np.float32(1 - away / (radius + 1)) if fade else np.float32(1)
                result = jnp.maximum(result, weight * _shifted(mask, y, x))
    return result


def _shifted(mask: Mask, down: int, right: int) -> Mask:
    """The mask moved by so many pixels; what moves in is 0."""
    height, width = mask.shape[1:3]
    pads = [(max(step, 0), max(-step, 0)) for step in (down, right)]
    padded = jnp.pad(mask, [(0, 0), *pads, (0, 0)])
    top, left = max(-down, 0), max(-right, 0)
    return padded[:, top : top + height, left : left + width]


def shrink(gray: Array, small: tuple[int, int], shown: tuple[int, int]) -> jax.Array:
    """gray [N,H,W,1] brought to the sides `small`, then mirrored to `shown`; [N,h,w,1].

    As `colorize.shrink` does it: averaged over areas, or interpolated by cubics where it grows.
    """
    high = jax.lax.Precision.HIGHEST
    (height, width), plane = small, jnp.asarray(gray)[..., 0]
    if width < plane.shape[2]:
        plane = jnp.einsum("nhW,wW->nhw", plane, _shrinking(plane.shape[2], width), precision=high)
    ends = plane.min(axis=(1, 2), keepdims=True), plane.max(axis=(1, 2), keepdims=True)
    rows = _shrinking(plane.shape[1], height)
    columns = _shrinking(plane.shape[2], width)
    view = jnp.einsum("hH,nHW,wW->nhw", rows, plane, columns, precision=high)
    return image.pad_to(jnp.clip(view, *ends)[..., None], *shown)


def halve(photo: Array, full: Array) -> jax.Array:
    """photo [N,H,W,C] averaged over areas to half its sides, rounded up, as `octaves.halve`.

    Rounded as in its file, whose largest value is full [N,1,1,1].
    """
    high = jax.lax.Precision.HIGHEST
    rows, columns = (_halving(side) for side in photo.shape[1:3])
    small = jnp.einsum("hH,nHWc,wW->nhwc", rows, photo * full, columns, precision=high)
    return jnp.floor(small + np.float32(0.5)) / full


def _halving(length: int) -> np.ndarray:
    """[length / 2,length] float32: averages over areas, of whole bands where the length is odd."""
    halves = np.zeros((-(-length // 2), length), np.float32)
    for start in range(0, length, octaves.EVEN):
        stop = min(start + octaves.EVEN, length)
        halves[start // 2 : -(-stop // 2), start:stop] = _shrinking(
            stop - start, -(-(stop - start) // 2)
        )
    return halves


def double(small: Array, height: int, width: int) -> jax.Array:
    """small [N,h,w,C] at twice its sides, cut to height x width, as `octaves.double`."""
    large = jnp.asarray(small)
    for axis, side in (1, height), (2, width):
        before, after = (_beside(large, step, axis) for step in (-1, 1))
        pair = [0.75 * large + 0.25 * one for one in (before, after)]
        shape = [2 * n if k == axis else n for k, n in enumerate(large.shape)]
        large = _part(jnp.stack(pair, axis + 1).reshape(shape), 0, side, axis)
    return large


def _beside(array: jax.Array, step: int, axis: int) -> jax.Array:
    """Each value's neighbour along an axis; at the edge itself."""
    places = np.clip(np.arange(array.shape[axis]) + step, 0, array.shape[axis] - 1)
    return jnp.take(array, places, axis)


def _shrinking(length: int, small: int) -> np.ndarray:
    """[small,length] float32: averages over areas, or where it grows interpolates by cubics."""
    kind = cv2.INTER_AREA if small <= length else cv2.INTER_CUBIC
    return cv2.resize(np.eye(length, dtype=np.float32), (length, small), interpolation=kind)
