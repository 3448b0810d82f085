"""AVIF files, which phones and the web make: Pillow has 8 bits, OpenCV more."""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import AvifImagePlugin, features

from oldphoto_jax.photo import content, samples
from oldphoto_jax.photo.codecs import headers
from oldphoto_jax.photo.content import PhotoError, PhotoFile, Stored

LOOKED_THROUGH = 1 << 16  # bytes, in which a file's boxes say what its picture is


def opened(file: BinaryIO) -> tuple[Stored, Callable[[], PhotoFile[np.ndarray]]]:
    """Size and orientation of an AVIF file, and what decodes its first picture.

    10 and 12 bits become 16, at full scale. Turns are those of the format itself, as the library
    tells them in place of what EXIF says.
    """
    if not features.check("avif"):
        raise PhotoError(
            "this Pillow reads no AVIF; pip install --upgrade --force-reinstall pillow"
        )
    bits = _bits(file)
    file.seek(0)
    image = AvifImagePlugin.AvifImageFile(file)
    block = headers.exif_of(image)

    def work() -> PhotoFile[np.ndarray]:
        photo = _deep(file, bits) if bits > 8 else PhotoFile(*samples.from_pillow(image))
        photo = dataclasses.replace(photo, format="AVIF", exif=block, xmp=image.info.get("xmp"))
        photo.icc = content.fitting(image.info.get("icc_profile"), photo.pixels)
        return first_of(image.n_frames, photo)

    return Stored(*image.size, content.orientation(block, None), "AVIF"), work


def first_of(count: int, photo: PhotoFile[np.ndarray]) -> PhotoFile[np.ndarray]:
    """The photo, with what is to be told if it is the first of several pictures."""
    if count < 2:
        return photo
    note = f"is an animation of {count} pictures, of which this is the first"
    left = (*photo.left_behind, "the other pictures of the animation")
    return dataclasses.replace(photo, notes=(*photo.notes, note), left_behind=left)


def stretch(array: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers of so many bits at the full scale of 8, or of 16 if they are more."""
    full, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    top = (1 << bits) - 1
    if top == full:
        return array.astype(dtype, copy=False)

    def scale(band: np.ndarray) -> np.ndarray:
        return samples.divide(np.minimum(band, top).astype(np.uint32) * full, top).astype(dtype)

    return np.concatenate([scale(array[rows]) for rows in samples.bands(*array.shape[:2])])


def split(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """[H,W,S] of gray or RGB, with alpha or without, as pixels [H,W,1|3] and alpha [H,W]."""
    count = 3 if array.shape[-1] > 2 else 1
    pixels = np.ascontiguousarray(array[..., :count])
    return pixels, array[..., count].copy() if array.shape[-1] > count else None


def _deep(file: BinaryIO, bits: int) -> PhotoFile[np.ndarray]:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        array = samples.from_opencv(data)
    if array.dtype != np.uint16:
        raise PhotoError(f"AVIF of {bits} bits, of which OpenCV gives 8; save it as PNG or TIFF")
    return PhotoFile(*split(stretch(array, bits)))


def _bits(file: BinaryIO) -> int:
    """Bits a channel, by the box av1C (AV1 Codec ISO Media File Format Binding, section 2.3)."""
    file.seek(0)
    data = file.read(LOOKED_THROUGH)
    found = data.find(b"av1C")
    flags = data[found + 6] if 0 <= found < len(data) - 6 else 0
    return 12 if flags & 0x20 else 10 if flags & 0x40 else 8
