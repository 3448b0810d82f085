"""Published files that users bring: as they are, in a folder or zip, or from another address."""

from __future__ import annotations

import contextlib
import os
import pathlib
import urllib.parse
from collections.abc import Iterator

from oldphoto_jax.weights import archived, cache, fetch, transfer
from oldphoto_jax.weights.sources import AnySource
from oldphoto_jax.weights.store import WeightsError

SAFE = "%/:=&?~#+!$,;'@()*[]"  # what an address may have in it as it is


@contextlib.contextmanager
def brought(source: AnySource, given: str | os.PathLike) -> Iterator[pathlib.Path]:
    """The file that `given` stands for, unchecked: the published one of `source`, if it is right.

    `given` is an address (`https://...`) of the file or of the zip around it, or such a file, or a
    folder in which it lies under its published name. Raises WeightsError where there is none.
    """
    if is_address(given):
        yield _fetched(source, os.fspath(given))
        return
    path = pathlib.Path(given)
    if path.is_dir():
        path = _within(path, source)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    if not isinstance(source, archived.Member) or not archived.holds(path, source):
        yield path
        return
    kept = cache.folder("weights") / source.file
    with transfer.room(kept, source.size):
        target = kept.with_name(f".{kept.name}.brought")
        try:
            archived.unpack(path, source, target)
            yield target
        finally:
            target.unlink(missing_ok=True)


def is_address(given: str | os.PathLike) -> bool:
    """Whether it is to be fetched, not to be found on this machine."""
    return "://" in os.fspath(given)


def name(given: str | os.PathLike) -> str:
    """What to call it for others: no folder of this machine, and nothing secret in an address."""
    if not is_address(given):
        return pathlib.Path(given).resolve().name
    parts = urllib.parse.urlsplit(os.fspath(given))
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _fetched(source: AnySource, address: str) -> pathlib.Path:
    """The file, or its zip where the address ends in .zip."""
    try:
        zipped = urllib.parse.urlsplit(address).path.lower().endswith(".zip")
    except ValueError as error:
        raise WeightsError(f"{address}: no address ({error})") from error
    address = urllib.parse.quote(address, SAFE)
    if isinstance(source, archived.Member) and zipped:
        return archived.take(source, places=(address,))
    facts = {name: getattr(source, name) for name in ("file", "sha256", "size")}
    return fetch.fetch(fetch.Source(**facts, places=(address,)))


def _within(folder: pathlib.Path, source: AnySource) -> pathlib.Path:
    """The only file in or below the folder with a name that the publisher gives it, or its zip."""
    endings = [source.file]
    if isinstance(source, archived.Member):
        endings = [source.inside, source.archive.file]
    for ending in endings:
        found = [path for path in folder.rglob(pathlib.PurePath(ending).name) if path.is_file()]
        found = [path for path in found if f"/{path.as_posix()}".endswith(f"/{ending}")]
        if len(found) > 1:
            raise WeightsError(f"{folder}: has {found[0]} and {found[1]}; name one of them")
        if found:
            return found[0]
    raise WeightsError(f"{folder}: has no {' and no '.join(endings)}, also not further down")
