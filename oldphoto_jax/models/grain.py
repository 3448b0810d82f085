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
from jax import lax

from oldphoto_jax.photo.types import Features, Mask, Photo

# How far away, in pixels, grain may be lent from: in all directions, beyond most holes; the last
# four serve the middle of large ones
PLACES = (
    *((0, 40), (0, -40), (40, 0), (-40, 0)),
    *((64, 24), (-64, -24), (24, -64), (-24, 64)),
    *((96, 0), (-96, 0), (0, 96), (0, -96)),
    *((0, 192), (0, -192), (192, 0), (-192, 0)),
)
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
    filled, photo, mask = (jnp.asarray(array) for array in (filled, photo, mask))
    tone = _blur(filled)
    lent, energy = _lender(photo, mask, tone.mean(-1, keepdims=True))
    own = _mean(jnp.square(filled - tone).mean(-1, keepdims=True), mask, WINDOW)
    missing = jnp.sqrt(jnp.clip(1 - own / jnp.maximum(energy, 1e-12), 0, 1))
    edge = (RIM // 2,) * 2
    beyond = jnp.pad(
        mask, ((0, 0), edge, edge, (0, 0)), mode="edge"
    )  # a hole at the border goes on
    share = _sum(beyond, RIM)[:, edge[0] : -edge[0], edge[0] : -edge[0]] / RIM**2
    return jnp.clip(filled + mask * jnp.clip(2 * share - 1, 0, 1) * missing * lent, 0, 1)


def _lender(photo: Features, mask: Features, wanted: Features) -> tuple[Features, Features]:
    """For every pixel the grain of a place like it in brightness, and the energy of grain there.

    Both are 0 where no place is good. `wanted` [N,H,W,1] is how bright it is to be.
    """
    good = 1 - mask
    tone = _blur(photo * good) / jnp.maximum(_blur(good), 1e-6)
    fine = (photo - tone) * good
    tone = tone.mean(-1, keepdims=True)
    energy = _mean(jnp.square(fine).mean(-1, keepdims=True), good, WINDOW)
    energy = jnp.where(_sum(mask, 2 * REACH + 1) == 0, energy, jnp.inf)
    lent, least = jnp.zeros_like(fine), jnp.full_like(energy, jnp.inf)
    for place in PLACES:
        there = jnp.roll(energy, place, (1, 2))
        alike = jnp.abs(jnp.roll(tone, place, (1, 2)) - wanted) < ALIKE
        better = alike & (there < CALMER * least)
        lent = jnp.where(better, jnp.roll(fine, place, (1, 2)), lent)
        least = jnp.where(better, there, least)
    least = jnp.where(jnp.isfinite(least), least, 0)
    return jnp.clip(lent, -MOST * jnp.sqrt(least), MOST * jnp.sqrt(least)), least


def _blur(x: Features) -> Features:
    """x [N,H,W,C] smoothed; beyond the border it goes on."""
    height, width = x.shape[1:3]
    edge = (len(BLUR) // 2,) * 2
    x = jnp.pad(x, ((0, 0), edge, edge, (0, 0)), mode="edge")
    rows = (share * x[:, i : i + height] for i, share in enumerate(BLUR))
    x = functools.reduce(operator.add, rows)
    columns = (share * x[:, :, i : i + width] for i, share in enumerate(BLUR))
    return functools.reduce(operator.add, columns)


def _mean(x: Features, good: Features, side: int) -> Features:
    """Of the good pixels in a square around each pixel; 0 where there are none."""
    return _sum(x * good, side) / jnp.maximum(_sum(good, side), 1e-6)


def _sum(x: Features, side: int) -> Features:
    """Over a square of that side around each pixel; beyond the border there is nothing."""
    for window in ((1, side, 1, 1), (1, 1, side, 1)):
        x = lax.reduce_window(x, 0.0, lax.add, window, (1, 1, 1, 1), "SAME")
    return x
