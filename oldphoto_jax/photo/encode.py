"""A PhotoFile to the bytes of a PNG, TIFF, WebP or BMP file; `files.write` is the door.

PNG and TIFF are put together here, a band of rows at a time: no library at hand writes 16 bits
with alpha, gray or in colour, together with what lies beside the pixels, and bands keep a large
scan from being copied whole. Pillow writes WebP and BMP.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.decode import PROFILES, PhotoFile

BAND = 1 << 20  # bytes of samples
INCH = 0.0254  # metres
WEBP_SIDE = 16383
CLASSIC_TIFF = 2**32 - 2**27  # bytes; beyond, offsets need BigTIFF


def refusal(suffix: str, photo: PhotoFile) -> str | None:
    """Why the format of `suffix` cannot hold the photo with all that belongs to it, or None."""
    pixels, alpha, suffix = photo.pixels, photo.alpha, suffix.lower()
    if suffix in (".jpg", ".jpeg", ".jpe"):
        return "JPEG does not keep pixels as they are; name it .png, .tif or .webp"
    if suffix not in WRITERS:
        return f"no format for the suffix {suffix!r}; name it {', '.join(WRITERS)}"
    if pixels.dtype not in (np.uint8, np.uint16):
        return f"{pixels.dtype} pixels do not fit a file; use image.to_uint8 or to_uint16"
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or 0 in pixels.shape:
        return f"pixels must be [H,W,1] or [H,W,3], got {pixels.shape}"
    if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
        return (
            f"alpha is {alpha.shape} {alpha.dtype}, pixels are {pixels.shape} {pixels.dtype}; "
            "give alpha [H,W] of the same size and dtype"
        )
    return _refuse_beside(photo) or _refuse_format(suffix, photo)


def encode(file: BinaryIO, suffix: str, photo: PhotoFile) -> None:
    """Writes a photo that `refusal` has no objection to into an open file that can seek.

    The suffix says how: .png, .tif, .tiff, .webp or .bmp. A TIFF file takes over the tags of the
    EXIF block that `exif.describing` names, and the EXIF, interoperability and GPS directories;
    PNG and WebP take the block as it is.
    """
    WRITERS[suffix.lower()](file, photo)


def _refuse_beside(photo: PhotoFile) -> str | None:
    if photo.resolution and not exif.is_resolution(photo.resolution):
        return f"resolution {photo.resolution}: give 0.1 to 100,000 dots per inch, or None"
    own = PROFILES[photo.pixels.shape[-1]]
    if photo.icc is not None and photo.icc[16:20] != own:
        return (
            f"its ICC profile is for {photo.icc[16:20]!r}, the pixels are {own!r}; "
            "convert the pixels, or set icc to a profile that fits or to None"
        )
    if photo.exif is not None:
        try:
            exif.parse(photo.exif)
        except ValueError as error:
            return f"its EXIF block is damaged ({error}); set exif to None"
    return None


def _refuse_format(suffix: str, photo: PhotoFile) -> str | None:
    pixels = photo.pixels
    if suffix == ".webp":
        if pixels.dtype != np.uint8 or pixels.shape[-1] != 3:
            return "WebP holds RGB of 8 bits only; name it .png or .tif"
        if max(pixels.shape) > WEBP_SIDE:
            return f"{pixels.shape}: WebP ends at {WEBP_SIDE} pixels a side; name it .png or .tif"
    if suffix == ".bmp":
        if pixels.dtype != np.uint8 or photo.alpha is not None:
            return "BMP holds 8 bits without alpha only; name it .png or .tif"
        if photo.icc or photo.exif or photo.xmp:
            return "BMP holds no ICC profile, EXIF or XMP; name it .png or .tif"
    return None


def _bands(photo: PhotoFile) -> Iterator[np.ndarray]:
    """All channels [h,W,S], alpha last, some rows at a time: as many each time but the last."""
    step = _band_rows(photo)
    for top in range(0, photo.pixels.shape[0], step):
        band = photo.pixels[top : top + step]
        if photo.alpha is not None:
            band = np.concatenate([band, photo.alpha[top : top + step, :, None]], axis=-1)
        yield band


def _band_rows(photo: PhotoFile) -> int:
    return max(1, BAND // photo.pixels[0].nbytes)


def _packer():
    """Deflate that looks for runs alone: differences of grainy pixels hold no other repetition.

    On scans this takes half the time of zlib's own way or less, and leaves smaller files.
    """
    return zlib.compressobj(level=1, strategy=zlib.Z_RLE)


def _write_png(file: BinaryIO, photo: PhotoFile) -> None:
    height, width, colors = photo.pixels.shape
    size = photo.pixels.itemsize
    kind = (0 if colors == 1 else 2) + (0 if photo.alpha is None else 4)
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * size, kind, 0, 0, 0))
    if photo.icc:
        _chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc))
    if photo.resolution:
        dots = (round(value / INCH) for value in photo.resolution)
        _chunk(file, b"pHYs", struct.pack(">IIB", *dots, 1))
    if photo.exif:
        _chunk(file, b"eXIf", photo.exif)
    if photo.xmp:
        _chunk(file, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + photo.xmp)
    packer = _packer()
    above = None
    for band in _bands(photo):
        rows = np.ascontiguousarray(band, f">u{size}").view(np.uint8).reshape(len(band), -1)
        above = np.zeros_like(rows[:1]) if above is None else above
        if data := packer.compress(_filter(rows, above, size * band.shape[-1])):
            _chunk(file, b"IDAT", data)
        above = rows[-1:]
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _filter(rows: np.ndarray, above: np.ndarray, step: int) -> bytes:
    """PNG's filters Sub (1) and Up (2): each row less its left or upper neighbour, byte by byte.

    Whichever leaves the smaller numbers, which pack better. rows [h,B] and above [1,B] are uint8;
    `step` is the bytes of a pixel.
    """
    filtered = np.empty((2, len(rows), 1 + rows.shape[1]), np.uint8)
    left, up = filtered[..., 1:]
    filtered[..., 0] = [[1], [2]]
    left[:, :step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=left[:, step:])
    np.subtract(rows[:1], above, out=up[:1])
    np.subtract(rows[1:], rows[:-1], out=up[1:])
    sums = [np.minimum(x, -x).sum(axis=1, dtype=np.uint32) for x in (left, up)]  # 255 counts as -1
    smaller = np.argmin(sums, axis=0)
    return filtered[smaller, np.arange(len(rows))].tobytes()


def _chunk(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _write_tiff(file: BinaryIO, photo: PhotoFile) -> None:
    """Strips packed with deflate after the horizontal predictor, then the directory."""
    way = exif.order(photo.exif) if photo.exif else "<"
    samples = photo.pixels.nbytes + (0 if photo.alpha is None else photo.alpha.nbytes)
    big = samples > CLASSIC_TIFF
    mark = b"II" if way == "<" else b"MM"
    file.write(
        mark + (struct.pack(way + "HHHQ", 43, 8, 0, 0) if big else struct.pack(way + "HI", 42, 0))
    )
    offsets, counts = [], []
    for band in _bands(photo):
        steps = band.copy()
        steps[:, 1:] -= band[:, :-1]
        packer = _packer()
        data = packer.compress(steps.astype(steps.dtype.newbyteorder(way))) + packer.flush()
        offsets.append(file.tell())
        counts.append(len(data))
        file.write(data + bytes(len(data) % 2))
    start = file.tell()
    file.write(exif.pack(_tiff_tags(photo, way, big, offsets, counts), start, way, big))
    file.seek(8 if big else 4)
    file.write(struct.pack(way + ("Q" if big else "I"), start))


def _tiff_tags(
    photo: PhotoFile, way: str, big: bool, offsets: list[int], counts: list[int]
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
        258: short(*[8 * photo.pixels.itemsize] * (colors + alpha)),
        259: short(8),  # deflate
        262: short(1 if colors == 1 else 2),  # black is zero, RGB
        273: long(*offsets),
        exif.ORIENTATION: short(1),
        277: short(colors + alpha),
        278: long(_band_rows(photo)),
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


def _write_webp(file: BinaryIO, photo: PhotoFile) -> None:
    samples = np.concatenate(list(_bands(photo)))
    beside = {"icc_profile": photo.icc, "exif": _webp_exif(photo), "xmp": photo.xmp}
    given = {name: data for name, data in beside.items() if data}
    Image.fromarray(samples).save(file, "WEBP", lossless=True, exact=True, **given)


def _webp_exif(photo: PhotoFile) -> bytes | None:
    """WebP knows a resolution by its EXIF block alone."""
    way = exif.order(photo.exif) if photo.exif else "<"
    tags = exif.parse(photo.exif) if photo.exif else {}
    said = exif.resolution(tags, way)
    if not photo.resolution or said and np.allclose(said, photo.resolution, rtol=0, atol=INCH):
        return photo.exif
    return exif.pack_block(tags | exif.resolution_tags(photo.resolution, way), way)


def _write_bmp(file: BinaryIO, photo: PhotoFile) -> None:
    pixels = photo.pixels[..., 0] if photo.pixels.shape[-1] == 1 else photo.pixels
    Image.fromarray(pixels).save(file, "BMP", dpi=photo.resolution or (0, 0))


WRITERS = {
    ".png": _write_png,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".webp": _write_webp,
    ".bmp": _write_bmp,
}
