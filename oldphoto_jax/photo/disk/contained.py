"""Photo files read where nothing that is in them can hurt: in processes of their own.

Decoders are large programs in C, and files of strangers find their faults: one makes the decoder
crash, another lets it run for ever or take all memory. `read` and `header` do what those of `files`
do, in a few worker processes that are started once. One that crashes, or takes too much time or
memory, is replaced, and its photo is refused as a damaged one is.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.content import Header, PhotoError, PhotoFile
from oldphoto_jax.photo.disk import files, worker
from oldphoto_jax.photo.disk.child import Child

MOST = 8  # workers
PATIENCE = 20.0  # seconds for any file
PER_MEGAPIXEL, PER_MEGABYTE = 1.0, 1.0  # seconds more
NOTES, LENGTH = 5, 200  # lines that are noted of what a decoder prints, and letters of each
PREFIX = re.compile(r"^\[ *\w+:\d+@[\d.]+\] \w+ \S+ \S+ ")  # of OpenCV: level, time, place
MEND = "convert it with another program, to PNG or TIFF for example, or leave it out"


class Pool:
    """Workers, at most so many; each is lent to one thread at a time."""

    def __init__(self, most: int, module: str = worker.__name__):
        self._most, self._module = most, module
        self.forget()

    def start(self) -> None:
        """Starts a worker where there is none, and does not wait for it."""
        if not self._idle:
            self._idle.append(Child(self._module))

    @contextlib.contextmanager
    def lent(self) -> Iterator[Child]:
        """A worker that lives; waits for one where all are at work."""
        with self._free:
            one = self._take() or Child(self._module)
            try:
                yield one
            finally:
                if one.alive:
                    self._idle.append(one)

    def _take(self) -> Child | None:
        while True:
            try:
                one = self._idle.pop()
            except IndexError:
                return None
            if one.alive:
                return one
            one.close()

    def close(self) -> None:
        """Ends those that are idle."""
        while self._idle:
            self._idle.pop().close()

    def forget(self) -> None:
        """Leaves the workers to the process that this one was forked from."""
        self._idle: list[Child] = []
        self._free = threading.BoundedSemaphore(self._most)


_pool = Pool(min(MOST, os.cpu_count() or 1))
atexit.register(_pool.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)


def start() -> None:
    """Starts a worker, so that it is there when it is needed; takes no time of its own."""
    with contextlib.suppress(OSError):  # reading will say it
        _pool.start()


def read(
    path: str | os.PathLike,
    max_pixels: int = files.MAX_PIXELS,
    page: int = 0,
    folder: str | os.PathLike | None = None,
) -> PhotoFile[np.ndarray]:
    """What `files.read` returns and raises; large pixels lie in scratch space in `folder`.

    Those of a large uncompressed TIFF file stay in it, as there. Raises PhotoError as well for a
    file at which the decoder dies, or takes longer or more memory than its size explains. What the
    decoder prints is in `notes`; of a file that is refused, in the notes of the error.
    """
    path = os.fspath(path)
    with _asked(path, max_pixels, page) as (decoder, limit):
        limit.seconds += PER_MEGAPIXEL * decoder.receive() / 1e6
        photo = decoder.receive()
        arrays = {}
        if not isinstance(photo, PhotoError):
            sent = {name: getattr(photo, name) for name in worker.ARRAYS}
            for name, one in sent.items():
                if one is not None:
                    arrays[name] = _received(decoder, one, path, folder)
        said = notes(decoder.noise())
    if isinstance(photo, PhotoError):
        for line in said:
            photo.add_note(line)
        raise photo
    for array in arrays.values():
        array.flags.writeable = False
    return dataclasses.replace(photo, **arrays, notes=(*photo.notes, *said))


def header(path: str | os.PathLike, max_pixels: int = files.MAX_PIXELS) -> Header:
    """What `files.header` returns and raises; raises PhotoError also where `read` does."""
    with _asked(os.fspath(path), max_pixels) as (decoder, _):
        found = decoder.receive()
    if isinstance(found, PhotoError):
        raise found
    return found


def notes(noise: str) -> list[str]:
    """What is worth telling of a decoder's prints: each line once, and not too many of them."""
    lines = (PREFIX.sub("", line.strip()) for line in noise.splitlines())
    said = [f"the decoder says: {line[:LENGTH]}" for line in dict.fromkeys(lines) if line]
    more = len(said) - NOTES
    return said if more <= 0 else [*said[:NOTES], f"the decoder says {more} things more"]


@contextlib.contextmanager
def _asked(path: str, max_pixels: int, page: int | None = None) -> Iterator[tuple[Child, Any]]:
    """A worker that was asked for a page of a file or, without one, for its header.

    Beside it comes the limit of its time.
    """
    folder = None if os.path.isabs(path) else os.getcwd()
    size = 0
    with contextlib.suppress(OSError):  # the worker will say what is wrong
        size = os.path.getsize(path)
    with _pool.lent() as decoder:
        decoder.noise()  # of its start, or of a file before
        try:
            with decoder.within(PATIENCE + PER_MEGABYTE * size / 1e6) as limit:
                decoder.send(worker.Request(path, max_pixels, page, folder))
                yield decoder, limit
        except (ChildProcessError, TimeoutError) as error:
            last = decoder.noise().strip().rpartition("\n")[2][:LENGTH]
            told = f"{error}: {last}" if last else str(error)
            raise PhotoError(f"{path}: the decoder {told}; {MEND}") from error


def _received(
    decoder: Child, sent: worker.Sent, path: str, folder: str | os.PathLike | None
) -> np.ndarray:
    if sent.offset is not None:
        return np.memmap(path, sent.dtype, "r", sent.offset, sent.shape)
    array = scratch.empty(sent.shape, sent.dtype, folder)
    for band in scratch.bands(array):
        decoder.receive_into(array[band])
    return array
