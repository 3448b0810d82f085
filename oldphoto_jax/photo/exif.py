"""EXIF blocks and TIFF directories, as bytes: what they say, turned upright, packed again.

An EXIF block is a small TIFF file without pixels. Values are carried as bytes in the block's own
byte order, so that tags unknown here survive too. Standard: CIPA DC-008 (Exif 2.32), TIFF 6.0.
"""

from __future__ import annotations

import contextlib
import fractions
import mmap
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

Order: TypeAlias = Literal["<", ">"]
Data: TypeAlias = bytes | bytearray | mmap.mmap  # what directories lie in
Tree: TypeAlias = dict[int, "Tree"]

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
THUMBNAIL = (0x0201, 0x0202)  # where its JPEG file starts, its bytes
XMP, IPTC, RESOURCES, ICC = 0x02BC, 0x83BB, 0x8649, 0x8773  # tags of TIFF files
SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}  # BigTIFF's
INCH = 0.0254  # metres
PREFIX = b"Exif\0\0"  # in JPEG, and by mistake in some WebP files
ORDERS: dict[bytes, Order] = {b"II*\0": "<", b"MM\0*": ">"}

# Directories within directories: EXIF with its interoperability, GPS.
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
CHILDREN: Tree = {EXIF_DIRECTORY: {INTEROPERABILITY: {}}, GPS_DIRECTORY: {}}

# The tags of a TIFF file's own directory that speak of the photo, not of how pixels are stored:
# names, description, camera, software, dates, author, rights, Windows' titles, ratings, IPTC.
DESCRIBING = {
    *(0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749),
    *(0x8298, 0x83BB, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, EXIF_DIRECTORY, GPS_DIRECTORY),
}
# What must change places where rows become columns: sizes and resolutions.
SIDES = ((0x0100, 0x0101), (X_RESOLUTION, Y_RESOLUTION), (0xA002, 0xA003), (0xA20E, 0xA20F))


class Value(NamedTuple):
    """The number of a TIFF type and the bytes of one or more values of it."""

    kind: int
    data: bytes


Directory = dict[int, "Value | Directory"]


class Spot(NamedTuple):
    """Where in a file the entry of a tag starts, and where its `size` bytes of value lie."""

    entry: int
    kind: int
    value: int
    size: int


def order(block: bytes) -> Order:
    """The byte order of an EXIF block, "<" or ">"; raises ValueError if it is none."""
    if block[:4] not in ORDERS:
        raise ValueError(f"an EXIF block begins with II*\\0 or MM\\0*, not with {block[:4]!r}")
    return ORDERS[block[:4]]


def parse(block: bytes) -> Directory:
    """The tags of an EXIF block; raises ValueError where its directory is no directory."""
    (start,) = unpack(block, order(block) + "I", 4)
    return directory(block, start, order(block))


def sound(block: bytes | None) -> bytes | None:
    """The block, or None where there is no sense in it: it says nothing, and pixels are whole."""
    try:
        parse(block or b"")
    except ValueError:
        return None
    return block


def directory(
    data: bytes | mmap.mmap, start: int, order: str, big: bool = False, children: Tree = CHILDREN
) -> Directory:
    """The directory at `start` and those below it; entries that point outside are left out."""
    tags: Directory = {}
    for tag, spot in spots(data, start, order, big):
        value = data[spot.value : spot.value + spot.size]
        if tag in children:
            try:
                below = number(data, order, spot)
                tags[tag] = directory(data, below, order, big, children[tag])
            except ValueError:  # a damaged one does not cost the others
                continue
        else:
            tags[tag] = Value(spot.kind, value)
    return tags


def pack(tags: Directory, start: int, order: str, big: bool = False) -> bytes:
    """A directory and those below it as they stand in a file from the even offset `start` on."""
    count, number, word = ("Q", "Q", 8) if big else ("H", "I", 4)
    head = struct.pack(order + count, len(tags))
    tail_start = start + len(head) + len(tags) * (4 + 2 * word) + word
    table, tail = bytearray(head), bytearray()
    for tag, value in sorted(tags.items()):
        if isinstance(value, dict):
            below = pack(value, tail_start + len(tail), order, big)
            value = numbers(LONG8 if big else LONG, order, tail_start + len(tail))
            tail += below
        table += struct.pack(
            order + "HH" + number, tag, value.kind, len(value.data) // SIZES[value.kind]
        )
        if len(value.data) <= word:
            table += value.data.ljust(word, b"\0")
        else:
            table += struct.pack(order + number, tail_start + len(tail))
            tail += value.data + bytes(len(value.data) % 2)
    return bytes(table + bytes(word) + tail)


def pack_block(tags: Directory, order: str) -> bytes:
    """An EXIF block of these tags."""
    magics: dict[str, bytes] = {order: magic for magic, order in ORDERS.items()}
    return magics[order] + struct.pack(order + "I", 8) + pack(tags, 8, order)


def numbers(kind: int, order: str, *values: int) -> Value:
    """SHORT, LONG, RATIONAL (numerator, denominator, ...) or LONG8 values."""
    code = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}[kind]
    return Value(kind, struct.pack(f"{order}{len(values)}{code}", *values))


def in_order(tags: Directory, old: str, new: str) -> Directory:
    """Values in another byte order; those that have none of their own stay as they are."""
    if old == new:
        return tags
    return {
        tag: in_order(value, old, new) if isinstance(value, dict) else _swapped(value)
        for tag, value in tags.items()
    }


def _swapped(value: Value) -> Value:
    size = SIZES[value.kind] // (2 if value.kind in (RATIONAL, 10) else 1)
    parts = (value.data[at : at + size][::-1] for at in range(0, len(value.data), size))
    return value if size == 1 else Value(value.kind, b"".join(parts))


def describing(tags: Directory) -> Directory:
    """Only those tags of a file's directory that speak of the photo, not of its pixels."""
    return {tag: value for tag, value in tags.items() if tag in DESCRIBING}


def resolution(tags: Directory, order: str) -> tuple[float, float] | None:
    """Dots per inch (x, y), or None where none or senseless ones or no unit are given."""
    values = [tags.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    given = [value for value in values if isinstance(value, Value)]
    if len(given) < 2 or any(value.kind != RATIONAL or len(value.data) != 8 for value in given):
        return None
    unit = tags.get(RESOLUTION_UNIT, numbers(SHORT, order, 2))
    if not isinstance(unit, Value):
        return None
    scale = {2: 1.0, 3: 2.54}.get(unpack(unit.data.ljust(2, b"\0"), order + "H", 0)[0])
    pairs = [unpack(value.data, order + "II", 0) for value in given]
    if scale is None or any(denominator == 0 for _, denominator in pairs):
        return None
    x, y = (scale * numerator / denominator for numerator, denominator in pairs)
    return (x, y) if is_resolution((x, y)) else None


def is_resolution(dots: tuple[float, float]) -> bool:
    """Whether these can be dots per inch: 0.1 (a poster on a wall) to 100,000 (a microscope)."""
    return all(0.1 <= value <= 100_000 for value in dots)


def resolution_tags(dots: tuple[float, float], order: str) -> Directory:
    """The tags that say dots per inch (x, y)."""
    parts = [fractions.Fraction(value).limit_denominator(10_000) for value in dots]
    x, y = (numbers(RATIONAL, order, part.numerator, part.denominator) for part in parts)
    inch = numbers(SHORT, order, 2)
    return {X_RESOLUTION: x, Y_RESOLUTION: y, RESOLUTION_UNIT: inch}


def with_resolution(block: bytes | None, dots: tuple[float, float] | None) -> bytes | None:
    """A block that says dots per inch (x, y), for formats that know them by EXIF alone.

    The block itself where it says so already, or where there is nothing to say.
    """
    way = order(block) if block else "<"
    tags = parse(block) if block else {}
    said = resolution(tags, way)
    if not dots or said and all(abs(a - b) <= INCH for a, b in zip(said, dots, strict=True)):
        return block
    return pack_block(tags | resolution_tags(dots, way), way)


def sized(block: bytes, height: int, width: int) -> bytes:
    """The block for pixels of another size, and without the thumbnail, which shows the old one.

    Raises ValueError where the block is damaged.
    """
    way, data = order(block), bytearray(upright(block, False))
    (start,) = unpack(block, way + "I", 4)
    found = dict(spots(block, start, way))
    if EXIF_DIRECTORY in found:
        (below,) = unpack(block, way + "I", found[EXIF_DIRECTORY].value)
        with contextlib.suppress(ValueError):  # a damaged one does not cost the others
            found |= dict(spots(block, below, way))
    for pair in (SIDES[0], SIDES[2]):
        for tag, size in zip(pair, (width, height), strict=True):
            if tag in found and found[tag].kind in (SHORT, LONG):
                entry = numbers(LONG, way, size).data
                struct.pack_into(way + "HI", data, found[tag].entry + 2, LONG, 1)
                data[found[tag].entry + 8 : found[tag].entry + 12] = entry
    return bytes(data)


def upright(block: bytes, swap: bool) -> bytes:
    """The block for pixels that were turned upright; `swap` says that rows became columns.

    The orientation is 1, sizes and resolutions change places, and the thumbnail, which shows the
    photo as it was, is zeros and unlinked. All else keeps its place, for camera makers' notes point
    by offset. Raises ValueError where the block is damaged.
    """
    way, data = order(block), bytearray(block)
    (start,) = unpack(block, way + "I", 4)
    found = dict(spots(block, start, way))
    if ORIENTATION in found:
        struct.pack_into(way + "HIHH", data, found[ORIENTATION].entry + 2, SHORT, 1, 1, 0)
    (count,) = unpack(block, way + "H", start)
    following = slice(start + 2 + 12 * count, start + 6 + 12 * count)
    _wipe_thumbnail(data, int.from_bytes(data[following], "little" if way == "<" else "big"), way)
    data[following] = bytes(len(data[following]))
    if swap:
        if EXIF_DIRECTORY in found:
            (below,) = unpack(block, way + "I", found[EXIF_DIRECTORY].value)
            with contextlib.suppress(ValueError):  # a damaged one does not cost the others
                found |= dict(spots(block, below, way))
        for x, y in SIDES:
            if x in found and y in found:
                a, b = (slice(found[tag].entry + 2, found[tag].entry + 12) for tag in (x, y))
                data[a], data[b] = data[b], data[a]
    return bytes(data)


def _wipe_thumbnail(data: bytearray, start: int, way: str) -> None:
    """Overwrites the JPEG picture of the second directory, if it has one."""
    with contextlib.suppress(ValueError):  # a pointer to no directory leads to no picture
        found = dict(spots(bytes(data), start, way)) if start else {}
        place, size = (number(data, way, found[tag]) if tag in found else 0 for tag in THUMBNAIL)
        if data[place : place + 2] == b"\xff\xd8":
            data[place : place + size] = bytes(len(data[place : place + size]))


def spots(data: Data, start: int, order: str, big: bool = False) -> Iterator[tuple[int, Spot]]:
    """(tag, spot) of all entries of a directory whose values lie inside the data.

    Raises ValueError where its table does not.
    """
    count, number, word = ("Q", "Q", 8) if big else ("H", "I", 4)
    (entries,) = unpack(data, order + count, start)
    first, length = start + struct.calcsize(order + count), 4 + 2 * word
    if first + entries * length > len(data):
        raise ValueError(f"{entries} tags at byte {start} of {len(data)}: cut off or no directory")
    for entry in range(first, first + entries * length, length):
        tag, kind, values = unpack(data, f"{order}HH{number}", entry)
        size, place = SIZES.get(kind, 0) * values, entry + 4 + word
        if size > word:
            (place,) = unpack(data, order + number, place)
        if 0 < size <= len(data) - place:
            yield tag, Spot(entry, kind, place, size)


def number(data: Data, order: str, spot: Spot) -> int:
    """The value of an entry that is one whole number: a pointer, an orientation."""
    value = data[spot.value : spot.value + spot.size]
    return int.from_bytes(value, "little" if order == "<" else "big")


def unpack(data: Data, form: str, start: int) -> tuple[int, ...]:
    """`struct.unpack_from`; raises ValueError where the data end before."""
    if start + struct.calcsize(form) > len(data):
        raise ValueError(f"byte {start} of {len(data)}: the block is cut off")
    return struct.unpack_from(form, data, start)
