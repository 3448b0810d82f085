"""TIFF files to a PhotoFile: the first page, at its own depth."""

from __future__ import annotations

import mmap
from typing import BinaryIO

import numpy as np
import tifffile

from oldphoto_jax.photo import content, exif, tiff_header, tiff_strips
from oldphoto_jax.photo.content import PhotoFile

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def header(file: BinaryIO, max_pixels: int) -> content.Stored:
    """What the first page says of itself; refuses what `decode` would refuse by it."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        tiff_header.check(page, tiff.filehandle.size, max_pixels)
        return content.Stored(
            page.imagewidth, page.imagelength, tiff_header.orientation(page), "TIFF"
        )


def decode(file: BinaryIO, max_pixels: int) -> tuple[PhotoFile[np.ndarray], int]:
    """The first page; extra channels that the file does not call alpha are left aside.

    Uncompressed pixels from `tiff_strips.MAPPED` bytes on stay in the file, and come in as they are
    looked at, where they lie there as a PhotoFile has them.
    """
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        tiff_header.check(page, tiff.filehandle.size, max_pixels)
        pixels, alpha = tiff_strips.pixels(file, page)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            tags = exif.directory(data, page.offset, tiff.byteorder, tiff.is_bigtiff)
        return _with_tags(tags, tiff.byteorder, pixels, alpha), tiff_header.orientation(page)


def _with_tags(
    tags: exif.Directory, order: str, pixels: np.ndarray, alpha: np.ndarray | None
) -> PhotoFile[np.ndarray]:
    """The photo with what a TIFF directory says beside it."""
    beside = exif.describing(tags)
    found = [tags.get(tag) for tag in (exif.ICC, exif.XMP)]
    icc, xmp = (one.data if isinstance(one, exif.Value) else None for one in found)
    return PhotoFile(
        pixels,
        alpha,
        icc=content.fitting(icc, pixels),
        exif=exif.pack_block(beside, order) if beside else None,
        xmp=xmp,
        resolution=exif.resolution(tags, order),
        format="TIFF",
    )
