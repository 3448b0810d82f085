"""The bytes of a photo file to 8-bit RGB, fast and in all the formats that a folder may hold.

Training decodes thousands of photos a minute and wants 8 bits, so OpenCV does it where it can.
`photo.disk.files` reads the photos to be restored: slower, at full depth and with all that lies
beside.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, ImageOps


def decode(data: bytes) -> np.ndarray:
    """Decodes a photo file to uint8 [H,W,3] RGB, upright as its EXIF orientation says.

    Gray and palette photos become RGB, 16 bits become 8, alpha is dropped (the colours beneath
    it stay). Colour profiles are not applied. Raises ValueError for what is not a whole photo.
    """
    if not data:
        raise ValueError("the file is empty")
    if _looks_whole(data):
        try:
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # OpenCV's own limits; the slow path has others
            bgr = None
        if bgr is not None:
            return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return _decode_slowly(data)


def _looks_whole(data: bytes) -> bool:
    # OpenCV fills up what is missing of a cut-off JPEG or PNG with gray and says nothing.
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" in data[-64:]
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-64:]
    return True


def _decode_slowly(data: bytes) -> np.ndarray:
    """Pillow knows formats that OpenCV does not, and refuses photos that were cut off."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode[0] in "IF":  # Pillow would clip these to white instead of scaling them
                raise ValueError(f"Pillow's mode {image.mode} has more than 8 bits")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # a broken file can fail in any way, and must not stop a run
        raise ValueError(f"not a whole photo that can be decoded ({error})") from error
