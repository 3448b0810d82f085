"""Published files: fetched once into the user's cache folder, and never used unchecked.

No other module uses the network (`npm` has the user's own npm use it). This one never does for a
file that is in the cache already, nor where the environment has OLDPHOTO_OFFLINE=1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import http.client
import io
import os
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import IO, Protocol

import tqdm

from oldphoto_jax.weights import cache, store
from oldphoto_jax.weights.store import WeightsError

OFFLINE = "OLDPHOTO_OFFLINE"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
BLOCK = 1 << 16  # bytes
BROKEN = "is not what was published (wrong SHA-256)"
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A published file: its name, its SHA-256, its size in bytes, and URLs that all serve it."""

    file: str
    sha256: str
    size: int
    places: tuple[str, ...]

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return " or ".join(self.places) or "this package"

    def lacking(self) -> str:
        """Why the file can't be had; nothing if it is in the cache or may be fetched."""
        path = cache.folder("weights") / self.file
        return "" if not forbidden() or whole(path, self) else _forbidden(path, self)

    def obtain(self) -> pathlib.Path:
        """The file in the user's cache; fetched if no whole one is there. Raises WeightsError."""
        return fetch(self)


class Published(Protocol):
    """What is known of a published file, wherever it comes from."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def sha256(self) -> str:
        """In hexadecimal."""


class _Failed(Exception):
    """This place doesn't give the file now."""


class _Wrong(_Failed):
    """What has been fetched so far is not the beginning of the file."""


def forbidden() -> bool:
    """Whether the environment forbids the network: OLDPHOTO_OFFLINE is set, and not to 0."""
    return os.environ.get(OFFLINE, "") not in ("", "0")


def whole(path: pathlib.Path, source: Published) -> bool:
    """Whether the file is there and is the published one, to the last bit."""
    return (
        path.is_file()
        and path.stat().st_size == source.size
        and store.checksum(path) == source.sha256
    )


def fetch(
    source: Source,
    folder: str | os.PathLike | None = None,
    offline: bool = False,
    *,
    places: tuple[str, ...] | None = None,
    timeout: float = 30.0,
) -> pathlib.Path:
    """The file in `folder`, else in the user's cache; fetched if no whole one is there yet.

    One place after the other is tried, each until no byte has come for `timeout` seconds. What a
    broken transfer leaves is kept, and the next one goes on from there. `places` replaces those
    of the source. Raises WeightsError when no place gives the file, when it can't be written, and
    when only the network has it but `offline` or OLDPHOTO_OFFLINE forbids that.
    """
    path = pathlib.Path(cache.folder("weights") if folder is None else folder) / source.file
    if whole(path, source):
        return path
    if offline or forbidden():
        raise WeightsError(_forbidden(path, source))
    if path.is_file():
        print(f"{path}: {BROKEN}; it is fetched again", file=sys.stderr)
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with cache.alone(path.with_name(f".{path.name}.lock")):
            if not whole(path, source):  # else another process was faster
                _from_any(source, partial, source.places if places is None else places, timeout)
                os.replace(partial, path)
    except OSError as error:  # of the disk; those of the network have been dealt with
        if error.errno in FULL:
            partial.unlink(missing_ok=True)
        raise WeightsError(cache.unwritable(path, error, source.size)) from error
    return path


def _from_any(
    source: Source, partial: pathlib.Path, places: tuple[str, ...], timeout: float
) -> None:
    """Fetches the file to `partial` from the first of the places that gives it."""
    failures = []
    for place in places:
        print(f"fetching {source.file} ({source.size / 1e6:.1f} MB): {place}", file=sys.stderr)
        try:
            _from_one(source, partial, place, timeout)
        except _Failed as error:
            failures.append(f"{place}: {error}")
        else:
            return
    path = partial.with_name(source.file)
    raise WeightsError(
        f"{source.file} can't be fetched ({'; '.join(failures) or 'no places are known'}). "
        f"Try again later. {_by_hand(path, source)}"
    )


def _from_one(source: Source, partial: pathlib.Path, place: str, timeout: float) -> None:
    """Adds what `partial` lacks, or begins anew where that doesn't give the published file."""
    begun = partial.is_file()
    try:
        return _add(source, partial, place, timeout)
    except _Wrong:
        partial.unlink(missing_ok=True)
        if not begun:
            raise
    try:
        _add(source, partial, place, timeout)
    except _Wrong:
        partial.unlink(missing_ok=True)
        raise


def _add(source: Source, partial: pathlib.Path, place: str, timeout: float) -> None:
    """Fetches from one place the bytes that `partial` lacks, and checks the whole of it."""
    start = partial.stat().st_size if partial.is_file() else 0
    if start >= source.size:
        if whole(partial, source):
            return
        raise _Wrong("what was fetched before is not this file")
    with _opened(place, start, timeout) as answer:
        start = _first(answer, start, source.size)
        has_length = answer.headers["Content-Length"] is not None
        with open(partial, "r+b" if start else "wb", buffering=0) as file:
            digest, done = hashlib.file_digest(file, "sha256") if start else hashlib.sha256(), start
            with _bar(source, start) as bar:
                for block in _blocks(answer, timeout):
                    done += len(block)
                    if done > source.size:
                        raise _Wrong(f"sends more than the {source.size} bytes of the file")
                    _write(file, block)
                    digest.update(block)
                    bar.update(len(block))
            os.fsync(file.fileno())
    if done < source.size:
        # Without a length a short page of some gateway can't be told from a broken transfer
        raise (_Failed if has_length else _Wrong)(f"ended after {done} of {source.size} bytes")
    if (checksum := digest.hexdigest()) != source.sha256:
        raise _Wrong(f"sent another file (SHA-256 {checksum}, not {source.sha256})")


@contextlib.contextmanager
def _opened(place: str, start: int, timeout: float) -> Iterator[http.client.HTTPResponse]:
    """The place's answer to the wish for everything from byte `start` on."""
    if not _allowed(place):
        raise _Failed("only https is used")
    headers = {"User-Agent": "oldphoto_jax", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(place, headers=headers)
    try:
        answer = urllib.request.build_opener(_Redirect).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        kind = _Wrong if error.code == 416 else _Failed  # 416: has no bytes from there on
        raise kind(f"HTTP {error.code}: {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # or no URL to go on to
        raise _Failed(_words(error, timeout)) from error
    with answer:
        yield answer


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows a place to another only where that could be a place itself."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not _allowed(newurl) or (req.type == "https" and not newurl.startswith("https:")):
            raise urllib.error.HTTPError(newurl, code, "leads away from https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _first(answer: http.client.HTTPResponse, start: int, size: int) -> int:
    """The byte that the answer begins with: `start` when the server goes on from there, else 0."""
    if answer.status == 206:
        content_range = answer.headers["Content-Range"] or "nothing"
        if re.fullmatch(rf"bytes {start}-\d+/({size}|\*)", content_range):
            return start
        raise _Wrong(f"asked for all from byte {start} of {size}, it sends {content_range}")
    length = answer.headers["Content-Length"]
    if length is not None and length != str(size):
        raise _Failed(f"would send {length} bytes, not the {size} of the file")
    return 0


def _blocks(answer: http.client.HTTPResponse, timeout: float) -> Iterator[bytes]:
    """What the place sends, as it comes in."""
    try:
        while block := answer.read1(BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _Failed(_words(error, timeout)) from error


def _write(file: io.RawIOBase, block: bytes) -> None:
    """All of the block, or an OSError: a full disk may take a part of it without one."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _words(error: Exception, timeout: float) -> str:
    reason = getattr(error, "reason", error)  # what urllib wraps
    if isinstance(reason, TimeoutError):
        return f"no answer for {timeout:g} s"
    return str(reason) or type(reason).__name__


def _allowed(place: str) -> bool:
    """Whether it is https, or http from this machine to itself."""
    url = urllib.parse.urlsplit(place)
    return url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)


def _forbidden(path: pathlib.Path, source: Source) -> str:
    state = BROKEN if path.is_file() else "there is no such file"
    return f"{path}: {state}, and the network may not be used (offline). {_by_hand(path, source)}"


def _by_hand(path: pathlib.Path, source: Source) -> str:
    return (
        f"By hand: download it from {' or '.join(source.places)}, put it at {path}; its SHA-256 "
        f"must be {source.sha256}"
    )


def _bar(source: Source, start: int) -> tqdm.tqdm:
    options = dict(unit="B", unit_scale=True, disable=None)  # shown on terminals only
    return tqdm.tqdm(desc=source.file, total=source.size, initial=start, **options)
