"""A file put together from bytes and from parts of another file, of which nothing is copied."""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Sequence
from typing import Any, BinaryIO, TypeAlias

Piece: TypeAlias = bytes | range  # bytes themselves, or where they lie in the other file


class Pieces(io.RawIOBase):
    """Reads pieces as if they stood one behind the other in a file of their own."""

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]):
        self._file, self._pieces, self._at = file, [p for p in pieces if len(p)], 0
        self._starts = [0, *itertools.accumulate(len(piece) for piece in self._pieces)]

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place where reading goes on."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place, as in any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """The rest of the piece at hand, as far as there is room: `io.BufferedReader` asks on."""
        if self._at >= self._starts[-1]:
            return 0
        number = bisect.bisect_right(self._starts, self._at) - 1
        piece, start = self._pieces[number], self._at - self._starts[number]
        part = piece[start : start + len(buffer)]
        if isinstance(part, range):
            self._file.seek(part.start)
            part = self._file.read(len(part))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def opened(file: BinaryIO, pieces: Sequence[Piece]) -> io.BufferedReader:
    """The pieces as an open file."""
    return io.BufferedReader(Pieces(file, pieces), 1 << 16)
