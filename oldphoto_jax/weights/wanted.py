"""What the `weights` of a configuration name: a file of one's own, a published one, or a row.

A file at that path comes first: safetensors, or a published file, told by its SHA-256. Else it is a
row of the catalogue, with or without `.safetensors`.
"""

from __future__ import annotations

import pathlib

import numpy as np

from oldphoto_jax.weights import catalogue, convert, store
from oldphoto_jax.weights.installed import Installed
from oldphoto_jax.weights.store import WeightsError


def arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays that a configuration calls `name`.

    Those in an installed package are read in place, those from elsewhere are kept in the user's
    cache. Raises WeightsError when there is nothing of this name, and says how to come by it.
    """
    path = pathlib.Path(name)
    if path.is_file():
        kind = _kind(path)
        return convert.arrays(kind, path) if kind else store.load(path)[0]
    if (row := _row(name)) is None:
        raise WeightsError(_unknown(name))
    if row.waiting:
        raise WeightsError(row.waiting)
    if isinstance(row.source, Installed) and not row.path.is_file():
        return convert.arrays(row.kind, catalogue.obtained(row))
    return store.load(catalogue.get(row.name))[0]


def lacking(name: str) -> str:
    """Why `arrays` would fail; nothing if the weights are there or may be fetched.

    Fetches nothing and reads no numbers of safetensors files.
    """
    path = pathlib.Path(name)
    if path.is_file():
        try:
            _kind(path)
        except WeightsError as error:
            return str(error)
        return ""
    if (row := _row(name)) is None:
        return _unknown(name)
    if row.card:
        return catalogue.trouble(row)
    if row.waiting:
        return row.waiting
    if row.path.is_file() or not (problem := row.source.lacking()):
        return ""
    return catalogue.with_ways(row, problem)


def obtain(name: str) -> None:
    """Fetches what `arrays` will want and this machine lacks. Raises WeightsError like that."""
    row = None if pathlib.Path(name).is_file() else _row(name)
    if row is None or row.card:
        return
    if row.path.is_file() or not isinstance(row.source, Installed):
        catalogue.get(row.name)


def _row(name: str) -> catalogue.Row | None:
    return catalogue.row(name.removesuffix(".safetensors"))


def _unknown(name: str) -> str:
    known = ", ".join(row.name for row in catalogue.ROWS)
    return (
        f"{name}: no such weights file. If a run leaves it, that run comes first: the "
        f"configuration's own text says where its weights come from (a file, or one of {known})"
    )


def _kind(path: pathlib.Path) -> str:
    """What `convert` reads the file as; nothing for safetensors.

    Raises WeightsError for a file that is neither safetensors nor a published one.
    """
    try:
        store.check(path)
    except WeightsError as error:
        checksum = store.checksum(path)
        if not (kind := catalogue.kind(checksum)):
            raise WeightsError(
                f"{error}; nor is it a published file that the catalogue knows (SHA-256 {checksum})"
            ) from error
        return kind
    return ""
