"""PNG files, put together a band of rows at a time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import photoshop, png_text, rows
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.types import Rows


def packer() -> zlib._Compress:
    """Deflate that looks for runs alone: differences of grainy pixels hold no other repetition.

    On scans this takes half the time of zlib's own way or less, and leaves smaller files.
    """
    return zlib.compressobj(level=1, strategy=zlib.Z_RLE)


def write(file: BinaryIO, photo: PhotoFile[Rows]) -> None:
    """Writes pixels and all that lies beside them."""
    height, width, colors = photo.pixels.shape
    size = photo.pixels.dtype.itemsize
    kind = (0 if colors == 1 else 2) + (0 if photo.alpha is None else 4)
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * size, kind, 0, 0, 0))
    encoding = dict(photo.encoding)
    if b"cICP" in encoding:  # in front of what it overrides
        _chunk(file, b"cICP", encoding.pop(b"cICP"))
    if photo.icc:
        encoding.pop(b"sRGB", None)  # which a profile excludes
        _chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc))
    for name, data in encoding.items():
        _chunk(file, name, data)
    if photo.resolution:
        dots = (round(value / exif.INCH) for value in photo.resolution)
        _chunk(file, b"pHYs", struct.pack(">IIB", *dots, 1))
    if photo.exif:
        _chunk(file, b"eXIf", photo.exif)
    if photo.xmp:
        _chunk(file, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + photo.xmp)
    for name, data in _texts(photo):
        _chunk(file, name, data)
    packed = packer()
    above = None
    for band in rows.bands(photo):
        lines = np.ascontiguousarray(band, f">u{size}").view(np.uint8).reshape(len(band), -1)
        above = np.zeros_like(lines[:1]) if above is None else above
        if data := packed.compress(_filter(lines, above, size * band.shape[-1])):
            _chunk(file, b"IDAT", data)
        above = lines[-1:]
    _chunk(file, b"IDAT", packed.flush())
    _chunk(file, b"IEND", b"")


def _texts(photo: PhotoFile[Rows]) -> Iterator[tuple[bytes, bytes]]:
    """Chunks of text: PNG's own, JPEG's comments, and IPTC with what Photoshop adds to it."""
    yield from photo.texts
    yield from (png_text.from_comment(comment) for comment in photo.comments)
    if data := photoshop.pack(photo.iptc, photo.resources):
        yield png_text.raw_profile(b"iptc" if photo.iptc else b"8bim", data)


def _filter(lines: np.ndarray, above: np.ndarray, step: int) -> bytes:
    """PNG's filters Sub (1) and Up (2): each line less its left or upper neighbour, byte by byte.

    Whichever leaves the smaller numbers, which pack better. lines [h,B] and above [1,B] are uint8;
    `step` is the bytes of a pixel.
    """
    filtered = np.empty((2, len(lines), 1 + lines.shape[1]), np.uint8)
    left, up = filtered[..., 1:]
    filtered[..., 0] = [[1], [2]]
    left[:, :step] = lines[:, :step]
    np.subtract(lines[:, step:], lines[:, :-step], out=left[:, step:])
    np.subtract(lines[:1], above, out=up[:1])
    np.subtract(lines[1:], lines[:-1], out=up[1:])
    sums = [np.minimum(x, -x).sum(axis=1, dtype=np.uint32) for x in (left, up)]  # 255 counts as -1
    smaller = np.argmin(sums, axis=0)
    return filtered[smaller, np.arange(len(lines))].tobytes()


def _chunk(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))
