"""Photo files on disk: found, read at full depth and upright, written without loss."""

from __future__ import annotations

import dataclasses
import os
import struct
import uuid
import zlib
from pathlib import Path

import cv2
import numpy as np

from oldphoto_jax.photo import image
from oldphoto_jax.photo.decode import PhotoError, decode

EXTENSIONS = (".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# What the decoders raise when the bytes make no sense.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    cv2.error,
    struct.error,
    zlib.error,
)

# EXIF orientation: (swap rows and columns, then flip rows, flip columns)
UPRIGHT = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclasses.dataclass
class PhotoFile:
    """What a photo file holds, upright and at its own depth.

    pixels  [H,W,1] gray or [H,W,3] RGB, uint8 or uint16 at full scale
    alpha   [H,W] of the same dtype, straight (not multiplied into the colours), or None
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None


def read(path: str | os.PathLike, max_pixels: int = 500_000_000) -> PhotoFile:
    """Reads a JPEG, PNG, TIFF, WebP or BMP file, first page or frame, and applies its orientation.

    1-bit, palette and CMYK pictures become 8-bit gray or RGB; 16 bits stay 16. Raises PhotoError
    for a file that is missing, empty, cut off, damaged, no image, of another depth, or whose
    header promises more than `max_pixels`; the last before any pixel is allocated.
    """
    path = Path(path)
    data = _bytes(path)
    try:
        decoded = decode(data, max_pixels)
    except PhotoError as error:
        raise PhotoError(f"{path}: {error}") from error
    except DAMAGED as error:
        raise PhotoError(
            f"{path}: damaged or cut off ({error}); copy the file again or scan the photo again"
        ) from error
    pixels = _turn(decoded.pixels, decoded.orientation)
    alpha = None if decoded.alpha is None else _turn(decoded.alpha, decoded.orientation)
    return PhotoFile(pixels, alpha)


def write_png(path: str | os.PathLike, pixels: np.ndarray) -> None:
    """Writes uint8 or uint16 pixels, gray [H,W,1] or RGB [H,W,3], without loss.

    The file appears whole or not at all: it is written beside its place and then renamed. Raises
    PhotoError for other arrays and where the folder cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise PhotoError(f"{path}: write_png writes PNG files; name it .png")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise PhotoError(
            f"{path}: {pixels.dtype} pixels do not fit a PNG; use image.to_uint8 or to_uint16"
        )
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or 0 in pixels.shape:
        raise PhotoError(f"{path}: pixels must be [H,W,1] or [H,W,3], got {pixels.shape}")
    done, encoded = cv2.imencode(".png", pixels[..., ::-1])  # OpenCV's channel order is B, G, R
    if not done:
        raise PhotoError(f"{path}: OpenCV cannot encode {pixels.shape} {pixels.dtype} as PNG")
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(encoded.tobytes())
        os.replace(part, path)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)


def find(path: str | os.PathLike) -> list[Path]:
    """The image files in a folder and all below it, by suffix, sorted, hidden ones left out.

    A path to a single file returns that file, whatever its suffix. Raises PhotoError if there is
    nothing at the path.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise PhotoError(f"{path}: there is no such file or folder; check the path")
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    )


def rgb(pixels: np.ndarray) -> np.ndarray:
    """Pixels of a file, [H,W,1 or 3], as a network takes them: float32 [H,W,3], 0..1."""
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise ValueError(f"rgb takes [H,W,1] or [H,W,3], got {pixels.shape}")
    return np.broadcast_to(image.to_float(pixels), (*pixels.shape[:2], 3)).copy()


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PhotoError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise PhotoError(
            f"{path}: cannot be opened ({error.strerror}); check what it is"
        ) from error
    if not data:
        raise PhotoError(f"{path}: the file is empty; copy it again")
    return data


def _turn(array: np.ndarray, orientation: int) -> np.ndarray:
    """Makes [H,W,..] upright; a number that EXIF does not know means as it is, as in viewers."""
    swap, rows, columns = UPRIGHT.get(orientation, UPRIGHT[1])
    array = np.swapaxes(array, 0, 1) if swap else array
    array = array[::-1] if rows else array
    array = array[:, ::-1] if columns else array
    return np.ascontiguousarray(array)
