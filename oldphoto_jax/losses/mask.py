"""Losses of a predicted defect mask, from logits. All are computed in float32, return a scalar.

`mask` is the truth, 1 where the photo is damaged, of the shape of the logits, [N,H,W,1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from oldphoto_jax.photo.types import Logits, Mask


def bce(logits: Logits, mask: Mask, positive_weight: float = 1.0) -> jax.Array:
    """Mean binary cross-entropy; damaged pixels count `positive_weight` times.

    The usual weight is the number of clean pixels for every damaged one.
    """
    logits, mask = _pair(logits, mask)
    missed = mask * jax.nn.softplus(-logits)
    plain = optax.sigmoid_binary_cross_entropy(logits, mask)
    return (plain + (positive_weight - 1) * missed).mean()


def dice(logits: Logits, mask: Mask, smooth: float = 1.0) -> jax.Array:
    """1 - (2 sum(p g) + smooth) / (sum p + sum g + smooth), summed over the whole batch at once.

    A photo without defects then does not stand for a whole unit of loss. Milletari et al., 2016,
    https://arxiv.org/abs/1606.04797.
    """
    logits, mask = _pair(logits, mask)
    probability = jax.nn.sigmoid(logits)
    overlap = (probability * mask).sum()
    return 1 - (2 * overlap + smooth) / (probability.sum() + mask.sum() + smooth)


def focal(logits: Logits, mask: Mask, alpha: float | None = 0.25, gamma: float = 2.0) -> jax.Array:
    """Mean focal loss: pixels that are right already fade by (1 - p)^gamma.

    Damaged pixels weigh `alpha`, clean ones 1 - alpha; None weighs both 1. Lin et al., 2017,
    https://arxiv.org/abs/1708.02002.
    """
    logits, mask = _pair(logits, mask)
    return optax.sigmoid_focal_loss(logits, mask, alpha=alpha, gamma=gamma).mean()


def _pair(logits: Logits, mask: Mask) -> tuple[jax.Array, jax.Array]:
    if logits.shape != mask.shape:  # broadcasting would hide the mistake
        raise ValueError(f"logits are {logits.shape} but the mask is {mask.shape}")
    return jnp.float32(logits), jnp.float32(mask)
