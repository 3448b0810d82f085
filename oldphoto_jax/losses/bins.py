"""Colour as a choice among bins: classification with soft targets."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from oldphoto_jax.photo.types import Array, Logits


def soft_cross_entropy(logits: Logits, target: Array, weight: Array | None = None) -> jax.Array:
    """-sum(target log softmax(logits)), times `weight`, mean over pixels, in float32.

    Logits and target are [N,H,W,K], a target sums to 1 over its bins; weight is [N,H,W,1] (rare
    colours count more) and is not normalised. Zhang et al., 2016,
    https://arxiv.org/abs/1603.08511.
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits are {logits.shape} but the target is {target.shape}")
    loss = optax.softmax_cross_entropy(jnp.float32(logits), jnp.float32(target))
    if weight is None:
        return loss.mean()
    if weight.shape != (*logits.shape[:-1], 1):
        raise ValueError(f"logits of {logits.shape} need a weight [N,H,W,1], got {weight.shape}")
    return (loss * jnp.float32(weight[..., 0])).mean()
