"""Large arrays that need not fit into memory: scratch space on disk, looked at a band at a time.

Of a scan of 100 megapixels even a mask takes 100 MB, and restoring needs several arrays as large
as the photo. Large ones lie in temporary files without a name, which vanish with the process
whatever ends it. What is written goes to the operating system's cache of files: it stays in
memory where there is plenty, and makes room where there is not. Whoever walks down an array and
releases what is behind holds no more than a band of it.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

SMALL = 1 << 26  # bytes; what is smaller is an ordinary array
BAND = 1 << 22  # pixels that are looked at together
CHUNK = 1 << 20  # bytes


def empty(
    shape: tuple[int, ...], dtype: np.typing.DTypeLike, folder: str | os.PathLike | None = None
) -> np.ndarray:
    """An array to be written to; from SMALL bytes on it lies in a temporary file.

    `folder` is where, by default that for temporary files (TMPDIR). It had better not be a disk
    in memory (tmpfs). All of its space is taken at once: raises OSError where there is none, as
    writing to a mapped file that cannot grow would end the process.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=None if folder is None else os.fspath(folder)) as file:
        try:
            _allocate(file, size)
        except OSError as error:
            place = folder or tempfile.gettempdir()
            told = f"no {size >> 20} MiB of scratch space in {place}: {error.strerror}"
            raise OSError(error.errno, f"{told}; free some, or name another by TMPDIR") from error
        return np.memmap(file, dtype, "r+", shape=shape)  # lives on when the file is closed


def zeros(
    shape: tuple[int, ...], dtype: np.typing.DTypeLike, folder: str | os.PathLike | None = None
) -> np.ndarray:
    """An array of zeros, as `empty` makes it."""
    array = empty(shape, dtype, folder)
    if not isinstance(array, np.memmap):  # a new file holds nothing else
        array.fill(0)
    return array


def release(array: np.ndarray | None) -> None:
    """Lets go of the memory that a mapped file has taken, whole, whatever part of it is given.

    Nothing is lost: what is looked at again is fetched again, mostly from the cache of files.
    Whatever is no `np.memmap`, or one to be changed in memory alone, stays as it is.
    """
    owner: object = array
    mode = None
    while isinstance(owner, np.ndarray):
        mode = getattr(owner, "mode", mode)
        owner = owner.base
    # Pages of a private copy (mode c) would be read from the file again, without what was changed.
    shared = mode in ("r", "r+", "w+") and hasattr(mmap, "MADV_DONTNEED")
    if shared and isinstance(owner, mmap.mmap):
        owner.madvise(mmap.MADV_DONTNEED)


def bands(*arrays: np.ndarray, rows: int | None = None) -> Iterator[slice]:
    """The rows of arrays [H,W,..], some at a time; the arrays are released after each of them.

    Bands are `rows` high, by default such that they hold BAND pixels.
    """
    height, width = arrays[0].shape[:2]
    step = rows or max(1, BAND // width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))
        for array in arrays:
            release(array)


def _allocate(file: BinaryIO, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, CHUNK):
        file.write(bytes(min(CHUNK, size - start)))
    file.flush()
