"""Which directories of a TIFF file are photos, and which are previews, masks or infra-red."""

from __future__ import annotations

import dataclasses
import mmap

from tifffile import PHOTOMETRIC

from oldphoto_jax.photo.codecs import tiff_directory, tiff_header
from oldphoto_jax.photo.codecs.tiff_directory import Directory
from oldphoto_jax.photo.content import PhotoError

KIND, OLD_KIND, NUMBER = 254, 255, 297  # NewSubfileType, SubfileType, PageNumber
REDUCED, MASK = 1, 4  # bits of NewSubfileType
DEPTH = 8  # one that DNG added; a map of distances
MASKS = (PHOTOMETRIC.MASK, 51177, 52527)  # the last two are DNG's: depth, semantic mask
CANON = b"\x10\0\0\0CR\2"  # follows the byte order of its raw files, CR2
THUMBNAIL = 320  # pixels of the longer side, at most, of a preview that is not called so


@dataclasses.dataclass(frozen=True)
class Page:
    """A directory with pixels, and its role, as `content.Page` has them."""

    directory: Directory
    role: str


def find(data: mmap.mmap, lost: list[int] | None = None) -> tuple[Page, ...]:
    """The pages of a file: first the photo, or the largest picture where none is called one.

    The others follow in the order of the file; `lost` is as for `tiff_directory.walk`. Raises
    ValueError where there is none, and PhotoError for Canon's raw files, whose pictures are nowhere
    called what they are.
    """
    if data[4:11] == CANON:
        raise PhotoError(tiff_header.MOSAIC)
    found = [one for one in tiff_directory.walk(data, lost) if _has_size(one)]
    if not found:
        raise ValueError("no directory of it says how wide and high a picture is")
    roles = [_told(one) for one in found]
    largest = max(map(_area, found))
    for place, one in enumerate(found):
        if roles[place] == "photo" and not _is_told(one) and _is_small(one, found, largest):
            roles[place] = "preview"
    for place in _infrared(found, roles):
        roles[place] = "infrared"
    photos = [place for place, role in enumerate(roles) if role == "photo"]
    mosaics = [one for one in photos if found[one].number(tiff_header.COLORS) == PHOTOMETRIC.CFA]
    photos = mosaics or photos or [max(range(len(found)), key=lambda place: _area(found[place]))]
    first = photos[0]
    roles[first] = "photo"
    order = [first, *(place for place in range(len(found)) if place != first)]
    return tuple(Page(found[place], roles[place]) for place in order)


def _has_size(page: Directory) -> bool:
    try:
        return min(tiff_header.size(page)) > 0
    except ValueError:
        return False


def _area(page: Directory) -> int:
    width, height = tiff_header.size(page)
    return width * height


def _told(page: Directory) -> str:
    """The role that a page's own tags give it."""
    kind = page.number(KIND) or 0
    if kind & (MASK | DEPTH) or page.number(tiff_header.COLORS) in MASKS:
        return "mask"
    return "preview" if kind & REDUCED or page.number(OLD_KIND) == 2 else "photo"


def _is_told(page: Directory) -> bool:
    """Whether a page says that it is one of several, or whole."""
    return bool(page.number(KIND)) or page.number(OLD_KIND) == 3 or bool(page.numbers(NUMBER))


def _is_small(page: Directory, pages: list[Directory], largest: int) -> bool:
    """Whether a page without a role is a smaller picture of another: a thumbnail, a pyramid."""
    width, height = tiff_header.size(page)
    if page.parent and _area(page) < max(_area(page.parent), *map(_area, _family(page, pages))):
        return True
    if max(width, height) > THUMBNAIL or 9 * _area(page) > largest:
        return False
    sizes = (tiff_header.size(one) for one in pages if _area(one) == largest)
    return any(abs(width * high - height * wide) <= max(wide, high) for wide, high in sizes)


def _family(page: Directory, pages: list[Directory]) -> list[Directory]:
    return [one for one in pages if one.parent is page.parent]


def _infrared(pages: list[Directory], roles: list[str]) -> list[int]:
    """Gray pages of scanners that write infra-red so: each colour photo is followed by its own."""
    photos = [place for place, role in enumerate(roles) if role == "photo"]
    colors, grays = photos[::2], photos[1::2]
    if not grays or len(colors) != len(grays):
        return []
    pairs = list(zip(colors, grays, strict=True))
    fits = all(
        _samples(pages[color]) >= 3
        and _samples(pages[gray]) == 1
        and not _is_told(pages[gray])
        and pages[gray].number(tiff_header.COLORS) != PHOTOMETRIC.CFA
        and tiff_header.size(pages[color]) == tiff_header.size(pages[gray])
        for color, gray in pairs
    )
    return grays if fits else []


def _samples(page: Directory) -> int:
    return page.number(tiff_header.SAMPLES) or len(page.numbers(tiff_header.BITS)) or 1
