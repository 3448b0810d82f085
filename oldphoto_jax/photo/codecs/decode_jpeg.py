"""JPEG files: Pillow unpacks the picture, which `jpeg` finds, and `jpeg_beside` reads the rest."""

from __future__ import annotations

import io
from typing import BinaryIO

from PIL import ImageChops, ImageFile, JpegImagePlugin

from oldphoto_jax.photo.codecs import jpeg, jpeg_beside
from oldphoto_jax.photo.content import PhotoError, PhotoFile


def opened(file: BinaryIO) -> tuple[ImageFile.ImageFile, PhotoFile]:
    """The image, its pixels still packed where the file is whole, and the photo without them.

    A file without an end is whole if all samples are there. Raises ValueError where they are not.
    """
    file.seek(0)
    data = file.read()
    found = jpeg.read(data)
    _, bits, _, _ = jpeg.frame(data)
    if bits != 8:
        raise PhotoError(f"JPEG of {bits} bits a sample; save it as TIFF or PNG of 16 bits")
    beside = jpeg_beside.read(data, found)
    if found.skipped:
        beside.notes += ("bytes that belong to no segment were passed over",)
    if not found.ended:
        beside.notes += ("the end of the file is missing; the pixels are all there",)
    beside.faulty = found.skipped or not found.ended
    image = _image(data, found) if found.ended else _without_end(data, found)
    image.info["icc_profile"] = beside.icc
    return image, beside


def _image(data: bytes, found: jpeg.Jpeg, tail: bytes = jpeg.EOI) -> ImageFile.ImageFile:
    return JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg.picture(data, found, tail)))


def _without_end(data: bytes, found: jpeg.Jpeg) -> ImageFile.ImageFile:
    """The image of a file without an end: it is the same whatever follows, or rows are missing."""
    if jpeg.complete(data, found):
        image, *others = (_image(data, found, fill + jpeg.EOI) for fill in jpeg.FILLS)
        if all(ImageChops.difference(image, other).getbbox() is None for other in others):
            return image
    raise ValueError("its end is missing, and samples with it")
