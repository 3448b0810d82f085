"""The samples of a TIFF page: its strips or tiles unpacked, some at a time, into place."""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Iterator
from concurrent import futures
from typing import BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin, TiffImagePlugin
from tifffile import PHOTOMETRIC

from oldphoto_jax.photo.codecs import tiff_codecs, tiff_header, tiff_ycbcr
from oldphoto_jax.photo.codecs.tiff_header import Layout
from oldphoto_jax.photo.content import PhotoError

MAPPED = 1 << 26  # bytes of pixels that are left in the file instead of read into memory
READ_AHEAD = 1 << 24  # bytes of unpacked samples that are taken at a time
THREADS = 4
REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], 1), 1, "little")
FAX_OPTIONS = (292, 293)
JPEG_FILE, JPEG_FILE_SIZE = 513, 514


def samples(file: BinaryIO, layout: Layout) -> np.ndarray:
    """All channels [H,W,S] of a page: uint8, the samples of fewer bits among them, or uint16.

    Uncompressed pixels from `MAPPED` bytes on stay in the file, where they lie there in one piece.
    """
    if layout.codec == tiff_codecs.OLD_JPEG:
        return _old_jpeg(file, layout)
    kind = np.dtype(f"{layout.directory.order}u2" if layout.bits == 16 else "u1")
    shape = (layout.height, layout.width, layout.samples)
    stored = (shape[2], *shape[:2]) if layout.planar else shape
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    array: np.ndarray
    if size >= MAPPED and _in_one_piece(layout, size):
        array = np.memmap(file, kind, "r", layout.parts.offsets[0], stored)
        return np.moveaxis(array, 0, -1) if layout.planar else array
    array = np.empty(stored, kind.newbyteorder("="))
    target = np.moveaxis(array, 0, -1) if layout.planar else array
    if layout.codec in tiff_codecs.UNLOCKED:
        with futures.ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            for _ in pool.map(lambda batch: _fill(target, layout, batch), _batches(layout)):
                continue
        return target
    for batch in _batches(layout):
        _fill(target, layout, batch)
    return target


def _in_one_piece(layout: Layout, size: int) -> bool:
    parts, subsampled = layout.parts, layout.shrunk != (1, 1)
    if layout.codec != tiff_codecs.NONE or layout.bits < 8 or layout.mirrored or subsampled:
        return False
    ends = [offset + count for offset, count in zip(parts.offsets, parts.counts, strict=True)]
    return not parts.tiled and ends[:-1] == list(parts.offsets[1:]) and sum(parts.counts) == size


def _batches(layout: Layout) -> Iterator[range]:
    """Parts that are unpacked together, as libtiff takes longer to start than for a short strip."""
    parts, together = layout.parts, 1
    deep = layout.codec == tiff_codecs.JPEG and layout.bits != 8
    if layout.codec in tiff_codecs.BY_LIBTIFF and layout.shrunk == (1, 1) and not deep:
        together = max(1, READ_AHEAD // max(1, layout.stored(parts.rows, parts.columns)))
    down = -(-layout.height // parts.rows)
    number, first = len(parts.offsets), 0
    while first < number:
        end = min(first + together, number)
        if not parts.tiled:  # the last strip of a plane may be a shorter one: it goes alone
            last = first // down * down + down - 1
            end = min(end, max(last, first + 1))
        yield range(first, end)
        first = end


def _fill(target: np.ndarray, layout: Layout, batch: range) -> None:
    """Unpacks parts and puts them where they belong in `target` [H,W,S]."""
    parts, views = layout.parts, [_place(target, layout, part) for part in batch]
    rows = parts.rows if parts.tiled else len(views[0])
    if layout.codec == tiff_codecs.NONE and not parts.tiled and layout.shrunk == (1, 1):
        _fill_plain(views[0], layout, parts.offsets[batch[0]])
        return
    datas = [
        layout.directory.data[parts.offsets[part] : parts.offsets[part] + parts.counts[part]]
        for part in batch
    ]
    values = _values(layout, datas, rows)
    for place, view in enumerate(views):
        one = values[place * rows : (place + 1) * rows]
        view[...] = one[: len(view), : view.shape[1]]


def _place(target: np.ndarray, layout: Layout, part: int) -> np.ndarray:
    parts = layout.parts
    down, across = -(-layout.height // parts.rows), -(-layout.width // parts.columns)
    plane, place = divmod(part, down * across)
    top, left = place // across * parts.rows, place % across * parts.columns
    view = target[top : top + parts.rows, left : left + parts.columns]
    return view[..., plane : plane + 1] if layout.planar else view


def _fill_plain(view: np.ndarray, layout: Layout, start: int) -> None:
    """A strip that is not packed, which can be the page: band by band, with no copy beside it."""
    each = layout.stored(1, layout.width)
    step = max(1, READ_AHEAD // max(1, each))
    for first in range(0, len(view), step):
        band = view[first : first + step]
        place = start + first * each
        band[...] = _values(
            layout, [layout.directory.data[place : place + len(band) * each]], len(band)
        )


def _values(layout: Layout, datas: list[bytes], rows: int) -> np.ndarray:
    """The samples [N*rows,columns,S] of N parts."""
    columns, channels = layout.parts.columns, 1 if layout.planar else layout.samples
    codec, tables = layout.codec, layout.directory.content(tiff_header.JPEG_TABLES)
    if codec == tiff_codecs.JPEG and layout.bits == 8:
        ycbcr = layout.photometric == PHOTOMETRIC.YCBCR and not layout.planar
        return tiff_codecs.unpack_jpeg(datas, rows, columns, channels, tables, ycbcr)
    if codec in (tiff_codecs.JPEG, tiff_codecs.WEBP, *tiff_codecs.PICTURES):
        picture = tiff_codecs.unpack_picture(codec, datas[0], tables)
        if picture.size != rows * columns * channels or picture.dtype.itemsize * 8 != layout.bits:
            raise ValueError(f"a part is {picture.shape} {picture.dtype} when it is unpacked")
        return picture.reshape(rows, columns, channels)
    if layout.mirrored:
        datas = [REVERSED[np.frombuffer(data, np.uint8)].tobytes() for data in datas]
    size = layout.stored(rows, columns)
    if codec in tiff_codecs.FAX:
        found = {tag: layout.directory.number(tag) or 0 for tag in FAX_OPTIONS}
        data = tiff_codecs.unpack_fax(codec, datas, rows, columns, found)
    else:
        data = tiff_codecs.unpack(codec, datas, size)
    if len(data) < len(datas) * size:
        raise ValueError(
            f"{len(datas)} parts have {len(data)} bytes when unpacked, not {size} each"
        )
    if layout.shrunk != (1, 1):
        units = np.frombuffer(data, np.uint8, size)
        return tiff_ycbcr.enlarge(units, rows, columns, *layout.shrunk)
    return _integers(layout, data, len(datas) * rows, columns, channels)


def _integers(layout: Layout, data: bytes, rows: int, columns: int, channels: int) -> np.ndarray:
    if layout.bits < 8:
        bits = np.unpackbits(np.frombuffer(data, np.uint8).reshape(rows, -1), axis=1)
        bits = bits[:, : columns * channels * layout.bits].reshape(rows, columns, channels, -1)
        if layout.bits == 1:
            return bits[..., 0]
        return bits @ (1 << np.arange(layout.bits, dtype=np.uint8)[::-1])
    kind = f"{layout.directory.order}u{layout.bits // 8}"
    values = np.frombuffer(data, kind, rows * columns * channels).reshape(rows, columns, channels)
    if not layout.differences:
        return values
    native = values.dtype.newbyteorder("=")
    return np.add.accumulate(values.astype(native), axis=1, dtype=native)


def _old_jpeg(file: BinaryIO, layout: Layout) -> np.ndarray:
    """JPEG as in TIFF 6.0, section 22: one whole file of JPEG mostly, or one in pieces."""
    page = layout.directory
    start, size = page.number(JPEG_FILE), page.number(JPEG_FILE_SIZE)
    image: Image.Image
    stream = page.data[start : start + size if size else None] if start else b""
    if stream.startswith(b"\xff\xd8") and b"\xff\xda" in stream:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(stream))
    else:
        copy = bytearray(page.data[:])
        struct.pack_into(
            page.order + ("Q" if page.big else "I"), copy, 8 if page.big else 4, page.start
        )
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(copy))
        try:
            image.load()
        except OSError as error:
            raise PhotoError(
                f"packed with JPEG in pieces, as before 1995, which cannot be unpacked here "
                f"({error}); save it without compression"
            ) from error
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    array = np.asarray(image)
    shape = (layout.height, layout.width, layout.samples)
    if array.size != math.prod(shape):
        raise ValueError(f"{array.shape} unpacked, but its directory says {shape}")
    return array.reshape(shape)
