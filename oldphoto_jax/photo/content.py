"""What a photo file holds, and what is wrong with one that cannot be used."""

from __future__ import annotations

import dataclasses
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from oldphoto_jax.photo import exif, xmp_packet
from oldphoto_jax.photo.types import Rows

PROFILES = {1: b"GRAY", 3: b"RGB "}  # by channels: what an ICC profile says it is for
Pixels = TypeVar("Pixels", bound=Rows, covariant=True)
PHOTO = "photo"  # the role of a page that is one


class PhotoError(ValueError):
    """A photo file that cannot be used: which one, what is wrong with it, how to mend it."""


@dataclasses.dataclass
class PhotoFile(Generic[Pixels]):
    """What a photo file holds: pixels at their own depth, and what lies beside them.

    pixels        [H,W,1] gray or [H,W,3] RGB, uint8 or uint16 at full scale; for writing they may
                  also be `Rows`, made as they are asked for. Those that were read may be read-only
                  and lie in the file itself: copy them to change them
    alpha         [H,W] of the same dtype, straight (not multiplied into the colours), or None
    icc           the colour profile of these pixels
    exif          an EXIF block, from its byte order mark on
    xmp           an XMP packet
    resolution    dots per inch (x, y)
    format        of the file it came from, as `Header` has it: "BMP", "HEIF", "JPEG", "PNG" ...
    extra         [H,W,E] of the same dtype: further channels of TIFF, such as infra-red
    extra_kinds   TIFF's ExtraSamples number of each of those (0 is unspecified)
    iptc          IPTC's data sets (IIM), without what a format wraps them in
    comments      JPEG's comments, as bytes
    extended_xmp  the rest of an XMP packet that is too long for one segment of JPEG
    texts         PNG's text, (name, content) of each tEXt, zTXt or iTXt chunk but XMP's and EXIF's
    encoding      PNG's gAMA, cHRM, cICP and sRGB chunks, (name, content) of each
    trailer       what follows a JPEG picture in its file, such as a phone's short film
    index         MPF's index of the pictures in the trailer, its offsets counted from there
    resources     Photoshop's image resources beside IPTC, one behind the other
    notes         what is odd about the file, and what of it was left behind, a sentence each
    left_behind   what of the file its reader does not carry, a short phrase each
    faulty        whether the file was read in spite of a fault
    role          what it is in a TIFF file of several pages, as `Page` has it
    """

    pixels: Pixels
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: tuple[float, float] | None = None
    format: str | None = None
    extra: np.ndarray | None = None
    extra_kinds: tuple[int, ...] = ()
    iptc: bytes | None = None
    comments: tuple[bytes, ...] = ()
    extended_xmp: bytes | None = None
    texts: tuple[tuple[bytes, bytes], ...] = ()
    encoding: tuple[tuple[bytes, bytes], ...] = ()
    trailer: bytes | None = None
    index: bytes | None = None
    resources: bytes | None = None
    notes: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    faulty: bool = False
    role: str = PHOTO


@dataclasses.dataclass(frozen=True)
class Page:
    """A page of a photo file: its number, what it is, its size, upright, and how it is stored.

    The role is "photo", "preview" (of another page), "mask" or "infrared" (of the photo before it).
    Page 0 is the photo, or the first of them, wherever it lies in the file. `orientation` is EXIF's
    number, as in `Header`.
    """

    index: int
    role: str
    height: int
    width: int
    orientation: int


NO_PIXELS = np.empty((0, 0, 1), np.uint8)  # of what is known of a photo before they are decoded


class Stored(NamedTuple):
    """The size of the pixels as they are stored, and how to turn them, by EXIF's number."""

    width: int
    height: int
    orientation: int
    format: str


@dataclasses.dataclass(frozen=True)
class Header:
    """What a photo file says of itself: the size in pixels, upright, and PhotoFile's format.

    `orientation` is EXIF's number for how the pixels are stored; 1 is upright.
    """

    height: int
    width: int
    format: str
    orientation: int


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises PhotoError where a header promises too much, or nothing at all."""
    if width < 1 or height < 1:
        raise PhotoError(f"its header says {width} x {height} pixels; copy the file again")
    if width * height > max_pixels:
        raise PhotoError(
            f"its header says {width} x {height} pixels, more than max_pixels={max_pixels}; "
            f"raise the limit with --max-pixels {width * height} if you trust the file"
        )


def fitting(profile: bytes | None, pixels: Rows) -> bytes | None:
    """The profile, unless it is for other channels: that of inks (CMYK) goes with the inks."""
    return profile if profile and profile[16:20] == PROFILES[pixels.shape[-1]] else None


def misfit(profile: bytes | None, pixels: Rows) -> tuple[str, ...]:
    """What `PhotoFile.left_behind` says of a profile that `fitting` leaves out."""
    if not profile or fitting(profile, pixels):
        return ()
    space = profile[16:20].decode("latin-1").strip()
    known = space if space.isalnum() and profile[36:40] == b"acsp" else None
    return (f"the colour profile, which is {f'for {known}' if known else 'damaged'}",)


def orientation(block: bytes | None, xmp: bytes | None) -> int:
    """EXIF's number by the block or else by XMP; 1 where neither says anything that makes sense."""
    try:
        value = exif.parse(block).get(exif.ORIENTATION) if block else None
    except ValueError:  # a broken block says nothing; the pixels are whole
        value = None
    if block and isinstance(value, exif.Value):
        return int.from_bytes(value.data, "little" if exif.order(block) == "<" else "big")
    found = xmp_packet.ORIENTATION.search(xmp or b"")
    return int(found[2]) if found else 1
