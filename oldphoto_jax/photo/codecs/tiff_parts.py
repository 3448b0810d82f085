"""Where the strips or tiles of a TIFF page lie, also where the directory is wrong about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from oldphoto_jax.photo.codecs import tiff_codecs
from oldphoto_jax.photo.codecs.tiff_directory import Directory

STRIP_OFFSETS, STRIP_ROWS, STRIP_COUNTS = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
TAGS = (STRIP_OFFSETS, STRIP_ROWS, STRIP_COUNTS, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS)


@dataclasses.dataclass(frozen=True)
class Parts:
    """Strips (as wide as the page) or tiles, row after row, and plane after plane."""

    rows: int
    columns: int
    tiled: bool
    offsets: tuple[int, ...]
    counts: tuple[int, ...]


NOWHERE = Parts(0, 0, False, (), ())


def read(
    page: Directory,
    width: int,
    height: int,
    planes: int,
    stored: Callable[[int, int], int],
    codec: int,
    faults: list[str],
) -> Parts:
    """The parts of a page; `stored` says how many bytes so many rows and columns are unpacked.

    What had to be got over is added to `faults`. Raises ValueError where parts cannot all be
    there, or cannot hold the pixels.
    """
    tiled = bool(page.number(TILE_WIDTH) and page.number(TILE_HEIGHT))
    columns = (page.number(TILE_WIDTH) or width) if tiled else width
    most = 1 + width * height * planes
    offsets = page.numbers(TILE_OFFSETS, most) if tiled else ()
    offsets = offsets or page.numbers(STRIP_OFFSETS, most)
    counts = page.numbers(TILE_COUNTS, most) if tiled else ()
    counts = counts or page.numbers(STRIP_COUNTS, most)
    rows = page.number(TILE_HEIGHT if tiled else STRIP_ROWS)
    if not tiled:
        rows = _strip_rows(rows, height, planes, len(offsets), faults)
    assert rows is not None
    across, down = -(-width // columns), -(-height // rows)
    needed = across * down * planes
    if len(offsets) < needed:
        raise ValueError(f"parts are missing: {len(offsets)} of {needed} are there")
    if len(offsets) > needed:
        faults.append(f"its directory tells of {len(offsets)} parts of the pixels, not {needed}")
    offsets = offsets[:needed]
    if rows * columns > 4 * (width + 4096) * (height + 4096):
        raise ValueError(f"parts of {columns} x {rows} pixels in a picture of {width} x {height}")

    def size(part: int) -> int:
        last = not tiled and part % down == down - 1
        return stored(height - (down - 1) * rows if last else rows, columns)

    counts = _counts(page, offsets, counts[:needed], size, codec, faults)
    parts = zip(offsets, counts, strict=True)
    end = max(offset + count for offset, count in parts)
    if end > len(page.data) or 0 in offsets:
        raise ValueError(f"parts are missing: its pixels end at byte {end} of {len(page.data)}")
    least, furthest = sum(map(size, range(needed))), tiff_codecs.FURTHEST.get(codec)
    if furthest and furthest * sum(counts) < least:
        raise ValueError(
            f"parts are missing: {furthest * sum(counts)} bytes at most, its pixels have {least}"
        )
    return Parts(rows, columns, tiled, offsets, counts)


def _strip_rows(told: int | None, height: int, planes: int, strips: int, faults: list[str]) -> int:
    """Rows of a strip; TIFF has it that a picture which does not say is one strip."""
    each = max(1, strips // planes)
    rows = min(told, height) if told and told > 0 else height
    unsaid = told is None or told > height
    if told == 0 or (unsaid and each > 1) or (rows < height and each == 1):
        rows = -(-height // each)
        said = "missing" if told is None else told
        faults.append(f"RowsPerStrip is {said}; its {strips} strips must have {rows} rows each")
    return rows


def _counts(
    page: Directory,
    offsets: tuple[int, ...],
    told: tuple[int, ...],
    size: Callable[[int], int],
    codec: int,
    faults: list[str],
) -> tuple[int, ...]:
    """How many bytes each part has; where the file is wrong, up to what lies behind the part."""
    told = told if len(told) == len(offsets) else (0,) * len(offsets)
    plain = codec == tiff_codecs.NONE
    total = len(page.data)
    wrong = [
        i
        for i, (offset, count) in enumerate(zip(offsets, told, strict=True))
        if count < (size(i) if plain else 1) or plain and size(i) <= total - offset < count
    ]
    if not wrong:
        return told
    counts, behind = list(told), sorted({*offsets, page.start, total})
    following = dict(zip(behind, behind[1:], strict=False))
    for part in wrong:
        here = offsets[part]
        room = 0 if here == page.start else following.get(here, 0) - here
        if plain and room < size(part):
            raise ValueError(f"parts are missing: {room} bytes for {size(part)} of pixels")
        if room < 1:
            raise ValueError(f"parts are missing: there is nothing at byte {here}")
        counts[part] = size(part) if plain else room
    faults.append(f"StripByteCounts is wrong for {len(wrong)} of {len(told)} parts of the pixels")
    return tuple(counts)
