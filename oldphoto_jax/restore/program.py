"""A recipe compiled: photos of one bucket go through it together, spread over all devices.

A bucket is the shape to which photos are padded, so that a folder of all sizes makes few
programs. How many were made is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.types import Batch
from oldphoto_jax.restore import colorize, recipes
from oldphoto_jax.restore.recipes import Recipe

LARGEST = 1.5  # area of the largest bucket, in tiles: more goes tile by tile

STEP = 128  # pixels by which the shorter sides of buckets differ


def bucket(height: int, width: int, *, tile: int, multiple: int) -> tuple[int, int] | None:
    """The smallest bucket for a photo of height x width, or None if it must go tile by tile.

    A bucket has proportions of 1:1, 2:3, 1:2, 3:2 or 2:1 and sides of STEP, twice, three times
    ... as much, rounded up to what all sides must be a multiple of: with tiles of 1024 pixels
    there are 37 of them.
    """
    found = []
    for down, across in colorize.PROPORTIONS:
        times = max(-(-2 * height // (down * STEP)), -(-2 * width // (across * STEP)))
        sides = (side * times * STEP // 2 for side in (down, across))
        high, wide = (-(-side // multiple) * multiple for side in sides)
        found.append((high, wide))
    smallest = min(found, key=math.prod)
    return smallest if math.prod(smallest) <= LARGEST * tile * tile else None


def frame(pixels: np.ndarray, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """A photo's part of a batch that is restored: pixels [H,W,1|3] of a file."""
    photo = image.pad_to(files.rgb(pixels), *shape)
    return {"photo": photo, "gray": np.asarray(image.is_gray(pixels))}


def shrinking(
    sides: tuple[int, int],
    small: tuple[int, int],
    shape: tuple[int, int],
    view: tuple[int, int],
) -> dict[str, np.ndarray]:
    """The matrices in a batch that shrink a photo in its bucket to the view that is coloured.

    The photo's own `sides` become `small`, its bucket of this `shape` the mirrored `view`.
    """
    rows, columns = (_shrinking(*along) for along in zip(sides, small, shape, view, strict=True))
    return {"rows": rows, "columns": columns}


def _shrinking(length: int, small: int, padded: int, shown: int) -> np.ndarray:
    """[shown,padded] float32: averages `length` pixels over areas to `small`, then mirrors them."""
    unit = np.eye(length, dtype=np.float32)[..., None]
    matrix = image.resize(unit, small, length, growing="bilinear")
    matrix = image.pad_to(matrix, shown, length)[..., 0]
    return np.pad(matrix, [(0, 0), (0, padded - length)])


class Program:
    """Runs a recipe on batches; `wanted` names what of the last batch is handed back.

    `compiled` gets the shape of the photos or views of every batch that a program was made for.
    """

    def __init__(
        self,
        recipe: Recipe,
        weights: Mapping[str, Any],
        wanted: Sequence[str],
        devices: Sequence[jax.Device],
        compiled: list[tuple[int, ...]],
    ):
        mesh = jax.make_mesh(
            (len(devices),), ("photos",), axis_types=(AxisType.Auto,), devices=devices
        )
        self._devices = len(devices)
        self._sharding = NamedSharding(mesh, PartitionSpec("photos"))
        self._weights = jax.device_put(dict(weights), NamedSharding(mesh, PartitionSpec()))

        @jax.jit
        def go(weights: recipes.Weights, batch: Batch) -> Batch:
            shown = batch["photo"] if "photo" in batch else batch["view"]
            compiled.append(shown.shape)  # runs while JAX traces: once per program
            result = recipes.run(recipe, weights, batch)
            if "probability" in wanted:
                steps = jnp.round(result["probability"] * recipes.FULL_SCALE)
                result = result | {"probability": steps.astype(jnp.uint16)}
            return {name: result[name] for name in wanted}

        self._go: Callable = go

    def __call__(self, frames: Sequence[Mapping[str, np.ndarray]], count: int) -> list[dict]:
        """What is wanted of each frame, as NumPy arrays.

        They are computed as a batch of `count`, and more where the devices want equal shares:
        frames that are missing are filled up, since another number would be another program.
        Raises JAX's RESOURCE_EXHAUSTED error when the devices have too little memory.
        """
        count = -(-max(count, len(frames)) // self._devices) * self._devices
        whole = [*frames, *[frames[-1]] * (count - len(frames))]
        batch = {name: np.stack([one[name] for one in whole]) for name in frames[0]}
        answer = jax.device_get(self._go(self._weights, jax.device_put(batch, self._sharding)))
        return [jax.tree.map(lambda array, n=n: array[n], answer) for n in range(len(frames))]
