"""The pixels of a file that this house has written, read again a band of rows at a time.

So that what was written can be compared with what it was made of, and a large scan need not lie
whole for it. PNG is unpacked here, from the bytes that are on disk; TIFF by tifffile, strip by
strip. Other files are taken whole, by `files.read`.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile

from oldphoto_jax.photo.codecs import rows
from oldphoto_jax.photo.content import PhotoError
from oldphoto_jax.photo.disk import files

NONE, SUB, UP = 0, 1, 2  # PNG's filters, as far as they are written here


def bands(
    path: str | os.PathLike, max_pixels: int = files.MAX_PIXELS, page: int = 0
) -> Iterator[np.ndarray]:
    """All samples [h,W,S] of a written picture from the top, colours first and alpha behind them.

    Of a TIFF file `page` says which of its pages, counted from 0. Raises PhotoError where the file
    is not whole, or was not written by `files.write`.
    """
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(4)
    try:
        if start == b"\x89PNG":
            yield from _png(path)
        elif start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            yield from _tiff(path, page)
        else:
            yield from rows.bands(files.read(path, max_pixels))
    except files.DAMAGED as error:
        if isinstance(error, PhotoError):
            raise
        raise PhotoError(f"{path}: what was written cannot be read again ({error})") from error


def _tiff(path: Path, page: int) -> Iterator[np.ndarray]:
    with tifffile.TiffFile(path) as tiff:
        found = tiff.pages[page].aspage()
        for strip, _, _ in found.segments(maxworkers=1):
            if strip is None:
                raise PhotoError(f"{path}: a strip of its pixels is missing")
            band = strip.reshape(-1, found.imagewidth, found.samplesperpixel)
            yield band.astype(band.dtype.newbyteorder("="), copy=False)


def _png(path: Path) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        parts = _chunks(file)
        head = next(parts)[1]
        width, height, depth, kind = struct.unpack(">IIBB", head[:10])
        samples, size = {0: 1, 2: 3, 4: 2, 6: 4}[kind], depth // 8
        step = samples * size
        line = 1 + width * step
        most = max(1, rows.BAND // line) * line
        packed = zlib.decompressobj()
        above = np.zeros(line - 1, np.uint8)
        data, top = b"", 0
        for _, part in parts:
            while part:
                data += packed.decompress(part, most)
                part = packed.unconsumed_tail
                count = len(data) // line
                if not count:
                    continue
                lines = np.frombuffer(data, np.uint8, count * line).reshape(count, line)
                data, top = data[count * line :], top + count
                band = _unfilter(lines, above, step)
                above = band[-1]
                native = band.view(f">u{size}").astype(f"u{size}", copy=False)
                yield native.reshape(count, width, samples)
        if top != height or data or not packed.eof:
            raise PhotoError(f"{path}: {top} of {height} rows have been written")


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file that make its pixels; each must be whole and have its checksum."""
    file.seek(8)
    name = b""
    while name != b"IEND":
        size, name = struct.unpack(">I4s", file.read(8))
        if name not in (b"IHDR", b"IDAT"):
            file.seek(size + 4, os.SEEK_CUR)
            continue
        data = file.read(size)
        if file.read(4) != struct.pack(">I", zlib.crc32(data, zlib.crc32(name))):
            raise ValueError(f"its chunk {name!r} is damaged")
        yield name, data


def _unfilter(lines: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Samples [h,B] of filtered lines [h,1+B], all uint8; `step` is the bytes of a pixel."""
    result = lines[:, 1:].copy()
    for row, how in zip(result, lines[:, 0], strict=True):
        if how == SUB:
            pixels = row.reshape(-1, step)
            np.cumsum(pixels, axis=0, dtype=np.uint8, out=pixels)
        elif how == UP:
            row += above
        elif how != NONE:
            raise ValueError(f"filter {how}, which is not written here")
        above = row
    return result
