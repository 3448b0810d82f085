"""Size and orientation of a photo file by its header: no pixel is decoded, little is read."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import BmpImagePlugin, Image

from oldphoto_jax.photo import content, exif
from oldphoto_jax.photo.codecs import jpeg, jpeg_beside, png

JPEG, PNG, RIFF, BMP = b"\xff\xd8\xff", png.SIGNATURE, b"RIFF", b"BM"
LARGEST_PART = 1 << 26  # bytes of EXIF or XMP beside the pixels


class RiffChunk(NamedTuple):
    """A chunk of a WebP file: its name, and where its `size` bytes of content start."""

    name: bytes
    start: int
    size: int


def read(file: BinaryIO) -> content.Stored:
    """The header of an open JPEG, PNG, WebP or BMP file; raises as `decode.decode` does."""
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start.startswith(PNG):
        told = png.header(file)
        turn = content.orientation(told.exif, told.xmp)
        return content.Stored(told.width, told.height, turn, "PNG")
    if start.startswith(RIFF):
        return _webp(file)
    if start.startswith(JPEG):
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _, _, height, width = jpeg.frame(data)
            turn = content.orientation(*jpeg_beside.orientation_of(data))
        return content.Stored(width, height, turn, "JPEG")
    if start.startswith(BMP):
        return content.Stored(*BmpImagePlugin.BmpImageFile(file).size, 1, "BMP")
    raise content.PhotoError(
        "not a JPEG, PNG, TIFF, WebP, HEIC or BMP file; convert it to one of them"
    )


def exif_of(image: Image.Image) -> bytes | None:
    """The EXIF block of a file that Pillow has opened, or None where there is no sense in it."""
    block = image.info.get("exif", b"").removeprefix(exif.PREFIX)
    try:
        exif.parse(block)
    except ValueError:  # no EXIF, or a broken one that says nothing; the pixels are whole
        return None
    return block


def _webp(file: BinaryIO) -> content.Stored:
    size, block, xmp = None, None, None
    for part in webp_parts(file):
        file.seek(part.start)
        if part.name in (b"EXIF", b"XMP ") and part.size <= LARGEST_PART:
            data = file.read(part.size)
            block, xmp = (data, xmp) if part.name == b"EXIF" else (block, data)
        elif size is None:
            size = _canvas(part.name, file.read(10))
    if size is None:
        raise ValueError("no picture in it")
    block = block and block.removeprefix(exif.PREFIX)
    return content.Stored(*size, content.orientation(block, xmp), "WEBP")


def webp_parts(file: BinaryIO) -> Iterator[RiffChunk]:
    """The parts of a WebP file."""
    file.seek(0)
    _, size, kind = struct.unpack("<4sI4s", file.read(12))
    if kind != b"WEBP":
        raise ValueError("a RIFF file, but no WebP")
    end = file.seek(0, io.SEEK_END)
    return _parts(file, 12, min(end, 8 + size))


def _canvas(name: bytes, data: bytes) -> tuple[int, int] | None:
    """(width, height) by the first bytes of a part, if it is one that says so."""
    if name == b"VP8X" and len(data) == 10:
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if name == b"VP8L" and len(data) >= 5:
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if name == b"VP8 " and len(data) == 10:
        width, height = struct.unpack_from("<HH", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _parts(file: BinaryIO, start: int, end: int) -> Iterator[RiffChunk]:
    """Parts one behind the other: a name, a size, and content, filled up to an even size."""
    while start + 8 <= end:
        file.seek(start)
        name, size = struct.unpack("<4sI", file.read(8))
        if start + 8 + size > end:
            raise ValueError(f"parts are missing: {name!r} ends at byte {start + 8 + size}")
        yield RiffChunk(name, start + 8, size)
        start += 8 + size + size % 2
