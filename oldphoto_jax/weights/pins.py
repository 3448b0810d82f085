"""Checksums that no publisher states: what came first is taken on trust, and then nothing else.

Beside a published file in the user's cache lies its SHA-256, once a network has been made of it.
"""

from __future__ import annotations

import os
import pathlib
import re
from typing import Protocol

from oldphoto_jax.weights import cache
from oldphoto_jax.weights.store import WeightsError

WHOLE = re.compile("[0-9a-f]{64}")


class Published(Protocol):
    """What is known of a published file, wherever it comes from."""

    @property
    def file(self) -> str:
        """Its name in the user's cache."""

    @property
    def size(self) -> int | None:
        """In bytes."""

    @property
    def sha256(self) -> str:
        """In hexadecimal: all of it, its beginning as file names have it, or nothing."""


def place(source: Published) -> pathlib.Path:
    """Where the checksum of the first use lies, or will lie."""
    return cache.folder("weights") / f"{source.file}.sha256"


def pinned(source: Published) -> str:
    """The SHA-256 of the file that was used first; nothing before that.

    Raises WeightsError when it can't be read.
    """
    path = place(source)
    if WHOLE.fullmatch(source.sha256) or not path.is_file():
        return ""
    known = path.read_bytes()[:64].decode("ascii", "replace")
    if not WHOLE.fullmatch(known):
        raise WeightsError(f"{path}: holds no SHA-256; delete it, and {source.file} is new again")
    return known


def expected(source: Published) -> str:
    """What the file's SHA-256 must begin with: all of it where it is published or pinned."""
    return pinned(source) or source.sha256


def unknown(source: Published) -> bool:
    """Whether the file would be taken on trust."""
    return not WHOLE.fullmatch(expected(source))


def warning(source: Published) -> str:
    """What to tell before a file is taken on trust."""
    told = f"but the first {len(source.sha256)} digits of the" if source.sha256 else "no"
    return (
        f"warning: the publisher of {source.file} states {told} SHA-256. What comes now is taken "
        "on trust, and from then on no other file"
    )


def problem(source: Published, checksum: str) -> str:
    """Why a file of that SHA-256 may not be used; nothing if it may."""
    if not checksum.startswith(source.sha256):
        return f"is not {source.file} as it was published ({_differ(checksum, source.sha256)})"
    if not checksum.startswith(first := pinned(source)):
        words = f"is not the {source.file} that came first ({_differ(checksum, first)})"
        return f"{words}. {accept(source)}"
    return ""


def accept(source: Published) -> str:
    """What to do where another file than the first one is right."""
    old = place(source).with_suffix("")  # the file itself, if it was kept
    both = f"{place(source)} and {old}" if old.is_file() else f"{place(source)}"
    return f"If you know that it is right, delete {both} and run this again"


def keep(source: Published, checksum: str) -> None:
    """Pins the file of that SHA-256. Raises WeightsError where that can't be written."""
    path = place(source)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(f"{checksum}  {source.file}\n", "ascii", newline="\n")
        os.replace(temporary, path)
    except OSError as error:
        raise WeightsError(cache.unwritable(path, error, None)) from error


def _differ(checksum: str, other: str) -> str:
    return f"SHA-256 {checksum}, not {other}"
