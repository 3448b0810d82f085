"""An open image file to a PhotoFile at the file's own depth; `files.read` is the door.

Here are the formats that Pillow opens, with OpenCV for PNG of 16 bits; `decode_tiff` and `heif`
have the others. The first bytes say what a file is, whatever its name says.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from oldphoto_jax.photo import content, decode_tiff, exif, headers, heif, samples
from oldphoto_jax.photo.content import PhotoError, PhotoFile

# Opened by class, because Image.open holds its own, global limit on the size
READERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
LARGEST_PROFILE = 1 << 26  # bytes, unpacked


def header(file: BinaryIO, max_pixels: int) -> content.Stored:
    """Size and orientation of an open file; refuses what `decode` would refuse by its header."""
    file.seek(0)
    start = file.read(16)
    if start.startswith(decode_tiff.MAGIC):
        return decode_tiff.header(file, max_pixels)
    if heif.is_heif(start):
        return heif.header(file, max_pixels)
    found = headers.read(file)
    content.check_size(found.width, found.height, max_pixels)
    return found


def pages(file: BinaryIO, max_pixels: int) -> list[tuple[str, content.Stored]]:
    """The role of each page, as `content.Page` has it, and its header; only TIFF has several."""
    first = header(file, max_pixels)
    file.seek(0)
    if file.read(4) in decode_tiff.MAGIC:
        return decode_tiff.pages(file)
    return [("photo", first)]


def decode(file: BinaryIO, max_pixels: int, page: int = 0) -> tuple[PhotoFile[np.ndarray], int]:
    """Decodes a page of a JPEG, PNG, TIFF, WebP, HEIC or BMP file that is open for reading.

    Returns all as stored, and the orientation to apply, by EXIF's number. Raises PhotoError for
    what this house refuses, and whatever the decoder raises (ValueError, OSError, SyntaxError ...)
    for damaged bytes.
    """
    file.seek(0)
    start = file.read(26)
    if start.startswith(decode_tiff.MAGIC):
        return decode_tiff.decode(file, max_pixels, page)
    if page:
        raise PhotoError(f"there is no page {page + 1}; only TIFF files have several")
    if heif.is_heif(start):
        return heif.decode(file, max_pixels)
    found = header(file, max_pixels)
    image = _open(file, found.format)
    deep = found.format == "PNG" and start[24] == 16  # bits a channel
    pixels, alpha = _deep_png(image, file, start[25]) if deep else samples.from_pillow(image)
    return _with_beside(image, pixels, alpha), found.orientation


def _open(file: BinaryIO, form: str) -> ImageFile.ImageFile:
    profile = None
    if form == "PNG":
        file, profile = _split_large_profile(file)
    file.seek(0)
    try:
        image = READERS[form](file)
    except Image.DecompressionBombError as error:  # of WebP alone, which insists on Pillow's limit
        raise PhotoError(f"{error} Save it as PNG or TIFF.") from error
    if profile:
        image.info["icc_profile"] = profile
    return image


def _split_large_profile(file: BinaryIO) -> tuple[BinaryIO, bytes | None]:
    """A PNG file without an ICC profile that is too large for Pillow, and that profile."""
    for part in headers.chunks(file):
        if part.name == b"IDAT":
            break
        if part.name != b"iCCP":
            continue
        file.seek(part.start)
        unpacker = zlib.decompressobj()
        with contextlib.suppress(zlib.error):  # a damaged profile: Pillow passes over it
            packed = file.read(part.size).partition(b"\0")[2][1:]
            profile = unpacker.decompress(packed, LARGEST_PROFILE)
            if len(profile) > PngImagePlugin.MAX_TEXT_CHUNK:
                file.seek(0)
                head = file.read(part.start - 8)
                file.seek(part.start + part.size + 4)
                rest = io.BytesIO(head + file.read())
                return rest, profile if unpacker.eof else None
    return file, None


def _with_beside(
    image: Image.Image, pixels: np.ndarray, alpha: np.ndarray | None
) -> PhotoFile[np.ndarray]:
    """The photo with what Pillow has found beside the pixels of a file that it has loaded."""
    block = headers.exif_of(image)
    said = exif.resolution(exif.parse(block), exif.order(block)) if block else None
    dots = image.info.get("dpi")
    if image.format == "JPEG" and image.info.get("jfif_unit") not in (1, 2):
        dots = None  # Pillow's guess from EXIF, 72 if it cannot read it
    return PhotoFile(
        pixels,
        alpha,
        icc=content.fitting(image.info.get("icc_profile"), pixels),
        exif=block,
        xmp=image.info.get("xmp") or None,
        resolution=(float(dots[0]), float(dots[1])) if dots and exif.is_resolution(dots) else said,
        format=image.format,
    )


def _deep_png(
    image: Image.Image, file: BinaryIO, kind: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """PNG of 16 bits, which Pillow would cut to 8 where there is more than one channel."""
    image.load()  # OpenCV fills up what is missing in silence; Pillow objects
    # Its pixels, which nobody needs; Pillow itself lets go of them so, and types them as there.
    image.im = None  # type: ignore[assignment]
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        array = samples.from_opencv(data)
    color, has_alpha = kind & 2, kind & 4  # the bits of PNG's colour type
    count = 3 if color else 1
    pixels = array
    if array.shape[-1] != count:
        pixels = samples.by_bands(array, count, lambda band: band[..., :count])
    alpha = array[..., 3].copy() if has_alpha else _key_alpha(image, pixels)
    return pixels, alpha


def _key_alpha(image: Image.Image, pixels: np.ndarray) -> np.ndarray | None:
    """Alpha of a 16-bit PNG that names one colour as transparent."""
    key = image.info.get("transparency")
    if key is None:
        return None
    return np.where((pixels == np.array(key)).all(axis=-1), 0, 65535).astype(np.uint16)
