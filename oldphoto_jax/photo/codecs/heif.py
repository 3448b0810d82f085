"""HEIC files, which phones make; needs pillow-heif, an extra of this package.

HEIF turns pixels by properties of its own, which the library applies: what EXIF says of the
orientation is history (ISO/IEC 23008-12, annex A).
"""

from __future__ import annotations

import io
import struct
import types
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from oldphoto_jax.photo import content, exif, samples
from oldphoto_jax.photo.codecs import rows
from oldphoto_jax.photo.content import PhotoError, PhotoFile
from oldphoto_jax.photo.types import Rows

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
SWAPPED = (5, 6, 7, 8)  # EXIF's numbers for rows that are columns
SRGB_PRIMARIES, SRGB_TRANSFERS = (1, 2), (1, 2, 6, 13)  # those of sRGB, unspecified, and video's
DEEP = 12  # bits a channel, the most that the encoder knows


def is_heif(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a HEIF picture in HEVC."""
    return start[4:8] == b"ftyp" and start[8:12] in BRANDS


def header(file: BinaryIO, max_pixels: int) -> content.Stored:
    """The size after all turns that HEIF itself knows of."""
    found = _open(file, max_pixels)
    width, height = found[found.primary_index].size
    return content.Stored(width, height, 1, "HEIF")


def decode(file: BinaryIO, max_pixels: int) -> tuple[PhotoFile[np.ndarray], int]:
    """The primary image, upright: 8 bits as uint8, 10 and 12 as uint16 stretched to full scale."""
    found = _open(file, max_pixels)
    image = found[found.primary_index]
    width, height = image.size
    array = np.asarray(image).reshape(height, width, -1)
    if (width, height) != image.size:
        raise ValueError(f"{image.size} pixels, but its header says {(width, height)}")
    # A gray picture says nothing of its chroma; with alpha the library makes three channels of it.
    count = 1 if "chroma" not in image.info else 3
    top = (1 << image.info["bit_depth"]) - 1

    def split(band: np.ndarray) -> np.ndarray:
        colors = _stretch(band[..., :count], top)
        if not image.premultiplied_alpha:
            return colors
        return samples.unpremultiply(colors, _stretch(band[..., -1], top))

    pixels = samples.by_bands(array, count, split)
    alpha = _stretch(array[..., -1], top) if image.has_alpha else None
    photo = PhotoFile(pixels, alpha, xmp=image.info.get("xmp"), format="HEIF")
    photo.icc = content.fitting(image.info.get("icc_profile"), pixels)
    photo.encoding = _encoding(image.info.get("nclx_profile") or {})
    photo.left_behind = tuple(_left_behind(file, image, count=len(found)))
    block = (image.info.get("exif") or b"").removeprefix(exif.PREFIX)
    try:  # what EXIF says is of the picture before it was turned
        if block:
            photo.exif = exif.upright(block, content.orientation(block, None) in SWAPPED)
            photo.resolution = exif.resolution(exif.parse(photo.exif), exif.order(block))
    except ValueError:  # a broken block says nothing; the pixels are whole
        photo.exif = None
    return photo, 1


def refusal() -> str | None:
    """Why no HEIC file can be written here, or None."""
    try:
        _library()
    except PhotoError as error:
        return str(error)
    return None


def write(file: BinaryIO, photo: PhotoFile[Rows], quality: int) -> None:
    """Full colour (4:4:4); quality 1 to 100, which keeps 8 bits as they are; 16 are cut to 12."""
    library, array = _library(), rows.whole(photo)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[array.shape[-1]]
    beside: dict[str, Any] = {
        "icc_profile": photo.icc,
        "exif": exif.with_resolution(photo.exif, photo.resolution),  # HEIF knows it by EXIF alone
        "xmp": photo.xmp,
    }
    if len(codes := dict(photo.encoding).get(b"cICP", b"")) == 4:
        beside |= {"color_primaries": codes[0], "transfer_characteristics": codes[1]}
    settings = {name: data for name, data in beside.items() if data} | {"chroma": 444}
    if quality == 100:  # without a turn to luma and chroma, which rounds
        settings |= {"quality": -1, "matrix_coefficients": 0}
    else:
        settings |= {"quality": quality}
    if array.dtype == np.uint16:
        top = (1 << DEEP) - 1
        array = samples.by_bands(array, array.shape[-1], lambda band: _scale(band, 65535, top))
        mode, settings["bit_depth"] = f"{mode};{DEEP}", DEEP
    size = (array.shape[1], array.shape[0])
    try:
        library.encode(mode, size, array.tobytes(), file, **settings)
    except RuntimeError as error:
        raise PhotoError(f"HEIC cannot hold it ({error}); name it .png or .tif") from error


def _open(file: BinaryIO, max_pixels: int) -> Any:
    """The library's file, its pixels not yet decoded, its primary image of a size that may be."""
    library = _library()
    file.seek(0)
    found = library.HeifFile(file, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    width, height = found[found.primary_index].size
    content.check_size(width, height, max_pixels)
    return found


def _encoding(told: dict[str, int]) -> tuple[tuple[bytes, bytes], ...]:
    """What HEIF says of primaries and transfer curve as PNG says it, where that is not sRGB."""
    codes = told.get("color_primaries", 2), told.get("transfer_characteristics", 2)
    if codes[0] in SRGB_PRIMARIES and codes[1] in SRGB_TRANSFERS:
        return ()
    return ((b"cICP", bytes([*codes, 0, 1])),)


def _left_behind(file: BinaryIO, image: Any, count: int) -> Iterator[str]:
    """Phrases for what of the file is not read."""
    if count > 1:
        yield f"{count - 1} further picture{'s' * (count > 2)} of the file"
    if image.info.get("depth_images"):
        yield "a depth map"
    kinds = image.info.get("aux") or {}
    if any("hdrgainmap" in kind for kind in kinds):
        yield "a gain map, which is of the picture as it was"
    if any("hdrgainmap" not in kind for kind in kinds):
        yield "auxiliary pictures"
    if any(name == b"mpvd" for name in _boxes(file)):
        yield "film behind the picture"


def _boxes(file: BinaryIO) -> Iterator[bytes]:
    """Names of the boxes that the file consists of."""
    end, at = file.seek(0, io.SEEK_END), 0
    while at + 16 <= end:
        file.seek(at)
        size, name, large = struct.unpack(">I4sQ", file.read(16))
        yield name
        at += max(8, {0: end, 1: large}.get(size, size))


def _library() -> types.ModuleType:
    try:
        import pillow_heif
    except ImportError as error:
        raise PhotoError(
            "HEIC needs a package of its own; pip install 'oldphoto-jax[heic]'"
        ) from error
    return pillow_heif


def _stretch(array: np.ndarray, top: int) -> np.ndarray:
    """Samples up to `top` at the full scale of their dtype."""
    return array.copy() if top == 255 else _scale(array, top, 65535)


def _scale(array: np.ndarray, top: int, new: int) -> np.ndarray:
    """Samples 0..top to 0..new, rounded to the nearest."""
    return ((array.astype(np.uint32) * new + top // 2) // top).astype(np.uint16)
