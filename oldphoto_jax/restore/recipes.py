"""Recipes: what is done to photos, as tuples of stages, each recipe one program for a shape.

A stage maps the weights and a batch to what it changes: `batch = batch | stage(weights, batch)`.
Stages are pure functions of arrays, so a recipe may be jitted, sharded or put into a larger
program by whoever calls `run`. `clean`, `color` and `full` are the recipes that have a name; others
are tuples that begin with one of them, such as (*clean(detector, inpainter), View("fill")).

`programs` has the same stages and cuts the chain at the view. The colours of a photo then come from
one and the same program whatever else is asked for, and are the same to the byte; and the largest
network is compiled for the 5 shapes of views rather than for each of the 37 buckets.

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
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.photo.color import gray_to_rgb, rgb_to_gray, rgb_to_ycbcr
from oldphoto_jax.photo.types import Batch, Mask
from oldphoto_jax.restore import detect
from oldphoto_jax.restore.stage import Stage

if TYPE_CHECKING:
    from oldphoto_jax.predictors.colors import ColorPredictor
    from oldphoto_jax.predictors.defects import DefectPredictor
    from oldphoto_jax.predictors.filling import FillingPredictor

Weights = Mapping[str, Any]
Step = Callable[[Weights, Batch], Batch]
Recipe = Sequence[Step]

FULL_SCALE = 65535  # of a stored probability
GROW, FEATHER = 2, 1  # pixels: found masks fit tightly, and leave a rim of the scratch
REACH = 16  # pixels; beyond, growing and feathering are cheaper on the host


def run(recipe: Recipe, weights: Weights, batch: Batch) -> Batch:
    """The batch after every stage of the recipe, one after the other. Pure."""
    for stage in recipe:
        batch = batch | stage(weights, batch)
    return batch


@dataclasses.dataclass(frozen=True)
class Detect:
    """How likely each pixel is damaged; with `tta` the mean over the photo's mirror images."""

    stage: Stage[DefectPredictor]
    tta: bool = False

    def __call__(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `probability`."""
        flips = detect.FLIPS if self.tta else detect.FLIPS[:1]
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

    stage: Stage[FillingPredictor]
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
        gray = rgb_to_gray(batch[self.source])[..., 0]
        high = jax.lax.Precision.HIGHEST
        view = jnp.einsum("nhH,nHW,nwW->nhw", batch["rows"], gray, batch["columns"], precision=high)
        return {"view": view[..., None]}


@dataclasses.dataclass(frozen=True)
class Colorize:
    """Colours for the view: the network's, times the gain of its weights."""

    stage: Stage[ColorPredictor]

    def __call__(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `chroma`."""
        photo = gray_to_rgb(batch["view"])
        answer = self.stage.predict(weights["colorize"], {"photo": photo})["photo"]
        return {"chroma": 0.5 + self.stage.predictor.gain * (rgb_to_ycbcr(answer)[..., 1:] - 0.5)}


def clean(
    detector: Stage[DefectPredictor],
    inpainter: Stage[FillingPredictor],
    *,
    threshold: float | None = None,
    tta: bool = False,
    grow: int = GROW,
    feather: int = FEATHER,
    strength: float = 1.0,
) -> Recipe:
    """Defects found and filled: `restored` of `photo` [N,H,W,3] and `gray` [N].

        finder, filler = stage.load("segment-lite"), stage.load("inpaint-lite")
        recipe = recipes.clean(finder, filler)
        weights = {"detect": finder.params, "inpaint": filler.params}
        photos = np.random.default_rng(0).random((2, 128, 192, 3), np.float32)
        batch = {"photo": photos, "gray": np.zeros(2, bool)}
        restored = jax.jit(functools.partial(recipes.run, recipe))(weights, batch)["restored"]

    Pixels are damaged whose probability reaches `threshold` in 0..1, by default that of the
    detector's weights. `grow` and `feather` are in pixels.
    """
    threshold = detector.predictor.threshold if threshold is None else threshold
    return (
        Detect(detector, tta),
        Choose(detect.step(threshold), grow),
        Inpaint(inpainter, feather, strength),
    )


def color(colorizer: Stage[ColorPredictor]) -> Recipe:
    """Colours for photos as they came: `chroma` of `photo` [N,H,W,3], `rows` and `columns`.

        painter = stage.load("colorize-lite")
        pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 1), np.uint8)
        sides, shape, size = pixels.shape[:2], (128, 128), 128
        small = colorize.working_size(*sides, size)
        view = colorize.view(*small, size, painter.predictor.multiple)
        one = program.frame(pixels, shape) | program.shrinking(sides, small, shape, view)
        batch = {name: array[None] for name, array in one.items()}
        go = jax.jit(functools.partial(recipes.run, recipes.color(painter)))
        made = go({"colorize": painter.params}, batch)
        luma, chroma = (image.crop(made[name][0], 0, 0, *small) for name in ("view", "chroma"))
        colored = colorize.paint(pixels, np.asarray(luma), np.asarray(chroma))

    Of what is padded, `photo` to `shape` and `view` beyond `small`, nothing is kept.
    """
    return View("photo"), Colorize(colorizer)


def full(
    detector: Stage[DefectPredictor],
    inpainter: Stage[FillingPredictor],
    colorizer: Stage[ColorPredictor],
    **options: Any,
) -> Recipe:
    """What `clean` does, with the same options, and colours for what it restored: `chroma`.

        finder, filler = stage.load("segment-lite"), stage.load("inpaint-lite")
        painter = stage.load("colorize-lite")
        recipe = recipes.full(finder, filler, painter, threshold=0.5)
        weights = {"detect": finder.params, "inpaint": filler.params, "colorize": painter.params}
        pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 1), np.uint8)
        sides, shape, small, view = (90, 120), (128, 128), (96, 128), (96, 128)
        one = program.frame(pixels, shape) | program.shrinking(sides, small, shape, view)
        batch = {name: array[None] for name, array in one.items()}
        made = jax.jit(functools.partial(recipes.run, recipe))(weights, batch)
        restored, chroma = made["restored"], made["chroma"]

    The batch is that of `color`.
    """
    return *clean(detector, inpainter, **options), View("restored"), Colorize(colorizer)


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
