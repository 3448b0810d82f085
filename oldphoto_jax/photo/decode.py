"""The bytes of an image file to a PhotoFile at the file's own depth; `files.read` is the door.

No one library reads all that scanners write. Pillow does everything of 8 bits or less, OpenCV
16-bit PNG and the 16-bit TIFF codecs, tifffile the other TIFF layouts (planar, big-endian,
BigTIFF). The header says who reads; nobody is tried on the off chance.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
import zlib

import cv2
import numpy as np
import tifffile
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PLANARCONFIG, SAMPLEFORMAT

from oldphoto_jax.photo import exif

# Opened by class, because Image.open holds its own, global limit on the size.
PILLOW = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
)
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PLAIN_CODECS = (  # those that tifffile has without its large companion imagecodecs
    COMPRESSION.NONE,
    COMPRESSION.DEFLATE,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.PACKBITS,
)
COLOR_CHANNELS = {
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.SEPARATED: 4,
}
LARGEST_PROFILE = 1 << 26  # bytes, unpacked
PROFILES = {1: b"GRAY", 3: b"RGB "}  # by channels: what an ICC profile says it is for


class PhotoError(ValueError):
    """A photo file that cannot be used: which one, what is wrong with it, how to mend it."""


@dataclasses.dataclass
class PhotoFile:
    """What a photo file holds: pixels at their own depth, and what lies beside them.

    pixels      [H,W,1] gray or [H,W,3] RGB, uint8 or uint16 at full scale
    alpha       [H,W] of the same dtype, straight (not multiplied into the colours), or None
    icc         the colour profile of these pixels
    exif        an EXIF block, from its byte order mark on
    xmp         an XMP packet
    resolution  dots per inch (x, y)
    format      of the file it came from: "BMP", "JPEG", "PNG", "TIFF" or "WEBP"
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: tuple[float, float] | None = None
    format: str | None = None


def decode(data: bytes, max_pixels: int) -> tuple[PhotoFile, int]:
    """Decodes a JPEG, PNG, TIFF, WebP or BMP file by its first bytes, whatever its name says.

    Returns all as stored, and the orientation to apply, by EXIF's number. Raises PhotoError for
    what this house refuses, and whatever the decoder raises (ValueError, OSError, SyntaxError ...)
    for damaged bytes.
    """
    if data.startswith(TIFF):
        return _decode_tiff(data, max_pixels)
    for magic, reader in PILLOW:
        if data.startswith(magic):
            image = _open(reader, data)
            _check_size(*image.size, max_pixels)
            deep = reader is PngImagePlugin.PngImageFile and data[24] == 16  # bits a channel
            pixels, alpha = _decode_deep_png(image, data) if deep else _split_pillow(image)
            return _with_beside(image, pixels, alpha), _orientation(image)
    raise PhotoError("not a JPEG, PNG, TIFF, WebP or BMP file; convert it to one of them")


def _open(reader: type[ImageFile.ImageFile], data: bytes) -> ImageFile.ImageFile:
    profile = None
    if reader is PngImagePlugin.PngImageFile:
        data, profile = _split_large_profile(data)
    try:
        image = reader(io.BytesIO(data))
    except Image.DecompressionBombError as error:  # of WebP alone, which insists on Pillow's limit
        raise PhotoError(f"{error} Save it as PNG or TIFF.") from error
    if profile:
        image.info["icc_profile"] = profile
    return image


def _split_large_profile(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG file without an ICC profile that is too large for Pillow, and that profile."""
    start, name = 8, b""
    while start + 8 <= len(data) and name not in (b"iCCP", b"IDAT"):
        size, name = struct.unpack_from(">I4s", data, start)
        start, body = start + 12 + size, data[start + 8 : start + 8 + size]
    if name == b"iCCP":
        unpacker = zlib.decompressobj()
        with contextlib.suppress(zlib.error):  # a damaged profile: Pillow passes over it
            profile = unpacker.decompress(body.partition(b"\0")[2][1:], LARGEST_PROFILE)
            if len(profile) > PngImagePlugin.MAX_TEXT_CHUNK:
                rest = data[: start - 12 - size] + data[start:]
                return rest, profile if unpacker.eof else None
    return data, None


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PhotoError(
            f"its header says {width} x {height} pixels, more than max_pixels={max_pixels}; "
            "raise the limit if you trust the file"
        )


def _split_pillow(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray or colour, and alpha if there is any, of a file that Pillow has opened."""
    image.load()
    if image.mode[0] in "IF":
        raise PhotoError(f"Pillow's {image.mode} pixels; save it with 8 or 16 bits a channel")
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if not image.has_transparency_data:
        pixels = np.array(image.convert(mode))
        return pixels.reshape(*pixels.shape[:2], -1), None
    samples = np.array(image.convert(mode + "A"))
    return samples[..., :-1].copy(), samples[..., -1].copy()


def _with_beside(image: Image.Image, pixels: np.ndarray, alpha: np.ndarray | None) -> PhotoFile:
    """The photo with what Pillow has found beside the pixels of a file that it has loaded."""
    # ImageMagick puts EXIF into PNG as text: an empty line, a name, a length, lines of hex.
    text = image.info.get("Raw profile type exif", "")
    try:
        block = image.info.get("exif") or bytes.fromhex("".join(text.split("\n")[3:]))
        block = block.removeprefix(exif.PREFIX)
        said = exif.resolution(exif.parse(block), exif.order(block))
    except ValueError:  # no EXIF, or a broken one that says nothing; the pixels are whole
        block, said = None, None
    dots = image.info.get("dpi")
    if image.format == "JPEG" and image.info.get("jfif_unit") not in (1, 2):
        dots = None  # Pillow's guess from EXIF, 72 if it cannot read it
    return PhotoFile(
        pixels,
        alpha,
        icc=_fitting(image.info.get("icc_profile"), pixels),
        exif=block,
        xmp=image.info.get("xmp") or None,
        resolution=(float(dots[0]), float(dots[1])) if dots and exif.is_resolution(dots) else said,
        format=image.format,
    )


def _fitting(profile: bytes | None, pixels: np.ndarray) -> bytes | None:
    """The profile, unless it is for other channels: that of inks (CMYK) goes with the inks."""
    return profile if profile and profile[16:20] == PROFILES[pixels.shape[-1]] else None


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(exif.ORIENTATION, 1)
    except (
        SyntaxError,
        ValueError,
        struct.error,
    ):  # broken EXIF says nothing; the pixels are whole
        return 1


def _decode_deep_png(image: Image.Image, data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """PNG of 16 bits, which Pillow would cut to 8 where there is more than one channel."""
    image.load()  # OpenCV fills up what is missing in silence; Pillow objects
    samples = _with_opencv(data)
    color, has_alpha = data[25] & 2, data[25] & 4  # the bits of PNG's colour type
    pixels = np.ascontiguousarray(samples[..., : 3 if color else 1])
    alpha = samples[..., 3].copy() if has_alpha else _key_alpha(image, pixels)
    return pixels, alpha


def _key_alpha(image: Image.Image, pixels: np.ndarray) -> np.ndarray | None:
    """Alpha of a 16-bit PNG that names one colour as transparent."""
    key = image.info.get("transparency")
    if key is None:
        return None
    return np.where((pixels == np.array(key)).all(axis=-1), 0, 65535).astype(np.uint16)


def _with_opencv(data: bytes | bytearray) -> np.ndarray:
    """Samples [H,W,C] in the order R, G, B, A."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise ValueError("OpenCV cannot decode it")
    if samples.ndim == 2:
        return samples[..., None]
    order = [2, 1, 0, 3][: samples.shape[-1]]
    return samples[..., order]


def _decode_tiff(data: bytes, max_pixels: int) -> tuple[PhotoFile, int]:
    """The first page; extra channels that the file does not call alpha are left aside."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        _check_page(page, len(data), max_pixels)
        tag = page.tags.get(exif.ORIENTATION)
        direct = page.photometric in COLOR_CHANNELS and page.bitspersample >= 8
        if page.bitspersample <= 8 and not (direct and page.compression in PLAIN_CODECS):
            stored = io.BytesIO(_upright(data, tag, file.byteorder))
            pixels, alpha = _split_pillow(TiffImagePlugin.TiffImageFile(stored))
        elif not direct:
            raise PhotoError(f"{page.photometric.name} at 16 bits; save it as gray or RGB")
        elif page.compression in PLAIN_CODECS:
            pixels, alpha = _split_tiff(_plain_samples(page), page)
        else:
            samples = _packed_samples(page, _upright(data, tag, file.byteorder))
            pixels, alpha = _split_tiff(samples, page)
        tags = exif.directory(data, page.offset, file.byteorder, file.is_bigtiff)
        photo = _with_tags(tags, file.byteorder, pixels, alpha)
        return photo, int(tag.value) if tag else 1


def _with_tags(
    tags: exif.Directory, order: str, pixels: np.ndarray, alpha: np.ndarray | None
) -> PhotoFile:
    """The photo with what a TIFF directory says beside it."""
    beside = exif.describing(tags)
    icc, xmp = (tags[tag].data if tag in tags else None for tag in (exif.ICC, exif.XMP))
    return PhotoFile(
        pixels,
        alpha,
        icc=_fitting(icc, pixels),
        exif=exif.pack_block(beside, order) if beside else None,
        xmp=xmp,
        resolution=exif.resolution(tags, order),
        format="TIFF",
    )


def _plain_samples(page: tifffile.TiffPage) -> np.ndarray:
    """All channels [H,W,S] of a page that tifffile can unpack."""
    samples = page.asarray()
    if page.planarconfig == PLANARCONFIG.SEPARATE and samples.ndim == 3:
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    return samples.astype(samples.dtype.newbyteorder("="))


def _packed_samples(page: tifffile.TiffPage, data: bytes | bytearray) -> np.ndarray:
    """All channels [H,W,S] of a 16-bit page that OpenCV's libtiff can unpack."""
    planes = page.planarconfig == PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
    if planes or page.samplesperpixel not in (1, 3, 4):  # OpenCV returns other pixels for these
        raise PhotoError(
            f"{page.samplesperpixel} channels of 16 bits, {page.planarconfig.name}, packed with "
            f"{page.compression.name}; save it without compression or with deflate"
        )
    samples = _with_opencv(data)
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    if samples.shape != shape or samples.dtype != np.uint16:
        raise ValueError(f"OpenCV unpacks {samples.shape} {samples.dtype} instead of {shape}")
    return samples


def _check_page(page: tifffile.TiffPage, size: int, max_pixels: int) -> None:
    """Refuses by the header alone, before a pixel is decoded."""
    _check_size(page.imagewidth, page.imagelength, max_pixels)
    parts = zip(page.dataoffsets, page.databytecounts, strict=True)
    end = max((offset + count for offset, count in parts), default=0)
    if 0 in page.databytecounts or not 0 < end <= size:
        raise ValueError(f"parts are missing: its pixels end at byte {end} of {size}")
    if page.bitspersample not in (1, 2, 4, 8, 16) or page.sampleformat != SAMPLEFORMAT.UINT:
        raise PhotoError(
            f"{page.bitspersample}-bit samples of format {page.sampleformat}; "
            "save it with 8 or 16 bits a channel"
        )


def _upright(data: bytes, tag: tifffile.TiffTag | None, byteorder: str) -> bytes | bytearray:
    """The file with its orientation tag reset: OpenCV and Pillow return the pixels as stored."""
    if tag is None:
        return data
    data = bytearray(data)
    one = np.array(1, f"{byteorder}u{tag.valuebytecount}").tobytes()
    data[tag.valueoffset : tag.valueoffset + len(one)] = one
    return data


def _split_tiff(
    samples: np.ndarray, page: tifffile.TiffPage
) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray or RGB, and alpha if there is any, of all the channels of a page."""
    top = np.iinfo(samples.dtype).max
    count = COLOR_CHANNELS[page.photometric]
    if samples.shape[-1] < count:
        raise ValueError(f"{samples.shape[-1]} channels, but {page.photometric.name} has {count}")
    pixels = samples[..., :count]
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        pixels = top - pixels
    if page.photometric == PHOTOMETRIC.SEPARATED:
        light = (top - pixels).astype(np.uint32)
        pixels = _divide(light[..., :3] * light[..., 3:], top).astype(samples.dtype)
    for channel, kind in enumerate(page.extrasamples, start=count):
        if kind == EXTRASAMPLE.UNASSALPHA:
            return np.ascontiguousarray(pixels), samples[..., channel].copy()
        if kind == EXTRASAMPLE.ASSOCALPHA:  # colour was stored multiplied by alpha
            alpha = samples[..., channel].copy()
            cover = np.maximum(alpha, 1)[..., None].astype(np.uint32)
            full = _divide(pixels.astype(np.uint32) * top, cover)
            return np.minimum(full, top).astype(samples.dtype), alpha
    return np.ascontiguousarray(pixels), None


def _divide(value: np.ndarray, by: np.ndarray | int) -> np.ndarray:
    """Whole-number division, rounded to the nearest; 65535 * 65535 just fits 32 bits."""
    return (value + by // 2) // by
