"""Gives fillings the grain of the photo: where everything is grainy, a smooth patch is a seam.

A network that minimizes distances fills with the mean of what might be there, and a mean has no
grain. Drawn at random it would have to be modelled; lent by another place of the same photo, it has
the right strength, size and colour by itself, and the same tile gets the same grain every time.
"""

from __future__ import annotations

import functools
import math
import operator

import jax
import jax.numpy as jnp
from jax.lax import optimization_barrier as written

from oldphoto_jax.photo.types import Array, Mask, Photo

# How far away, in pixels, grain may be lent from: in all directions, beyond most holes; the last
# four serve the middle of large ones
PLACES = (
    *((0, 40), (0, -40), (40, 0), (-40, 0)),
    *((64, 24), (-64, -24), (24, -64), (-24, 64)),
    *((96, 0), (-96, 0), (0, 96), (0, -96)),
    *((0, 192), (0, -192), (192, 0), (-192, 0)),
)
FURTHEST = max(max(place) for place in PLACES)
CALMER = 0.7  # by so much must a later place be calmer, or tiles that overlap would often disagree
ALIKE = 0.2  # of 1: places as bright as that; white margins and black corners have no grain
REACH = 3  # pixels around a hole of which nothing is lent: its rim may be damaged
WINDOW = 13  # pixels: side of the square in which the energy of grain is measured
RIM = 5  # pixels: side of the square that a hole has to fill for grain in full
MOST = 3.0  # standard deviations; what is stronger is no grain but a contour
BLUR = tuple(math.comb(12, i) / 2**12 for i in range(13))  # wide enough for coarse grain


def lend(filled: Photo, photo: Photo, mask: Mask) -> jax.Array:
    """The filled photo [N,H,W,C] with grain in its holes (mask [N,H,W,1] is 1), within 0..1.

    Grain is what a photo has beyond its smoothed self. Of several places nearby that are alike in
    brightness, a calm one lends its own: where nothing is depicted, there is only grain. The
    filling gets so much that both have about the same energy, and none if it is as lively already.
    Thin holes get less, down to nothing at 2 pixels, where neighbours tell the truth better, and so
    does what lies further than 192 pixels from anything good.
    """
    # Planes of single channels, each written to memory before it is read again: XLA would compute
    # it anew for every pixel of the square around it that it is needed for.
    filled, photo, mask = (written(jnp.moveaxis(x, -1, 1)) for x in (filled, photo, mask))
    tone = _blur(filled)
    lent, energy = _lender(photo, mask, tone.mean(1, keepdims=True))
    own = _mean(jnp.square(filled - tone).mean(1, keepdims=True), mask, WINDOW)
    missing = jnp.sqrt(jnp.clip(1 - own / jnp.maximum(energy, 1e-12), 0, 1))
    edge = RIM // 2
    beyond = _framed(mask, edge, "edge")  # a hole at the border goes on
    share = _sum(beyond, RIM)[:, :, edge:-edge, edge:-edge] / RIM**2
    lively = filled + mask * jnp.clip(2 * share - 1, 0, 1) * missing * lent
    return jnp.moveaxis(jnp.clip(lively, 0, 1), 1, -1)


def _lender(photo: Array, mask: Array, wanted: Array) -> tuple[jax.Array, jax.Array]:
    """For every pixel the grain of a place like it in brightness, and the energy of grain there.

    Both are 0 where no place is good. `wanted` [N,1,H,W] is how bright it is to be.
    """
    good = 1 - mask
    tone = _blur(photo * good) / jnp.maximum(_blur(good), 1e-6)
    fine = written((photo - tone) * good)
    energy = _mean(jnp.square(fine).mean(1, keepdims=True), good, WINDOW)
    energy = jnp.where(_sum(mask, 2 * REACH + 1) == 0, energy, jnp.inf)
    around = [_framed(x, FURTHEST, "wrap") for x in (energy, tone.mean(1, keepdims=True))]
    height, width = energy.shape[2:]
    least, choice = jnp.full_like(energy, jnp.inf), jnp.zeros(energy.shape, jnp.int32)
    for number, (down, across) in enumerate(PLACES):
        rows = slice(FURTHEST - down, FURTHEST - down + height)
        columns = slice(FURTHEST - across, FURTHEST - across + width)
        there, bright = (x[:, :, rows, columns] for x in around)
        better = (jnp.abs(bright - wanted) < ALIKE) & (there < CALMER * least)
        choice, least = jnp.where(better, number, choice), jnp.where(better, there, least)
    lent = jnp.where(jnp.isfinite(least), _fetched(fine, choice), 0)
    least = jnp.where(jnp.isfinite(least), least, 0)
    return jnp.clip(lent, -MOST * jnp.sqrt(least), MOST * jnp.sqrt(least)), least


def _fetched(x: jax.Array, choice: jax.Array) -> jax.Array:
    """x [N,C,H,W] from the place that is chosen for each pixel, a number [N,1,H,W] of PLACES."""
    height, width = x.shape[2:]
    down, across = (jnp.int32(sides)[choice] for sides in zip(*PLACES, strict=True))
    rows = (jnp.arange(height)[:, None] - down) % height
    columns = (jnp.arange(width) - across) % width
    places = (rows * width + columns).reshape(len(x), 1, -1)
    flat = x.reshape(*x.shape[:2], -1)
    return jnp.take_along_axis(flat, places, -1, mode="promise_in_bounds").reshape(x.shape)


def _blur(x: Array) -> jax.Array:
    """x [N,C,H,W] smoothed; beyond the border it goes on."""
    height, width = x.shape[2:]
    x = _framed(x, len(BLUR) // 2, "edge")
    rows = (share * x[:, :, i : i + height] for i, share in enumerate(BLUR))
    x = written(functools.reduce(operator.add, rows))
    columns = (share * x[..., i : i + width] for i, share in enumerate(BLUR))
    return written(functools.reduce(operator.add, columns))


def _mean(x: Array, good: Array, side: int) -> jax.Array:
    """Of the good pixels in a square around each pixel; 0 where there are none."""
    return _sum(x * good, side) / jnp.maximum(_sum(good, side), 1e-6)


def _sum(x: Array, side: int) -> jax.Array:
    """Of [N,C,H,W], over a square of that side around each pixel; beyond the border is nothing."""
    height, width = x.shape[2:]
    x = _framed(x, side // 2, "constant")
    x = written(functools.reduce(operator.add, (x[:, :, i : i + height] for i in range(side))))
    return functools.reduce(operator.add, (x[..., i : i + width] for i in range(side)))


def _framed(x: Array, width: int, mode: str) -> jax.Array:
    """x [N,C,H,W] with so many pixels around it, made as `numpy.pad` says."""
    return written(jnp.pad(x, ((0, 0), (0, 0), (width, width), (width, width)), mode=mode))
