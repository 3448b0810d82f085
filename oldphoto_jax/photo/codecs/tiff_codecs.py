"""The codecs of TIFF files: what they are called, and parts unpacked by the library that can.

libtiff, which comes with Pillow, unpacks bytes whatever they mean, if it is told that they are a
gray picture of 8 bits; so what follows, from 1 bit to 16, is done in one way for all codecs.
imagecodecs, the extra `codecs`, has those that the others lack.
"""

from __future__ import annotations

import functools
import io
import itertools
import types
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import TiffImagePlugin, WebPImagePlugin
from tifffile import COMPRESSION

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import jpeg

NONE, LZW, OLD_JPEG, JPEG, PACKBITS, LZMA, ZSTD, WEBP = 1, 5, 6, 7, 32773, 34925, 50000, 50001
FAX, DEFLATE = (2, 3, 4), (8, 32946)
BYTES = (LZW, PACKBITS, LZMA, ZSTD)
BY_LIBTIFF = (*BYTES, *FAX, JPEG)
OF_BYTES = (NONE, *DEFLATE, *BYTES)  # they do not know of pictures
PREDICTED = (LZW, *DEFLATE, LZMA, ZSTD)  # libtiff has no differences with others
OWN_COLORS = (OLD_JPEG, JPEG)  # YCbCr comes out of them as RGB
FURTHEST = {NONE: 1, PACKBITS: 64, LZW: 2560} | dict.fromkeys(DEFLATE, 1032)  # times, unpacked
PICTURES = {  # codecs of whole pictures, and what imagecodecs calls them
    **dict.fromkeys((33003, 33004, 33005, 34712), "jpeg2k"),
    **{22610: "jpegxr", 34933: "png", 34934: "jpegxr", 34887: "lerc", 34892: "jpeg8"},
    **{50002: "jpegxl", 52546: "jpegxl"},
}
UNLOCKED = (*DEFLATE, *PICTURES)  # threads can unpack several parts at a time
CALLED = {7: "JPEG of other than 8 bits", 34712: "JPEG 2000", 50002: "JPEG XL", 52546: "JPEG XL"}
PROBES = {  # one byte, packed
    ZSTD: bytes.fromhex("28b52ffd200109000041"),
    LZMA: bytes.fromhex(
        "fd377a585a000004e6d6b446020021010c0000008f98419c010000410000000097e7038c07c635c8"
        "00011901a52c81cc1fb6f37d010000000004595a"
    ),
}


def name(codec: int) -> str:
    """What a codec is called; of one that nobody knows, the number."""
    try:
        return CALLED.get(codec) or COMPRESSION(codec).name
    except ValueError:
        return str(codec)


def refusal(codec: int, bits: int) -> str | None:
    """Why samples of so many bits in this codec cannot be unpacked here, or None."""
    if codec in (NONE, LZW, PACKBITS, *DEFLATE) or codec in FAX and bits == 1:
        return None
    if codec in (*OWN_COLORS, WEBP) and bits == 8 or codec in BYTES and _has_libtiff(codec):
        return None
    extra = "jpeg" if codec == JPEG else PICTURES.get(codec)
    extra = {LZMA: "lzma", ZSTD: "zstd"}.get(codec, extra)
    if extra and bits >= 8 and _codecs(extra):
        return None
    mend = "save it without compression"
    if extra and not _codecs(extra):
        mend = f"pip install 'oldphoto-jax[codecs]', or {mend}"
    return f"packed with {name(codec)} ({bits} bits), which cannot be unpacked here; {mend}"


def unpack(codec: int, datas: list[bytes], size: int) -> bytes:
    """The first `size` bytes of each of some parts that are no pictures to their codec."""
    if codec == NONE:
        return datas[0][:size]
    if codec in DEFLATE:
        return b"".join(zlib.decompressobj().decompress(data, size) for data in datas)
    if codec in (PACKBITS, LZW) or _has_libtiff(codec):
        return _libtiff(datas, codec, size, 1, {}).tobytes()
    decode = _decoder({LZMA: "lzma", ZSTD: "zstd"}[codec])
    return b"".join(bytes(decode(data, out=size)) for data in datas)


def unpack_fax(
    codec: int, datas: list[bytes], rows: int, columns: int, options: Mapping[int, int]
) -> bytes:
    """Rows of bits, each filled up to whole bytes; `options` are the tags T4 and T6Options."""
    tags: exif.Directory = {tag: exif.numbers(exif.LONG, "<", options[tag]) for tag in options}
    return _libtiff(datas, codec, columns, rows, tags, bits=1).tobytes()


def unpack_jpeg(
    datas: list[bytes],
    rows: int,
    columns: int,
    samples: int,
    tables: bytes | None,
    ycbcr: bool,
) -> np.ndarray:
    """Samples [N*rows,columns,S] of N parts; YCbCr becomes RGB.

    How many times smaller its colours are, the streams say better than the tags of many files.
    Raises ValueError where the end of a stream is missing, and samples with it.
    """
    tags: exif.Directory = {347: exif.Value(exif.UNDEFINED, tables)} if tables else {}
    kind = {1: 1, 2: 1, 3: 2, 4: 5}[samples]  # black is zero, RGB, inks: passed through
    kind = 6 if ycbcr else kind
    if samples == 2:
        tags[338] = exif.numbers(exif.SHORT, "<", 2)
    streams = [datas]
    if any(data.rfind(jpeg.EOI) < 0 for data in datas):
        bare = [data.rstrip(b"\xff") for data in datas]  # the half of a marker may be left of it
        streams = [[data + fill + jpeg.EOI for data in bare] for fill in jpeg.FILLS]
    array, *others = (
        np.asarray(_libtiff(one, JPEG, columns, rows, tags, samples, kind=kind)) for one in streams
    )
    if any(not np.array_equal(array, other) for other in others):
        raise ValueError("the end of its pixels (JPEG) is missing, and samples with it")
    return array.reshape(len(datas) * rows, columns, samples)


def unpack_picture(codec: int, data: bytes, tables: bytes | None) -> np.ndarray:
    """Samples [H,W] or [H,W,S], by imagecodecs where Pillow cannot."""
    if codec == WEBP:
        return np.asarray(WebPImagePlugin.WebPImageFile(io.BytesIO(data)))
    if codec == JPEG:
        return _decoder("jpeg")(data, tables=tables)
    return _decoder(PICTURES[codec])(data)


def _libtiff(
    datas: list[bytes],
    codec: int,
    width: int,
    rows: int,
    tags: exif.Directory,
    samples: int = 1,
    bits: int = 8,
    kind: int = 1,
) -> TiffImagePlugin.TiffImageFile:
    """Parts as the strips, of so many rows each, of a TIFF file of their own, read by Pillow."""

    def short(*values: int) -> exif.Value:
        return exif.numbers(exif.SHORT, "<", *values)

    def long(*values: int) -> exif.Value:
        return exif.numbers(exif.LONG, "<", *values)

    ends = list(itertools.accumulate(map(len, datas), initial=8))
    tags = tags | {
        **{256: long(width), 257: long(rows * len(datas)), 258: short(*[bits] * samples)},
        **{259: short(codec), 262: short(kind), 273: long(*ends[:-1]), 277: short(samples)},
        **{278: long(rows), 279: long(*map(len, datas)), 284: short(1)},
    }
    start = ends[-1] + ends[-1] % 2
    head = b"II*\0" + start.to_bytes(4, "little")
    directory = exif.pack(tags, start, "<")
    stream = io.BytesIO(b"".join([head, *datas, bytes(start - ends[-1]), directory]))
    image = TiffImagePlugin.TiffImageFile(stream)
    image.load()
    return image


@functools.cache
def _has_libtiff(codec: int) -> bool:
    """Whether Pillow's libtiff was built with this codec."""
    try:
        _libtiff([PROBES[codec]], codec, 1, 1, {})
    except (OSError, ValueError):
        return False
    return True


def _decoder(called: str) -> Callable[..., Any]:
    return getattr(_imagecodecs(), f"{called}_decode")


def _codecs(called: str) -> bool:
    """Whether imagecodecs is there and has this codec."""
    library = _imagecodecs()
    return library is not None and getattr(library, called.upper()).available


@functools.cache
def _imagecodecs() -> types.ModuleType | None:
    try:
        import imagecodecs
    except ImportError:
        return None
    return imagecodecs
