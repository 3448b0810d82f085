"""Gives fillings the grain of the photo: where everything is grainy, a smooth patch is a seam.

Who minimizes distances fills with the mean of what might be there, and a mean has no grain. Drawn
at random it would have to be modelled; lent by another place of the same photo, it has the right
strength, size and colour by itself, and the same photo gives the same picture every time.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import lax

from oldphoto_jax.photo.types import Array, Features, Mask, Photo

# How far away, in pixels, grain may be lent from: in all directions, beyond most holes
PLACES = (
    *((0, 40), (0, -40), (40, 0), (-40, 0)),
    *((64, 24), (-64, -24), (24, -64), (-24, 64)),
    *((0, 96), (0, -96), (96, 0), (-96, 0)),
)
WINDOW = 13  # pixels: side of the square in which the energy of grain is measured
REACH = 3  # pixels around a hole of which nothing is lent: its rim may be damaged
RIM = 5  # pixels: side of the square that a hole has to fill for grain in full
MOST = 3.0  # standard deviations; what is stronger is no grain but a contour
BLUR = tuple(math.comb(12, i) / 2**12 for i in range(13))  # wide enough for coarse grain


def lend(filled: Photo, photo: Photo, mask: Mask) -> Photo:
    """The filled photo [N,H,W,C] with grain in its holes (mask [N,H,W,1] is 1), within 0..1.

    Grain is what a photo has beyond its smoothed self. For each pixel, of several places nearby the
    calmest lends its own: where nothing is depicted, there is only grain. The filling gets so much
    that both have the same energy, and none if it is as lively already. Thin holes get less, down
    to nothing at 2 pixels, where neighbours tell the truth better.
    """
    good = 1 - mask
    fine = (photo - _smooth(photo, good)) * good
    energy = _mean(jnp.square(fine).mean(-1, keepdims=True), good, WINDOW)
    solid = _sum(mask, 2 * REACH + 1) == 0
    energy = jnp.where(solid, energy, jnp.inf)
    lent, least = jnp.zeros_like(fine), jnp.full_like(energy, jnp.inf)
    for place in PLACES:
        there = jnp.roll(energy, place, (1, 2))
        lent = jnp.where(there < least, jnp.roll(fine, place, (1, 2)), lent)
        least = jnp.minimum(least, there)
    least = jnp.where(jnp.isfinite(least), least, 0)
    lent = jnp.clip(lent, -MOST * jnp.sqrt(least), MOST * jnp.sqrt(least))
    own = filled - _smooth(filled, jnp.ones_like(mask))
    own = _mean(jnp.square(own).mean(-1, keepdims=True), mask, WINDOW)
    missing = jnp.sqrt(jnp.clip(1 - own / jnp.maximum(least, 1e-12), 0, 1))
    deep = jnp.clip(2 * _sum(mask, RIM) / RIM**2 - 1, 0, 1)
    return jnp.clip(filled + mask * deep * missing * lent, 0, 1)


def _smooth(x: Features, good: Mask) -> Features:
    """x [N,H,W,C] blurred, with only the good pixels counting."""
    return _blur(x * good) / jnp.maximum(_blur(good), 1e-6)


def _blur(x: Features) -> Features:
    height, width = x.shape[1:3]
    edge = (len(BLUR) // 2,) * 2
    x = jnp.pad(x, ((0, 0), edge, edge, (0, 0)))
    x = sum(share * x[:, i : i + height] for i, share in enumerate(BLUR))
    return sum(share * x[:, :, i : i + width] for i, share in enumerate(BLUR))


def _mean(x: Features, good: Mask, side: int) -> Features:
    """Of the good pixels in a square around each pixel; 0 where there are none."""
    return _sum(x * good, side) / jnp.maximum(_sum(good, side), 1e-6)


def _sum(x: Features, side: int) -> Array:
    return lax.reduce_window(x, 0.0, lax.add, (1, side, side, 1), (1, 1, 1, 1), "SAME")
