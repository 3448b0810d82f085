"""What follows the picture in a JPEG file: a phone's film, the other pictures of a stereo camera.

All is carried as it is, but for what shows the picture as it was or is computed from it: previews,
and gain maps for bright screens. MPF's index counts from where it stands, so it is kept with
offsets that count from the trailer's start. Standards: CIPA DC-007 (Multi-Picture Format),
Android's Motion Photo 1.0 and Ultra HDR 1.1, ISO 21496-1.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from oldphoto_jax.photo import exif, xmp_packet

MPF = b"MPF\0"
NUMBER, ENTRIES = 0xB001, 0xB002  # of its tags
ENTRY = 16  # bytes of each picture's entry
KIND, PREVIEWS = 0xFFFFFF, range(0x010001, 0x010010)
# What the head of a gain map says of itself: ISO's, Adobe's and Google's, Apple's
GAIN_MAP = re.compile(
    rb"urn:iso:std:iso:ts:21496:-1|ns\.adobe\.com/hdr-gain-map|aux:hdrgainmap", re.IGNORECASE
)
HEAD = 1 << 16  # bytes of a picture in which it would say so
GAIN_NAMES = rb"hdrgm:\w+"
DIRECTORY = re.compile(rb"<(G?Container:Directory)\b.*?</\1\s*>", re.DOTALL)
MEMBER = re.compile(rb"<rdf:li\b[^<>]*/>|<rdf:li\b.*?</rdf:li\s*>", re.DOTALL)
SEMANTIC, LENGTH, PADDING = (
    rb"(?:Item|G?ContainerItem):" + name for name in (b"Semantic", b"Length", b"Padding")
)


class Sifted(NamedTuple):
    """Trailer and index as a PhotoFile has them, the packet that speaks of them, what was left."""

    trailer: bytes | None
    mpf: bytes | None
    packet: bytes | None
    left_behind: tuple[str, ...]


class Picture(NamedTuple):
    """A picture that an index tells of: its entry's number, kind, and where it lies."""

    number: int
    kind: int
    start: int
    end: int


def sift(data: bytes, index: bytes | None, base: int, packet: bytes | None) -> Sifted:
    """The trailer without what is stale, its index and XMP packet made to fit.

    `base` is where the index's offsets count from, relative to the trailer's start.
    """
    pictures, told = [], []
    try:
        pictures = _pictures(index, base, len(data)) if index else []
    except ValueError:
        told.append("an index of further pictures that is damaged")
        index = None
    previews = [one for one in pictures if one.kind in PREVIEWS]
    places = [(one.start, one.end) for one in pictures] + _members(packet or b"", len(data))
    maps = {(a, b) for a, b in places if GAIN_MAP.search(data, a, min(b, a + HEAD))}
    if data[:2] == b"\xff\xd8" and not places and GAIN_MAP.search(data, 0, HEAD):
        maps.add((0, len(data)))
    gone = _joined([*maps, *((one.start, one.end) for one in previews)])
    if previews:
        told.append("previews of the picture as it was")
    if maps or packet and xmp_packet.patterns(GAIN_NAMES)[0].search(packet):
        told.append("a gain map, which is of the picture as it was")
        packet = packet and _without_maps(packet)
    ends = [0, *(place for span in gone for place in span), len(data)]
    kept = b"".join(data[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True))
    stay = [one for one in pictures if not any(a <= one.start < b for a, b in gone)]
    index = _repacked(index, stay, gone) if index and stay else None
    return Sifted(kept.rstrip(b"\0") and kept or None, index, packet, tuple(told))


def placed(index: bytes, size: int, base: int) -> bytes:
    """The index for a picture of `size` bytes; `base` as `sift` has it, of the new file."""
    data = bytearray(index)
    for number, spot in enumerate(range(*_table(index))):
        _, _, offset = exif.unpack(index, exif.order(index) + "III", spot)
        struct.pack_into(exif.order(index) + "I", data, spot + 8, offset - base if number else 0)
    struct.pack_into(exif.order(index) + "I", data, _table(index)[0] + 4, size)
    return bytes(data)


def _table(index: bytes) -> tuple[int, int, int]:
    """Start, end and step of an index's entries; raises ValueError where there are none."""
    way = exif.order(index)
    (start,) = exif.unpack(index, way + "I", 4)
    found = dict(exif.spots(index, start, way))
    if ENTRIES not in found or NUMBER not in found:
        raise ValueError("an index without entries")
    spot = found[ENTRIES]
    return spot.value, spot.value + spot.size // ENTRY * ENTRY, ENTRY


def _pictures(index: bytes, base: int, size: int) -> list[Picture]:
    """The further pictures; raises ValueError where one of them does not start in the trailer.

    Each ends where the next one starts at the latest: some programs write lengths that are too big.
    """
    found, way = [], exif.order(index)
    for number, spot in enumerate(range(*_table(index)), start=1):
        kind, length, offset = exif.unpack(index, way + "III", spot)
        start = base + offset
        if number > 1:
            if not 0 <= start < size:
                raise ValueError(f"picture {number} at byte {start} of {size}")
            found.append(Picture(number, kind & KIND, start, start + length))
    starts = sorted(one.start for one in found) + [size]
    ends = {start: after for start, after in zip(starts, starts[1:], strict=False)}
    return [one._replace(end=min(one.end, ends[one.start])) for one in found]


def _repacked(index: bytes, stay: list[Picture], gone: list[tuple[int, int]]) -> bytes:
    """The index with the pictures that stay, their offsets counted from the trailer's start."""
    way, data, (start, end, _) = exif.order(index), bytearray(index), _table(index)
    numbers = {1: 1} | {one.number: new for new, one in enumerate(stay, start=2)}
    spans = {1: (0, 0)} | {one.number: (one.start, one.end) for one in stay}
    for old, new in numbers.items():
        attributes, _, _, *others = exif.unpack(index, way + "IIIHH", start + ENTRY * (old - 1))
        place, behind = spans[old]
        size = behind - place
        place -= sum(b - a for a, b in gone if b <= place)
        dependent = [numbers.get(other, 0) for other in others]
        fields = struct.pack(way + "IIIHH", attributes, size, place, *dependent)
        data[start + ENTRY * (new - 1) : start + ENTRY * new] = fields
    used = start + ENTRY * (1 + len(stay))
    data[used:end] = bytes(end - used)
    (table,) = exif.unpack(index, way + "I", 4)
    found = dict(exif.spots(index, table, way))
    struct.pack_into(way + "I", data, found[NUMBER].value, 1 + len(stay))
    struct.pack_into(way + "I", data, found[ENTRIES].entry + 4, ENTRY * (1 + len(stay)))
    return bytes(data)


def _members(packet: bytes, size: int) -> list[tuple[int, int]]:
    """Where the items lie that GContainer's directory lists, which end where the trailer does."""
    found = DIRECTORY.search(packet)
    items = [match[0] for match in MEMBER.finditer(found[0])] if found else []
    places, end = [], size
    for item in items[:0:-1]:  # the first one is the picture itself
        length, padding = (_number(item, name) for name in (LENGTH, PADDING))
        end -= padding
        places.append((end - length, end))
        end -= length
    return places if end >= 0 else []


def _joined(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in their order; those that overlap are one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if found and start < found[-1][1]:
            start, end = found[-1][0], max(end, found.pop()[1])
        found.append((start, end))
    return found


def _number(item: bytes, name: bytes) -> int:
    said = xmp_packet.value(item, name)
    return int(said[1]) if said and said[1].isdigit() else 0


def _without_maps(packet: bytes) -> bytes:
    """The packet without what it says of a gain map; a directory of the picture alone goes, too."""
    packet = xmp_packet.without(packet, GAIN_NAMES)
    found = DIRECTORY.search(packet)
    if found is None:
        return packet
    items = [match[0] for match in MEMBER.finditer(found[0])]
    said = [xmp_packet.value(item, SEMANTIC) for item in items]
    maps = [item for item, word in zip(items, said, strict=True) if word and word[1] == b"GainMap"]
    told = found[0]
    for item in maps:
        told = told.replace(item, b"", 1)
    told = told if len(items) - len(maps) > 1 else b""
    return packet[: found.start()] + told + packet[found.end() :]
