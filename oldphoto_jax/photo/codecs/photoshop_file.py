"""Photoshop files: their flattened picture, which programs keep beside the layers.

Adobe describes them (Adobe Photoshop File Formats Specification). Pillow reads 8 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import PsdImagePlugin

from oldphoto_jax.photo import content, exif, samples
from oldphoto_jax.photo.content import PhotoError, PhotoFile, Stored

MODES = {0: "1", 1: "L", 2: "P", 3: "RGB", 8: "L"}  # bitmap, gray, palette, RGB, duotone
OTHERS = {4: "CMYK", 7: "several inks", 9: "Lab"}
RESOLUTION, IPTC, VERSION, EXIF, XMP = 1005, 1028, 1057, 1058, 1060


def opened(file: BinaryIO) -> tuple[Stored, Callable[[], PhotoFile[np.ndarray]]]:
    """Size of a Photoshop file and what decodes its flattened picture.

    Raises PhotoError where there is none, for large documents (PSB), other depths than 1 and 8
    bits, and colours that are neither gray nor RGB.
    """
    version, _, channels, height, width, bits, mode = struct.unpack(">4xH6sHIIHH", file.read(26))
    if version == 2:
        raise PhotoError("a large Photoshop document (PSB); save it as TIFF, flattened")
    if bits not in (1, 8) or mode not in MODES:
        kind = f"of {bits} bits" if mode in MODES else f"in {OTHERS.get(mode, f'mode {mode}')}"
        raise PhotoError(f"a Photoshop file {kind}; save it as TIFF, flattened, in RGB or gray")
    file.seek(0)
    image = PsdImagePlugin.PsdImageFile(file)
    beside = {number: data for number, _, data in image.resources}
    if beside.get(VERSION, b"\0\0\0\0\1")[4:5] == b"\0":
        raise PhotoError(
            "a Photoshop file without a flattened picture; save it again with 'Maximize "
            "Compatibility', or as TIFF"
        )

    def work() -> PhotoFile[np.ndarray]:
        layers, transparent = _layers(file, image)
        pixels, alpha = samples.from_pillow(image)
        left: tuple[str, ...] = ("its layers",) if layers else ()
        if channels > len(image.getbands()) or alpha is not None and not transparent:
            left += ("channels that were saved beside the picture",)
        return PhotoFile(
            pixels,
            alpha if transparent else None,
            icc=content.fitting(image.info.get("icc_profile"), pixels),
            exif=exif.sound(beside.get(EXIF)),
            xmp=beside.get(XMP) or None,
            iptc=beside.get(IPTC) or None,
            resolution=_resolution(beside.get(RESOLUTION, b"")),
            format="PSD",
            notes=("is the flattened picture of layers",) if layers else (),
            left_behind=left,
        )

    turn = content.orientation(exif.sound(beside.get(EXIF)), beside.get(XMP))
    return Stored(width, height, turn, "PSD"), work


def _layers(file: BinaryIO, image: PsdImagePlugin.PsdImageFile) -> tuple[int, bool]:
    """How many layers there are, and whether the fourth channel is transparency.

    It is where their number is negative; else it is a selection that somebody has saved.
    """
    if image._layers_position is None:
        return 0, False
    file.seek(image._layers_position)
    (count,) = struct.unpack(">h", file.read(2))
    return abs(count), count < 0


def _resolution(data: bytes) -> tuple[float, float] | None:
    """Dots per inch, however the program showed them (ResolutionInfo)."""
    if len(data) < 16:
        return None
    across, _, _, down, _, _ = struct.unpack(">IHHIHH", data[:16])
    dots = (across / 65536, down / 65536)
    return dots if exif.is_resolution(dots) else None
