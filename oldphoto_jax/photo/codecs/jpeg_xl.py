"""JPEG XL files, by imagecodecs, an extra of this package.

The size comes first in a codestream, and how to turn the picture (ISO/IEC 18181-1, annex D);
boxes around it may hold EXIF and XMP (18181-2).
"""

from __future__ import annotations

import mmap
import types
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import avif, jpeg2000
from oldphoto_jax.photo.content import PhotoError, PhotoFile, Stored

CODESTREAM = b"\xff\x0a"
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
NOTE = "is JPEG XL, whose colour profile could not be read; its colours are taken for sRGB"


class Told(NamedTuple):
    """What the codestream says first: how to turn the picture is EXIF's number."""

    width: int
    height: int
    orientation: int
    bits: int
    moves: bool  # there may be several pictures
    plain: bool  # its colours are those of sRGB


class _Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, data: bytes):
        self.left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self.left & ((1 << count) - 1)
        self.left >>= count
        return value

    def choice(self, *ways: tuple[int, int]) -> int:
        """Two bits choose how many more are taken, and what is added to them."""
        count, offset = ways[self.take(2)]
        return offset + self.take(count)

    def number(self) -> int:
        """One of the standard's numbered choices."""
        return self.choice((0, 0), (0, 1), (4, 2), (6, 18))

    def size(self) -> tuple[int, int]:
        """Width and height."""
        by_eights = self.take(1)
        height = self._side(by_eights)
        over, under = RATIOS.get(self.take(3), (0, 1))
        return height * over // under if over else self._side(by_eights), height

    def _side(self, by_eights: int) -> int:
        if by_eights:
            return 8 * (1 + self.take(5))
        return self.choice((9, 1), (13, 1), (18, 1), (30, 1))


def opened(file: BinaryIO) -> tuple[Stored, Callable[[], PhotoFile[np.ndarray]]]:
    """Size and orientation of a JPEG XL file, and what decodes its first picture.

    Raises PhotoError without imagecodecs, and for floating-point numbers and more than 16 bits.
    """
    library = _library()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start, block, xmp = _parts(data)
        told = _header(start)

    def work() -> PhotoFile[np.ndarray]:
        file.seek(0)
        array = library.jpegxl_decode(file.read(), index=0, keeporientation=True)
        array = array if array.ndim == 3 else array[..., None]
        if array.shape[:2] != (told.height, told.width):
            raise ValueError(f"{array.shape} pixels, but its header says {told}")
        if told.bits > 16 or array.shape[-1] > 4:
            raise PhotoError(
                f"JPEG XL of {array.shape[-1]} channels of {told.bits} bits; save it as PNG"
            )
        pixels, alpha = avif.split(avif.stretch(array, told.bits))
        photo = PhotoFile(pixels, alpha, exif=block, xmp=xmp, format="JXL")
        if not told.plain:
            photo.notes, photo.left_behind = (NOTE,), ("the colour profile",)
        if told.moves:
            photo.notes += ("is an animation, of which this is the first picture",)
            photo.left_behind += ("the other pictures of the animation",)
        return photo

    return Stored(told.width, told.height, told.orientation, "JXL"), work


def _parts(data: mmap.mmap) -> tuple[bytes, bytes | None, bytes | None]:
    """The first bytes of the codestream, EXIF and XMP."""
    if data[:2] == CODESTREAM:
        return data[:64], None, None
    start, block, xmp = b"", None, None
    for name, begin, end in jpeg2000.boxes(data, 0, len(data)):
        if name in (b"jxlc", b"jxlp") and not start:
            start = data[begin + 4 * (name == b"jxlp") : end][:64]
        elif name == b"Exif":
            skipped = int.from_bytes(data[begin : begin + 4], "big")
            block = exif.sound(data[begin + 4 + skipped : end])
        elif name == b"xml ":
            xmp = data[begin:end]
    return start, block, xmp


def _header(start: bytes) -> Told:
    if start[:2] != CODESTREAM:
        raise ValueError("no picture in it")
    bits = _Bits(start[2:])
    width, height = bits.size()
    if bits.take(1):  # all else is as usual
        return Told(width, height, 1, 8, False, True)
    turn, moves = 1, 0
    if bits.take(1):
        turn = 1 + bits.take(3)
        if bits.take(1):  # a size at which it is to be shown
            bits.size()
        if bits.take(1):
            raise PhotoError("JPEG XL with a preview in front; save it as PNG or TIFF")
        moves = bits.take(1)
        if moves:  # speed, repetitions, time codes
            bits.choice((0, 100), (0, 1000), (10, 1), (30, 1))
            bits.choice((0, 1), (0, 1001), (8, 1), (10, 1))
            bits.choice((0, 0), (3, 0), (16, 0), (32, 0))
            bits.take(1)
    if bits.take(1):
        raise PhotoError("JPEG XL of floating-point numbers; save it as PNG or TIFF of 16 bits")
    depth = bits.choice((0, 8), (0, 10), (0, 12), (6, 1))
    return Told(width, height, turn, depth, bool(moves), _is_srgb(bits))


def _is_srgb(bits: _Bits) -> bool:
    """Whether colours are sRGB or gray of the same steps; not if that is hard to tell."""
    bits.take(1)  # how to compute
    channels = bits.choice((0, 0), (0, 1), (4, 2), (12, 1))
    if channels > 1 or channels and not bits.take(1):  # more than one usual alpha
        return False
    bits.take(1)  # how colours are stored, which comes to the same
    if bits.take(1):
        return True
    if bits.take(1):  # an ICC profile
        return False
    space, white = bits.number(), bits.number()
    primaries = 1 if space == 1 else bits.number()
    return space < 2 and white == primaries == 1 and not bits.take(1) and bits.number() == 13


def _library() -> types.ModuleType:
    try:
        import imagecodecs
    except ImportError as error:
        raise PhotoError(
            "JPEG XL needs a package of its own; pip install 'oldphoto-jax[codecs]'"
        ) from error
    return imagecodecs
