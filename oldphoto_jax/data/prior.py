r"""Counts how common each colour is in photos, so that training can let rare ones count for more.

    python -m oldphoto_jax.data.prior albums/train --out prior.csv
    python -m oldphoto_jax.main --config=configs/colorful.py:eccv16 --config.task.prior=prior.csv

Of the 313 colours of a and b (`photo.ab_bins`), or with --grid=SIDE of a grid over Cb and Cr.
Photos without colour are passed over, and each of the others counts as much as any, however large.
"""

from __future__ import annotations

import argparse
import sys

import jax
import numpy as np

from oldphoto_jax.data.sources import Photos, open_photos
from oldphoto_jax.photo import image, planes, prior
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid, Palette

SIDE = 128  # pixels a side that are looked at
COLOURLESS = 5.0  # |a| and |b| that no pixel of a photo without colour exceeds


def count(photos: Photos, palette: Palette) -> tuple[np.ndarray, int]:
    """The share [K] of pixels nearest to each of the palette's colours, and of how many photos.

    Raises ValueError where no photo has colours.
    """
    nearest = jax.jit(palette.nearest)
    total, counted = np.zeros(len(palette)), 0
    for index in range(len(photos)):
        photo = image.resize(image.to_float(photos[index]["photo"]), SIDE, SIDE)
        if np.abs(planes.colours(photo, "ab")).max() <= COLOURLESS:
            continue
        which = np.asarray(nearest(planes.colours(photo, palette.plane))).ravel()
        total += np.bincount(which, minlength=len(palette)) / which.size
        counted += 1
    if not counted:
        raise ValueError(f"none of the {len(photos)} photos of {photos!r} has colours")
    return total / counted, counted


def main(arguments: list[str] | None = None) -> int:
    """The command line: see the head of this file. Returns the exit status."""
    assert __doc__
    parser = argparse.ArgumentParser(
        "python -m oldphoto_jax.data.prior", description=__doc__.splitlines()[0]
    )
    parser.add_argument("photos", help="what --config.photos takes: a folder, a list, a mixture")
    parser.add_argument("--out", required=True, help="the table to write, such as prior.csv")
    parser.add_argument("--grid", type=int, help="colours a side of a grid over Cb and Cr")
    options = parser.parse_args(arguments)
    try:
        palette = Grid(side=options.grid) if options.grid else AbBins()
        shares, counted = count(open_photos(options.photos), palette)
        prior.write(options.out, palette, shares)
    except (ValueError, OSError) as error:
        print(f"prior: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {len(palette)} colours in {counted} photos")
    return 0


if __name__ == "__main__":
    sys.exit(main())
