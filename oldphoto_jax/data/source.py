"""What every source of photos is, and what becomes of a photo that cannot be read."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from absl import logging

from oldphoto_jax.data.decode import decode
from oldphoto_jax.photo.disk.survey import survey


class Broken(ValueError):
    """A photo that cannot be read: its name and the reason."""

    def __init__(self, name: str, reason: object):
        super().__init__(name, reason)
        self.name, self.reason = name, str(reason)

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@runtime_checkable
class Photos(Protocol):
    """What the loader asks of a source; any object of this kind will do."""

    def __len__(self) -> int:
        """The number of photos."""

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        """`photo` uint8 [H,W,3] and `name`; the same index gives the same record."""


def find(folder: Path) -> list[Path]:
    """The photos in a folder and below, sorted; what cannot be read there is warned of."""
    found = survey(folder)
    lost = [one for one in found.passed_over if one.unreadable]
    if lost:
        logging.warning(
            "%s: passed over %d files and folders that cannot be read, e.g. %s, which %s",
            folder,
            len(lost),
            lost[0].path,
            lost[0].reason,
        )
    return found.photos


class Source(abc.ABC):
    """Encoded photos by number, decoded when asked for.

    `source[i]` is `{"photo": uint8 [H,W,3] sRGB, "name": str}`. A photo that cannot be decoded is
    noted in `broken` (name to reason), warned of once, and replaced by the next readable one.
    """

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of photos, broken ones included."""

    @abc.abstractmethod
    def encoded(self, index: int) -> tuple[str, bytes]:
        """The name and the bytes of a photo's file; raises Broken if they cannot be had."""

    def record(self, index: int) -> dict[str, Any]:
        """The photo of exactly this index; raises Broken if it cannot be decoded."""
        name, data = self.encoded(index)
        try:
            return {"photo": decode(data), "name": name}
        except ValueError as error:
            raise Broken(name, error) from error

    def __getitem__(self, index: int) -> dict[str, Any]:
        count = len(self)
        if not 0 <= index < count:
            raise IndexError(f"photo {index} of {self!r}: the indices are 0 to {count - 1}")
        for step in range(count):
            try:
                return self.record((index + step) % count)
            except Broken as error:
                self._note(error)
        name, reason = next(iter(self.broken.items()))
        raise ValueError(
            f"none of the {count} photos of {self!r} can be read, e.g. {name}: {reason}. "
            "Are these photos? Name a source that holds some."
        )

    def _note(self, error: Broken) -> None:
        if error.name not in self.broken:
            self.broken[error.name] = error.reason
            logging.warning("%r: skipped %s", self, error)

    def readable(self) -> Iterator[dict[str, Any]]:
        """The records of all photos that can be read, in order, each once."""
        for index in range(len(self)):
            try:
                yield self.record(index)
            except Broken as error:
                self._note(error)
