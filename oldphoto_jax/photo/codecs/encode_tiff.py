"""TIFF files, put together a band of rows at a time; beyond 4 GB they are BigTIFF."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import rows
from oldphoto_jax.photo.codecs.encode_png import packer
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.types import Rows

CLASSIC = 2**32 - 2**27  # bytes of samples; beyond, offsets need BigTIFF
STRIP_OFFSETS, STRIP_COUNTS = 273, 279
KINDS = {"preview": 1, "photo": 2, "mask": 4}  # NewSubfileType; infra-red goes without


def write(file: BinaryIO, photo: PhotoFile[Rows]) -> None:
    """Strips packed with deflate after the horizontal predictor, then the directory."""
    way: exif.Order = exif.order(photo.exif) if photo.exif else "<"
    big = _size(photo) > CLASSIC
    file.write(_head(way, big))
    _write_directories(file, [_write_strips(file, photo, way)], way, big)


class Pages:
    """A file of several pages, put together one after another; their directories come at the end.

    Only then is the size of all known. All have the byte order of the first one's EXIF.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._way: exif.Order = "<"
        self._found: list[exif.Directory] = []

    def add(self, photo: PhotoFile[Rows]) -> None:
        """Writes the pixels of the next page."""
        if not self._found:
            self._way = exif.order(photo.exif) if photo.exif else "<"
            self._file.write(bytes(16))  # the head of a BigTIFF file, should it become one
        tags = _write_strips(self._file, photo, self._way)
        if kind := KINDS.get(photo.role):
            tags |= {254: exif.numbers(exif.LONG, self._way, kind)}
        self._found.append(tags)

    def close(self) -> None:
        """Writes the directories, and at last the head; nothing where there is no page."""
        if not self._found:
            return
        end = self._file.tell()
        big = end > CLASSIC
        self._file.seek(0)
        self._file.write(_head(self._way, big))
        self._file.seek(end)
        _write_directories(self._file, self._found, self._way, big)


def _head(way: str, big: bool) -> bytes:
    """The start of a file; where the first directory lies is still to be told."""
    mark = b"II" if way == "<" else b"MM"
    return mark + (
        struct.pack(way + "HHHQ", 43, 8, 0, 0) if big else struct.pack(way + "HI", 42, 0)
    )


def _write_strips(file: BinaryIO, photo: PhotoFile[Rows], way: exif.Order) -> exif.Directory:
    """Writes the pixels where the file stands; returns the directory that tells of them."""
    offsets, counts = [], []
    for band in _bands(photo):
        steps = band.copy()
        steps[:, 1:] -= band[:, :-1]
        packed = packer()
        data = packed.compress(steps.astype(steps.dtype.newbyteorder(way))) + packed.flush()
        offsets.append(file.tell())
        counts.append(len(data))
        file.write(data + bytes(len(data) % 2))
    return _tags(photo, way) | {
        STRIP_OFFSETS: exif.numbers(exif.LONG8, way, *offsets),
        STRIP_COUNTS: exif.numbers(exif.LONG8, way, *counts),
    }


def _write_directories(
    file: BinaryIO, found: list[exif.Directory], way: exif.Order, big: bool
) -> None:
    """Writes the directories, each pointed to by the one before and the first by the head."""
    pointer = 8 if big else 4
    for tags in found:
        if not big:
            for tag in (STRIP_OFFSETS, STRIP_COUNTS):
                value = tags[tag]
                assert isinstance(value, exif.Value)
                values = np.frombuffer(value.data, way + "u8").astype(way + "u4")
                tags = tags | {tag: exif.Value(exif.LONG, values.tobytes())}
        start = file.tell()
        file.write(exif.pack(tags, start, way, big))
        end = file.tell()
        file.seek(pointer)
        file.write(struct.pack(way + ("Q" if big else "I"), start))
        file.seek(end)
        pointer = start + (8 + 20 * len(tags) if big else 2 + 12 * len(tags))


def _size(photo: PhotoFile[Rows]) -> int:
    """Bytes of all samples."""
    extra = 0 if photo.extra is None else photo.extra.nbytes
    return rows.size(photo) + extra


def _bands(photo: PhotoFile[Rows]) -> Iterator[np.ndarray]:
    """All channels [h,W,S], the further ones last."""
    top = 0
    for band in rows.bands(photo):
        end = top + len(band)
        yield (
            band
            if photo.extra is None
            else np.concatenate([band, photo.extra[top:end]], axis=-1, dtype=band.dtype)
        )
        top = end


def _tags(photo: PhotoFile[Rows], way: exif.Order) -> exif.Directory:
    height, width, colors = photo.pixels.shape
    kinds: tuple[int, ...] = () if photo.alpha is None else (2,)  # straight alpha
    kinds += () if photo.extra is None else photo.extra_kinds

    def short(*values: int) -> exif.Value:
        return exif.numbers(exif.SHORT, way, *values)

    def long(*values: int) -> exif.Value:
        return exif.numbers(exif.LONG, way, *values)

    tags: exif.Directory = {}
    if photo.exif:
        tags = exif.in_order(exif.describing(exif.parse(photo.exif)), exif.order(photo.exif), way)
    tags |= {
        256: long(width),
        257: long(height),
        258: short(*[8 * photo.pixels.dtype.itemsize] * (colors + len(kinds))),
        259: short(8),  # deflate
        262: short(1 if colors == 1 else 2),  # black is zero, RGB
        exif.ORIENTATION: short(1),
        277: short(colors + len(kinds)),
        278: long(rows.height(photo)),
        284: short(1),  # the channels of a pixel lie together
        317: short(2),  # horizontal predictor
    }
    if kinds:
        tags[338] = short(*kinds)
    if photo.resolution:
        tags |= exif.resolution_tags(photo.resolution, way)
    if photo.xmp:
        tags[exif.XMP] = exif.Value(1, photo.xmp)
    if photo.iptc:
        tags[exif.IPTC] = exif.Value(exif.UNDEFINED, photo.iptc)
    if photo.resources:
        tags[exif.RESOURCES] = exif.Value(1, photo.resources)
    if photo.icc:
        tags[exif.ICC] = exif.Value(exif.UNDEFINED, photo.icc)
    return tags
