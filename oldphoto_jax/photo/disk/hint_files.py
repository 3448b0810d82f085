"""Files of hints: JSON with points and strokes, or a transparent picture drawn over the photo."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np

from oldphoto_jax.photo import hints
from oldphoto_jax.photo.disk import contained, mask_files

HINTS = "hints"  # what a job calls them among its inputs
SUFFIX = "_hints"  # NAME_hints.json or NAME_hints.png belongs to NAME
MOST = 4 << 20  # bytes of JSON; a stroke has some hundred


def read(path: str | os.PathLike, height: int, width: int) -> hints.Hints:
    """The hints of a file for a photo of these sides.

    Raises ValueError, with the path, for what are no hints, and for a picture of other proportions.
    """
    path = pathlib.Path(path)
    try:
        if path.suffix.lower() == ".json":
            return hints.Hints(tuple(_strokes(path)))
        picture = _picture(path)
        hints.check(picture, height, width)
        return hints.Hints(picture=picture)
    except ValueError as error:
        raise (
            error if str(error).startswith(str(path)) else ValueError(f"{path}: {error}")
        ) from error


def by_place(folder: str | os.PathLike) -> mask_files.Index:
    """Files that may be hints in a folder and below: see `mask_files.by_place`."""
    index = dict(mask_files.by_place(folder))
    for path in sorted(pathlib.Path(folder).rglob(f"*{SUFFIX}.json")):
        key = mask_files.place(path.parent.relative_to(folder).as_posix(), path.stem)
        index[key] = [*index.get(key, []), path]
    return index


def _strokes(path: pathlib.Path) -> list[hints.Stroke]:
    if path.stat().st_size > MOST:
        raise ValueError(f"has more than {MOST >> 20} MiB, too much for hints")
    try:
        return hints.parse(json.loads(path.read_text("utf-8")))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"is no JSON ({error}); {hints.FORM}") from error


def _picture(path: pathlib.Path) -> np.ndarray:
    """[H,W,4]; a gray picture with transparency has its gray three times."""
    photo = contained.read(path)
    if photo.alpha is None:
        raise ValueError("has no transparency; draw hints over the photo on a transparent layer")
    colors = np.broadcast_to(photo.pixels, (*photo.pixels.shape[:2], 3))
    return np.concatenate([colors, photo.alpha[..., None]], -1)
