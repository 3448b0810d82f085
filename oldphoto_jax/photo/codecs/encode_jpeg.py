"""JPEG files: OpenCV packs the pixels, and what lies beside them goes in front, segment by segment.

Pillow's writer stops at grainy scans when it is to find the best Huffman tables, and knows no
resolution but whole dots per inch. Segments: ITU-T T.81, JFIF 1.02, CIPA DC-008 (Exif 2.32), XMP
part 3, ICC.1 annex B.4, CIPA DC-007 (Multi-Picture Format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np

from oldphoto_jax.photo import exif, xmp_packet
from oldphoto_jax.photo.codecs import jpeg, photoshop, rows, trailer
from oldphoto_jax.photo.codecs.jpeg_beside import EXTENDED, ICC, XMP
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.types import Rows

SIDE = 65500  # pixels; libjpeg ends there
SEGMENT = 65533  # bytes of one segment
ICC_PART = SEGMENT - len(ICC) - 2
RESOURCES_PART = SEGMENT - len(photoshop.HEAD)
EXTENDED_PART = 65400  # as XMP part 3 has it
JFIF_END = 20  # bytes: where OpenCV's own head ends, which says nothing


def refusal(photo: PhotoFile[Rows]) -> str | None:
    """Why a JPEG file cannot hold the photo, or None."""
    if photo.pixels.dtype != np.uint8:
        return "JPEG holds 8 bits only; name it .png or .tif"
    if photo.alpha is not None:
        return "JPEG holds no alpha; name it .png, .tif or .webp"
    if max(photo.pixels.shape) > SIDE:
        return f"{photo.pixels.shape}: JPEG ends at {SIDE} pixels a side; name it .png or .tif"
    beside = {
        "EXIF block": (_exif(photo), SEGMENT - len(exif.PREFIX)),
        "XMP packet": (photo.xmp, SEGMENT - len(XMP)),
        "ICC profile": (photo.icc, 255 * ICC_PART),
    }
    for name, (data, most) in beside.items():
        if data and len(data) > most:
            return f"its {name} has {len(data)} bytes, JPEG holds {most}; name it .png or .tif"
    return None


def write(file: BinaryIO, photo: PhotoFile[Rows], quality: int) -> None:
    """Gray or full colour (4:4:4), with the smallest tables for this photo; quality 1 to 100."""
    settings = {
        cv2.IMWRITE_JPEG_QUALITY: quality,
        cv2.IMWRITE_JPEG_OPTIMIZE: 1,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    }
    pixels = rows.whole(photo)
    pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.shape[-1] == 3 else pixels
    done, packed = cv2.imencode(".jpg", pixels, [int(n) for pair in settings.items() for n in pair])
    if not done:
        raise OSError("OpenCV cannot encode it")
    head = jpeg.SOI + b"".join(_segment(mark, data) for mark, data in _segments(photo))
    if photo.index and photo.trailer:
        start = len(head) + 4 + len(trailer.MPF)
        end = len(head) + len(_segment(jpeg.APP2, trailer.MPF + photo.index))
        end += len(packed) - JFIF_END
        index = trailer.placed(photo.index, end, start - end)
        head += _segment(jpeg.APP2, trailer.MPF + index)
    file.write(head)
    file.write(packed[JFIF_END:])
    file.write(photo.trailer or b"")


def _segment(mark: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, mark, len(data) + 2) + data


def _segments(photo: PhotoFile[Rows]) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of all that stands in front of the pixels, but MPF's index."""
    unit, *dots = _density(photo)
    yield jpeg.APP0, struct.pack(">5sHBHHBB", b"JFIF", 0x0101, unit, *dots, 0, 0)
    if block := _exif(photo):
        yield jpeg.APP1, exif.PREFIX + block
    if photo.xmp:
        yield jpeg.APP1, XMP + photo.xmp
    yield from ((jpeg.APP1, part) for part in _extended(photo))
    icc = photo.icc or b""
    parts = range(0, len(icc), ICC_PART)
    for number, start in enumerate(parts, start=1):
        head = ICC + bytes([number, len(parts)])
        yield jpeg.APP2, head + icc[start : start + ICC_PART]
    resources = photoshop.pack(photo.iptc, photo.resources)
    for start in range(0, len(resources), RESOURCES_PART):
        yield jpeg.APP13, photoshop.HEAD + resources[start : start + RESOURCES_PART]
    yield from ((jpeg.COM, comment) for comment in photo.comments if len(comment) <= SEGMENT)


def _extended(photo: PhotoFile[Rows]) -> Iterator[bytes]:
    """The parts of an extended XMP packet, each with its name, the whole size, where it starts."""
    whole = (photo.xmp and photo.extended_xmp) or b""
    for start in range(0, len(whole), EXTENDED_PART):
        head = EXTENDED + xmp_packet.identifier(whole) + struct.pack(">II", len(whole), start)
        yield head + whole[start : start + EXTENDED_PART]


def _density(photo: PhotoFile[Rows]) -> tuple[int, int, int]:
    """JFIF's unit and whole dots in x and y: per inch (1), per centimetre (2), or unknown (0).

    Unknown where neither fits, and then EXIF says the resolution. PNG counts dots per metre, so
    what was 300 an inch there is as far off as its steps are wide.
    """
    for unit, scale, slack in ((1, 1.0, 0.0), (2, 2.54, 0.0), (1, 1.0, exif.INCH / 2)):
        dots = [value / scale for value in photo.resolution or ()]
        near = all(abs(value - round(value)) <= slack + 1e-6 * value for value in dots)
        if dots and near and all(1 <= round(value) <= 0xFFFF for value in dots):
            x, y = (round(value) for value in dots)
            return unit, x, y
    return 0, 1, 1


def _exif(photo: PhotoFile[Rows]) -> bytes | None:
    if _density(photo)[0]:
        return photo.exif
    return exif.with_resolution(photo.exif, photo.resolution)
