"""How common each colour of a palette is in photos: a small table, counted, kept and read.

Zhang et al., 2016 (https://arxiv.org/abs/1603.08511) let rare colours count for more by such a
table; see `losses.balance`. The packaged one is of photographs that everybody may use, mostly of
people; `python -m oldphoto_jax.data.prior` counts one's own.
"""

from __future__ import annotations

import csv
import importlib.resources
import os
import pathlib
from importlib.resources.abc import Traversable

import numpy as np

from oldphoto_jax.photo.palette import Palette

PACKAGED = "packaged"  # the name of the table of a and b that comes along
DIGITS = 5  # of colours, after the point
HEADS = {"cbcr": ("cb", "cr"), "ab": ("a", "b")}  # of the columns of colours


def file_of(name: str | os.PathLike[str]) -> Traversable:
    """The table of this path, or the packaged one by its name."""
    if name == PACKAGED:
        return importlib.resources.files("oldphoto_jax.photo") / "prior.csv"
    return pathlib.Path(name)


def read(name: str | os.PathLike[str], palette: Palette) -> np.ndarray:
    """The share [K] of pixels that each of the palette's colours has; their sum is 1.

    A colour that the table doesn't have was never seen. Raises ValueError for a file that is no
    such table, or one of another palette, and FileNotFoundError.
    """
    heads = (*HEADS[palette.plane], "share")
    lines = [*csv.reader(file_of(name).read_text(encoding="utf-8").splitlines())]
    if not lines or tuple(lines[0]) != heads:
        raise ValueError(
            f"{name}: the columns are {lines[:1]}, but a prior of this palette has {list(heads)}; "
            "count one by python -m oldphoto_jax.data.prior"
        )
    try:
        known = {(float(one), float(other)): float(share) for one, other, share in lines[1:]}
    except ValueError as error:
        raise ValueError(f"{name}: not every line is three numbers ({error})") from error
    keys = [(round(float(one), DIGITS), round(float(two), DIGITS)) for one, two in palette.centres]
    shares = np.array([known.pop(key, 0.0) for key in keys])
    lacking = sum(share > 0 for share in known.values())
    if lacking or not shares.any():
        raise ValueError(
            f"{name}: the palette lacks {lacking} of the table's colours; it is of another one"
        )
    return shares / shares.sum()


def write(path: str | os.PathLike[str], palette: Palette, shares: np.ndarray) -> None:
    """Writes the table that `read` reads; the shares [K] may have any sum."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow((*HEADS[palette.plane], "share"))
        for centre, share in zip(palette.centres, shares / shares.sum(), strict=True):
            colour = (f"{round(float(x), DIGITS):.9g}" for x in centre)
            table.writerow((*colour, f"{share:.6g}"))
