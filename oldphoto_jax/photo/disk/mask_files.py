"""Mask files: what they are called beside a photo, and which pictures are masks of it."""

from __future__ import annotations

import collections
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.codecs import kinds
from oldphoto_jax.photo.disk import files, names

SUFFIX = "_mask"  # NAME_mask.png is what `oldphoto detect` and `oldphoto restore` write
BETWEEN = 0.1  # share of pixels that may be neither black nor white; soft edges are
COLORED = 0.001  # share of pixels that may have a colour
MOST = 0.5  # more than this share is damaged in no photo, but in a mask that is inverted

Index = Mapping[tuple[str, str], list[pathlib.Path]]  # of (folder, name without ending)


def marked(pixels: np.ndarray, most: float = MOST) -> np.ndarray:
    """The mask [H,W] uint8 in a file's pixels [H,W,1|3], 1 where white: from half of full scale on.

    Raises ValueError for a picture that isn't black and white, is white in more than the share
    `most`, or has gray but no white. Beside pixels and mask only a band of rows is held.
    """
    full = np.iinfo(pixels.dtype).max
    mask = np.empty(pixels.shape[:2], np.uint8)
    colored = between = white = brightest = 0
    for band in scratch.bands(pixels):
        gray = pixels[band].max(axis=-1)
        colored += int(np.count_nonzero(gray - pixels[band].min(axis=-1) > full // 8))
        between += int(np.count_nonzero((gray > full // 8) & (gray < full - full // 8)))
        np.greater(gray, full // 2, out=mask[band], casting="unsafe")
        white += int(np.count_nonzero(mask[band]))
        brightest = max(brightest, int(gray.max()))
    if colored > COLORED * mask.size:
        raise ValueError("has colours, so it is no mask (an overlay?); a mask is black and white")
    if between > BETWEEN * mask.size:
        raise ValueError(
            f"{between / mask.size:.0%} of its pixels are gray, so it is no mask; a mask "
            "is white where the photo is damaged and black elsewhere"
        )
    if brightest and not white:
        raise ValueError(
            f"nothing in it is white, its brightest pixel is {brightest} of {full}; white "
            f"must mean damaged, so save it with 0 and {full} instead of 0 and {brightest}"
        )
    if white > most * mask.size:
        raise ValueError(
            f"marks {white / mask.size:.0%} of the photo as damaged; white must mean "
            "damaged, so invert it if it is the other way round"
        )
    return mask


def check_size(pixels: np.ndarray, size: tuple[int, int], what: str = "mask") -> None:
    """Raises ValueError unless pixels [H,W,C] have the size (H, W) of the photo."""
    if pixels.shape[:2] != tuple(size):
        there, wanted = (f"{w} x {h} pixels" for h, w in (pixels.shape[:2], size))
        raise ValueError(f"the {what} has {there}, the photo {wanted}; they must agree")


def stems(name: str, label: str, suffix: str = SUFFIX) -> list[str]:
    """What the mask of a photo called `name` may be called, without ending, the likeliest first.

    `label` is what `names.labels` calls the photo among its fellows. Where that is shortened, a
    mask may bear the long name, too.
    """
    whole = kinds.stem(pathlib.PurePath(name))
    whole = whole if label == names.short(whole) else label
    likely = (label + suffix, whole + suffix, name + suffix, label, whole, name)
    return [*dict.fromkeys(likely)]


def by_place(folder: str | os.PathLike) -> Index:
    """The picture files in a folder and below, by their folder in it and name without ending.

    Both in Unicode's NFC: a mask may come from a machine that writes an é in another way.
    """
    index: dict[tuple[str, str], list[pathlib.Path]] = collections.defaultdict(list)
    for path in files.find(folder):
        inside = path.relative_to(folder)
        index[place(inside.parent.as_posix(), kinds.stem(inside))].append(path)
    return index


def named(
    index: Index, parent: str, stems: Sequence[str], photo: pathlib.Path
) -> list[pathlib.Path]:
    """The files in the folder `parent` that bear the first of the stems that any bears.

    The photo is no mask of its own. More than one is a question for the user: see `several`.
    """
    for stem in stems:
        found = [
            path for path in index.get(place(parent, stem), []) if path.resolve() != photo.resolve()
        ]
        exact = [
            path for path in found if kinds.stem(path) == stem
        ]  # to the byte, if there are several
        if found:
            return exact or found
    return []


def several(found: Sequence[pathlib.Path], what: str = "mask") -> str:
    """What to say of a photo with several files of one name as its mask."""
    return f"has several files as its {what}: {' and '.join(map(str, found))}; keep one"


def place(parent: str, stem: str) -> tuple[str, str]:
    """How an Index calls a file of this name in a folder, however its é is written."""
    return names.composed(parent), names.composed(stem)
