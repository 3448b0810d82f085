"""A photo to try things on: a packaged sample, grown old and damaged by our generator, or gray."""

from __future__ import annotations

import pathlib

import numpy as np

from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.types import Batch

NAME, TRUTH, GRAY = "sample.png", "sample_truth.png", "sample_gray.png"
ENLARGE = 2  # the samples are small; scans are larger and softer
SEED = 13  # sepia, with a crack that forks and a blot


def aged(seed: int = SEED) -> Batch:
    """The old photo [H,W,3] and the mask [H,W,1] of its damage, both float32 in 0..1.

    It is a portrait of the training split of the samples, which the packaged weights did not
    learn from. Another seed damages it otherwise. Raises ValueError for a seed below 0.
    """
    if seed < 0:
        raise ValueError(f"seed {seed}: give 0 or more")
    good = Samples("train")[0]["photo"]
    height, width = (ENLARGE * side for side in good.shape[:2])
    damage = Damage(clean=0, lookalikes=0, gray=1, ageing=1, scan=1)
    old = damage(image.resize(good, height, width), np.random.default_rng(seed))
    return {"photo": old["photo"], "mask": old["mask"]}


def write(folder: pathlib.Path, seed: int = SEED) -> pathlib.Path:
    """Writes the old photo into a folder, and beside it where its damage is; returns the photo.

    Files that are there already stay as they are. Raises ValueError if they hold anything else.
    """
    old = aged(seed)
    return _keep(folder, {NAME: old["photo"], TRUTH: old["mask"]})


def write_gray(folder: pathlib.Path) -> pathlib.Path:
    """Writes the same portrait, undamaged and made gray, into a folder; as `write` does."""
    portrait = Samples("train")[0]["photo"]
    return _keep(folder, {GRAY: color.rgb_to_gray(image.to_float(portrait))})


def _keep(folder: pathlib.Path, pictures: Batch) -> pathlib.Path:
    """Writes pictures by their names unless they are there; returns the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in pictures.items():
        path, pixels = folder / name, image.to_uint8(array)
        if not path.exists():
            files.write_png(path, pixels)
        elif not np.array_equal(files.read(path).pixels, pixels):
            raise ValueError(f"{path}: holds another picture; choose another --out")
    return folder / next(iter(pictures))
