"""TIFF files, put together a band of rows at a time; beyond 4 GB they are BigTIFF."""

from __future__ import annotations

import struct
from typing import BinaryIO

from oldphoto_jax.photo import exif, rows
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.encode_png import packer
from oldphoto_jax.photo.types import Rows

CLASSIC = 2**32 - 2**27  # bytes of samples; beyond, offsets need BigTIFF


def write(file: BinaryIO, photo: PhotoFile[Rows]) -> None:
    """Strips packed with deflate after the horizontal predictor, then the directory."""
    way: exif.Order = exif.order(photo.exif) if photo.exif else "<"
    big = rows.size(photo) > CLASSIC
    mark = b"II" if way == "<" else b"MM"
    file.write(
        mark + (struct.pack(way + "HHHQ", 43, 8, 0, 0) if big else struct.pack(way + "HI", 42, 0))
    )
    offsets, counts = [], []
    for band in rows.bands(photo):
        steps = band.copy()
        steps[:, 1:] -= band[:, :-1]
        packed = packer()
        data = packed.compress(steps.astype(steps.dtype.newbyteorder(way))) + packed.flush()
        offsets.append(file.tell())
        counts.append(len(data))
        file.write(data + bytes(len(data) % 2))
    start = file.tell()
    file.write(exif.pack(_tags(photo, way, big, offsets, counts), start, way, big))
    file.seek(8 if big else 4)
    file.write(struct.pack(way + ("Q" if big else "I"), start))


def _tags(
    photo: PhotoFile[Rows], way: str, big: bool, offsets: list[int], counts: list[int]
) -> exif.Directory:
    height, width, colors = photo.pixels.shape
    alpha = photo.alpha is not None

    def short(*values: int) -> exif.Value:
        return exif.numbers(exif.SHORT, way, *values)

    def long(*values: int) -> exif.Value:
        return exif.numbers(exif.LONG8 if big else exif.LONG, way, *values)

    tags = exif.describing(exif.parse(photo.exif)) if photo.exif else {}
    tags |= {
        256: long(width),
        257: long(height),
        258: short(*[8 * photo.pixels.dtype.itemsize] * (colors + alpha)),
        259: short(8),  # deflate
        262: short(1 if colors == 1 else 2),  # black is zero, RGB
        273: long(*offsets),
        exif.ORIENTATION: short(1),
        277: short(colors + alpha),
        278: long(rows.height(photo)),
        279: long(*counts),
        284: short(1),  # the channels of a pixel lie together
        317: short(2),  # horizontal predictor
    }
    if alpha:
        tags[338] = short(2)  # straight alpha
    if photo.resolution:
        tags |= exif.resolution_tags(photo.resolution, way)
    if photo.xmp:
        tags[exif.XMP] = exif.Value(1, photo.xmp)
    if photo.icc:
        tags[exif.ICC] = exif.Value(exif.UNDEFINED, photo.icc)
    return tags
