"""Fills holes smoothly: as a thin plate would bend that is clamped where the photo is good.

The classical way to close scratches (Damelin and Hoang, 2018,
https://doi.org/10.1155/2018/3950312) as a function that compiles and runs in batches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oldphoto_jax.layers import blocks
from oldphoto_jax.photo.types import Array, Mask, Photo

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
    # Planes of single channels: the stencil runs along rows, at a third of the time.
    photo, mask = (jnp.moveaxis(jnp.asarray(x, photo.dtype), -1, 1) for x in (photo, mask))
    good = 1 - mask
    pyramid = [(photo * good, good)]
    for _ in range(levels):
        pyramid.append(_halve(*pyramid[-1]))
    known, good = pyramid.pop()
    mean = known.sum((2, 3), keepdims=True) / jnp.maximum(good.sum((2, 3), keepdims=True), 1)
    filled = _relax(known + (1 - good) * mean, 1 - good, iterations)
    for known, good in reversed(pyramid):
        coarse = jnp.moveaxis(blocks.double(jnp.moveaxis(filled, 1, -1)), -1, 1)
        filled = _relax(known + (1 - good) * coarse, 1 - good, iterations)
    return jnp.moveaxis(filled, 1, -1)


def _halve(known: Array, good: Array) -> tuple[jax.Array, jax.Array]:
    """Means of the good pixels of 2x2 blocks of [N,C,H,W]; a block is good if one of them is."""
    n, _, height, width = known.shape

    def blocks_sum(x: Array) -> jax.Array:
        return jnp.asarray(x).reshape(n, -1, height // 2, 2, width // 2, 2).sum((3, 5))

    count = blocks_sum(good)
    return blocks_sum(known) / jnp.maximum(count, 1), jnp.minimum(count, 1)


def _relax(filled: jax.Array, hole: jax.Array, iterations: int) -> jax.Array:
    """Chebyshev's iteration for the biharmonic equation in the hole, [N,C,H,W]."""
    keep, gain = _chebyshev(iterations)

    def step(number: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        filled, move = state
        move = keep[number] * move - gain[number] * hole * _bilaplace(filled)
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


def _bilaplace(x: jax.Array) -> jax.Array:
    """The Laplace operator twice, of [N,C,H,W].

    Beyond the border it sees a mirror image, which is what the operator twice gives where it sees
    the last pixel again, and the last value of its first pass.
    """
    height, width = x.shape[2:]
    x = jnp.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="symmetric")
    x = jax.lax.optimization_barrier(x)  # else XLA would mirror anew for each of the 13

    def shifted(down: int, across: int) -> jax.Array:
        return x[:, :, 2 + down : 2 + down + height, 2 + across : 2 + across + width]

    near = shifted(0, 1) + shifted(1, 0) + shifted(0, -1) + shifted(-1, 0)
    diagonal = shifted(1, 1) + shifted(1, -1) + shifted(-1, 1) + shifted(-1, -1)
    far = shifted(0, 2) + shifted(2, 0) + shifted(0, -2) + shifted(-2, 0)
    return 20 * shifted(0, 0) - 8 * near + 2 * diagonal + far
