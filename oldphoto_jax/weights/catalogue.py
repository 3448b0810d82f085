"""The zoo: weights that come with the package, with others, or are fetched when needed."""

from __future__ import annotations

import os
import pathlib
import sys

from oldphoto_jax.weights import brought, cache, convert, fetch, npm, pins, rows, store
from oldphoto_jax.weights.installed import Installed
from oldphoto_jax.weights.published import PUBLISHED
from oldphoto_jax.weights.rows import ALONG, Row
from oldphoto_jax.weights.store import WeightsError

ROWS = (*ALONG, *PUBLISHED)


def row(name: str) -> Row | None:
    """The row of this name, if there is one."""
    return next((row for row in ROWS if row.name == name), None)


def find(name: str) -> Row:
    """The row of this name. Raises WeightsError, which says the names there are, without one."""
    if (known := row(name)) is None:
        names = ", ".join(row.name for row in ROWS)
        raise WeightsError(f"there are no weights {name!r} in the catalogue; it has {names}")
    return known


def packaged(name: str) -> pathlib.Path:
    """The file of the weights called `name`.

    Raises WeightsError when the package lacks them, or holds other bytes than were published.
    """
    path = rows.FILES / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(file.stem for file in all_packaged()) or "none"
        verb = name.partition("-")[0]
        raise WeightsError(
            f"no weights {name!r} come with this package (it has: {known}). Train some, e.g. "
            f"`python -m oldphoto_jax.main --config=configs/{verb}.py --workdir=runs/{verb}`, "
            f"and name that work folder: --weights runs/{verb}"
        )
    if (published := row(name)) and (problem := trouble(published)):
        raise WeightsError(f"{problem}; install the package again")
    return path


def here(name: str) -> pathlib.Path:
    """The safetensors file of a row that can be used as it lies here; nothing is fetched.

    Raises WeightsError, which says what makes it, where there is none.
    """
    known = find(name)
    if known.card:
        return packaged(name)
    if known.waiting:
        raise WeightsError(known.waiting)
    if problem := trouble(known):
        ways = f"`oldphoto weights get {name}` makes it, or `oldphoto weights import {name} FILE`"
        raise WeightsError(f"{problem}; {ways}")
    return known.path


def usable(name: str) -> pathlib.Path:
    """The safetensors file of a row whose network is to be asked; fetched by `get` if need be.

    Raises WeightsError like `here` for a row that is no network to be asked, and like `get`.
    """
    known = find(name)
    return get(name) if known.kind in convert.PREDICTORS else here(name)


def get(name: str) -> pathlib.Path:
    """The safetensors file of a row, checked; first made of its published file where need be.

    Raises WeightsError for an unknown name, for a file that can't be had or isn't the published
    one, and for a cache folder that can't be written; nothing is written then.
    """
    known = find(name)
    if known.card:
        return packaged(name)
    if known.path.is_file():
        if not (problem := trouble(known)):
            return known.path
        print(f"{problem}; it is made again", file=sys.stderr)
        if about := _earlier(known):
            return _converted(known, known.path, about)
    return _made(known, obtained(known), known.source.origin)


def bring(name: str, given: str | os.PathLike) -> pathlib.Path:
    """The safetensors file of a row, made of what the user has: see `brought`.

    Raises WeightsError like `get`.
    """
    known = find(name)
    if known.card:
        raise WeightsError(f"{name!r} comes with the package and is made of no other file")
    _warn(known)
    with brought.brought(known.source, given) as source:
        return _made(known, source, brought.name(given))


def trouble(row: Row) -> str:
    """What is wrong with the row's safetensors file; nothing if it is what it should be."""
    if row.card:
        whole = fetch.whole(row.path, row.source)
        return "" if whole else f"{row.path}: is not what was published (wrong SHA-256, or none)"
    try:
        arrays, metadata = store.load(row.path)
    except WeightsError as error:
        return str(error)
    digest = store.digest(arrays)
    if row.arrays:
        right = digest == row.arrays
        return "" if right else f"{row.path}: holds other numbers than were published"
    if (made := metadata.get("kind")) != row.kind:
        earlier = "was kept by a version that had no network for it"
        other = f"was made for another network ({made or 'unknown'})"
        return f"{row.path}: {earlier if made == convert.AS_PUBLISHED else other}"
    if not metadata.get("source_sha256", "").startswith(pins.expected(row.source)):
        return f"{row.path}: was made of another file than the published one"
    return (
        "" if digest == metadata.get("arrays") else f"{row.path}: holds other numbers than it did"
    )


def all_packaged() -> list[pathlib.Path]:
    """Every weights file that comes with the package, by name."""
    return sorted(rows.FILES.glob("*.safetensors"))


def obtained(row: Row) -> pathlib.Path:
    """The row's published file, checked. Raises WeightsError, which tells all ways to it."""
    try:
        if not row.source.lacking():
            _warn(row)
        return row.source.obtain()
    except WeightsError as error:
        raise WeightsError(with_ways(row, str(error))) from error


def with_ways(row: Row, problem: str) -> str:
    """The problem of a file that comes from elsewhere, and what else can be done."""
    source = row.source
    if isinstance(source, Installed):
        return problem
    by_hand = f"`oldphoto weights import {row.name} FILE`"
    if not isinstance(source, npm.Packed):
        return f"{problem}. By hand: download it elsewhere ({source.origin}), and here {by_hand}"
    ways = (
        f"{problem}. Where there are npm and a network it comes by itself. Else run "
        f"`{source.origin}` where they are, and here {by_hand.replace('FILE', source.file)}"
    )
    if kind(source.sha256) != row.kind:
        return ways
    return f"{ways}, or name the packed file in the configuration in place of {row.name!r}"


def kind(checksum: str) -> str:
    """What a published file of that SHA-256 is read as where no row is named: all that it holds.

    Nothing if the catalogue knows no such file.
    """
    known = (row for row in ROWS if row.source.sha256 and not row.waiting)
    return next((row.kind for row in known if checksum.startswith(row.source.sha256)), "")


def _warn(row: Row) -> None:
    if pins.unknown(row.source):
        print(pins.warning(row.source), file=sys.stderr)


def _made(row: Row, source: pathlib.Path, origin: str) -> pathlib.Path:
    """The row's safetensors, made of its published file, from then on of no other."""
    checksum = store.checksum(source)
    if problem := pins.problem(row.source, checksum):
        told = f"{source}: {problem}; is it whole? It comes by: {row.source.origin}"
        raise WeightsError(told)
    trusted = pins.unknown(row.source)
    if trusted and not row.source.sha256 and source.parent == row.path.parent:
        _check(row, source)
    _converted(row, source, {"origin": origin, "licence": row.licence})
    if trusted:
        pins.keep(row.source, checksum)
        print(f"SHA-256 {checksum}: kept in {pins.place(row.source)}", file=sys.stderr)
    return row.path


def _check(row: Row, fetched: pathlib.Path) -> None:
    """Deletes what was fetched where nothing says what it should be and it is no such file."""
    try:
        convert.arrays(row.kind, fetched)
    except WeightsError as error:
        fetched.unlink(missing_ok=True)
        raise WeightsError(f"{error}. It can't be {row.source.file}, and was deleted") from error


def _converted(row: Row, source: pathlib.Path, about: dict[str, str]) -> pathlib.Path:
    try:
        convert.convert(row.kind, source, row.path, about)
    except OSError as error:
        raise WeightsError(cache.unwritable(row.path, error, row.source.size)) from error
    if problem := trouble(row):
        raise WeightsError(f"{problem}, though made of the published file: please report that")
    return row.path


def _earlier(row: Row) -> dict[str, str] | None:
    """What an earlier version, which had no network for them, told about tensors that it kept."""
    try:
        arrays, metadata = store.load(row.path)
    except WeightsError:
        return None
    of = metadata.get("source_sha256", "").startswith(pins.expected(row.source))
    if not of or metadata.get("kind") != convert.AS_PUBLISHED:
        return None
    if metadata.get("arrays") != store.digest(arrays):
        return None
    return {name: metadata[name] for name in ("source_sha256", "origin", "licence")}
