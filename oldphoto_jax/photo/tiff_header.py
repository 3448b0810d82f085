"""What the directory of a TIFF page says of its pixels, and whether they can be read."""

from __future__ import annotations

import math

import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG, SAMPLEFORMAT

from oldphoto_jax.photo import content, exif
from oldphoto_jax.photo.content import PhotoError

PLAIN_CODECS = {  # those tifffile has without its companion imagecodecs, and how far they pack
    COMPRESSION.NONE: 1,
    COMPRESSION.PACKBITS: 64,
    COMPRESSION.DEFLATE: 1032,
    COMPRESSION.ADOBE_DEFLATE: 1032,
}
COLOR_CHANNELS = {
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.SEPARATED: 4,
}


def orientation(page: tifffile.TiffPage) -> int:
    """EXIF's number of a page; 1 where it has none."""
    tag = page.tags.get(exif.ORIENTATION)
    return int(tag.value) if tag else 1


def direct(page: tifffile.TiffPage) -> bool:
    """Whether channels are stored as gray, RGB or inks, and not packed to bits or luma."""
    return page.photometric in COLOR_CHANNELS and page.bitspersample >= 8


def check(page: tifffile.TiffPage, size: int, max_pixels: int) -> None:
    """Refuses by the header alone, before a pixel is decoded."""
    content.check_size(page.imagewidth, page.imagelength, max_pixels)
    if page.bitspersample not in (1, 2, 4, 8, 16) or page.sampleformat != SAMPLEFORMAT.UINT:
        raise PhotoError(
            f"{page.bitspersample}-bit samples of format {page.sampleformat}; "
            "save it with 8 or 16 bits a channel"
        )
    if page.bitspersample == 16:
        _check_deep(page)
    _check_parts(page, size)


def _check_deep(page: tifffile.TiffPage) -> None:
    if not direct(page):
        raise PhotoError(f"{_name(page.photometric)} at 16 bits; save it as gray or RGB")
    planes = page.planarconfig == PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
    odd = planes or page.samplesperpixel not in (1, 3, 4)  # OpenCV returns other pixels for these
    if odd and page.compression not in PLAIN_CODECS:
        raise PhotoError(
            f"{page.samplesperpixel} channels of 16 bits, {_name(page.planarconfig)}, packed with "
            f"{_name(page.compression)}; save it without compression or with deflate"
        )


def _name(value: int) -> str:
    """What tifffile calls this value of a tag; of one that it doesn't know, the number."""
    return getattr(value, "name", str(value))


def _check_parts(page: tifffile.TiffPage, size: int) -> None:
    """Raises ValueError where strips or tiles cannot all be there, or cannot hold the pixels."""
    parts = zip(page.dataoffsets, page.databytecounts, strict=True)
    end = max((offset + count for offset, count in parts), default=0)
    if 0 in page.databytecounts or not 0 < end <= size:
        raise ValueError(f"parts are missing: its pixels end at byte {end} of {size}")
    if len(page.dataoffsets) != math.prod(page.chunked):
        raise ValueError(f"parts are missing: {len(page.dataoffsets)} of {page.chunked} are there")
    if page.compression in PLAIN_CODECS and direct(page):
        needed = page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample // 8
        most = sum(page.databytecounts) * PLAIN_CODECS[COMPRESSION(page.compression)]
        if most < needed:
            raise ValueError(f"parts are missing: {most} bytes at most, its pixels have {needed}")
