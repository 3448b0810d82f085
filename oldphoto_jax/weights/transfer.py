"""Bytes from one place into a file: what a broken transfer leaves is gone on from, and checked."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import io
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

import tqdm

from oldphoto_jax.weights import cache, store, web
from oldphoto_jax.weights.store import WeightsError
from oldphoto_jax.weights.web import Failed, Rangeless, Wrong

WHOLE = 64  # hexadecimal digits of a SHA-256
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file at an address; or, where `total` is given, so many of its bytes from `first` on.

    name    what progress is shown under
    size    how many bytes are wanted; None where the place is to tell how long the file is
    sha256  of theirs, or its beginning as far as it is known, or nothing
    total   how many bytes the file around them has
    """

    name: str
    size: int | None
    sha256: str
    first: int = 0
    total: int | None = None


@contextlib.contextmanager
def room(path: pathlib.Path, size: int | None) -> Iterator[pathlib.Path]:
    """The file in which `path`, of that size if known, is put together, by one process at a time.

    Raises WeightsError where it can't be written; a full disk gets back what it took.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with cache.alone(path.with_name(f".{path.name}.lock")):
            yield partial
    except OSError as error:  # of the disk; those of the network have been dealt with
        if error.errno in FULL:
            discard(partial)
        raise WeightsError(cache.unwritable(path, error, size)) from error


def check_room(partial: pathlib.Path, needed: int) -> None:
    """Raises WeightsError where the disk has fewer bytes left than are needed."""
    if (free := shutil.disk_usage(partial.parent).free) < needed:
        raise WeightsError(
            f"{partial}: needs {needed / 1e6:,.1f} MB more, and {free / 1e6:,.1f} MB are free. "
            f"{cache.MEND}"
        )


def persistently(partial: pathlib.Path, attempt: Callable[[], None]) -> None:
    """Runs `attempt`, which adds to `partial`, and again from nothing if an earlier one left junk.

    Raises `Failed`, and `Wrong` when even from nothing something else came; nothing is left then.
    """
    begun = partial.is_file()
    try:
        return attempt()
    except Wrong:
        discard(partial)
        if not begun:
            raise
    try:
        attempt()
    except Wrong:
        discard(partial)
        raise


def discard(partial: pathlib.Path) -> None:
    """Throws away what was fetched so far."""
    for path in (partial, _version(partial)):
        path.unlink(missing_ok=True)


def add(wanted: Wanted, partial: pathlib.Path, place: str, timeout: float) -> None:
    """Fetches from one place what `partial` lacks, and checks the whole of it.

    Gives up when no byte has come for `timeout` seconds. Raises `Failed`, `Rangeless` where the
    place can't part a file, and WeightsError where the disk has too little room.
    """
    start = _begun(wanted, partial)
    if start and _ended(wanted, partial, start):
        return
    with web.opened(place, _wish(wanted, partial, start), timeout) as answer:
        start, size = _extent(answer, wanted, start)
        check_room(partial, size - start)
        if not start:
            _keep_version(answer, partial)
        has_length = answer.headers["Content-Length"] is not None
        with open(partial, "r+b" if start else "wb", buffering=0) as file:
            digest, done = hashlib.file_digest(file, "sha256") if start else hashlib.sha256(), start
            with _bar(wanted.name, start, size) as bar:
                for block in web.blocks(answer, timeout):
                    done += len(block)
                    if done > size:
                        raise Wrong(f"sends more than the {size} bytes of the file")
                    _write(file, block)
                    digest.update(block)
                    bar.update(len(block))
            os.fsync(file.fileno())
    if done < size:
        # Without a length a short page of some gateway can't be told from a broken transfer
        raise (Failed if has_length else Wrong)(f"ended after {done} of {size} bytes")
    if not (checksum := digest.hexdigest()).startswith(wanted.sha256):
        raise Wrong(f"sent another file (SHA-256 {checksum}, not {wanted.sha256})")


def _begun(wanted: Wanted, partial: pathlib.Path) -> int:
    """How many bytes of `partial` can be gone on from."""
    checked = wanted.sha256 or wanted.total is not None  # whoever wants a part of a file checks it
    if not partial.is_file() or not (checked or _version(partial).is_file()):
        return 0
    return partial.stat().st_size


def _ended(wanted: Wanted, partial: pathlib.Path, start: int) -> bool:
    """Whether no byte is lacking. Raises `Wrong` for more bytes, or others, than are wanted."""
    if wanted.size is None:
        return len(wanted.sha256) == WHOLE and store.checksum(partial) == wanted.sha256
    if start < wanted.size:
        return False
    if start > wanted.size or not store.checksum(partial).startswith(wanted.sha256):
        raise Wrong("what was fetched before is not this file")
    return True


def _wish(wanted: Wanted, partial: pathlib.Path, start: int) -> dict[str, str]:
    """The header fields that ask for the bytes from `start` of the wanted ones on."""
    if wanted.total is not None and wanted.size is not None:
        return {"Range": f"bytes={wanted.first + start}-{wanted.first + wanted.size - 1}"}
    if not start:
        return {}
    wish = {"Range": f"bytes={start}-"}
    if not wanted.sha256:  # nothing else would tell that the rest is of another file
        wish["If-Range"] = _version(partial).read_text("utf-8")
    return wish


def _extent(answer: web.Answer, wanted: Wanted, start: int) -> tuple[int, int]:
    """Which of the wanted bytes the answer begins with, and how many there are altogether.

    That is `start` where the server goes on from there, else 0.
    """
    if answer.status == 206:
        known = wanted.size if wanted.total is None else wanted.total
        found = web.span(answer)
        if not found or found[0] != wanted.first + start or known not in (None, found[2] or known):
            asked = f"{wanted.first + start}" + (f" of {known}" if known else "")
            told = answer.headers["Content-Range"] or "nothing"
            raise Wrong(f"asked for all from byte {asked}, it sends {told}")
        return start, wanted.size or found[2] or found[1] + 1
    if wanted.total is not None:
        raise Rangeless
    size, told = wanted.size, answer.length
    if size is None and told is None:
        raise Failed("does not tell how long the file is")
    if None not in (size, told) and size != told:
        raise Failed(f"would send {told} bytes, not the {size} of the file")
    return 0, size or told or 0


def _version(partial: pathlib.Path) -> pathlib.Path:
    """The file in which lies what the server called the version of which `partial` is a part."""
    return partial.with_name(f"{partial.name}.version")


def _keep_version(answer: web.Answer, partial: pathlib.Path) -> None:
    tag = answer.headers["ETag"] or ""
    name = tag if tag.startswith('"') else answer.headers["Last-Modified"]  # W/"..." is too weak
    if name:
        _version(partial).write_text(" ".join(name.split()), "utf-8")
    else:
        _version(partial).unlink(missing_ok=True)


def _write(file: io.RawIOBase, block: bytes) -> None:
    """All of the block, or an OSError: a full disk may take a part of it without one."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _bar(name: str, start: int, size: int) -> tqdm.tqdm:
    options = dict(unit="B", unit_scale=True, disable=None)  # shown on terminals only
    return tqdm.tqdm(desc=name, total=size, initial=start, **options)
