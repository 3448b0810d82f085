"""Answers of servers: the only module that uses the network (`npm` has the user's own npm use it).

Addresses are https, or http from this machine to itself, and so is all that they lead on to. Where
the environment has OLDPHOTO_OFFLINE=1, nobody asks for anything.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import IO

OFFLINE = "OLDPHOTO_OFFLINE"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
BLOCK = 1 << 16  # bytes
Answer = http.client.HTTPResponse
SPAN = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class Failed(Exception):
    """This place doesn't give the bytes now."""


class Wrong(Failed):
    """What has been fetched so far is not the beginning of what was wanted."""


class Rangeless(Failed):
    """This place sends whole files only."""

    def __init__(self) -> None:
        super().__init__("sends whole files only")


def forbidden() -> bool:
    """Whether the environment forbids the network: OLDPHOTO_OFFLINE is set, and not to 0."""
    return os.environ.get(OFFLINE, "") not in ("", "0")


@contextlib.contextmanager
def opened(place: str, headers: Mapping[str, str], timeout: float) -> Iterator[Answer]:
    """The place's answer. Raises `Failed`, and `Wrong` where it has none of the bytes asked for."""
    ours = {"User-Agent": "oldphoto_jax", "Accept-Encoding": "identity"}
    try:
        if not _allowed(place):
            raise Failed("only https is used")
        request = urllib.request.Request(place, headers=ours | dict(headers))
        answer = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        kind = Wrong if error.code == 416 else Failed
        raise kind(f"HTTP {error.code}: {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # or no address at all
        raise Failed(_words(error, timeout)) from error
    with answer:
        if (answer.headers["Content-Type"] or "").startswith("text/html"):
            raise Failed("sends a web page in place of the file")
        yield answer


def blocks(answer: Answer, timeout: float) -> Iterator[bytes]:
    """What the place sends, as it comes in. Raises `Failed`."""
    try:
        while block := answer.read1(BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise Failed(_words(error, timeout)) from error


def span(answer: Answer) -> tuple[int, int, int | None] | None:
    """The first and the last byte that come of a file, and how many it has if that is told."""
    found = SPAN.fullmatch(answer.headers["Content-Range"] or "")
    if answer.status != 206 or not found:
        return None
    first, last, total = found.groups()
    return int(first), int(last), None if total == "*" else int(total)


def look(place: str, first: int, count: int, timeout: float) -> tuple[bytes, int]:
    """Some bytes of the file at a place, fewer at its end, and how many it has altogether.

    Raises `Failed`, and `Rangeless` where only the whole file can be had.
    """
    wish = f"bytes={first}-{first + count - 1}"
    with opened(place, {"Range": wish}, timeout) as answer:
        if answer.status != 206:
            raise Rangeless
        begin, last, total = span(answer) or (0, 0, None)
        if total is None or (begin, last) != (first, min(first + count, total) - 1):
            raise Failed(f"asked for {wish}, it sends {answer.headers['Content-Range']}")
        data = bytearray()
        for block in blocks(answer, timeout):
            data += block
            if len(data) > count:
                break
    if len(data) != last - first + 1:
        raise Failed(f"asked for {wish}, it sends {len(data)} bytes")
    return bytes(data), total


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


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    """Made once: it reads all certificates that this machine trusts."""
    return urllib.request.build_opener(_Redirect)


def _allowed(place: str) -> bool:
    """Whether it is https, or http from this machine to itself."""
    url = urllib.parse.urlsplit(place)
    return url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)


def _words(error: Exception, timeout: float) -> str:
    reason = getattr(error, "reason", error)  # what urllib wraps
    if isinstance(reason, TimeoutError):
        return f"no answer for {timeout:g} s"
    return str(reason) or type(reason).__name__
