"""TIFF files to a PhotoFile: any page of them, at its own depth."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from tifffile import PHOTOMETRIC

from oldphoto_jax.photo import content, exif, icc, profiles
from oldphoto_jax.photo.codecs import photoshop, tiff_channels, tiff_header, tiff_pages, tiff_strips
from oldphoto_jax.photo.codecs.tiff_header import Layout
from oldphoto_jax.photo.content import PhotoError, PhotoFile

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNNAMED = "Its channel {} has no name; of a scanner's, it may be infra-red. It is kept."
LOST = "A further page should start at byte {} of {}, where none is: it is lost, cut off perhaps."
LAYERS = 37724  # Photoshop's ImageSourceData
LINEAR = "Its light is linear, as a scanner or camera measured it (LinearRaw of DNG)."


def header(file: BinaryIO, max_pixels: int) -> content.Stored:
    """What the photo in a file says of itself; refuses what `decode` would refuse by it."""
    with _mapped(file) as data:
        layout = tiff_header.read(tiff_pages.find(data)[0].directory, max_pixels)
        turned = tiff_header.orientation(layout.directory)
        return content.Stored(layout.width, layout.height, turned, "TIFF")


def pages(file: BinaryIO) -> list[tuple[str, content.Stored]]:
    """Role and size of all pages by their headers, the photo first; see `tiff_pages`."""
    with _mapped(file) as data:
        return [
            (
                page.role,
                content.Stored(
                    *tiff_header.size(page.directory),
                    tiff_header.orientation(page.directory),
                    "TIFF",
                ),
            )
            for page in tiff_pages.find(data)
        ]


def decode(file: BinaryIO, max_pixels: int, number: int = 0) -> tuple[PhotoFile[np.ndarray], int]:
    """A page, and the orientation to apply, by EXIF's number.

    Uncompressed pixels from `tiff_strips.MAPPED` bytes on stay in the file, and come in as they are
    looked at, where they lie there as a PhotoFile has them.
    """
    with _mapped(file) as data:
        lost: list[int] = []
        found = tiff_pages.find(data, lost)
        if not 0 <= number < len(found):
            raise PhotoError(f"it has {len(found)} pages; there is no page {number + 1}")
        layout = tiff_header.read(found[number].directory, max_pixels)
        managed = _managed(layout)
        channels = tiff_channels.split(tiff_strips.samples(file, layout), layout, managed)
        photo = _with_tags(layout, channels, found[number].role, managed is not None)
        if lost and number == 0:
            photo.notes, photo.faulty = (*photo.notes, LOST.format(*lost, len(data))), True
        return managed.told(photo) if managed else photo, tiff_header.orientation(layout.directory)


def _managed(layout: Layout) -> profiles.Conversion | None:
    """The conversion that the samples of a page need, or None. Raises as `profiles.inks` does."""
    dtype = np.dtype(np.uint16 if layout.bits == 16 else np.uint8)
    if layout.photometric == PHOTOMETRIC.SEPARATED:
        return profiles.inks(layout.directory.content(exif.ICC), dtype)
    return profiles.lab(layout.photometric, dtype) if layout.photometric in profiles.LAB_8 else None


@contextlib.contextmanager
def _mapped(file: BinaryIO) -> Iterator[mmap.mmap]:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _with_tags(
    layout: Layout, channels: tiff_channels.Channels, role: str, managed: bool
) -> PhotoFile[np.ndarray]:
    """The photo with what its directory says beside it, and that which it lies below."""
    page = layout.directory
    tags = exif.directory(page.data, page.start, page.order, page.big)
    if page.parent:
        tags = exif.directory(page.data, page.parent.start, page.order, page.big) | tags
    given = (tags.pop(tag, None) for tag in (exif.ICC, exif.XMP, exif.IPTC, exif.RESOURCES))
    profile, xmp, iptc, packed = (
        one.data if isinstance(one, exif.Value) else None for one in given
    )
    further, resources = photoshop.split(packed or b"")
    beside = exif.describing(tags)
    notes = list(layout.notes)
    if layout.photometric == PHOTOMETRIC.LINEAR_RAW:
        notes.append(LINEAR)
        profile = profile or icc.linear(channels.pixels.shape[-1])
    left = ["Photoshop's layers"] if LAYERS in tags else []
    if not managed:
        left += content.misfit(profile, channels.pixels)
    for place, kind in enumerate(layout.extras, start=layout.colors + 1):
        if kind == 0 and (layout.colors == 3 or tiff_header.EXTRAS not in page.spots):
            notes.append(UNNAMED.format(place))
    return PhotoFile(
        channels.pixels,
        channels.alpha,
        icc=content.fitting(profile, channels.pixels),
        exif=exif.pack_block(beside, page.order) if beside else None,
        xmp=xmp,
        resolution=exif.resolution(tags, page.order),
        format="TIFF",
        extra=channels.extra,
        extra_kinds=channels.extra_kinds,
        iptc=_data_sets(iptc or b"") or further,
        resources=resources,
        notes=tuple(notes),
        left_behind=tuple(left),
        faulty=layout.faulty,
        role=role,
    )


def _data_sets(data: bytes) -> bytes | None:
    """IPTC's data sets; old programs swapped their bytes, as if they were whole numbers."""
    if data[:1] != b"\x1c" and data[3:4] == b"\x1c":
        whole = np.frombuffer(data.ljust(-(-len(data) // 4) * 4, b"\0"), "<u4")
        data = whole.astype(">u4").tobytes()
    end = 0
    while data[end : end + 1] == b"\x1c" and end + 5 <= len(data):
        end += 5 + int.from_bytes(data[end + 3 : end + 5])
    return data[: min(end, len(data))] or None
