"""Size and orientation of a photo file by its header: no pixel is decoded, little is read."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin

from oldphoto_jax.photo import content, exif

JPEG, PNG, RIFF, BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM"
LARGEST_CHUNK = 1 << 26  # bytes of text, EXIF or XMP beside the pixels


class Part(NamedTuple):
    """A named part of a PNG or WebP file: where its `size` bytes of content start."""

    name: bytes
    start: int
    size: int


def read(file: BinaryIO) -> content.Stored:
    """The header of an open JPEG, PNG, WebP or BMP file; raises as `decode.decode` does."""
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start.startswith(PNG):
        image = open_png(file)
        return content.Stored(*image.size, orientation(image), "PNG")
    if start.startswith(RIFF):
        return _webp(file)
    if start.startswith(JPEG):
        jpeg = JpegImagePlugin.JpegImageFile(file)
        return content.Stored(*jpeg.size, orientation(jpeg), "JPEG")
    if start.startswith(BMP):
        return content.Stored(*BmpImagePlugin.BmpImageFile(file).size, 1, "BMP")
    raise content.PhotoError(
        "not a JPEG, PNG, TIFF, WebP, HEIC or BMP file; convert it to one of them"
    )


def orientation(image: Image.Image) -> int:
    """EXIF's number for a file that Pillow has opened."""
    return content.orientation(exif_of(image), image.info.get("xmp"))


def exif_of(image: Image.Image) -> bytes | None:
    """The EXIF block of a file that Pillow has opened, or None where there is no sense in it."""
    # ImageMagick puts EXIF into PNG as text: an empty line, a name, a length, lines of hex.
    text = image.info.get("Raw profile type exif", "")
    try:
        block = image.info.get("exif") or bytes.fromhex("".join(text.split("\n")[3:]))
        block = block.removeprefix(exif.PREFIX)
        exif.parse(block)
    except ValueError:  # no EXIF, or a broken one that says nothing; the pixels are whole
        return None
    return block


def open_png(file: BinaryIO) -> PngImagePlugin.PngImageFile:
    """All of a PNG file but pixels and colour profile, which may be too large for Pillow."""
    data = bytearray(PNG)
    for part in chunks(file):
        if part.name in (b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            if part.size > LARGEST_CHUNK:
                raise ValueError(f"a chunk {part.name!r} of {part.size} bytes")
            file.seek(part.start - 8)
            data += file.read(part.size + 12)
    return PngImagePlugin.PngImageFile(io.BytesIO(data + b"\0\0\0\0IEND\xaeB`\x82"))


def chunks(file: BinaryIO) -> Iterator[Part]:
    """The chunks of a PNG file, those behind the pixels too; no last one may be missing."""
    end = file.seek(0, io.SEEK_END)
    for part in _parts(file, len(PNG), end, ">I4s", 4):
        yield part
        if part.name == b"IEND":
            return


def _webp(file: BinaryIO) -> content.Stored:
    size, block, xmp = None, None, None
    for part in webp_parts(file):
        file.seek(part.start)
        if part.name in (b"EXIF", b"XMP ") and part.size <= LARGEST_CHUNK:
            data = file.read(part.size)
            block, xmp = (data, xmp) if part.name == b"EXIF" else (block, data)
        elif size is None:
            size = _canvas(part.name, file.read(10))
    if size is None:
        raise ValueError("no picture in it")
    block = block and block.removeprefix(exif.PREFIX)
    return content.Stored(*size, content.orientation(block, xmp), "WEBP")


def webp_parts(file: BinaryIO) -> Iterator[Part]:
    """The parts of a WebP file."""
    file.seek(0)
    _, size, kind = struct.unpack("<4sI4s", file.read(12))
    if kind != b"WEBP":
        raise ValueError("a RIFF file, but no WebP")
    end = file.seek(0, io.SEEK_END)
    return _parts(file, 12, min(end, 8 + size), "<4sI", 0)


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


def _parts(file: BinaryIO, start: int, end: int, form: str, checksum: int) -> Iterator[Part]:
    """Parts one behind the other: a name and a size, as `form` says, content, a checksum."""
    while start + 8 <= end:
        file.seek(start)
        fields = struct.unpack(form, file.read(8))
        size, name = fields if isinstance(fields[0], int) else fields[::-1]
        if start + 8 + size > end:
            raise ValueError(f"parts are missing: {name!r} ends at byte {start + 8 + size}")
        yield Part(name, start + 8, size)
        start += 8 + size + (checksum or size % 2)  # WebP fills up to an even size
