"""An open image file to a PhotoFile at the file's own depth; `files.read` is the door.

Here are the formats that Pillow opens whole; `decode_jpeg`, `decode_png`, `decode_tiff` and `heif`
have the others, `more_formats` those that are not written. The first bytes say what a file is,
whatever its name says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin, Image, ImageFile, WebPImagePlugin

from oldphoto_jax.photo import content, exif, exif_edit, profiles, samples
from oldphoto_jax.photo.codecs import (
    avif,
    decode_jpeg,
    decode_png,
    decode_tiff,
    headers,
    heif,
    kinds,
    more_formats,
)
from oldphoto_jax.photo.content import PhotoError, PhotoFile

# Opened by class, because Image.open holds its own, global limit on the size
READERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}


def header(file: BinaryIO, max_pixels: int) -> content.Stored:
    """Size and orientation of an open file; refuses what `decode` would refuse by its header."""
    form = kinds.recognize(file, getattr(file, "name", ""))
    if form in more_formats.FORMATS:
        return more_formats.header(file, form, max_pixels)
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
    """Decodes a page of an open JPEG, PNG, TIFF, WebP, HEIC or BMP file, or of `more_formats`.

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
    form = kinds.recognize(file, getattr(file, "name", ""))
    if form in more_formats.FORMATS:
        return more_formats.decode(file, form, max_pixels)
    if heif.is_heif(start):
        photo, orientation = heif.decode(file, max_pixels)
        return _undoubled(photo), orientation
    found = header(file, max_pixels)
    image, beside = _open(file, found.format)
    managed = profiles.of_pillow(image, beside.icc)
    if managed:
        pixels, alpha = samples.from_pillow(image, managed.change)
    elif found.format == "PNG" and start[24] == 16:  # bits a channel
        pixels, alpha = decode_png.deep(image, file, start[25], beside.faulty)
    else:
        pixels, alpha = samples.from_pillow(image)
    if not managed:
        beside.left_behind += content.misfit(beside.icc, pixels)
    beside.icc = content.fitting(beside.icc, pixels)
    whole = dataclasses.replace(beside, pixels=pixels, alpha=alpha, format=found.format)
    whole = managed.told(whole) if managed else whole
    return _undoubled(whole), found.orientation


def _open(file: BinaryIO, form: str) -> tuple[ImageFile.ImageFile, PhotoFile]:
    """The image, its pixels still packed, and the photo without them."""
    if form == "PNG":
        return decode_png.opened(file)
    if form == "JPEG":
        return decode_jpeg.opened(file)
    file.seek(0)
    try:
        image = READERS[form](file)
    except Image.DecompressionBombError as error:  # of WebP alone, which insists on Pillow's limit
        raise PhotoError(f"{error} Save it as PNG or TIFF.") from error
    return image, _beside(image)


def _undoubled(photo: PhotoFile[np.ndarray]) -> PhotoFile[np.ndarray]:
    """The photo with IPTC and XMP in their own fields alone, which some programs put into EXIF."""
    if photo.exif is None:
        return photo
    block, found = exif_edit.take(photo.exif, exif.IPTC, exif.XMP)
    iptc, packet = (found.get(tag, b"").rstrip(b"\0") for tag in (exif.IPTC, exif.XMP))
    return dataclasses.replace(
        photo, exif=block, iptc=photo.iptc or iptc or None, xmp=photo.xmp or packet or None
    )


def _beside(image: ImageFile.ImageFile) -> PhotoFile:
    """What Pillow has found beside the pixels."""
    block = headers.exif_of(image)
    said = exif.resolution(exif.parse(block), exif.order(block)) if block else None
    dots = image.info.get("dpi")
    photo = PhotoFile(
        content.NO_PIXELS,
        icc=image.info.get("icc_profile"),
        exif=block,
        xmp=image.info.get("xmp") or None,
        resolution=(float(dots[0]), float(dots[1])) if dots and exif.is_resolution(dots) else said,
    )
    return avif.first_of(getattr(image, "n_frames", 1), photo)
