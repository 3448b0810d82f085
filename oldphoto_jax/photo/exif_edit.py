"""Tags taken out of an EXIF block in its place: all else stays where it is."""

from __future__ import annotations

from oldphoto_jax.photo import exif


def take(block: bytes, *tags: int) -> tuple[bytes, dict[int, bytes]]:
    """The block without some tags of its own directory, whose bytes are zeros then, and those.

    Raises ValueError where the block is damaged.
    """
    way, data = exif.order(block), bytearray(block)
    (start,) = exif.unpack(block, way + "I", 4)
    found = {}
    for tag, spot in exif.spots(block, start, way):
        if tag in tags:
            value = slice(spot.value, spot.value + spot.size)
            found[tag], data[value] = block[value], bytes(spot.size)
    if not found:
        return block, found
    table = slice(start, start + size(block, start, way))
    data[table] = without(bytes(data[table]), way, *tags)
    return bytes(data), found


def size(block: exif.Data, start: int, way: str) -> int:
    """The bytes of a directory's table, with the pointer to the next one."""
    (count,) = exif.unpack(block, way + "H", start)
    return 2 + 12 * count + 4


def without(table: bytes, way: str, *tags: int) -> bytes:
    """A directory's table without some tags, filled up with zeros."""
    (count,) = exif.unpack(table, way + "H", 0)
    entries = [table[2 + 12 * i : 14 + 12 * i] for i in range(count)]
    kept = [entry for entry in entries if exif.unpack(entry, way + "H", 0)[0] not in tags]
    number = exif.numbers(exif.SHORT, way, len(kept)).data
    return (number + b"".join(kept) + table[-4:]).ljust(len(table), b"\0")
