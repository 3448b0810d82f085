"""Losses on the feature maps of another network. All are computed in float32, return a scalar."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from oldphoto_jax.losses import pixel
from oldphoto_jax.photo.types import Features


def gram(features: Features) -> jax.Array:
    """How channels go together, places forgotten: [N,H,W,C] to [N,C,C], divided by C H W.

    Gatys et al., 2015, https://arxiv.org/abs/1508.06576.
    """
    features = jnp.float32(features)
    products = jnp.einsum("nhwc,nhwd->ncd", features, features, precision=jax.lax.Precision.HIGHEST)
    return products / (features.shape[1] * features.shape[2] * features.shape[3])


def style(features: Features, target: Features) -> jax.Array:
    """Mean absolute difference of the two gram matrices; the maps may differ in size."""
    return pixel.l1(gram(features), gram(target))


def feature_matching(
    fake: Sequence[Sequence[Features]], real: Sequence[Sequence[Features]]
) -> jax.Array:
    """A generator's photos ought to look the same inside the critics as real ones.

    `fake` and `real` hold, per critic, its feature maps from first to last; the last is its score
    and is left out. L1 means are summed over the maps and averaged over the critics; no gradient
    flows into `real`. Wang et al., 2018, https://arxiv.org/abs/1711.11585, whose factor
    4 / (layers + 1) is 1 for their three layers.
    """
    terms = [
        pixel.l1(ours, jax.lax.stop_gradient(theirs))
        for fakes, reals in zip(fake, real, strict=True)
        for ours, theirs in zip(fakes[:-1], reals[:-1], strict=True)
    ]
    if not terms:
        raise ValueError("feature_matching got no feature map: give each critic's maps and score")
    return sum(terms) / len(fake)
