"""What people have in their hands, arrays and PIL images, as pixels of a file and back again.

PIL images are turned upright by their EXIF, so that networks never see faces on their side, and
come back upright. `info` of those that come back has "icc_profile" where it is for their channels,
"dpi", and "exif" of upright pixels, as far as the image that came had them there:

    made = restorer(PIL.Image.open("a.jpg")).restored
    made.save("b.jpg", **made.info)
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from oldphoto_jax.photo import content, encoding, exif, hints, profiles, samples
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import choices

DEPTHS = (np.uint8, np.uint16)
Info: TypeAlias = dict[str | tuple[int, int], Any]  # the keys as Pillow has them


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """pixels [H,W,1|3] and alpha [H,W] or None, of the same dtype; and what it came as.

    `info` of a PIL image is what is handed on of its own, and None of an array. `seen` are the
    pixels as its profile means them to look, if that is not as sRGB has it (`encoding.view`).
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    flat: bool  # an array [H,W]
    info: Info | None

    @functools.cached_property
    def seen(self) -> np.ndarray:
        """[H,W,1|3], for networks; uint16 where they are not the pixels themselves."""
        return encoding.view(self.file)

    @property
    def file(self) -> content.PhotoFile[np.ndarray]:
        """As a file would hold it."""
        return content.PhotoFile(self.pixels, icc=(self.info or {}).get("icc_profile"))


def several(photos: Any) -> bool:
    """Whether this is a sequence of photos rather than one."""
    if isinstance(photos, (Image.Image, str, os.PathLike)):
        return False
    return np.ndim(photos) == 4 if hasattr(photos, "__array__") else True


def open_picture(photo: Any) -> Picture:
    """A Picture of an array [H,W], [H,W,1..4] or of a PIL image.

    PIL's images are turned upright; black-and-white ones become gray, palette and other ones RGB,
    CMYK and Lab sRGB by their profile. Raises ValueError for anything else, such as images of 32
    bits or the path of a file.
    """
    _refuse_path(photo)
    info = None
    if isinstance(photo, Image.Image):
        photo, info = _upright(photo)
        if managed := profiles.of_pillow(photo, info.get("icc_profile")):
            photo = Image.fromarray(samples.from_pillow(photo, managed.change)[0])
            info |= {"icc_profile": managed.icc}
        deep = photo.mode in ("I;16", "I;16B", "I;16L", "I;16N")
        if photo.mode in ("I", "F"):
            raise ValueError(
                f"a PIL image of mode {photo.mode} has values of no known scale; "
                'convert it to "L", "RGB" or "I;16"'
            )
        if not deep and photo.mode not in ("L", "LA", "RGB", "RGBA"):
            plain = "L" if photo.mode == "1" else "RGB"
            photo = photo.convert("RGBA" if photo.has_transparency_data else plain)
        array = np.asarray(photo).astype(np.uint16) if deep else np.asarray(photo)
    else:
        array = np.asarray(photo)
    flat = array.ndim == 2
    array = array[..., None] if flat else array
    if array.ndim != 3 or array.shape[-1] not in (1, 2, 3, 4) or 0 in array.shape:
        raise ValueError(f"a photo is [H,W] or [H,W,1..4] and not empty, got {array.shape}")
    if array.dtype not in DEPTHS:
        raise ValueError(
            f"a photo is uint8 or uint16 at full scale, got {array.dtype}; photo.image.to_uint8 "
            "and to_uint16 make them of floats in 0..1"
        )
    transparent = array.shape[-1] in (2, 4)
    pixels = array[..., :-1] if transparent else array
    return Picture(
        np.ascontiguousarray(pixels), array[..., -1] if transparent else None, flat, info
    )


def open_mask(mask: Any) -> np.ndarray:
    """[H,W] uint8, 1 where a mask [H,W] or [H,W,1], array or PIL image, isn't 0.

    PIL's are turned upright, as photos are; arrays are of the upright photo. Raises ValueError for
    anything else.
    """
    _refuse_path(mask)
    if isinstance(mask, Image.Image):
        mask, _ = _upright(mask)
        mask = mask.convert("L") if mask.mode == "P" else mask  # numbers of colours say nothing
    array = np.asarray(mask)
    array = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    if array.ndim != 2:
        raise ValueError(f"a mask is [H,W] or [H,W,1], got {array.shape}")
    return (array != 0).astype(np.uint8)


def open_hints(given: Any, size: tuple[int, int]) -> hints.Hints:
    """Hints for a photo (H, W): of what a file of hints holds, or of a transparent picture over it.

    Those are [H,W,4] at full scale, or a PIL image with transparency. Raises ValueError for
    anything else, and for a picture of other proportions.
    """
    if isinstance(given, hints.Hints):
        return given
    if isinstance(given, Mapping):
        return hints.Hints(tuple(hints.parse(given)))
    one = open_picture(given)
    if one.alpha is None:
        raise ValueError("hints: the picture has no transparency; draw over the photo on a layer")
    colors = np.broadcast_to(one.seen, (*one.pixels.shape[:2], 3)).astype(one.alpha.dtype)
    picture = np.concatenate([colors, one.alpha[..., None]], axis=-1)
    hints.check(picture, *size)
    return hints.Hints(picture=picture)


def open_reference(photo: Any) -> choices.Reference:
    """The photo at a path, or what `open_picture` takes, as one whose colours others are to have.

    Raises ValueError, with the path, for one without colours.
    """
    if not isinstance(photo, str | os.PathLike):
        return choices.Reference(open_picture(photo).seen)
    try:
        return choices.Reference(encoding.view(files.read(photo)))
    except ValueError as error:
        raise ValueError(f"{photo}: {str(error).removeprefix(f'{photo}: ')}") from error


def close_picture(came: Picture, pixels: Any) -> Any:
    """What became of what is `seen` as what `came`: the same kind of thing, with alpha and info."""
    _, rows = encoding.returned(came.file, came.seen, pixels)
    array, info = rows[0 : rows.shape[0]], came.info
    if came.alpha is not None:
        array = np.concatenate([array, came.alpha[..., None]], axis=-1)
    array = array[..., 0] if array.shape[-1] == 1 and (came.flat or info is not None) else array
    if info is None or not _fits_pil(array):
        return array
    made = Image.fromarray(array)
    made.info |= info
    if not content.fitting(info.get("icc_profile"), pixels):
        made.info.pop("icc_profile", None)
    return made


def _refuse_path(thing: Any) -> None:
    if isinstance(thing, (str, os.PathLike)):
        raise ValueError(
            f"{thing}: is a path, and arrays or PIL images are taken here; open it "
            "with PIL.Image.open, or restore files with `oldphoto restore`"
        )


def _upright(photo: Image.Image) -> tuple[Image.Image, Info]:
    """The image as EXIF says it is to be seen, and what is handed on of its `info`."""
    info: Info = {name: photo.info[name] for name in ("icc_profile", "dpi") if photo.info.get(name)}
    block = photo.info.get("exif")
    try:
        orientation = photo.getexif().get(exif.ORIENTATION, 1)
    except (SyntaxError, struct.error):  # a broken block says nothing; the pixels are whole
        return photo, info
    swap = orientation in (5, 6, 7, 8)
    if orientation in range(2, 9):
        photo = ImageOps.exif_transpose(photo)
    if swap and "dpi" in info:
        info["dpi"] = info["dpi"][::-1]
    if block:
        with contextlib.suppress(ValueError):  # a broken block that PIL takes
            info["exif"] = exif.PREFIX + exif.upright(block.removeprefix(exif.PREFIX), swap)
    return photo, info


def _fits_pil(array: np.ndarray) -> bool:
    """PIL has no images of 16 bits with several channels: those stay arrays."""
    return array.dtype == np.uint8 or array.ndim == 2
