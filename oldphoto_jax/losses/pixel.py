"""Losses that compare photos pixel by pixel. All are computed in float32 and return a scalar."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oldphoto_jax.photo.types import Mask, Photo


def l1(photo: Photo, target: Photo) -> jax.Array:
    """Mean absolute difference of two arrays of the same shape."""
    return _absolute(_difference(photo, target)).mean()


def mse(photo: Photo, target: Photo) -> jax.Array:
    """Mean squared difference of two arrays of the same shape."""
    return jnp.square(_difference(photo, target)).mean()


def l1_hole(photo: Photo, target: Photo, mask: Mask) -> jax.Array:
    """L1 inside the damage: summed where mask [N,H,W,1] is 1, divided by the whole photo.

    Small holes therefore weigh little. Liu et al., 2018, https://arxiv.org/abs/1804.07723.
    """
    return _absolute(_mask(mask, photo) * _difference(photo, target)).mean()


def l1_valid(photo: Photo, target: Photo, mask: Mask) -> jax.Array:
    """L1 outside the damage, divided like `l1_hole`: with a 0/1 mask the two add up to `l1`."""
    return _absolute((1 - _mask(mask, photo)) * _difference(photo, target)).mean()


def composite(photo: Photo, target: Photo, mask: Mask) -> jax.Array:
    """The target with its damaged places (mask 1) taken from the photo, [N,H,W,C] float32."""
    _check(photo, target)
    mask = _mask(mask, photo)
    return mask * jnp.float32(photo) + (1 - mask) * jnp.float32(target)


def total_variation(photo: Photo, mask: Mask | None = None) -> jax.Array:
    """Mean absolute step between neighbours, down plus across, of [N,H,W,C].

    With a mask [N,H,W,1] only steps count whose two ends both lie in the damage grown by one pixel
    (in all eight directions): within the hole and over its edge. Their sum is divided by the whole
    photo, as in `l1_hole`, so that a mask of ones changes nothing and small holes weigh little.
    Liu et al., 2018, https://arxiv.org/abs/1804.07723.
    """
    photo = jnp.float32(photo)
    down = _absolute(photo[:, 1:] - photo[:, :-1])
    across = _absolute(photo[:, :, 1:] - photo[:, :, :-1])
    if mask is not None:
        mask = _mask(mask, photo)
        near = jax.lax.reduce_window(mask, 0.0, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
        down *= near[:, 1:] * near[:, :-1]
        across *= near[:, :, 1:] * near[:, :, :-1]
    return down.mean() + across.mean()


def _absolute(value: jax.Array) -> jax.Array:
    """|value| with slope 0 at 0. The slope of `jnp.abs` there is 1: it would move what is right."""
    return value * jnp.sign(value)


def _check(photo: Photo, target: Photo) -> None:
    if photo.shape != target.shape:  # broadcasting would hide the mistake
        raise ValueError(f"the photo is {photo.shape} but its target is {target.shape}")


def _difference(photo: Photo, target: Photo) -> jax.Array:
    _check(photo, target)
    return jnp.float32(photo) - jnp.float32(target)


def _mask(mask: Mask, photo: Photo) -> jax.Array:
    if mask.shape != (*photo.shape[:-1], 1):
        raise ValueError(f"a photo of {photo.shape} needs a mask [N,H,W,1], got {mask.shape}")
    return jnp.float32(mask)
