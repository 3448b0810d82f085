"""What was not touched, said with proof: the pixels outside mask and feather, before and after.

The report's `untouched` holds the share of such pixels, whether all are identical in photo and
file, and the SHA-256 of them in both. Anyone can compute it anew: of the photo as `files.read`
gives it, upright, and of the written file, take the pixels that lie further than the feather from
all that is white in the mask (by the distance of their centres), row after row from the top; of
each pixel all samples that the file has, colours first, then alpha, then further channels, as
unsigned numbers of one or two bytes, the lower byte first.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections.abc import Iterator

import numpy as np

from oldphoto_jax.folder.report import Entry
from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import reread
from oldphoto_jax.restore import holes

CODED_ANEW: Entry = {"share": 0.0, "coded_anew": True}  # JPEG and HEIC: every pixel may differ
COLORED: Entry = {"share": 0.0, "coloured": True}  # every pixel is new; its luma stays


def compare(
    photo: PhotoFile[np.ndarray],
    path: str | os.PathLike,
    mask: np.ndarray | None,
    feather: int = 0,
    *,
    page: int = 0,
    max_pixels: int,
    folder: str | os.PathLike | None = None,
) -> Entry:
    """What of a photo is untouched in the file at `path`, which was written of it without loss.

    mask [H,W] uint8 is 1 where something was filled; None says that nothing was. The file, or one
    `page` of it counted from 0, is read again, a band of rows at a time; scratch space for large
    masks is taken in `folder`. Raises ValueError where a pixel that should be untouched is another
    one, or cannot be read.
    """
    height, width = photo.pixels.shape[:2]
    grown = None if mask is None else holes.grow(mask, feather, folder)
    before, after = hashlib.sha256(), hashlib.sha256()
    top = count = 0
    for written in reread.bands(path, max_pixels, page):
        rows = slice(top, top + len(written))
        came = _samples(photo, rows, written.shape[-1])
        if came.shape[:2] == written.shape[:2] and came.shape[-1] > written.shape[-1]:
            written = _with_alpha(written)
        if came.shape != written.shape or came.dtype != written.dtype:
            raise ValueError(
                f"{path}: rows {rows.start}:{rows.stop} were written as {came.shape} "
                f"{came.dtype} and are read again as {written.shape} {written.dtype}"
            )
        good = None if grown is None else grown[rows] == 0
        count += came[..., 0].size if good is None else int(np.count_nonzero(good))
        before.update(_bytes(came, good))
        after.update(_bytes(written, good))
        top = rows.stop
        for array in (photo.pixels, mask, grown):
            scratch.release(array)
    if top != height:
        raise ValueError(f"{path}: holds {top} of {height} rows")
    return _told(path, count / (height * width), before.hexdigest(), after.hexdigest())


def check_copy(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Raises ValueError unless a file is a true copy of another one, read again."""
    if not filecmp.cmp(source, path, shallow=False):
        raise ValueError(f"{path}: is no true copy of {source}; check the disk")


def copied(photo: PhotoFile[np.ndarray]) -> Entry:
    """What of a photo is untouched in a true copy of its file: all.

    Bytes that are the same are the same pixels, and need not be decoded again.
    """
    digest = hashlib.sha256()
    extra = 0 if photo.extra is None else photo.extra.shape[-1]
    channels = photo.pixels.shape[-1] + (photo.alpha is not None) + extra
    for band in scratch.bands(photo.pixels):
        digest.update(_bytes(_samples(photo, band, channels)))
    return {"share": 1.0, "identical": True, "sha256": [digest.hexdigest()] * 2}


def _told(path: str | os.PathLike, share: float, before: str, after: str) -> Entry:
    if before != after:
        raise ValueError(
            f"{path}: pixels outside mask and feather are not those of the photo (SHA-256 "
            f"{before} before, {after} after); check the disk, and report it if it happens again"
        )
    return {"share": round(share, 6), "identical": True, "sha256": [before, after]}


def _bytes(samples: np.ndarray, good: np.ndarray | None = None) -> np.ndarray:
    """Of samples [h,W,S] those of good [h,W] pixels, or of all, as bytes."""
    samples = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<"))
    if good is None:
        return samples
    size = samples.shape[-1] * samples.dtype.itemsize
    pixels = samples.view(f"V{size}")[..., 0]  # a pixel at a time is taken much faster
    return pixels[good].view(np.uint8)


def _samples(photo: PhotoFile[np.ndarray], rows: slice, channels: int) -> np.ndarray:
    """Rows [h,W,S] of what is to be found in a file of so many channels."""
    return np.concatenate([*_parts(photo, rows, channels)], axis=-1)


def _parts(photo: PhotoFile[np.ndarray], rows: slice, channels: int) -> Iterator[np.ndarray]:
    yield photo.pixels[rows]
    if photo.alpha is not None:
        yield photo.alpha[rows, :, None]
    if photo.extra is not None and channels > photo.pixels.shape[-1] + (photo.alpha is not None):
        yield photo.extra[rows]


def _with_alpha(samples: np.ndarray) -> np.ndarray:
    """As a WebP file holds them that is opaque all over: without saying so."""
    opaque = np.full((*samples.shape[:2], 1), np.iinfo(samples.dtype).max, samples.dtype)
    return np.concatenate([samples, opaque], axis=-1)
