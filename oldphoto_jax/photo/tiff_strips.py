"""The pixels of a TIFF page, unpacked by whoever reads them best.

No one library reads all that scanners write. tifffile unpacks the plain layouts (planar,
big-endian, BigTIFF, tiles) straight into the result, OpenCV the other codecs at 16 bits, Pillow
those at 8 bits or less. The header says who reads; nobody is tried on the off chance.
"""

from __future__ import annotations

import mmap
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import TiffImagePlugin
from tifffile import PLANARCONFIG

from oldphoto_jax.photo import exif, samples, tiff_channels, tiff_header

MAPPED = 1 << 26  # bytes of pixels that are left in the file instead of read into memory
READ_AHEAD = 1 << 24  # bytes of packed strips


def pixels(file: BinaryIO, page: tifffile.TiffPage) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray or RGB [H,W,1|3] of a page that was checked, and alpha [H,W] if there is any."""
    if page.compression in tiff_header.PLAIN_CODECS and tiff_header.direct(page):
        return tiff_channels.split(_plain(file, page), page)
    if page.bitspersample == 16:
        return tiff_channels.split(_packed(file, page), page)
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
