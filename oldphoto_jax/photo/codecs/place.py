"""Where a photo was taken, taken out of what lies beside its pixels.

That is GPS in EXIF, and in XMP and IPTC what says a place by coordinates or by name. Kept is what
people wrote in words (captions, keywords, comments), the address of the author, and camera makers'
notes, which stay where they are, as they point by offset.
"""

from __future__ import annotations

import contextlib
import re

from oldphoto_jax.photo import exif, exif_edit, xmp_packet
from oldphoto_jax.photo.codecs import png_text

IPTC_PLACES = {26, 27, 90, 92, 95, 100, 101}  # data sets of record 2: locations, city to country

# Names in XMP, whatever their namespace: exif, Iptc4xmpExt, Iptc4xmpCore, photoshop, of drones
WORD = (
    rb"(?:(?i:GPS)\w*|Location|LocationCreated|LocationShown|LocationId|LocationName|City|"
    rb"Sublocation|State|ProvinceState|Country|CountryCode|CountryName|WorldRegion)"
)
NAME = rb"[\w.-]+:" + WORD
KEYWORD = re.compile(rb"(?:.*:)?" + WORD, re.IGNORECASE)  # of PNG's text
LEFT = re.compile(rb"[<\s]" + NAME + rb"[\s=/>]")


def without_exif(block: bytes) -> bytes:
    """The EXIF block without its GPS directory, whose bytes are overwritten with zeros.

    All else keeps its place. Raises ValueError where the block is damaged.
    """
    way, data = exif.order(block), bytearray(block)
    tables = list(_tables(block, way))
    for start in tables:
        for tag, spot in exif.spots(block, start, way):
            value = slice(spot.value, spot.value + spot.size)
            if tag == exif.GPS_DIRECTORY:
                _wipe(data, exif.number(block, way, spot), way)
            elif tag == exif.IPTC:
                data[value] = without_iptc(block[value]).ljust(spot.size, b"\0")
            elif tag == exif.XMP:
                data[value] = (without_xmp(block[value]) or b"").ljust(spot.size, b"\0")
    for start in tables:  # a damaged pointer may have led into them
        table = slice(start, start + exif_edit.size(block, start, way))
        data[table] = exif_edit.without(block[table], way, exif.GPS_DIRECTORY)
    data[:8] = block[:8]
    return bytes(data)


def without_iptc(data: bytes) -> bytes:
    """IPTC's data sets without those that name a place; what comes behind a damaged one is lost."""
    kept, at = b"", 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5])
        end = at + 5 + size
        if end > len(data):
            break
        if record != 2 or number not in IPTC_PLACES:
            kept += data[at:end]
        at = end
    return kept


def without_xmp(packet: bytes) -> bytes | None:
    """The XMP packet without the properties that say a place.

    None where that cannot be told: a packet in UTF-16, or with tags that do not end.
    """
    kept = xmp_packet.without(packet, NAME)
    return None if LEFT.search(kept) or b"\0" in kept.rstrip(b"\0") else kept


def without_texts(texts: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """PNG's text without what says a place: by its keyword, or as XMP or a profile would.

    Text that cannot be unpacked, of which that cannot be told, goes, too.
    """
    return tuple(text for text in texts if not _says_place(png_text.Text(*text)))


def _says_place(text: png_text.Text) -> bool:
    words, keyword = png_text.unpacked(text), text.keyword
    packed = keyword == png_text.XMP or keyword.startswith(png_text.PROFILE)
    return bool(words is None or packed or KEYWORD.fullmatch(keyword) or LEFT.search(words))


def _tables(block: bytes, way: str) -> list[int]:
    """Where the directories of a block start that may name a GPS directory."""
    found = []
    (start,) = exif.unpack(block, way + "I", 4)
    while start and start not in found:
        found.append(start)
        end = start + exif_edit.size(block, start, way)
        (start,) = exif.unpack(block, way + "I", end - 4) if end <= len(block) else (0,)
    inside = [
        exif.number(block, way, spot)
        for start in found
        for tag, spot in exif.spots(block, start, way)
        if tag == exif.EXIF_DIRECTORY
    ]
    return found + inside


def _wipe(data: bytearray, start: int, way: str) -> None:
    """Overwrites a directory and its values with zeros."""
    with contextlib.suppress(ValueError):  # a pointer to no directory leads to no place
        spots = [spot for _, spot in exif.spots(bytes(data), start, way)]
        table = start, exif_edit.size(data, start, way)
        for at, size in (table, *((spot.value, spot.size) for spot in spots)):
            data[at : at + size] = bytes(len(data[at : at + size]))
