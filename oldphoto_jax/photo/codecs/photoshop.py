"""Photoshop's image resources, which hold IPTC in JPEG, and in PNG by ImageMagick.

Each is a signature, a number, a name and its bytes, filled up to even sizes, which not all
programs do (Adobe Photoshop File Formats Specification, "Image Resources Section").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEAD = b"Photoshop 3.0\0"  # in front of them in a segment of JPEG
SIGNATURES = (b"8BIM", b"AgHg", b"DCSR", b"MeSa", b"PHUT")
IPTC = 0x0404
# What other places of a file say, or what shows or sums up the picture as it was: resolution,
# thumbnails, JPEG's quality, the profile, EXIF, XMP, IPTC's checksum.
STALE = {0x03ED, 0x0406, 0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424, 0x0425}
# What tells places in the picture: grids and guides, slices, paths.
PLACED = {0x0408, 0x041A, *range(0x07D0, 0x0BB8)}


class Resource(NamedTuple):
    """A resource's number, its content, and all its bytes, filled up to an even size."""

    number: int
    content: bytes
    whole: bytes


def read(data: bytes) -> Iterator[Resource]:
    """The resources that stand one behind the other; what comes behind a damaged one is lost."""
    at = 0
    while data[at : at + 4] in SIGNATURES and at + 12 <= len(data):
        (number,) = struct.unpack_from(">H", data, at + 4)
        name = 1 + data[at + 6]
        start = at + 6 + name + name % 2
        end = start + 4 + int.from_bytes(data[start : start + 4], "big")
        if start + 4 > len(data) or end > len(data):
            return
        whole = data[at:end]
        yield Resource(number, data[start + 4 : end], whole + bytes(len(whole) % 2))
        filled = end + (end - at) % 2
        at = end if data[end : end + 4] in SIGNATURES else filled


def split(data: bytes) -> tuple[bytes | None, bytes | None]:
    """IPTC's data sets, and the other resources that stay true when the picture changes."""
    found = [*read(data)]
    iptc = b"".join(one.content for one in found if one.number == IPTC)
    rest = b"".join(one.whole for one in found if one.number not in {IPTC, *STALE})
    return iptc or None, rest or None


def without_places(data: bytes | None) -> bytes | None:
    """The resources but those that tell places in a picture which is turned now."""
    return b"".join(one.whole for one in read(data or b"") if one.number not in PLACED) or None


def pack(iptc: bytes | None, resources: bytes | None = None) -> bytes:
    """IPTC's data sets as a resource in front of others."""
    packed = struct.pack(">4sHHI", b"8BIM", IPTC, 0, len(iptc)) + iptc if iptc else b""
    return packed + bytes(len(packed) % 2) + (resources or b"")
