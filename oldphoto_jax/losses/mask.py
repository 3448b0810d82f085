"""Losses of a predicted defect mask, from logits. All are computed in float32, return a scalar.

`mask` is the truth, 1 where the photo is damaged, of the shape of the logits, [N,H,W,1].
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from oldphoto_jax.photo.types import Array, Logits, Mask


def bce(logits: Logits, mask: Mask, positive_weight: Array | float = 1.0) -> jax.Array:
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


def center_line_dice(
    logits: Logits, mask: Mask, iterations: int = 6, smooth: float = 1.0
) -> jax.Array:
    """1 - soft clDice: how much of either's center line lies inside the other.

    Dice hardly notices where a thin line breaks; this counts length, whatever the width. Center
    lines are soft skeletons by `iterations` of erosion: half of the thickness that shrinks to one
    pixel. Pooled over the batch, as `dice` is. Shit et al., 2021, https://arxiv.org/abs/2003.07311.
    """
    logits, mask = _pair(logits, mask)
    probability = jax.nn.sigmoid(logits)
    ours, theirs = (_skeleton(x, iterations) for x in (probability, mask))
    precision = ((ours * mask).sum() + smooth) / (ours.sum() + smooth)
    recall = ((theirs * probability).sum() + smooth) / (theirs.sum() + smooth)
    return 1 - 2 * precision * recall / (precision + recall)


def focal(logits: Logits, mask: Mask, alpha: float | None = 0.25, gamma: float = 2.0) -> jax.Array:
    """Mean focal loss: pixels that are right already fade by (1 - p)^gamma.

    Damaged pixels weigh `alpha`, clean ones 1 - alpha; None weighs both 1. Lin et al., 2017,
    https://arxiv.org/abs/1708.02002.
    """
    logits, mask = _pair(logits, mask)
    return optax.sigmoid_focal_loss(logits, mask, alpha=alpha, gamma=gamma).mean()


def _skeleton(x: Mask, iterations: int) -> Mask:
    """The soft skeleton of [N,H,W,1] in 0..1: what opening takes away, after every erosion."""
    skeleton = jnp.zeros_like(x)
    for _ in range(iterations + 1):
        smaller = _eroded(x)
        lost = jax.nn.relu(x - _dilated(smaller))
        skeleton = skeleton + lost * (1 - skeleton)
        x = smaller
    return skeleton


def _eroded(x: Mask) -> Mask:
    """The least among a pixel and its four neighbours."""
    return jnp.minimum(_among(jnp.minimum, x, 1), _among(jnp.minimum, x, 2))


def _dilated(x: Mask) -> Mask:
    """The largest among a pixel and its eight neighbours."""
    return _among(jnp.maximum, _among(jnp.maximum, x, 1), 2)


def _among(choose: Callable[[Mask, Mask], Mask], x: Mask, axis: int) -> Mask:
    """A pixel and its two neighbours along an axis; shifted copies, on CPUs faster than pooling."""
    first = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
    last = jax.lax.slice_in_dim(x, -1, None, axis=axis)
    inner = jax.lax.slice_in_dim(x, 0, -1, axis=axis), jax.lax.slice_in_dim(x, 1, None, axis=axis)
    before = jnp.concatenate([first, inner[0]], axis)
    after = jnp.concatenate([inner[1], last], axis)
    return choose(x, choose(before, after))


def _pair(logits: Logits, mask: Mask) -> tuple[jax.Array, jax.Array]:
    if logits.shape != mask.shape:  # broadcasting would hide the mistake
        raise ValueError(f"logits are {logits.shape} but the mask is {mask.shape}")
    return jnp.float32(logits), jnp.float32(mask)
