"""A PhotoFile to the bytes of an image file; `files.write` is the door.

PNG, TIFF and JPEG are put together in modules of their own: no library at hand writes 16 bits with
alpha, gray or in colour, together with what lies beside the pixels, and bands keep a large scan
from being copied whole. Pillow writes WebP and BMP, pillow-heif HEIC.
"""

from __future__ import annotations

import dataclasses
from typing import BinaryIO

import numpy as np
from PIL import Image

from oldphoto_jax.photo import encoding, exif, xmp_packet
from oldphoto_jax.photo.codecs import encode_jpeg, encode_png, encode_tiff, heif, png_text, rows
from oldphoto_jax.photo.content import PROFILES, PhotoFile
from oldphoto_jax.photo.types import Rows

JPEG, HEIC = (".jpg", ".jpeg", ".jpe"), (".heic", ".heif", ".hif")
PROFILED = (*JPEG, *HEIC, ".tif", ".tiff", ".webp")  # hold a profile, and no chunks of PNG
WEBP_SIDE = 16383
JPEG_COMMENT = encode_jpeg.SEGMENT  # bytes, the most
HELD = {  # by suffix, what of a PhotoFile's further fields the format holds; the others hold none
    ".png": {"iptc", "comments", "texts", "encoding", "resources"},
    ".tif": {"iptc", "extra", "resources"},
    ".tiff": {"iptc", "extra", "resources"},
    **dict.fromkeys(HEIC, {"cICP"}),
    **dict.fromkeys(JPEG, {"iptc", "comments", "extended_xmp", "trailer", "resources"}),
}


def refusal(suffix: str, photo: PhotoFile[Rows], quality: int | None = None) -> str | None:
    """Why the format of `suffix` cannot hold the photo with all that belongs to it, or None."""
    pixels, alpha, extra, suffix = photo.pixels, photo.alpha, photo.extra, suffix.lower()
    if suffix not in (*WRITERS, *JPEG, *HEIC):
        return f"no format for the suffix {suffix!r}; name it {', '.join((*WRITERS, '.jpg'))}"
    if quality is not None and not 1 <= quality <= 100:
        return f"quality {quality}: give a number from 1 to 100, or None for no loss"
    if quality is None and suffix not in WRITERS:
        name = "JPEG" if suffix in JPEG else "HEIC"
        return f"{name} does not keep pixels as they are; name it .png, .tif or .webp"
    if pixels.dtype not in (np.uint8, np.uint16):
        return f"{pixels.dtype} pixels do not fit a file; use image.to_uint8 or to_uint16"
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or 0 in pixels.shape:
        return f"pixels must be [H,W,1] or [H,W,3], got {pixels.shape}"
    if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
        return (
            f"alpha is {alpha.shape} {alpha.dtype}, pixels are {pixels.shape} {pixels.dtype}; "
            "give alpha [H,W] of the same size and dtype"
        )
    if extra is not None and (
        extra.shape != (*pixels.shape[:2], len(photo.extra_kinds)) or extra.dtype != pixels.dtype
    ):
        return (
            f"extra is {extra.shape} {extra.dtype} of kinds {photo.extra_kinds}, pixels are "
            f"{pixels.shape} {pixels.dtype}; give extra [H,W,E] of the same size and dtype, and E "
            "kinds"
        )
    return _refuse_beside(photo) or _refuse_format(suffix, photo)


def left_out(suffix: str, photo: PhotoFile[Rows]) -> list[str]:
    """What of a photo a file of this suffix will lack, in short phrases such as "IPTC".

    Only what is told and then left out: for what must not be lost there is `refusal`.
    """
    suffix = suffix.lower()
    held, photo = HELD.get(suffix, set()), _fitted(suffix, photo)
    lost = {name: words for name, words in _further(photo).items() if words and name not in held}
    if not held & {"encoding"} and (names := _encoding(photo) - held):
        lost["encoding"] = f"PNG's {', '.join(sorted(names))}"
    return [*photo.left_behind, *lost.values()]


def encode(file: BinaryIO, suffix: str, photo: PhotoFile[Rows], quality: int | None = None) -> None:
    """Writes a photo that `refusal` has no objection to into an open file that can seek.

    The suffix says how. A TIFF file takes over the tags of the EXIF block that `exif.describing`
    names, and the EXIF, interoperability and GPS directories; the others take the block as it is.
    """
    suffix = suffix.lower()
    photo = _fitted(suffix, photo)
    if quality is not None and suffix in JPEG:
        encode_jpeg.write(file, photo, quality)
    elif quality is not None and suffix in HEIC:
        heif.write(file, photo, quality)
    else:
        WRITERS[suffix](file, photo)


def _fitted(suffix: str, photo: PhotoFile[Rows]) -> PhotoFile[Rows]:
    """The photo with what can cross formats where this one has it, and XMP that points at no loss.

    An extended packet that stays one is what the format will lack; JPEG alone holds it.
    """
    packet, extended, texts, comments = photo.xmp, photo.extended_xmp, photo.texts, photo.comments
    if packet and extended and suffix in JPEG:
        packet, extended = xmp_packet.pointing(packet, extended), extended
    elif packet:
        whole = xmp_packet.merged(packet, extended) if extended else None
        packet = whole or xmp_packet.without(packet, xmp_packet.POINTER)
        extended = None if whole else extended
    if packet and not (suffix in JPEG and photo.trailer):
        packet = xmp_packet.without(packet, xmp_packet.FILM)
    if suffix in JPEG:
        crossing = {text: png_text.to_comment(png_text.Text(*text), JPEG_COMMENT) for text in texts}
        texts = tuple(text for text in texts if crossing[text] is None)
        comments += tuple(comment for comment in crossing.values() if comment is not None)
    profile = photo.icc or (encoding.gamma_profile(photo) if suffix in PROFILED else None)
    return dataclasses.replace(
        photo, icc=profile, xmp=packet, extended_xmp=extended, texts=texts, comments=comments
    )


def _further(photo: PhotoFile[Rows]) -> dict[str, str]:
    """Words for each field of what not every format holds; none where there is nothing."""
    channels = 0 if photo.extra is None else photo.extra.shape[-1]
    names = dict.fromkeys(data.partition(b"\0")[0].decode("latin-1") for _, data in photo.texts)
    film = b"ftyp" in (photo.trailer or b"")
    picture = "pictures" if photo.index else "film" if film else "data"
    return {
        "extra": f"{channels} further channel{'s' * (channels != 1)}" if channels else "",
        "iptc": "IPTC" if photo.iptc else "",
        "extended_xmp": "extended XMP" if photo.extended_xmp else "",
        "comments": "JPEG comments" if photo.comments else "",
        "texts": f"PNG text {', '.join(names)}" if names else "",
        "trailer": f"{picture} behind the picture" if photo.trailer else "",
        "resources": "Photoshop's image resources" if photo.resources else "",
    }


def _encoding(photo: PhotoFile[Rows]) -> set[str]:
    """PNG's chunks that say more than that the pixels are sRGB, as all take them to be.

    A profile or an sRGB chunk comes before gAMA and cHRM, which then are there for old programs.
    """
    names = {name for name, _ in photo.encoding} - {b"sRGB"}
    if photo.icc or any(name == b"sRGB" for name, _ in photo.encoding):
        names -= {b"gAMA", b"cHRM"}
    return {name.decode() for name in names}


def _refuse_beside(photo: PhotoFile[Rows]) -> str | None:
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


def _refuse_format(suffix: str, photo: PhotoFile[Rows]) -> str | None:
    pixels = photo.pixels
    if suffix in JPEG:
        return encode_jpeg.refusal(photo)
    if suffix in HEIC:
        return heif.refusal()
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


def _write_webp(file: BinaryIO, photo: PhotoFile[Rows]) -> None:
    block = exif.with_resolution(photo.exif, photo.resolution)  # WebP knows it by EXIF alone
    beside = {"icc_profile": photo.icc, "exif": block, "xmp": photo.xmp}
    given = {name: data for name, data in beside.items() if data}
    picture = Image.fromarray(rows.whole(photo))
    picture.save(file, "WEBP", lossless=True, exact=True, **given)


def _write_bmp(file: BinaryIO, photo: PhotoFile[Rows]) -> None:
    pixels = rows.whole(photo)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    Image.fromarray(pixels).save(file, "BMP", dpi=photo.resolution or (0, 0))


WRITERS = {  # those without loss
    ".png": encode_png.write,
    ".tif": encode_tiff.write,
    ".tiff": encode_tiff.write,
    ".webp": _write_webp,
    ".bmp": _write_bmp,
}
