"""JPEG 2000 files, which archives keep: Pillow has 8 bits, OpenCV more (both by OpenJPEG).

A file is a codestream, bare or in boxes that tell its colours (ISO/IEC 15444-1, annexes A and I).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Jpeg2KImagePlugin

from oldphoto_jax.photo import content, exif, samples
from oldphoto_jax.photo.codecs import avif
from oldphoto_jax.photo.content import PhotoError, PhotoFile, Stored

CODESTREAM = b"\xff\x4f\xff\x51"
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF = b"JpgTiffExif->JP2"
SYCC, INKS, LAB = 18, 12, 14  # numbers of colour spaces


class Told(NamedTuple):
    """What the boxes and the codestream's header say."""

    width: int
    height: int
    bits: tuple[int, ...]  # of each channel
    whole: bool  # every channel has a value for each pixel
    space: int | None
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None


def opened(file: BinaryIO) -> tuple[Stored, Callable[[], PhotoFile[np.ndarray]]]:
    """Size and orientation of a JPEG 2000 file, and what decodes it: to 8 bits, or 16 if more.

    Raises PhotoError for inks, Lab, more than 16 bits, and what neither library reads whole.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        told = _tell(data)
    if reason := _refusal(told):
        raise PhotoError(f"JPEG 2000 {reason}; save it as TIFF or PNG, in gray or RGB")
    block = told.exif

    def work() -> PhotoFile[np.ndarray]:
        image = Jpeg2KImagePlugin.Jpeg2KImageFile(file)
        dots = image.info.get("dpi")
        pixels, alpha = _deep(file, told) if told.bits[0] > 8 else samples.from_pillow(image)
        if told.bits[0] < 8:  # Pillow leaves the lowest bits empty
            pixels = avif.stretch(pixels >> (8 - told.bits[0]), told.bits[0])
        return PhotoFile(
            pixels,
            alpha,
            icc=content.fitting(told.icc, pixels),
            exif=block,
            xmp=told.xmp,
            resolution=(float(dots[0]), float(dots[1]))
            if dots and exif.is_resolution(dots)
            else None,
            format="JPEG2000",
        )

    turn = content.orientation(block, told.xmp)
    return Stored(told.width, told.height, turn, "JPEG2000"), _rewound(file, work)


def _rewound(file: BinaryIO, work: Callable[[], PhotoFile]) -> Callable[[], PhotoFile]:
    def again() -> PhotoFile:
        file.seek(0)
        return work()

    return again


def _refusal(told: Told) -> str | None:
    if len({*told.bits}) > 1:
        return f"whose channels have {', '.join(map(str, told.bits))} bits"
    if told.space == INKS:
        return "of four inks (CMYK)"
    if told.space == LAB:
        return "in Lab"
    if len(told.bits) > 4:
        return f"of {len(told.bits)} channels"
    if told.bits[0] > 16:
        return f"of {told.bits[0]} bits"
    if told.bits[0] > 8 and (told.space == SYCC or not told.whole or len(told.bits) == 2):
        return f"of {told.bits[0]} bits, with colours apart from light or a second channel"
    return None


def _tell(data: mmap.mmap) -> Told:
    space, icc, block, xmp, start = None, None, None, None, 0
    if data[:4] != CODESTREAM:
        for name, begin, end in boxes(data, 0, len(data)):
            if name == b"jp2h":
                space, icc = _colors(data, begin, end)
            elif name == b"uuid" and data[begin : begin + 16] == EXIF:
                block = exif.sound(data[begin + 16 : end].removeprefix(exif.PREFIX))
            elif name == b"uuid" and data[begin : begin + 16] == XMP:
                xmp = data[begin + 16 : end]
            elif name == b"jp2c":
                start = begin
                break
    if data[start : start + 4] != CODESTREAM:
        raise ValueError("no picture in it")
    numbers = struct.unpack_from(">8IH", data, start + 8)
    width, height = numbers[0] - numbers[2], numbers[1] - numbers[3]
    parts = [struct.unpack_from("BBB", data, start + 42 + 3 * n) for n in range(numbers[8])]
    if not parts or any(depth & 0x80 for depth, _, _ in parts):
        raise PhotoError("JPEG 2000 with negative values; save it as TIFF or PNG")
    bits = tuple((depth & 0x7F) + 1 for depth, _, _ in parts)
    return Told(
        width, height, bits, {part[1:] for part in parts} == {(1, 1)}, space, icc, block, xmp
    )


def _colors(data: mmap.mmap, begin: int, end: int) -> tuple[int | None, bytes | None]:
    """The number of the colour space, or an ICC profile, whichever comes first."""
    for name, start, stop in boxes(data, begin, end):
        if name == b"colr" and data[start] == 1:
            return int.from_bytes(data[start + 3 : start + 7], "big"), None
        if name == b"colr" and data[start] in (2, 3):
            return None, data[start + 3 : stop]
    return None, None


def boxes(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins and ends) of boxes one behind the other."""
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        stop = end if size == 0 else start + size
        if size and size < head or stop > end:
            raise ValueError(f"a box {name!r} of {size} bytes")
        yield name, start + head, stop
        start = stop


def _deep(file: BinaryIO, told: Told) -> tuple[np.ndarray, np.ndarray | None]:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        array = samples.from_opencv(data)
    if array.dtype != np.uint16 or array.shape != (told.height, told.width, len(told.bits)):
        raise ValueError(f"OpenCV gives {array.shape} {array.dtype}")
    return avif.split(avif.stretch(array, told.bits[0]))
