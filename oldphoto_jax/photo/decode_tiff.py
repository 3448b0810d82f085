"""TIFF files to a PhotoFile: the first page, at its own depth.

No one library reads all that scanners write. tifffile unpacks the plain layouts (planar,
big-endian, BigTIFF, tiles) straight into the result, OpenCV the other codecs at 16 bits, Pillow
those at 8 bits or less. The header says who reads; nobody is tried on the off chance.
"""

from __future__ import annotations

import math
import mmap
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import TiffImagePlugin
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PLANARCONFIG, SAMPLEFORMAT

from oldphoto_jax.photo import content, exif, samples
from oldphoto_jax.photo.content import PhotoError, PhotoFile

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAPPED = 1 << 26  # bytes of pixels that are left in the file instead of read into memory
READ_AHEAD = 1 << 24  # bytes of packed strips
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


def header(file: BinaryIO, max_pixels: int) -> content.Stored:
    """What the first page says of itself; refuses what `decode` would refuse by it."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        _check_page(page, tiff.filehandle.size, max_pixels)
        return content.Stored(page.imagewidth, page.imagelength, _orientation(page), "TIFF")


def decode(file: BinaryIO, max_pixels: int) -> tuple[PhotoFile[np.ndarray], int]:
    """The first page; extra channels that the file does not call alpha are left aside.

    Uncompressed pixels from `MAPPED` bytes on stay in the file, and come in as they are looked at,
    where they lie there as a PhotoFile has them.
    """
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        _check_page(page, tiff.filehandle.size, max_pixels)
        pixels, alpha = _pixels(file, page)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            tags = exif.directory(data, page.offset, tiff.byteorder, tiff.is_bigtiff)
        return _with_tags(tags, tiff.byteorder, pixels, alpha), _orientation(page)


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(exif.ORIENTATION)
    return int(tag.value) if tag else 1


def _direct(page: tifffile.TiffPage) -> bool:
    """Whether channels are stored as gray, RGB or inks, and not packed to bits or luma."""
    return page.photometric in COLOR_CHANNELS and page.bitspersample >= 8


def _check_page(page: tifffile.TiffPage, size: int, max_pixels: int) -> None:
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
    if not _direct(page):
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
    if page.compression in PLAIN_CODECS and _direct(page):
        needed = page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample // 8
        most = sum(page.databytecounts) * PLAIN_CODECS[COMPRESSION(page.compression)]
        if most < needed:
            raise ValueError(f"parts are missing: {most} bytes at most, its pixels have {needed}")


def _pixels(file: BinaryIO, page: tifffile.TiffPage) -> tuple[np.ndarray, np.ndarray | None]:
    if page.compression in PLAIN_CODECS and _direct(page):
        return _split(_plain(file, page), page)
    if page.bitspersample == 16:
        return _split(_packed(file, page), page)
    file.seek(0)
    image = TiffImagePlugin.TiffImageFile(file)
    image.getexif()[exif.ORIENTATION] = 1  # or Pillow turns the pixels itself
    return samples.from_pillow(image)


def _plain(file: BinaryIO, page: tifffile.TiffPage) -> np.ndarray:
    """All channels [H,W,S] of a page that tifffile can unpack."""
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    planes = page.planarconfig == PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
    stored = (shape[2], *shape[:2]) if planes else shape
    dtype = np.dtype(f"{page.parent.byteorder}u{page.bitspersample // 8}")
    size = int(np.prod(stored, dtype=np.int64)) * dtype.itemsize
    start = page.dataoffsets[0]
    whole = page.is_final and start + size <= page.parent.filehandle.size
    array: np.ndarray
    if whole and size >= MAPPED:
        array = np.memmap(file, dtype, "r", start, stored)
    else:
        array = page.asarray(buffersize=READ_AHEAD).reshape(stored)
        if not array.dtype.isnative:
            array = array.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return np.moveaxis(array, 0, -1) if planes else array


def _packed(file: BinaryIO, page: tifffile.TiffPage) -> np.ndarray:
    """All channels [H,W,S] of a 16-bit page that OpenCV's libtiff can unpack."""
    # A private copy of what is written into, and nothing else, for OpenCV would turn the pixels.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as data:
        if tag := page.tags.get(exif.ORIENTATION):
            one = np.array(1, f"{page.parent.byteorder}u{tag.valuebytecount}").tobytes()
            data[tag.valueoffset : tag.valueoffset + len(one)] = one
        array = samples.from_opencv(data)
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    if array.shape != shape or array.dtype != np.uint16:
        raise ValueError(f"OpenCV unpacks {array.shape} {array.dtype} instead of {shape}")
    return array


def _split(array: np.ndarray, page: tifffile.TiffPage) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray or RGB, and alpha if there is any, of all the channels of a page."""
    photometric = PHOTOMETRIC(page.photometric)
    count = COLOR_CHANNELS[photometric]
    if array.shape[-1] < count:
        raise ValueError(f"{array.shape[-1]} channels, but {photometric.name} has {count}")
    known = (EXTRASAMPLE.UNASSALPHA, EXTRASAMPLE.ASSOCALPHA)
    alphas = [pair for pair in enumerate(page.extrasamples, start=count) if pair[1] in known]
    channel, kind = alphas[0] if alphas else (None, None)

    native = array.dtype.newbyteorder("=")

    def light(band: np.ndarray) -> np.ndarray:
        colors = _light(band[..., :count].astype(native, copy=False), photometric)
        if kind != EXTRASAMPLE.ASSOCALPHA:
            return colors
        return samples.unpremultiply(colors, band[..., channel].astype(native))

    plain = page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
    if plain and array.shape[-1] == count and array.flags.c_contiguous and array.dtype.isnative:
        return array, None
    alpha = None if kind is None else np.ascontiguousarray(array[..., channel], native)
    return samples.by_bands(array, min(count, 3), light), alpha


def _light(colors: np.ndarray, photometric: PHOTOMETRIC) -> np.ndarray:
    """Gray or RGB of what is stored, which may be darkness or inks."""
    top = np.iinfo(colors.dtype).max
    if photometric == PHOTOMETRIC.MINISWHITE:
        return top - colors
    if photometric == PHOTOMETRIC.SEPARATED:
        light = (top - colors).astype(np.uint32)
        return samples.divide(light[..., :3] * light[..., 3:], top).astype(colors.dtype)
    return colors


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
