"""Files of hints: JSON with points and strokes, or a transparent picture drawn over the photo."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np

from oldphoto_jax.photo import hints
from oldphoto_jax.photo.disk import contained

SUFFIX = "_hints"  # NAME_hints.json or NAME_hints.png belongs to NAME
MOST = 4 << 20  # bytes of JSON; a stroke has some hundred


def read(path: str | os.PathLike, height: int, width: int) -> np.ndarray:
    """The hints of a file for a photo or its view of these sides: see `photo.hints.drawn`.

    Raises ValueError, with the path, for what are no hints.
    """
    path = pathlib.Path(path)
    try:
        if path.suffix.lower() == ".json":
            return hints.drawn(_strokes(path), height, width)
        return hints.seen(_picture(path), height, width)
    except ValueError as error:
        raise (
            error if str(error).startswith(str(path)) else ValueError(f"{path}: {error}")
        ) from error


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
