"""A sheet that shows a photo before and after: its pictures side by side, with captions."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from oldphoto_jax.photo import image
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.types import Rows
from oldphoto_jax.restore import detect

HEIGHT = 480  # pixels; of each picture
WIDE, WIDEST = 1.6, 2.5  # widths in heights: from here on two in a row; wider ones are shown lower
PAPER, INK = (250, 248, 243), (60, 56, 50)
MARGIN, LETTERS = 1 / 24, 1 / 20  # in heights: around pictures; the size of the letters
SMALLEST_MARGIN, SMALLEST_LETTERS = 8, 14  # pixels
STRIP = 1 << 20  # pixels that are worked on at once
QUALITY = 90  # of sheets as JPEG


def draw(pictures: Sequence[tuple[str, Rows]], height: int = HEIGHT) -> np.ndarray:
    """The pictures, each with its caption below, as one picture uint8 [H,W,3].

    Each is a caption and pixels [H,W,1|3], uint8 or uint16; of these rows are taken some at a
    time, so that anything will do that has a shape and whose rows can be sliced. All are shown
    `height` pixels high, or as high as the highest of them where that is less; lower, if one were
    wider than WIDEST times that. From WIDE on they stand two in a row. The font is Pillow's own: of
    captions, letters that are not English become boxes. Raises ValueError for no pictures, other
    shapes or dtypes, and a height under 1.
    """
    if not pictures:
        raise ValueError("a sheet of no pictures: give at least one")
    shapes = [_shape(pixels) for _, pixels in pictures]
    high = _height(shapes, height)
    widths = [_width(shape, high) for shape in shapes]
    shown = [
        np.broadcast_to(shrink(pixels, high, wide), (high, wide, 3))
        for (_, pixels), wide in zip(pictures, widths, strict=True)
    ]
    captions = [readable(caption) for caption, _ in pictures]
    return _lay_out(shown, captions, 2 if max(widths) > WIDE * high else len(shown), height)


def write(
    path: str | os.PathLike, pictures: Sequence[tuple[str, Rows]], height: int = HEIGHT
) -> None:
    """Draws the pictures and writes the sheet, as JPEG or PNG by the suffix of `path`.

    It appears whole or not at all. Raises PhotoError where it cannot be written.
    """
    quality = None if pathlib.Path(path).suffix.lower() == ".png" else QUALITY
    files.write(path, PhotoFile(draw(pictures, height)), quality=quality)


def found(pixels: Rows, mask: Rows, height: int = HEIGHT) -> np.ndarray:
    """A photo with its defects in red, uint8 [height,w,3], as `draw` takes it.

    pixels [H,W,1|3] are uint8 or uint16, mask [H,W] is above 0 where damaged. The photo is made
    small first, and a small pixel is red wherever there is damage in it: scratches of a large
    scan, thin as they are, stay visible.
    """
    shape = _shape(pixels)
    if tuple(mask.shape) != shape[:2]:
        raise ValueError(f"a mask of shape {tuple(mask.shape)} for pixels of {shape}")
    high = _height([shape], height)
    wide = _width(shape, high)

    def whiten(rows: np.ndarray) -> np.ndarray:
        return (np.asarray(rows) > 0)[..., None] * np.uint8(255)

    return detect.overlay(shrink(pixels, high, wide), _in_strips(mask, high, wide, whiten)[..., 0])


def shrink(pixels: Rows, height: int, width: int) -> np.ndarray:
    """Pixels [H,W,1|3], uint8 or uint16, averaged over areas to uint8 [height,width,1|3].

    The rows are taken some at a time; beside the result only a picture [H,width] is ever held.
    """
    _shape(pixels)
    small = _in_strips(pixels, height, width, np.asarray)
    return small if small.dtype == np.uint8 else image.to_uint8(image.to_float(small))


def readable(text: str) -> str:
    """A text on one line, in characters that can be encoded, as names of files need not be."""
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())


def _in_strips(
    pixels: Rows, height: int, width: int, prepare: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    step = max(1, STRIP // pixels.shape[1])
    columns = min(width, pixels.shape[1])
    strips = (prepare(pixels[top : top + step]) for top in range(0, pixels.shape[0], step))
    narrow = [image.resize(strip, len(strip), columns) for strip in strips]
    return image.resize(np.concatenate(narrow), height, width)


def _shape(pixels: Rows) -> tuple[int, ...]:
    """[H,W,C] of what is a picture; raises ValueError for what is none."""
    shape = tuple(pixels.shape)
    if len(shape) != 3 or shape[-1] not in (1, 3) or 0 in shape:
        raise ValueError(f"pictures are [H,W,1] or [H,W,3], got {shape}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pictures are uint8 or uint16, got {pixels.dtype}")
    return shape


def _height(shapes: Sequence[tuple[int, ...]], height: int) -> int:
    """How high pictures of these shapes are shown: not enlarged, and none of them too wide."""
    if height < 1:
        raise ValueError(f"height {height}: give at least 1 pixel")
    limit = min(WIDEST * height * rows / columns for rows, columns, *_ in shapes)
    return max(1, round(min(height, max(shape[0] for shape in shapes), limit)))


def _width(shape: tuple[int, ...], height: int) -> int:
    return max(1, round(height * shape[1] / shape[0]))


def _lay_out(
    shown: Sequence[np.ndarray], captions: Sequence[str], columns: int, height: int
) -> np.ndarray:
    """Pictures of one height in rows of `columns`; cells are as wide as what stands in them."""
    margin = max(SMALLEST_MARGIN, round(MARGIN * height))
    letters = max(SMALLEST_LETTERS, round(LETTERS * height))
    # By its type it may also be Pillow's font of one size, which it never is where a size is given.
    font = cast(ImageFont.FreeTypeFont, ImageFont.load_default(letters))
    line = sum(font.getmetrics())
    high = len(shown[0])
    cells = [
        max(picture.shape[1], math.ceil(font.getlength(caption)))
        for picture, caption in zip(shown, captions, strict=True)
    ]
    wide = [max(cells[column::columns]) for column in range(min(columns, len(cells)))]
    step = high + margin // 2 + line + margin
    rows = -(-len(shown) // columns)
    size = (margin + sum(cell + margin for cell in wide), margin + rows * step)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (picture, caption) in enumerate(zip(shown, captions, strict=True)):
        row, column = divmod(number, columns)
        middle = margin + sum(cell + margin for cell in wide[:column]) + wide[column] // 2
        top = margin + row * step
        sheet.paste(
            Image.fromarray(np.ascontiguousarray(picture)), (middle - picture.shape[1] // 2, top)
        )
        pen.text((middle, top + high + margin // 2), caption, INK, font, anchor="ma")
    return np.array(sheet)
