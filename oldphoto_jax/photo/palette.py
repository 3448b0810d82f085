"""Colours to choose among: a grid over the plane of Cb and Cr, fine near gray, coarse far away.

A network that names one colour names the mean of all that a thing might have, which is dull. One
that says how likely each of many colours is can be asked for more than the mean (Zhang et al.,
2016, https://arxiv.org/abs/1603.08511, who choose among 313 squares of equal size in the plane of
a and b). Cells that grow with their distance to gray, as the colours of photos get rarer, keep
skin and wood apart from gray at no more cells. All functions work under `jax.jit`, with sizes and
temperatures that are static.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.photo.types import Array, Logits

BEND = 2.6  # a fine grid is cosh(BEND), 6.8, times as coarse at the rim as at gray
COLDEST = 1e-3  # temperature; float32 cannot bear much less


def axis(side: int) -> np.ndarray:
    """Where the grid's lines stand, [side] from 0 to 1 with gray in the middle, for Cb as for Cr.

    Raises ValueError unless `side` is odd and 3 at least, so that gray is a colour of the grid.
    """
    if side < 3 or side % 2 == 0:
        raise ValueError(f"a palette of {side} colours a side: give an odd number, 3 at least")
    steps = np.linspace(-1, 1, side)
    return 0.5 + 0.5 * np.sinh(BEND * steps) / np.sinh(BEND)


def shares(chroma: Array, side: int) -> jax.Array:
    """Chroma [..,2] in 0..1 as shares of the four colours around it: [..,side * side], float32.

    They sum to 1, and the mean of the colours so weighted is the chroma itself; `mean` gives it
    back from their logarithms. What leaves 0..1 is cut to it.
    """
    lines = jnp.asarray(axis(side), jnp.float32)
    blue, red = (_between(jnp.float32(chroma[..., i]), lines) for i in (0, 1))
    both = blue[..., :, None] * red[..., None, :]
    return both.reshape(*chroma.shape[:-1], side * side)


def check(temperature: float) -> None:
    """Raises ValueError for a temperature that `mean` cannot take."""
    if not COLDEST <= temperature < math.inf:
        raise ValueError(
            f"temperature {temperature}: give a number of {COLDEST} or more; 1 is the plain mean"
        )


def mean(logits: Logits, temperature: float = 1.0) -> jax.Array:
    """The mean colour [..,2], Cb and Cr in 0..1, of a grid's logits [..,side * side], float32.

    Below a temperature of 1 the likelier colours count for more than they are likely, so that it
    moves from their mean (1) to the likeliest alone (0): the "annealed mean" of Zhang et al.
    Raises ValueError for a temperature below COLDEST and for logits of no square grid.
    """
    check(temperature)
    side = round(logits.shape[-1] ** 0.5)
    if side * side != logits.shape[-1]:
        raise ValueError(
            f"logits are {logits.shape}: the last axis must hold side * side of them, side odd"
        )
    lines = jnp.asarray(axis(side), jnp.float32)
    odds = jax.nn.softmax(jnp.float32(logits) / temperature, axis=-1)
    odds = odds.reshape(*logits.shape[:-1], side, side)
    # Sums written out, as accelerators multiply small matrices in reduced precision
    blue, red = ((odds.sum(axis=other) * lines).sum(axis=-1) for other in (-1, -2))
    return jnp.stack([blue, red], axis=-1)


def _between(x: jax.Array, lines: jax.Array) -> jax.Array:
    """Shares [..,side] of the two lines around x [..], by nearness."""
    x = jnp.clip(x, 0, 1)[..., None]
    width = jnp.diff(lines)
    rise = jnp.clip((x - lines[:-1]) / width, 0, 1)  # 0 before each gap, 1 after it
    ones, zeros = jnp.ones_like(x), jnp.zeros_like(x)
    return jnp.concatenate([ones, rise], -1) - jnp.concatenate([rise, zeros], -1)
