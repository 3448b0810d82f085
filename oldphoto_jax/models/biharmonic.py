"""Fills holes smoothly: as a thin plate would bend that is clamped where the photo is good.

The classical way to close scratches (Damelin and Hoang, 2018,
https://doi.org/10.1155/2018/3950312) as a function that compiles and runs in batches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oldphoto_jax.layers import blocks
from oldphoto_jax.photo.types import Features, Mask, Photo

LARGEST = 64.0  # eigenvalue of the discrete biharmonic operator
SMALLEST = LARGEST / 250  # what one level has to damp; smoother parts come from the coarser one


def fill(photo: Photo, mask: Mask, levels: int = 6, iterations: int = 12) -> jax.Array:
    """The photo [N,H,W,C] with its holes (mask [N,H,W,1] is 1) filled, the rest unchanged.

    Solves the biharmonic equation from coarse to fine: every level starts from the one of half
    the size and takes a few Chebyshev steps (https://doi.org/10.1007/978-3-642-97620-8). That is
    near the exact solution, at a fixed cost, but for holes at the border, where the sheet is held
    level. A photo without any good pixel becomes 0. Raises ValueError unless both sides are
    multiples of 2**levels.
    """
    if photo.shape[1] % 2**levels or photo.shape[2] % 2**levels:
        raise ValueError(
            f"photo is {photo.shape}; {levels} levels take multiples of {2**levels} pixels"
        )
    good = 1 - jnp.asarray(mask, photo.dtype)
    pyramid = [(jnp.asarray(photo) * good, good)]
    for _ in range(levels):
        pyramid.append(_halve(*pyramid[-1]))
    known, good = pyramid.pop()
    mean = known.sum((1, 2), keepdims=True) / jnp.maximum(good.sum((1, 2), keepdims=True), 1)
    filled = _relax(known + (1 - good) * mean, 1 - good, iterations)
    for known, good in reversed(pyramid):
        filled = known + (1 - good) * blocks.double(filled)
        filled = _relax(filled, 1 - good, iterations)
    return filled


def _halve(known: Features, good: Features) -> tuple[Features, Features]:
    """Means of the good pixels of 2x2 blocks; a block is good if one of them is."""
    n, height, width, _ = known.shape

    def blocks_sum(x: Features) -> Features:
        return x.reshape(n, height // 2, 2, width // 2, 2, -1).sum((2, 4))

    count = blocks_sum(good)
    return blocks_sum(known) / jnp.maximum(count, 1), jnp.minimum(count, 1)


def _relax(filled: Features, hole: Features, iterations: int) -> Features:
    """Chebyshev's iteration for the biharmonic equation in the hole."""
    keep, gain = _chebyshev(iterations)

    def step(number: jax.Array, state: tuple[Features, Features]) -> tuple[Features, Features]:
        filled, move = state
        rest = -hole * _laplace(_laplace(filled))
        move = keep[number] * move + gain[number] * rest
        return filled + move, move

    # A loop on the device: unrolled, XLA computes the chain of stencils again at every step.
    return jax.lax.fori_loop(0, iterations, step, (filled, jnp.zeros_like(filled)))[0]


def _chebyshev(iterations: int) -> tuple[jax.Array, jax.Array]:
    """For each step how much of the step before it goes on, and the factor of what is left over."""
    middle, reach = (LARGEST + SMALLEST) / 2, (LARGEST - SMALLEST) / 2
    keep, gain, factor = [0.0], [1 / middle], reach / middle
    for _ in range(iterations - 1):
        new = 1 / (2 * middle / reach - factor)
        keep.append(new * factor)
        gain.append(2 * new / reach)
        factor = new
    return jnp.float32(keep), jnp.float32(gain)


def _laplace(x: Features) -> Features:
    """The sum of the four neighbours less four times the pixel; beyond the border it goes on."""
    p = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    across = p[:, 1:-1, :-2] + p[:, 1:-1, 2:]
    return p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + across - 4 * x
