"""Formats that are read but not written: what is made of such photos is PNG.

Old scanners and picture editors left Targa, PCX, PNM and Photoshop files, archives keep JPEG 2000,
and the web GIF and AVIF. Pillow opens most of them, by class: `Image.open` would try formats for
which it calls other programs.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image, ImageFile, PcxImagePlugin, TgaImagePlugin

from oldphoto_jax.photo import content, exif, samples
from oldphoto_jax.photo.codecs import avif, jpeg2000, jpeg_xl, kinds, photoshop_file, pnm
from oldphoto_jax.photo.content import PhotoError, PhotoFile, Stored

Decode = Callable[[], PhotoFile[np.ndarray]]


def header(file: BinaryIO, form: str, max_pixels: int) -> Stored:
    """Size and orientation of an open file of one of FORMATS; no pixel is decoded."""
    return _opened(file, form, max_pixels)[0]


def decode(file: BinaryIO, form: str, max_pixels: int) -> tuple[PhotoFile[np.ndarray], int]:
    """The first picture of an open file of one of FORMATS as stored, and EXIF's orientation.

    Raises PhotoError for what is not read, and whatever the decoder raises for damaged bytes.
    """
    stored, work = _opened(file, form, max_pixels)
    return work(), stored.orientation


def _opened(file: BinaryIO, form: str, max_pixels: int) -> tuple[Stored, Decode]:
    file.seek(0)
    try:
        stored, work = FORMATS[form](file)
    except Image.DecompressionBombError as error:  # of GIF alone, for a picture beyond its canvas
        raise PhotoError(f"{error} Save it as PNG.") from error
    content.check_size(stored.width, stored.height, max_pixels)
    return stored, work


def _gif(file: BinaryIO) -> tuple[Stored, Decode]:
    image = GifImagePlugin.GifImageFile(file)

    def work() -> PhotoFile[np.ndarray]:
        pictures = image.n_frames
        photo = _photo(image, *samples.from_pillow(image))
        comment = image.info.get("comment", b"")
        photo.comments = (comment,) if comment else ()
        return avif.first_of(pictures, photo)

    return Stored(*image.size, 1, "GIF"), work


def _pcx(file: BinaryIO) -> tuple[Stored, Decode]:
    image = PcxImagePlugin.PcxImageFile(file)
    return Stored(*image.size, 1, "PCX"), lambda: _photo(image, *samples.from_pillow(image))


def _tga(file: BinaryIO) -> tuple[Stored, Decode]:
    image = TgaImagePlugin.TgaImageFile(file)
    if not image.tile:
        raise PhotoError("a Targa picture of an unusual depth; save it as PNG or TIFF")
    meaning = _tga_alpha(file)

    def work() -> PhotoFile[np.ndarray]:
        pixels, alpha = samples.from_pillow(image)
        if alpha is None or not meaning:
            return _photo(image, pixels)
        if not alpha.any():
            photo = _photo(image, pixels)
            photo.notes = ("says that all of it is transparent; taken for opaque",)
            return photo
        if meaning == "multiplied":
            pixels = samples.unpremultiply(pixels, alpha)
        return _photo(image, pixels, alpha)

    return Stored(*image.size, 1, "TGA"), work


def _tga_alpha(file: BinaryIO) -> str:
    """What the fourth channel of a Targa file is, by its header and its extension (version 2)."""
    file.seek(17)
    if not file.read(1)[0] & 15:  # no bit of alpha, whatever the pixels hold there
        return ""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 26))
    extension, _, footer = struct.unpack("<II18s", file.read(26).rjust(26, b"\0"))
    if footer != kinds.TGA_FOOTER or not 0 < extension <= end - 495:
        return "straight"
    file.seek(extension + 494)
    return {0: "", 1: "", 2: "", 4: "multiplied"}.get(file.read(1)[0], "straight")


def _raw(file: BinaryIO) -> tuple[Stored, Decode]:
    raise PhotoError(
        "what a camera's sensor saw, in the camera maker's own format, and no picture yet; develop "
        "it (with darktable or the maker's program, say) and save it as TIFF"
    )


def _photo(
    image: ImageFile.ImageFile, pixels: np.ndarray, alpha: np.ndarray | None = None
) -> PhotoFile[np.ndarray]:
    dots = image.info.get("dpi")
    said = (float(dots[0]), float(dots[1])) if dots and exif.is_resolution(dots) else None
    return PhotoFile(pixels, alpha, resolution=said, format=image.format)


FORMATS: dict[str, Callable[[BinaryIO], tuple[Stored, Decode]]] = {
    "AVIF": avif.opened,
    "GIF": _gif,
    "JPEG2000": jpeg2000.opened,
    "JXL": jpeg_xl.opened,
    "PCX": _pcx,
    "PNM": pnm.opened,
    "PSD": photoshop_file.opened,
    "TGA": _tga,
    kinds.RAW: _raw,
}
