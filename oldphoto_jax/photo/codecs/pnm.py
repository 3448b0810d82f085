"""Portable anymaps (PBM, PGM, PPM, PAM), plain numbers behind a line or two of text.

Netpbm describes them (https://netpbm.sourceforge.net/doc/). Libraries at hand cut 16 bits to 8, or
leave values as they are where the largest is not 255.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np

from oldphoto_jax.photo import samples
from oldphoto_jax.photo.content import PhotoError, PhotoFile, Stored

LONGEST = 1 << 16  # bytes of the header, which may hold comments
GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
PLAIN = re.compile(rb"P([1-6])" + GAP + rb"(\d+)" + GAP + rb"(\d+)")
TOP = re.compile(GAP + rb"(\d+)")
NAMED = re.compile(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)\s+(\S+)\s*$", re.MULTILINE)
END = re.compile(rb"^ENDHDR\n", re.MULTILINE)


class Layout(NamedTuple):
    """What the header says: the sides, channels, the largest value, and where samples start."""

    kind: int
    width: int
    height: int
    channels: int
    top: int
    start: int


def opened(file: BinaryIO) -> tuple[Stored, Callable[[], PhotoFile[np.ndarray]]]:
    """Size of the first picture in a PNM file, and what decodes it: to full scale of 8 or 16 bits.

    PAM files may have alpha. Raises PhotoError for floating-point numbers (PFM).
    """
    layout = _layout(file.read(LONGEST))

    def work() -> PhotoFile[np.ndarray]:
        file.seek(layout.start)
        read = _text if layout.kind < 4 else _bitmap if layout.kind == 4 else _numbers
        array = read(file, layout)
        shape = layout.height, layout.width, layout.channels
        array = _full_scale(array.reshape(shape), layout)
        count = 3 if layout.channels > 2 else 1
        alpha = array[..., count].copy() if layout.channels > count else None
        photo = PhotoFile(np.ascontiguousarray(array[..., :count]), alpha, format="PNM")
        if layout.kind >= 4 and file.read(1) == b"P":
            photo.notes = ("holds several pictures, of which this is the first",)
            photo.left_behind = ("the other pictures in the file",)
        return photo

    return Stored(layout.width, layout.height, 1, "PNM"), work


def _layout(start: bytes) -> Layout:
    if start[:2] in (b"PF", b"Pf"):
        raise PhotoError("a PFM file, whose numbers are floating-point; save it as 16-bit TIFF")
    if start[:2] == b"P7":
        return _pam(start)
    found = PLAIN.match(start)
    if not found:
        raise ValueError("no width and height in its header")
    kind, width, height = map(int, found.groups())
    end, top = found.end(), 1
    if kind not in (1, 4):
        limit = TOP.match(start, end)
        if not limit:
            raise ValueError("no largest value in its header")
        end, top = limit.end(), int(limit[1])
    channels = 3 if kind in (3, 6) else 1
    return _checked(Layout(kind, width, height, channels, top, end + 1))


def _pam(start: bytes) -> Layout:
    end = END.search(start)
    if not end:
        raise ValueError("its header has no end")
    said = {name: value for name, value in NAMED.findall(start[: end.start()])}

    def number(name: bytes) -> int:
        return int(said.get(name, b"0"))

    width, height, channels = number(b"WIDTH"), number(b"HEIGHT"), number(b"DEPTH")
    layout = _checked(Layout(7, width, height, channels, number(b"MAXVAL"), end.end()))
    if not 1 <= layout.channels <= 4:
        raise PhotoError(f"a PAM file of {layout.channels} channels; save it as gray or RGB")
    return layout


def _checked(layout: Layout) -> Layout:
    if not 1 <= layout.top <= 65535:
        raise ValueError(f"a largest value of {layout.top}")
    return layout


def _count(layout: Layout) -> int:
    return layout.width * layout.height * layout.channels


def _numbers(file: BinaryIO, layout: Layout) -> np.ndarray:
    dtype = np.dtype(np.uint8 if layout.top < 256 else ">u2")
    return np.frombuffer(_whole(file, _count(layout) * dtype.itemsize), dtype)


def _bitmap(file: BinaryIO, layout: Layout) -> np.ndarray:
    row = -(-layout.width // 8)
    packed = np.frombuffer(_whole(file, row * layout.height), np.uint8)
    bits = np.unpackbits(packed.reshape(layout.height, row), axis=1)
    return 1 - bits[:, : layout.width]  # 1 is black


def _text(file: BinaryIO, layout: Layout) -> np.ndarray:
    data = re.sub(rb"#[^\n\r]*", b" ", file.read())
    if layout.kind == 1:  # its digits need no gaps
        digits = np.frombuffer(data, np.uint8)
        values = 1 - (digits[(digits == ord("0")) | (digits == ord("1"))] - ord("0"))
    else:
        values = np.fromstring(data.decode("ascii"), np.int64, sep=" ")
    if len(values) < _count(layout) or values.min(initial=0) < 0:
        raise ValueError(f"{len(values)} numbers instead of {_count(layout)}")
    return np.minimum(values[: _count(layout)], layout.top).astype(np.uint16)


def _whole(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError(f"{len(data)} bytes instead of {size}")
    return data


def _full_scale(array: np.ndarray, layout: Layout) -> np.ndarray:
    """Samples 0..top at the full scale of 8 bits, or of 16 where there are more than 255."""
    full, dtype = (255, np.uint8) if layout.top < 256 else (65535, np.uint16)

    def scale(band: np.ndarray) -> np.ndarray:
        if layout.top == full:
            return band.astype(dtype)
        numbers = np.minimum(band, layout.top).astype(np.uint32) * full
        return samples.divide(numbers, layout.top).astype(dtype)

    return samples.by_bands(array, layout.channels, scale).astype(dtype, copy=False)
