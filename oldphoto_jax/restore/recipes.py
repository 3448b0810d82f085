"""Recipes: what is done to photos, as tuples of stages, each recipe one program for a shape.

A stage maps the weights and a batch to what it changes: `batch = batch | stage(weights, batch)`.
Stages are pure functions of arrays, so a recipe may be jitted, sharded or put into a larger
program by whoever calls `run`:

    finder, filler = stage.load("segment-lite"), stage.load("inpaint-lite")
    recipe = (Detect(finder), Choose(step=32768, grow=2), Inpaint(filler, feather=1))
    weights = {"detect": finder.params, "inpaint": filler.params}
    batch = {"photo": photos, "gray": np.zeros(len(photos), bool)}
    restored = jax.jit(functools.partial(run, recipe))(weights, batch)["restored"]

In a batch are, float32 unless said otherwise,

    photo           [N,H,W,3]  0..1, mirrored beyond its own size
    gray            [N]        bool, whether a photo's channels are equal, and shall stay so
    rows, columns   [N,h,H] [N,w,W]  make the small view that is coloured: rows @ luma @ columns^T
    probability     [N,H,W,1]  of damage, 0..1 in steps of 1/65535, as it is stored; by `Detect`
    mask            [N,H,W,1]  1 where damaged; by `Choose`, or given
    fill            [N,H,W,3]  the photo with its holes filled, all of it; by `Inpaint`
    restored        [N,H,W,3]  the photo with as much of that as shall be seen; by `Inpaint`
    view            [N,h,w,1]  luma, small; by `View`, or given
    chroma          [N,h,w,2]  its colours: Cb and Cr, 0.5 is gray; by `Colorize`
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.photo import color
from oldphoto_jax.photo.types import Batch, Mask
from oldphoto_jax.restore.detect import FLIPS
from oldphoto_jax.restore.stage import Stage

Weights = Mapping[str, Any]
Step = Callable[[Weights, Batch], Mapping[str, Any]]
Recipe = Sequence[Step]

FULL_SCALE = 65535  # of a stored probability
REACH = 16  # pixels; beyond, growing and feathering are cheaper on the host


def run(recipe: Recipe, weights: Weights, batch: Batch) -> Batch:
    """The batch after every stage of the recipe, one after the other. Pure."""
    for stage in recipe:
        batch = batch | stage(weights, batch)
    return batch


@dataclasses.dataclass(frozen=True)
class Detect:
    """How likely each pixel is damaged; with `tta` the mean over the photo's mirror images."""

    stage: Stage
    tta: bool = False

    def __call__(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `probability`."""
        flips = FLIPS if self.tta else FLIPS[:1]
        answers = [
            jnp.flip(
                self.stage.predict(weights["detect"], {"photo": jnp.flip(batch["photo"], axes)})[
                    "mask"
                ],
                axes,
            )
            for axes in flips
        ]
        mean = sum(answers) / len(answers)
        return {"probability": jnp.round(mean * FULL_SCALE) / FULL_SCALE}


@dataclasses.dataclass(frozen=True)
class Choose:
    """The mask: where the probability reaches `step` / 65535, and all within `grow` pixels."""

    step: int
    grow: int = 0

    def __call__(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `mask`."""
        mask = jnp.float32(jnp.round(batch["probability"] * FULL_SCALE) >= self.step)
        return {"mask": widen(mask, self.grow)}


@dataclasses.dataclass(frozen=True)
class Inpaint:
    """What the mask hides drawn anew; around the holes the fill fades out over `feather` pixels.

    `strength` 0..1 says how much of the fill is to be seen.
    """

    stage: Stage
    feather: int = 0
    strength: float = 1.0

    def __call__(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `fill` and `restored`."""
        photo, mask = batch["photo"], batch["mask"]
        seen = {"photo": photo, "mask": widen(mask, self.feather)}
        fill = self.stage.predict(weights["inpaint"], seen)["photo"]
        gray = batch["gray"][:, None, None, None]
        fill = jnp.where(gray, fill.mean(axis=-1, keepdims=True), fill)
        opacity = self.strength * widen(mask, self.feather, fade=True)
        return {"fill": fill, "restored": photo + opacity * (jnp.clip(fill, 0, 1) - photo)}


@dataclasses.dataclass(frozen=True)
class View:
    """The small view of a picture of the batch: of `photo`, or of `restored`."""

    source: str = "photo"

    def __call__(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `view`."""
        gray = color.rgb_to_gray(batch[self.source])[..., 0]
        high = jax.lax.Precision.HIGHEST
        view = jnp.einsum("nhH,nHW,nwW->nhw", batch["rows"], gray, batch["columns"], precision=high)
        return {"view": view[..., None]}


@dataclasses.dataclass(frozen=True)
class Colorize:
    """Colours for the view: the network's, times the gain of its weights."""

    stage: Stage

    def __call__(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `chroma`."""
        photo = color.gray_to_rgb(batch["view"])
        answer = self.stage.predict(weights["colorize"], {"photo": photo})["photo"]
        return {"chroma": 0.5 + self.stage.task.gain * (color.rgb_to_ycbcr(answer)[..., 1:] - 0.5)}


def widen(mask: Mask, radius: int, fade: bool = False) -> Mask:
    """mask [N,H,W,1] with all within `radius` pixels (Euclidean); as `holes.grow` has it.

    With `fade`, as `holes.opacity`: 1 in the mask, falling evenly to 0 beyond `radius` pixels.
    """
    result = mask
    for y in range(-radius, radius + 1):
        for x in range(-radius, radius + 1):
            away = np.hypot(x, y)
            if 0 < away <= radius:
                weight = np.float32(1 - away / (radius + 1)) if fade else np.float32(1)
                result = jnp.maximum(result, weight * _shifted(mask, y, x))
    return result


def _shifted(mask: Mask, down: int, right: int) -> Mask:
    """The mask moved by so many pixels; what moves in is 0."""
    height, width = mask.shape[1:3]
    pads = [(max(step, 0), max(-step, 0)) for step in (down, right)]
    padded = jnp.pad(mask, [(0, 0), *pads, (0, 0)])
    top, left = max(-down, 0), max(-right, 0)
    return padded[:, top : top + height, left : left + width]
