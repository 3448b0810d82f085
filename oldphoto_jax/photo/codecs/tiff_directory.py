"""The directories of a TIFF file: where they lie, and the numbers in them whatever their type.

Scanners' and archives' software gives tags of wrong types, out of order, twice, or with values
beyond the end of the file. What makes sense is read; the rest counts as missing. Standards: TIFF
6.0, and its Technical Note 1 for directories below directories (SubIFDs).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import mmap
from collections.abc import Iterator

import numpy as np

from oldphoto_jax.photo import exif

SUB_DIRECTORIES = 0x014A
MOST_DIRECTORIES = 10_000
ASCII = 2
KINDS = {  # TIFF's types of numbers, as NumPy has them; rationals are two numbers each
    **{1: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4"},
    **{11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8"},
}
RATIONALS = (5, 10)
WHOLE = (1, 3, 4, 13, 16, 18)  # the types in which whole numbers are meant to be given


@dataclasses.dataclass(frozen=True)
class Directory:
    """One directory: the byte where it starts, and where the values of its tags lie."""

    data: mmap.mmap
    start: int
    order: str
    big: bool
    parent: Directory | None = None

    @functools.cached_property
    def spots(self) -> dict[int, exif.Spot]:
        """Of a tag that stands there twice, the first."""
        found: dict[int, exif.Spot] = {}
        for tag, spot in exif.spots(self.data, self.start, self.order, self.big):
            found.setdefault(tag, spot)
        return found

    @property
    def ordered(self) -> bool:
        """Whether the tags stand in their order, as they must."""
        return [*self.spots] == sorted(self.spots)

    def content(self, tag: int) -> bytes | None:
        """The bytes of a tag's value."""
        spot = self.spots.get(tag)
        return None if spot is None else self.data[spot.value : spot.value + spot.size]

    def numbers(self, tag: int, most: int = 1 << 10) -> tuple[int, ...]:
        """The whole numbers of a tag, `most` of them at most; none where they make no sense."""
        values = self.values(tag, most)
        return tuple(int(value) for value in values) if all(map(math.isfinite, values)) else ()

    def number(self, tag: int) -> int | None:
        """The first number of a tag."""
        values = self.numbers(tag, 1)
        return values[0] if values else None

    def values(self, tag: int, most: int = 1 << 10) -> tuple[float, ...]:
        """The numbers of a tag, fractions among them."""
        spot = self.spots.get(tag)
        if spot is None:
            return ()
        size = min(spot.size, most * exif.SIZES[spot.kind])
        data = self.data[spot.value : spot.value + size]
        if spot.kind == ASCII:
            return _written(self.data[spot.value : spot.value + min(spot.size, 1 << 10)])
        array = np.frombuffer(data, self.order + KINDS[spot.kind])
        if spot.kind in RATIONALS:
            return tuple(a / b if b else math.nan for a, b in array.reshape(-1, 2).tolist())
        return tuple(array.tolist())


def _written(text: bytes) -> tuple[float, ...]:
    """Numbers that somebody wrote as text."""
    try:
        return tuple(float(word) for word in text.split(b"\0")[0].replace(b",", b" ").split())
    except ValueError:
        return ()


def walk(data: mmap.mmap, lost: list[int] | None = None) -> Iterator[Directory]:
    """All directories in the order of the file, each followed by those below it.

    Raises ValueError where the first is no directory; a later one that is none ends the walk, and
    the byte where it should start is added to `lost`.
    """
    order: exif.Order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (start,) = exif.unpack(data, order + ("Q" if big else "I"), 8 if big else 4)
    seen: set[int] = set()
    while start and start not in seen and len(seen) < MOST_DIRECTORIES:
        seen.add(start)
        page = Directory(data, start, order, big)
        try:
            page.spots  # noqa: B018 - reads the table
        except ValueError:
            if len(seen) == 1:
                raise
            if lost is not None:
                lost.append(start)
            return
        yield page
        for below in page.numbers(SUB_DIRECTORIES, 64):
            if below not in seen and 0 < below < len(data):
                seen.add(below)
                child = Directory(data, below, order, big, page)
                if _is_directory(child):
                    yield child
        start = _following(page)


def _is_directory(directory: Directory) -> bool:
    try:
        return bool(directory.spots)
    except ValueError:
        return False


def _following(page: Directory) -> int:
    """Where the next directory starts; 0 where this is the last, or the file ends before."""
    count, number, word = ("Q", "Q", 8) if page.big else ("H", "I", 4)
    (entries,) = exif.unpack(page.data, page.order + count, page.start)
    place = page.start + {"H": 2, "Q": 8}[count] + entries * (4 + 2 * word)
    try:
        return exif.unpack(page.data, page.order + number, place)[0]
    except ValueError:
        return 0
