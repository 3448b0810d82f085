"""Colours of inks (CMYK) and of Lab turned into sRGB, by the profile that comes with them.

Gray and RGB are never turned: their pixels and their profile stay as they are. Inks go through
LittleCMS with the relative colorimetric intent and black point compensation (ISO 18619), but the
darkest ink becomes no blacker than the darkest of ICC's reference medium: what readers that scale
black, and readers that do not, make of the same file lies on both sides of that. Lab is defined
without a profile.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import types
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from tifffile import PHOTOMETRIC

from oldphoto_jax.photo import color, content, icc, image, samples
from oldphoto_jax.photo.content import PhotoError, PhotoFile

INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
BLACK = 0.0034731  # light from the darkest of ICC's reference medium, of that from white
LIGHTEST_BLACK = 50  # L; a profile whose darkest ink is lighter has none
INKS = "its colours are inks (CMYK)"
NAIVE = "they became RGB by a simple formula, and no program will show them quite as meant"

# How samples at full scale, 0..1, stand for L, a and b: (least, range) of each. The channels a and
# b of CIELAB are signed numbers, which are turned into those of ICCLAB first.
LAB_8 = {
    PHOTOMETRIC.CIELAB: ((0, 100), (-128, 255), (-128, 255)),
    PHOTOMETRIC.ICCLAB: ((0, 100), (-128, 255), (-128, 255)),
    PHOTOMETRIC.ITULAB: ((0, 100), (-128 / 1.5, 170), (-96 / 1.275, 200)),
}
LAB_16 = {
    PHOTOMETRIC.CIELAB: ((0, 100), (-128, 65535 / 256), (-128, 65535 / 256)),
    PHOTOMETRIC.ICCLAB: ((0, 6553500 / 65280), (-128, 65535 / 256), (-128, 65535 / 256)),
    PHOTOMETRIC.ITULAB: ((0, 100), (-32768 / 385.5, 170), (-24576 / 327.675, 200)),
}


@dataclasses.dataclass(frozen=True)
class Conversion:
    """How colours become sRGB.

    change  maps samples [h,W,4] of inks, 0 where there is none, or [h,W,3] of Lab, to [h,W,3] of
            sRGB of the same dtype, uint8 or uint16; lightness [h,W,1] alone to gray [h,W,1]
    icc     the profile of what comes out, or None where nobody knows
    note    what was done, a sentence
    """

    change: Callable[[np.ndarray], np.ndarray]
    icc: bytes | None
    note: str

    def told(self, photo: PhotoFile[np.ndarray]) -> PhotoFile[np.ndarray]:
        """A photo of converted pixels, with its new profile and the note."""
        profile = content.fitting(self.icc, photo.pixels)
        return dataclasses.replace(photo, icc=profile, notes=(*photo.notes, self.note))


def of_pillow(opened: Image.Image, profile: bytes | None) -> Conversion | None:
    """The conversion that an image of Pillow's with this profile needs, or None."""
    if opened.mode == "CMYK":
        return inks(profile, np.dtype(np.uint8))
    return lab(PHOTOMETRIC.CIELAB, np.dtype(np.uint8)) if opened.mode == "LAB" else None


def inks(profile: bytes | None, dtype: np.dtype) -> Conversion:
    """The conversion of CMYK of this dtype by its profile, or by a formula where that is no use.

    Raises PhotoError for 16 bits with a profile where imagecodecs is missing.
    """
    if not profile:
        return Conversion(_naive, None, f"{INKS} without a profile: {NAIVE}.")
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip()
        if space != "CMYK":
            return Conversion(_naive, None, f"{INKS}, but its profile is for {space}: {NAIVE}.")
        screen = icc.srgb(_black(opened))
        shallow = ImageCms.buildTransform(opened, io.BytesIO(screen), "CMYK", "RGB", INTENT)
    except (OSError, ImageCms.PyCMSError):
        return Conversion(_naive, None, f"{INKS}, and its profile is damaged: {NAIVE}.")
    change = functools.partial(_through, shallow)
    if dtype != np.uint8:
        change = functools.partial(_deep, _imagecodecs(), profile, screen)
    return Conversion(change, icc.srgb(), f"{INKS}: they became sRGB by its profile.")


def lab(photometric: int, dtype: np.dtype) -> Conversion:
    """The conversion of TIFF's CIELAB, ICCLAB or ITULAB of this dtype; colours beyond sRGB are cut.

    The white of Lab becomes that of sRGB, whatever it is, as in ICC profiles.
    """
    known = LAB_8 if dtype == np.uint8 else LAB_16
    least, full = np.array(known[PHOTOMETRIC(photometric)], np.float32).T
    middle = dtype.type(1 << 8 * dtype.itemsize - 1)
    signed = np.array(
        [0, middle, middle] if photometric == PHOTOMETRIC.CIELAB else [0, 0, 0], dtype
    )
    to_integer = image.to_uint8 if dtype == np.uint8 else image.to_uint16

    def change(band: np.ndarray) -> np.ndarray:
        colors = least + full * image.to_float(band ^ signed)
        if (count := band.shape[-1]) == 1:
            colors[..., 1:] = 0
        return to_integer(color.icc_lab_to_rgb(colors)[..., :count])

    return Conversion(change, icc.srgb(), "its colours are Lab: they became sRGB.")


def _black(inks: ImageCms.ImageCmsProfile) -> float:
    """The light of a screen's black by which the darkest ink becomes BLACK."""
    transform = ImageCms.buildTransform(inks, ImageCms.createProfile("LAB"), "CMYK", "LAB", INTENT)
    light = 100 / 255 * np.asarray(transform.apply(Image.new("CMYK", (1, 1), (255,) * 4)))[0, 0, 0]
    light = min(light, LIGHTEST_BLACK)
    darkest = ((light + 16) / 116) ** 3 if light > 8 else light / 903.3
    return max(0.0, darkest - BLACK * (1 - darkest) / (1 - BLACK))


def _through(transform: ImageCms.ImageCmsTransform, band: np.ndarray) -> np.ndarray:
    height, width = band.shape[:2]
    opened = Image.frombytes("CMYK", (width, height), band.tobytes())
    return np.asarray(transform.apply(opened))


def _deep(library: Any, profile: bytes, screen: bytes, band: np.ndarray) -> np.ndarray:
    spaces = dict(colorspace="cmyk", outcolorspace="rgb")
    inks = np.ascontiguousarray(band)
    return library.cms_transform(inks, profile, screen, intent=int(INTENT), **spaces)


def _naive(band: np.ndarray) -> np.ndarray:
    """Light that is left by inks which know nothing of each other."""
    top = np.iinfo(band.dtype).max
    light = (top - band).astype(np.uint32)
    return samples.divide(light[..., :3] * light[..., 3:], top).astype(band.dtype)


def _imagecodecs() -> types.ModuleType:
    try:
        import imagecodecs
    except ImportError as error:
        raise PhotoError(
            f"{INKS} of 16 bits with a profile, which need a package of its own; "
            "pip install 'oldphoto-jax[codecs]', or save it with 8 bits a channel"
        ) from error
    return imagecodecs
