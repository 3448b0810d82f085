"""Published files: fetched once into the user's cache folder, and never used unchecked.

The network is not used for a file that is in the cache already, nor where the environment has
OLDPHOTO_OFFLINE=1.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable

from oldphoto_jax.weights import cache, pins, store, transfer, web
from oldphoto_jax.weights.pins import Published
from oldphoto_jax.weights.store import WeightsError

BROKEN = "is not what was published (wrong SHA-256)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A published file: its name, and URLs that all serve it.

    `sha256` is as much of its checksum as is known, from the beginning on, and `size` in bytes may
    be unknown, too: `pins` then keeps to the first file that could be used.
    """

    file: str
    places: tuple[str, ...]
    sha256: str = ""
    size: int | None = None

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return " or ".join(self.places) or "this package"

    def lacking(self) -> str:
        """Why the file can't be had; nothing if it is in the cache or may be fetched."""
        path = cache.folder("weights") / self.file
        return "" if not web.forbidden() or whole(path, self) else forbidden(path)

    def obtain(self) -> pathlib.Path:
        """The file in the user's cache; fetched if no whole one is there. Raises WeightsError."""
        return fetch(self)


def whole(path: pathlib.Path, source: Published) -> bool:
    """Whether the file is there and is the published one, as far as anything is known of that."""
    if not path.is_file() or source.size not in (None, path.stat().st_size):
        return False
    expected = pins.expected(source)
    return not expected or store.checksum(path).startswith(expected)


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
    if offline or web.forbidden():
        raise WeightsError(forbidden(path))
    if path.is_file():
        print(f"{path}: {BROKEN}; it is fetched again", file=sys.stderr)
    wanted = transfer.Wanted(name=source.file, size=source.size, sha256=pins.expected(source))
    with transfer.room(path, source.size) as partial:
        if not whole(path, source):  # else another process was faster

            def attempt(place: str) -> None:
                transfer.persistently(
                    partial, lambda: transfer.add(wanted, partial, place, timeout)
                )

            from_any(source, source.places if places is None else places, attempt)
            os.replace(partial, path)
            transfer.discard(partial)
    return path


def from_any(source: Published, places: tuple[str, ...], attempt: Callable[[str], None]) -> None:
    """Calls `attempt` with the first of the places that gives the file, and those before it.

    Raises WeightsError with what each of them did when none does.
    """
    failures, way = [], "Try again later: it goes on from what has come"
    for place in places:
        size = f" ({source.size / 1e6:.1f} MB)" if source.size else ""
        print(f"fetching {source.file}{size}: {place}", file=sys.stderr)
        try:
            attempt(place)
        except web.Failed as error:
            failures.append(f"{place}: {error}")
            if isinstance(error, web.Wrong) and pins.pinned(source):
                way = pins.accept(source)
        else:
            return
    told = "; ".join(failures) or "no places are known"
    raise WeightsError(f"{source.file} can't be fetched ({told}). {way}")


def forbidden(path: pathlib.Path) -> str:
    """What to tell of a file that is wanted where only the network has it, and may not be used."""
    state = BROKEN if path.is_file() else "there is no such file"
    return f"{path}: {state}, and the network may not be used (offline)"
