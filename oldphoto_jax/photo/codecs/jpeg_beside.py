"""What lies beside the pixels of a JPEG file, read from its segments.

JFIF 1.02, CIPA DC-008 (Exif 2.32), XMP part 3, ICC.1 annex B.4, IPTC in Photoshop's resources.
"""

from __future__ import annotations

import re

from oldphoto_jax.photo import exif, xmp_packet
from oldphoto_jax.photo.codecs import jpeg, photoshop, trailer
from oldphoto_jax.photo.content import NO_PIXELS, PhotoFile

XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
ICC = b"ICC_PROFILE\0"
NAME = 32  # bytes of an extended packet's name, then its size and an offset in 4 bytes each
# What is of no use to anybody else: how the pixels were packed, thumbnails
SILENT = (b"JFIF\0", b"JFXX\0", b"Adobe", b"Ducky", b"urn:iso:std:iso:ts:21496:-1\0")


def orientation_of(data: jpeg.Data) -> tuple[bytes | None, bytes | None]:
    """EXIF block and XMP packet of a file, which say its orientation."""
    parts = [data[start:end] for mark, start, end in jpeg.segments(data) if mark == jpeg.APP1]
    return _exif(parts), _packet(parts)


def read(data: bytes, found: jpeg.Jpeg) -> PhotoFile:
    """A photo without its pixels: all that the segments and the trailer hold."""
    parts: dict[int, list[bytes]] = {}
    for mark, start, end in found.segments:
        parts.setdefault(mark, []).append(data[start:end])
    app1, app13 = parts.get(jpeg.APP1, []), parts.get(jpeg.APP13, [])
    beside = PhotoFile(
        NO_PIXELS, exif=_exif(app1), xmp=_packet(app1), icc=_profile(parts.get(jpeg.APP2, []))
    )
    head = len(photoshop.HEAD)
    blocks = [part[head:] for part in app13 if part.startswith(photoshop.HEAD)]
    beside.iptc, beside.resources = photoshop.split(b"".join(blocks))
    beside.comments = tuple(part for part in parts.get(jpeg.COM, []) if part.strip(b"\0"))
    block = beside.exif
    beside.resolution = _resolution(parts.get(jpeg.APP0, [])) or (
        exif.resolution(exif.parse(block), exif.order(block)) if block else None
    )
    _extend(beside, [part for part in app1 if part.startswith(EXTENDED)])
    beside.left_behind = tuple(dict.fromkeys(_unknown(parts)))
    _add_trailer(beside, data, found)
    return beside


def _exif(parts: list[bytes]) -> bytes | None:
    """The EXIF block, of which a long one goes on in the segments that follow."""
    block = b""
    for part in parts:
        if part[:5] == b"Exif\0":
            part = part[len(exif.PREFIX) :]
            if block and part[:4] in exif.ORDERS:
                break  # a second one
            block += part
    try:
        exif.parse(block)
    except ValueError:  # no EXIF, or a broken one that says nothing; the pixels are whole
        return None
    return block


def _packet(parts: list[bytes]) -> bytes | None:
    packets = (part[len(XMP) :] for part in parts if part.startswith(XMP))
    return next(filter(None, packets), None)


def _profile(parts: list[bytes]) -> bytes | None:
    """The ICC profile, or None where a part is missing."""
    parts = [
        part[len(ICC) :] for part in parts if part.startswith(ICC) and len(part) > len(ICC) + 2
    ]
    numbered = {part[0]: part[2:] for part in parts}
    if not parts or {*numbered} != {*range(1, parts[0][1] + 1)}:
        return None
    return b"".join(numbered[number] for number in sorted(numbered))


def _resolution(parts: list[bytes]) -> tuple[float, float] | None:
    """Dots per inch by JFIF."""
    for part in parts:
        if part.startswith(b"JFIF\0") and len(part) >= 12:
            scale = {1: 1.0, 2: 2.54}.get(part[7])
            x, y = int.from_bytes(part[8:10]), int.from_bytes(part[10:12])
            dots = (x * scale, y * scale) if scale else None
            return dots if dots and exif.is_resolution(dots) else None
    return None


def _extend(beside: PhotoFile, parts: list[bytes]) -> None:
    """Adds the extended packet that the main one names; or the main one names none any more."""
    said = beside.xmp and xmp_packet.value(beside.xmp, xmp_packet.POINTER)
    named = said[1] if said else b""
    known = [part[len(EXTENDED) :] for part in parts if len(part) >= len(EXTENDED) + NAME + 8]
    mine = [part for part in known if part[:NAME].upper() == named.upper()]
    if len(mine) < len(parts):
        beside.notes += ("an extended XMP packet that the main one does not name was left out",)
    pieces = {int.from_bytes(part[NAME + 4 : NAME + 8]): part[NAME + 8 :] for part in mine}
    whole = b"".join(pieces[start] for start in sorted(pieces))
    ends = [start + len(pieces[start]) for start in sorted(pieces)]
    if pieces and [0, *ends[:-1]] == sorted(pieces) and ends[-1] == _size(mine):
        beside.extended_xmp = whole
        if xmp_packet.identifier(whole) != named.upper():
            beside.notes += ("the checksum of its extended XMP packet is wrong",)
    elif named and beside.xmp:
        beside.xmp = xmp_packet.without(beside.xmp, xmp_packet.POINTER)
        beside.notes += ("parts of its extended XMP packet are missing; the rest was left out",)


def _size(parts: list[bytes]) -> int:
    return int.from_bytes(parts[0][NAME : NAME + 4])


def _unknown(parts: dict[int, list[bytes]]) -> list[str]:
    """Phrases for segments that are carried nowhere."""
    known = (b"Exif\0", XMP, EXTENDED, ICC, trailer.MPF, photoshop.HEAD, *SILENT)
    found = []
    for mark, contents in parts.items():
        for content in contents if mark in range(jpeg.APP0, jpeg.APP0 + 16) else ():
            if content and not content.startswith(known):
                name = re.match(rb"[\x20-\x7e]{0,40}", content)
                told = name[0].decode() if name else ""
                sealed = mark == jpeg.APP0 + 11 and content.startswith(b"JP")
                seal = "content credentials (C2PA), which are of the file as it was"
                found.append(seal if sealed else f"segment APP{mark - jpeg.APP0} {told}".strip())
    return found


def _add_trailer(beside: PhotoFile, data: bytes, found: jpeg.Jpeg) -> None:
    """Adds what follows the picture, of which XMP and MPF may tell."""
    indexes = [
        (data[start + len(trailer.MPF) : end], start + len(trailer.MPF))
        for mark, start, end in found.segments
        if mark == jpeg.APP2 and data[start : start + len(trailer.MPF)] == trailer.MPF
    ]
    index, place = indexes[0] if indexes else (None, 0)
    kept = trailer.sift(data[found.end :], index, place - found.end, beside.xmp)
    beside.trailer, beside.index, beside.xmp = kept.trailer, kept.mpf, kept.packet
    beside.left_behind += kept.left_behind
