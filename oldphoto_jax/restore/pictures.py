"""What people have in their hands, arrays and PIL images, as pixels of a file and back again."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from PIL import Image

DEPTHS = (np.uint8, np.uint16)


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """pixels [H,W,1|3] and alpha [H,W] or None, of the same dtype; and what it came as."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    flat: bool  # an array [H,W]
    pil: bool


def several(photos: Any) -> bool:
    """Whether this is a sequence of photos rather than one."""
    if isinstance(photos, Image.Image):
        return False
    return np.ndim(photos) == 4 if hasattr(photos, "__array__") else True


def open_picture(photo: Any) -> Picture:
    """A Picture of an array [H,W], [H,W,1..4] or of a PIL image.

    PIL's black-and-white images become gray, palette, CMYK and other ones RGB. Raises ValueError
    for anything else, such as images of 32 bits.
    """
    pil = isinstance(photo, Image.Image)
    if pil:
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
    return Picture(np.ascontiguousarray(pixels), array[..., -1] if transparent else None, flat, pil)


def open_mask(mask: Any) -> np.ndarray:
    """[H,W] uint8, 1 where a mask [H,W] or [H,W,1], array or PIL image, isn't 0."""
    if isinstance(mask, Image.Image) and mask.mode == "P":
        mask = mask.convert("L")  # numbers of colours say nothing
    array = np.asarray(mask)
    array = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    if array.ndim != 2:
        raise ValueError(f"a mask is [H,W] or [H,W,1], got {array.shape}")
    return (array != 0).astype(np.uint8)


def close_picture(came: Picture, pixels: Any) -> Any:
    """Pixels (or rows of them) as what `came`: the same kind of thing, with its alpha."""
    array = pixels[0 : pixels.shape[0]]
    if came.alpha is not None:
        array = np.concatenate([array, came.alpha[..., None]], axis=-1)
    array = array[..., 0] if array.shape[-1] == 1 and (came.flat or came.pil) else array
    return Image.fromarray(array) if came.pil and _fits_pil(array) else array


def _fits_pil(array: np.ndarray) -> bool:
    """PIL has no images of 16 bits with several channels: those stay arrays."""
    return array.dtype == np.uint8 or array.ndim == 2
