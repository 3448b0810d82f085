"""Photo files on disk: found, read at full depth and upright, written without loss."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from oldphoto_jax.photo import content, image, xmp_packet
from oldphoto_jax.photo.codecs import decode, encode_tiff, kinds, place, upright
from oldphoto_jax.photo.codecs.encode import encode, refusal
from oldphoto_jax.photo.content import Header, PhotoError, PhotoFile, Pixels
from oldphoto_jax.photo.disk.survey import survey
from oldphoto_jax.photo.types import Rows

TIFF = (".tif", ".tiff")

# What the decoders raise when the bytes make no sense.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,  # of libheif
    SyntaxError,
    TypeError,
    ValueError,
    cv2.error,
    struct.error,
    zlib.error,
)
MAX_PIXELS = 500_000_000


def read(
    path: str | os.PathLike, max_pixels: int = MAX_PIXELS, page: int = 0
) -> PhotoFile[np.ndarray]:
    """Reads a JPEG, PNG, TIFF, WebP, HEIC or BMP file upright, of TIFF a page that `pages` lists.

    Of the formats in `more_formats`, which are not written, it reads the first picture.
    1-bit and palette pictures become 8-bit gray or RGB, inks (CMYK) and Lab become sRGB by their
    profile, as `notes` tell; 16 bits stay 16. What lies beside the pixels comes along, made to fit
    them: the orientation is 1 in EXIF and XMP, and an ICC profile for other channels is left out.
    Of a TIFF file's own tags those that describe the photo become the EXIF block. IPTC, comments,
    PNG's text, extended XMP and what follows a JPEG picture in its file are carried, too; not what
    shows the photo as it was (thumbnails, previews, gain maps) and what `PhotoFile.left_behind`
    names. JPEG and PNG files with faults that cost no pixel, such as a missing end, are read and
    noted.

    The pixels are read-only. Those of a large uncompressed TIFF file stay in it until they are
    looked at, so the file must stay as it is while they are in use.

    Raises PhotoError for a file that is missing, empty, cut off, damaged, no image, of another
    depth, or whose header promises more than `max_pixels`; the last before any pixel is allocated.
    """
    with _opened(Path(path)) as file:
        photo, orientation = decode.decode(file, max_pixels, page)
    photo = upright.turned(photo, orientation)
    if photo.format and (said := kinds.misnamed(path, photo.format)):
        photo.notes = (said, *photo.notes)
    photo.pixels.flags.writeable = False
    return photo


def header(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Header:
    """The size of a photo file as `read` would return it, upright, and its format.

    Only headers are read, and no pixel is decoded: a few hundred files a second. Raises PhotoError
    as `read` does where the header suffices to know.
    """
    with _opened(Path(path)) as file:
        found = decode.header(file, max_pixels)
    return Header(*upright.sides(found), found.format, found.orientation)


def pages(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> tuple[content.Page, ...]:
    """What `read` can read of a file, page after page: first the photo, or the first of several.

    By the headers alone. Of TIFF, previews (a smaller picture of another page), masks and infra-red
    channels (a gray page behind each colour page, of the same size, as some scanners write it) are
    told from photos; all other formats have one page. Raises PhotoError where `header` does.
    """
    with _opened(Path(path)) as file:
        found = decode.pages(file, max_pixels)
    return tuple(
        content.Page(index, role, *upright.sides(stored), stored.orientation)
        for index, (role, stored) in enumerate(found)
    )


def write(path: str | os.PathLike, photo: PhotoFile[Rows], quality: int | None = None) -> None:
    """Writes a photo in the format that the suffix of `path` names; without loss, or not at all.

    PNG and TIFF hold all that `refusal` looks at; what else a format cannot hold (IPTC, comments,
    text ...) `encode.left_out` names. WebP holds 8-bit RGB and alpha (where it is opaque all over,
    none is read again); BMP 8 bits without alpha, ICC profile, EXIF or XMP. EXIF survives byte by
    byte in PNG and WebP; in TIFF its directories do, and the tags of `exif.DESCRIBING`, but camera
    makers' notes may not be readable at their new place. PNG rounds the resolution to pixels per
    metre.

    With a `quality` from 1 to 100 there are two more, which lose: JPEG, 8 bits without alpha, and
    HEIC, where 100 keeps 8 bits as they are and 16 bits become 12. Both keep full colour (4:4:4),
    ICC profile, EXIF and XMP. What followed a JPEG picture follows the new one, at the places that
    XMP and MPF name. The other formats stay without loss.

    Rows made on the way (`types.Rows`) go to PNG and TIFF band by band; the others take them whole.

    The file appears whole or not at all: it is written beside its place and then renamed. Raises
    PhotoError for what the format cannot hold, for JPEG and HEIC without a quality, and where the
    folder cannot be written.
    """
    path = Path(path)
    if reason := refusal(path.suffix, photo, quality):
        raise PhotoError(f"{path}: {reason}")
    with _appearing(path) as file:
        try:
            encode(file, path.suffix, photo, quality)
        except PhotoError as error:
            raise PhotoError(f"{path}: {error}") from error


def write_pages(path: str | os.PathLike, pages: Iterable[PhotoFile[Rows]]) -> None:
    """Writes a TIFF file of several pages, each with what lies beside it, as `write` does.

    One page after another is asked for and written. Raises as `appending` does.
    """
    with appending(path) as add:
        for photo in pages:
            add(photo)


@contextlib.contextmanager
def appending(path: str | os.PathLike) -> Iterator[Callable[[PhotoFile[Rows]], None]]:
    """What adds a page to a TIFF file, which appears with all of them at the end, or not at all.

    A page's `role` is told in its directory, so that `files.pages` finds it again; infra-red must
    follow its photo. Raises PhotoError as `write` does, for a suffix that is not TIFF's, and where
    no page was added.
    """
    path = Path(path)
    if path.suffix.lower() not in TIFF:
        raise PhotoError(f"{path}: only TIFF holds several pages; name it .tif")
    count = 0

    def add(photo: PhotoFile[Rows]) -> None:
        nonlocal count
        count += 1
        if reason := refusal(path.suffix, photo):
            raise PhotoError(f"{path}: page {count}: {reason}")
        binder.add(photo)

    with _appearing(path) as file:
        binder = encode_tiff.Pages(file)
        yield add
        binder.close()
        if not count:
            raise PhotoError(f"{path}: no page to write; give one at least")


def copy(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Copies a file byte by byte; the copy appears whole or not at all. Raises as `write` does."""
    with Path(source).open("rb") as original, _appearing(Path(path)) as file:
        shutil.copyfileobj(original, file)


def write_png(path: str | os.PathLike, pixels: np.ndarray) -> None:
    """Writes uint8 or uint16 pixels, gray [H,W,1] or RGB [H,W,3], as `write` does, as PNG."""
    if Path(path).suffix.lower() != ".png":
        raise PhotoError(f"{path}: write_png writes PNG files; name it .png")
    write(path, PhotoFile(pixels))


def strip_gps(photo: PhotoFile[Pixels]) -> PhotoFile[Pixels]:
    """The photo without the place where it was taken; the pixels are shared.

    Gone are GPS from EXIF, its bytes too, and from XMP, IPTC and PNG's text the coordinates and the
    names of places, as `place` lists them. What of these cannot be understood is left out, and so
    is what follows the picture in a JPEG file, such as a phone's film. Words that people wrote,
    such as a caption or a comment, stay. Raises PhotoError for a damaged EXIF block.
    """
    try:
        block = photo.exif and place.without_exif(photo.exif)
    except ValueError as error:
        raise PhotoError(f"its EXIF block is damaged ({error}); set exif to None") from error
    packet, iptc = photo.xmp and place.without_xmp(photo.xmp), place.without_iptc(photo.iptc or b"")
    if packet and iptc != (photo.iptc or b""):
        packet = xmp_packet.without(packet, xmp_packet.IPTC_DIGEST)
    told = "what follows the picture in its file was left out, as it may say a place"
    return dataclasses.replace(
        photo,
        exif=block,
        xmp=packet,
        iptc=iptc or None,
        extended_xmp=photo.extended_xmp and place.without_xmp(photo.extended_xmp),
        texts=place.without_texts(photo.texts),
        trailer=None,
        index=None,
        notes=(*photo.notes, told) if photo.trailer else photo.notes,
    )


def find(path: str | os.PathLike) -> list[Path]:
    """The photos in a folder and all below it, as `survey` finds them, sorted.

    A path to a single file returns that file, whatever it is. Raises PhotoError if there is nothing
    at the path, or a folder that cannot be read.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise PhotoError(f"{path}: there is no such file or folder; check the path")
    return survey(path).photos


def rgb(pixels: np.ndarray) -> np.ndarray:
    """Pixels of a file, [H,W,1 or 3], as a network takes them: float32 [H,W,3], 0..1."""
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise ValueError(f"rgb takes [H,W,1] or [H,W,3], got {pixels.shape}")
    return np.broadcast_to(image.to_float(pixels), (*pixels.shape[:2], 3)).copy()


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file to be written, which has its name and all of its bytes at the end, or never was."""
    # Always the same name, so that what a killed run left is written over; and a short one
    part = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The open file; whatever goes wrong with it becomes a PhotoError that names it."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise PhotoError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise PhotoError(
            f"{path}: cannot be opened ({error.strerror}); check what it is"
        ) from error
    with file:
        if not os.fstat(file.fileno()).st_size:
            raise PhotoError(f"{path}: the file is empty; copy it again")
        try:
            yield file
        except PhotoError as error:
            raise PhotoError(f"{path}: {error}") from error
        except DAMAGED as error:
            raise PhotoError(
                f"{path}: damaged or cut off ({error}); copy the file again or scan the photo again"
            ) from error
