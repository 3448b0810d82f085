"""PNG files: Pillow unpacks them, OpenCV those of 16 bits, from the chunks that pixels need."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import ImageFile, PngImagePlugin

from oldphoto_jax.photo import samples
from oldphoto_jax.photo.codecs import png
from oldphoto_jax.photo.content import PhotoFile

HIDDEN = 1 << 20  # bytes of a chunk that OpenCV can be made to pass over


def opened(file: BinaryIO) -> tuple[PngImagePlugin.PngImageFile, PhotoFile]:
    """The image, its pixels still packed, and the photo without them."""
    found = png.chunks(file)
    beside = png.beside(file, found)
    return PngImagePlugin.PngImageFile(png.needed(file, found)), beside


def deep(
    image: ImageFile.ImageFile, file: BinaryIO, kind: int, faulty: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and alpha of 16 bits, which Pillow would cut to 8 if there is more than one channel.

    `kind` is PNG's colour type; `faulty` says that OpenCV may refuse the file as it is.
    """
    image.load()  # OpenCV fills up what is missing in silence; Pillow objects
    # Its pixels, which nobody needs; Pillow itself lets go of them so, and types them as there.
    image.im = None  # type: ignore[assignment]
    with _needed(file, faulty) as data:
        array = samples.from_opencv(data)
    color, has_alpha = kind & 2, kind & 4  # the bits of PNG's colour type
    count = 3 if color else 1
    pixels = array
    if array.shape[-1] != count:
        pixels = samples.by_bands(array, count, lambda band: band[..., :count])
    alpha = array[..., 3].copy() if has_alpha else _key_alpha(image, pixels)
    return pixels, alpha


@contextlib.contextmanager
def _needed(file: BinaryIO, faulty: bool) -> Iterator[mmap.mmap | bytes]:
    """The file without what OpenCV does not need, copied only where it is large or faulty."""
    found = png.chunks(file)
    if faulty:
        yield png.repacked(file, found)
        return
    if any(chunk.size > HIDDEN and chunk.name not in png.NEEDED for chunk in found.all):
        yield png.needed(file, found).read()
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as data:
        png.hide(data, found)
        yield data


def _key_alpha(image: ImageFile.ImageFile, pixels: np.ndarray) -> np.ndarray | None:
    """Alpha of a picture that names one colour as transparent."""
    key = image.info.get("transparency")
    if key is None:
        return None
    return np.where((pixels == np.array(key)).all(axis=-1), 0, 65535).astype(np.uint16)
