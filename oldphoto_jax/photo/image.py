"""Geometry and number formats of photos: resize, pad, crop, bytes to floats and back.

`pad_to`, `crop` and `to_float` take NumPy and JAX arrays; the rest is host work with OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_jax.photo.types import AnyArray, Array

RESIZABLE = ("uint8", "uint16", "float32", "float64")
GROWING = {"cubic": cv2.INTER_CUBIC, "bilinear": cv2.INTER_LINEAR}


def resize(image: np.ndarray, height: int, width: int, growing: str = "cubic") -> np.ndarray:
    """[H,W,C] to [height,width,C], same dtype: area averages where it shrinks, `growing` where not.

    `growing` is "cubic" or "bilinear". An axis that shrinks is averaged first, one that grows is
    interpolated after. Cubic overshoot is cut to the image's own range, so that no value appears
    that is lighter or darker than all of the image. Raises for other dtypes (bool and float16
    among them), more than 4 channels and empty sizes.
    """
    _check_image(image, "resize")
    if image.dtype.name not in RESIZABLE:
        raise TypeError(f"resize takes {', '.join(RESIZABLE)}, got {image.dtype}: convert it first")
    if image.shape[-1] > 4:
        raise ValueError(f"resize takes up to 4 channels, got {image.shape[-1]}: split the image")
    if height < 1 or width < 1:
        raise ValueError(f"resize to {height} x {width}: both sides must be at least 1")
    if growing not in GROWING:
        raise ValueError(f"growing={growing!r}: choose one of {', '.join(GROWING)}")
    rows, columns, channels = image.shape
    small = (min(width, columns), min(height, rows))
    resized = image
    if small != (columns, rows):
        resized = cv2.resize(resized, small, interpolation=cv2.INTER_AREA)
    if small != (width, height):
        resized = cv2.resize(resized, (width, height), interpolation=GROWING[growing])
        resized = np.clip(resized, image.min(), image.max())
    return resized.reshape(height, width, channels)  # OpenCV drops a single channel's axis


def pad_to(image: AnyArray, height: int, width: int) -> AnyArray:
    """Mirrors [..,H,W,C] at its bottom and right edge until it measures height x width.

    The edge pixel itself is not repeated, and the mirror goes back and forth where the padding is
    larger than the image. `crop(padded, 0, 0, H, W)` undoes it. Raises where the image is larger.
    """
    rows, columns = image.shape[-3:-1]
    if rows > height or columns > width:
        raise ValueError(
            f"pad_to({height}, {width}): the image is larger, {rows} x {columns}; crop it instead"
        )
    xp = image.__array_namespace__()
    image = xp.take(image, _mirror(rows, height), axis=-3)
    return xp.take(image, _mirror(columns, width), axis=-2)


def crop(image: AnyArray, top: int, left: int, height: int, width: int) -> AnyArray:
    """The height x width window of [..,H,W,C] whose first pixel is (top, left); it must fit."""
    rows, columns = image.shape[-3:-1]
    fits = 0 <= top <= rows - height and 0 <= left <= columns - width
    if not fits or height < 1 or width < 1:
        raise ValueError(
            f"crop of {height} x {width} at ({top}, {left}) does not fit into {rows} x {columns}"
        )
    return image[..., top : top + height, left : left + width, :]


def random_crop(photo: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A size x size window of [H,W,C] at a random place.

    A photo with a side below `size` is enlarged first, proportions kept, until it just fits.
    """
    _check_image(photo, "random_crop")
    rows, columns = photo.shape[:2]
    short = min(rows, columns)
    if short < size:
        rows, columns = (max(size, round(side * size / short)) for side in (rows, columns))
        photo = resize(photo, rows, columns)
    top, left = rng.integers(rows - size + 1), rng.integers(columns - size + 1)
    return crop(photo, int(top), int(left), size, size)


def is_gray(image: np.ndarray) -> bool:
    """Whether all channels of [H,W,C] are the same, everywhere."""
    first = image[..., 0]
    return all(np.array_equal(first, image[..., n]) for n in range(1, image.shape[-1]))


def to_float(image: AnyArray) -> AnyArray:
    """uint8 or uint16 at full scale to float32 0..1. Raises for anything else."""
    if image.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"to_float takes uint8 or uint16, got {image.dtype}")
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def to_uint8(image: Array) -> np.ndarray:
    """Floats 0..1 to uint8, rounded to the nearest and clipped. NaN raises."""
    return _to_integer(image, np.uint8)


def to_uint16(image: Array) -> np.ndarray:
    """Floats 0..1 to uint16, rounded to the nearest and clipped. NaN raises."""
    return _to_integer(image, np.uint16)


def _to_integer(image: Array, dtype: type) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype.kind in "iub":
        raise TypeError(f"to_{dtype.__name__} takes floats 0..1, got {image.dtype}")
    image = image.astype(np.float32)
    if np.isnan(image).any():
        raise ValueError(f"{int(np.isnan(image).sum())} of {image.size} values are NaN")
    return np.rint(np.clip(image, 0, 1) * np.float32(np.iinfo(dtype).max)).astype(dtype)


def _mirror(length: int, wanted: int) -> np.ndarray:
    """Index of the pixel that stands at 0..wanted-1 when `length` pixels are mirrored on and on."""
    period = max(2 * (length - 1), 1)
    place = np.arange(wanted) % period
    return np.minimum(place, period - place) if length > 1 else np.zeros(wanted, int)


def _check_image(image: np.ndarray, name: str) -> None:
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(f"{name} takes one image [H,W,C] that is not empty, got {image.shape}")
