"""The process that decodes photo files for `contained`: it may crash, and nobody else does.

Nothing but this room's code is imported here, and never JAX.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import sys
import warnings
from collections.abc import Iterator

import cv2
import numpy as np

from oldphoto_jax.photo.content import Header, Page, PhotoError, PhotoFile
from oldphoto_jax.photo.disk import child, files

with contextlib.suppress(ImportError):  # Windows has none
    import resource

BASE = 1 << 31  # bytes of memory whatever the size of a photo
PER_PIXEL = 64  # bytes; 16 bits, four channels, and half a dozen copies
PER_BYTE = 3  # of the file, which is mapped, and whose text is unpacked
NOISE = 1 << 26  # bytes that libraries may print
ARRAYS = ("pixels", "alpha", "extra")


@dataclasses.dataclass(frozen=True)
class Request:
    """What `files.read` is to read, or `files.header` where no page is asked for."""

    path: str
    max_pixels: int
    page: int | None
    folder: str | None = None  # that a relative path starts at


@dataclasses.dataclass(frozen=True)
class Sent:
    """An array that comes behind the photo it belongs to, or lies in the file at `offset`."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int | None = None


def main() -> None:
    """Reads files until nobody asks any more."""
    warnings.simplefilter("always", UserWarning)  # for each file again
    warnings.formatwarning = lambda message, *_: f"{message}\n"
    with contextlib.suppress(OSError):  # where memory ends, Linux shall end this process first
        pathlib.Path("/proc/self/oom_score_adj").write_text("1000")
    if "resource" in globals():
        for kind, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, NOISE)):
            _limit(kind, most)
    cv2.setNumThreads(1)  # there may be as many workers as processors
    child.serve(answer)


def answer(request: Request) -> Iterator[object]:
    """The pixels that the header promises; the photo, or what is wrong; the arrays that it lacks.

    Where the header alone is asked, that and no more.
    """
    if request.folder:
        os.chdir(request.folder)
    allow(BASE)
    try:
        header: Header | Page = files.header(request.path, request.max_pixels)
        if request.page:
            header = files.pages(request.path, request.max_pixels)[request.page]
        pixels = header.height * header.width
    except (PhotoError, IndexError) as error:
        if request.page is None:
            yield error
            return
        pixels = 0  # reading it will say what is wrong
    if request.page is None:
        yield header
        return
    yield pixels
    most = BASE + PER_PIXEL * pixels
    with contextlib.suppress(OSError):
        most += PER_BYTE * os.path.getsize(request.path)
    allow(most)
    try:
        photo = files.read(request.path, request.max_pixels, request.page)
    except PhotoError as error:
        yield error
        return
    except MemoryError:
        yield PhotoError(
            f"{request.path}: decoding it wants more than {most >> 20} MiB of memory, or than "
            "there are; copy the file again, or convert it with another program"
        )
        return
    yield from parts(photo)


def parts(photo: PhotoFile[np.ndarray]) -> Iterator[object]:
    """A photo without its arrays, and then those of them that do not lie in its file."""
    arrays = {name: getattr(photo, name) for name in ARRAYS if getattr(photo, name) is not None}
    sent = {n: Sent(array.shape, array.dtype, offset(array)) for n, array in arrays.items()}
    yield dataclasses.replace(photo, **sent)  # type: ignore[arg-type]
    for name, array in arrays.items():
        if sent[name].offset is None:
            yield np.ascontiguousarray(array)


def offset(array: np.ndarray) -> int | None:
    """Where an array lies in the file that it was mapped from, or None where it does not."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        if (
            isinstance(owner, np.memmap)
            and owner.mode == "r"
            and not isinstance(owner.base, np.ndarray)
        ):
            begin = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
            return owner.offset + begin if array.flags.c_contiguous else None
        owner = owner.base
    return None


def allow(size: int) -> None:
    """Lets this process take so many bytes of memory from here on; more is a MemoryError."""
    if sys.platform == "linux":  # others count otherwise, or not at all
        pages = int(pathlib.Path("/proc/self/statm").read_text("ascii").split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + size)


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (soft, hard))
