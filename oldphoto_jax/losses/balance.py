"""Rare colours count more, so that results do not fade to brown and gray.

Most of a photo is nearly gray. A network that is unsure of a colour and pays for every pixel alike
does best with a dull one. Zhang et al., 2016, https://arxiv.org/abs/1603.08511, weigh colours by
how rare they are, by a table (`rebalanced`); `rarity` has a formula in place of it.
"""

from __future__ import annotations

import functools
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.losses import pixel
from oldphoto_jax.photo.types import AnyArray, Array

# How common a colour is: exp(-r / SCALE) / sqrt(r^2 + CORE^2), r the radius of `_radius`. Fitted by
# maximum likelihood to 5183 photos (faces, people, scenes), each averaged down to 64 x 64 pixels,
# after noise of 0.02 on both channels: it stands for the blur of the paper's table (5 units of a
# and b) and without it CORE would be 0. The fitted and the measured shares of pixels within any
# radius differ by 0.020 at most.
SCALE, CORE = 0.0489, 0.0266
GAMUT = 0.709  # the area of all colours of sRGB in the plane, a hexagon
FARTHEST = 1.0  # no colour has this radius


def rarity(
    chroma: Array, share: float = 0.5, *, scale: float = SCALE, core: float = CORE
) -> jax.Array:
    """What the pixels of chroma [N,H,W,2] (Cb, Cr in 0..1, gray at 0.5) should count, [N,H,W,1].

    One over a mixture of how common the colour is (1 - share) and of all colours alike (share):
    1 makes all weights 1, smaller makes vivid colours count more. 0.9 spans 0.17..2.6 and 0.5
    spans 0.06..8. The mean is 1 over colours as common as the formula says; it was 0.87 (share 0.5)
    and 0.84 (0.9) over the photos it was fitted to. `scale` and `core` are for photos of another
    kind. Float32; no gradient flows through. Raises ValueError for other shapes and other shares.
    Zhang et al., 2016, https://arxiv.org/abs/1603.08511, whose share is 0.5.
    """
    _check(share)
    if len(chroma.shape) != 4 or chroma.shape[-1] != 2:
        raise ValueError(f"chroma must be [N,H,W,2] (Cb, Cr), got {chroma.shape}")
    radius = _radius(jax.lax.stop_gradient(jnp.float32(chroma)))
    mixed = _mixture(jnp, radius, share, scale, core)
    return (_level(share, scale, core) / mixed)[..., None]


def rebalanced(prior: np.ndarray, share: float = 0.5, power: float = 1.0) -> np.ndarray:
    """What K colours should count that are as common as `prior` [K] says, [K]; its mean is 1.

    As in `rarity`: one over a mixture of the prior and of all colours alike (share), to a power.
    The mean is that over the colours as common as they are. Zhang et al., 2016, whose share is 0.5
    and power 1; they smooth the prior first (`Palette.smoothed`).
    """
    _check(share)
    prior = np.asarray(prior, np.float64) / np.sum(prior)
    weights = ((1 - share) * prior + share / len(prior)) ** -power
    return weights / (prior * weights).sum()


def balanced_l1(colours: Array, target: Array, weight: Array) -> jax.Array:
    """Mean over pixels and both channels of |colours - target|, times a weight such as `rarity`.

    Colours and target are [N,H,W,2], the weight [N,H,W,1]; ones make it `pixel.l1`. A scalar.
    Not knowing the colour, a network does best with the weighted median of all it might be. With
    the `rarity` of chroma, over the photos of its fit, that is (0.488, 0.505) at share 1, nearly
    gray, (0.450, 0.525) at 0.9 and (0.421, 0.544) at 0.5, which is brown: small shares trade one
    dullness for the other.
    """
    if colours.shape != target.shape:  # broadcasting would hide the mistake
        raise ValueError(f"the colours are {colours.shape} but their target is {target.shape}")
    difference = weight * (jnp.float32(colours) - jnp.float32(target))
    return pixel.l1(difference, jnp.zeros_like(difference))


def _check(share: float) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: must be above 0 (else weights have no bound), at most 1")


def _radius(chroma: AnyArray) -> AnyArray:
    """Distance to gray, where orange to blue is twice as long as green to magenta: [..,2] to [..].

    Photos spread about so: skin, wood, earth and sky are common, greens and purples are not.
    """
    xp = chroma.__array_namespace__()
    cb, cr = chroma[..., 0] - 0.5, chroma[..., 1] - 0.5
    return xp.hypot((cr - cb) / 2, cr + cb)


def _mixture(xp: ModuleType, radius: AnyArray, share: float, scale: float, core: float) -> AnyArray:
    """How common colours of this radius are, mixed with all colours alike: shares of an area."""
    common = _bump(xp, radius, scale, core) / _total(scale, core)
    return (1 - share) * common + share / GAMUT


def _bump(xp: ModuleType, radius: AnyArray, scale: float, core: float) -> AnyArray:
    return xp.exp(-radius / scale) / xp.hypot(radius, core)


@functools.cache
def _total(scale: float, core: float) -> float:
    """The integral of `_bump` over the plane (an ellipse of radius r has the area pi r^2)."""
    radius = np.linspace(0, FARTHEST, 20001)
    return float(np.trapezoid(2 * np.pi * radius * _bump(np, radius, scale, core), radius))


@functools.cache
def _level(share: float, scale: float, core: float) -> float:
    """What divided by `_mixture` has the mean 1 over colours as common as the formula says."""
    radius = np.linspace(0, FARTHEST, 20001)
    common = _bump(np, radius, scale, core) / _total(scale, core)
    mixed = _mixture(np, radius, share, scale, core)
    return 1 / float(np.trapezoid(2 * np.pi * radius * common / mixed, radius))
