"""One file of a large published zip: its bytes alone are fetched where the server can part a file.

Else the whole zip is, and stays in the user's cache for its other members.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import pathlib
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from oldphoto_jax.weights import cache, fetch, pins, store, transfer, web
from oldphoto_jax.weights.readers import members
from oldphoto_jax.weights.store import WeightsError

BLOCK = 1 << 16  # bytes
DIRECTORY = 1 << 22  # bytes in which a zip of weights lists what it holds; it is kilobytes
LOCAL = struct.Struct("<4s22xHH")  # signature, ..., how long the name is and what comes after it
BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """A file in a published zip: its name in the user's cache, and how its path in the zip ends.

    `sha256` and `size` are as those of `fetch.Source`.
    """

    file: str
    inside: str
    archive: fetch.Source
    sha256: str = ""
    size: int | None = None

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return f"{self.inside} in {self.archive.origin}"

    def lacking(self) -> str:
        """Why the file can't be had; nothing if it or its zip is in the cache or may be fetched."""
        path = cache.folder("weights") / self.file
        there = fetch.whole(path, self) or path.with_name(self.archive.file).is_file()
        return "" if there or not web.forbidden() else fetch.forbidden(path)

    def obtain(self) -> pathlib.Path:
        """The file in the user's cache; fetched if no whole one is there. Raises WeightsError."""
        return take(self)


def take(
    member: Member, *, places: tuple[str, ...] | None = None, timeout: float = 30.0
) -> pathlib.Path:
    """The file in the user's cache; unpacked from the zip there, or fetched, if no whole one is.

    `places` replaces those of the zip. Raises WeightsError like `fetch.fetch`.
    """
    path = cache.folder("weights") / member.file
    if fetch.whole(path, member):
        return path
    zipped = path.with_name(member.archive.file)
    if not zipped.is_file() and web.forbidden():
        raise WeightsError(fetch.forbidden(path))
    if path.is_file():
        print(f"{path}: {fetch.BROKEN}; it is fetched again", file=sys.stderr)
    places = member.archive.places if places is None else places
    with transfer.room(path, member.size) as partial:
        if not fetch.whole(path, member):  # else another process was faster
            if not zipped.is_file() and (others := _alone(member, partial, path, places, timeout)):
                fetch.fetch(member.archive, places=others, timeout=timeout)
                print(f"{zipped}: stays for what else it holds; you may delete it", file=sys.stderr)
            if zipped.is_file():
                unpack(zipped, member, path)
    return path


def holds(path: pathlib.Path, member: Member) -> bool:
    """Whether a file that the user has is the zip, or another one, with this member."""
    if not zipfile.is_zipfile(path):
        return False
    with _opened(path) as archive:
        return bool(_named(archive, member))


def unpack(path: pathlib.Path, member: Member, target: pathlib.Path) -> None:
    """Writes the member of a zip to `target`.

    Raises WeightsError for a broken zip, and where it holds another file than the published one.
    """
    with _opened(path) as archive:
        info = _only(archive, member)
        members.check([info], path.stat().st_size)
        transfer.check_room(target, info.file_size)
        with _beside(target) as temporary:
            if not _write(_read(archive, info), info, temporary):
                raise WeightsError(f"{info.filename} in it is broken")
            if problem := pins.problem(member, store.checksum(temporary)):
                raise WeightsError(f"{info.filename} in it {problem}")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as source:
            while block := source.read(BLOCK):
                yield block
    except OSError as error:  # no such byte, or a stick that was pulled out
        raise WeightsError(f"{info.filename} in it can't be read ({error})") from error


def _alone(
    member: Member,
    partial: pathlib.Path,
    path: pathlib.Path,
    places: tuple[str, ...],
    timeout: float,
) -> tuple[str, ...]:
    """Fetches the member alone to `path`; else returns the places that send whole zips only.

    Raises WeightsError where there are neither.
    """
    rangeless = []

    def attempt(place: str) -> None:
        add = functools.partial(_add, member, partial, path, place, timeout)
        try:
            transfer.persistently(partial, add)
        except web.Rangeless:
            rangeless.append(place)
            raise

    try:
        fetch.from_any(member, places, attempt)
    except WeightsError:
        if not rangeless:
            raise
        return tuple(rangeless)
    return ()


class _Distant(io.RawIOBase):
    """The file at a place, read where `zipfile` looks into it: at its end, and no further."""

    def __init__(self, place: str, timeout: float):
        self.place, self.timeout, self.position = place, timeout, 0
        self.start, self.data, self.left = 0, b"", DIRECTORY
        _, self.size = web.look(place, 0, 1, timeout)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + (0, self.position, self.size)[whence]
        if self.position < 0:
            raise OSError(f"byte {self.position} of a file")
        return self.position

    def read(self, count: int | None = -1) -> bytes:
        left = max(self.size - self.position, 0)
        count = left if count is None or count < 0 else min(count, left)
        if not count:
            return b""
        if not self.start <= self.position <= self.start + len(self.data) - count:
            self._look(count)
        begin = self.position - self.start
        self.position += count
        return self.data[begin : begin + count]

    def _look(self, count: int) -> None:
        """Has so many bytes from the position on, and a few around them, in `data`."""
        self.start = max(min(self.position, self.size - BLOCK), 0)
        wanted = min(max(self.position - self.start + count, BLOCK), self.size - self.start)
        self.left -= wanted
        if self.left < 0:
            raise web.Failed(f"is no zip of weights: it lists its members in {wanted} bytes")
        self.data, size = web.look(self.place, self.start, wanted, self.timeout)
        if size != self.size:
            raise web.Failed(f"says now that it has {size} bytes, now {self.size}")


def _add(
    member: Member, partial: pathlib.Path, path: pathlib.Path, place: str, timeout: float
) -> None:
    """Adds to `partial` what it lacks of the member as it is packed, and unpacks it to `path`."""
    distant = _Distant(place, timeout)
    try:
        with zipfile.ZipFile(distant) as archive:
            info = _only(archive, member)
        members.check([info], info.compress_size)
        distant.seek(info.header_offset)
        signature, name, extra = LOCAL.unpack(distant.read(LOCAL.size))
        if signature != b"PK\3\4":
            raise ValueError(f"no member begins at byte {info.header_offset}")
    except (*BROKEN, struct.error, OSError) as error:
        raise web.Failed(f"is no zip with {member.inside} ({error})") from error
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise web.Failed(
            f"has {member.inside} encrypted, or packed in a way that is not known here"
        )
    begun = partial.stat().st_size if partial.is_file() else 0
    transfer.check_room(partial, info.compress_size - begun + info.file_size)
    wanted = transfer.Wanted(
        name=member.file,
        size=info.compress_size,
        sha256="",
        first=info.header_offset + LOCAL.size + name + extra,
        total=distant.size,
    )
    transfer.add(wanted, partial, place, timeout)
    with open(partial, "rb") as packed, _beside(path) as temporary:
        if not _write(_unpacked(packed, info), info, temporary):
            raise web.Wrong("sent other bytes than the zip's list of members promises")
        checksum = store.checksum(temporary)
        if not checksum.startswith(expected := pins.expected(member)):
            raise web.Wrong(f"sent another file (SHA-256 {checksum}, not {expected})")
    transfer.discard(partial)


def _unpacked(packed: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member whose packed ones are these."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while block := packed.read(BLOCK):
            yield block if info.compress_type == zipfile.ZIP_STORED else inflater.decompress(block)
    except zlib.error as error:
        raise web.Wrong(f"sent what can't be unpacked ({error})") from error


def _write(blocks: Iterator[bytes], info: zipfile.ZipInfo, path: pathlib.Path) -> bool:
    """Writes a member; returns whether its length and CRC-32 are those in the zip's list."""
    crc = done = 0
    with open(path, "wb") as file:
        for block in blocks:
            crc, done = zlib.crc32(block, crc), done + len(block)
            if done > info.file_size:
                return False
            file.write(block)
    return (crc, done) == (info.CRC, info.file_size)


@contextlib.contextmanager
def _beside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file to write, which then becomes `path`, if nothing goes wrong."""
    temporary = path.with_name(f".{path.name}.unpacked")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except BROKEN as error:
        raise WeightsError(f"{path}: not a whole zip ({error})") from error


def _named(archive: zipfile.ZipFile, member: Member) -> list[zipfile.ZipInfo]:
    ending = f"/{member.inside}"
    return [info for info in archive.infolist() if f"/{info.filename}".endswith(ending)]


def _only(archive: zipfile.ZipFile, member: Member) -> zipfile.ZipInfo:
    """The member in its zip. Raises WeightsError where there is none, or several."""
    found = _named(archive, member)
    if len(found) != 1:
        raise WeightsError(f"holds {len(found)} files that end in {member.inside}, not one")
    return found[0]
