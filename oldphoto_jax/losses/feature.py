"""Losses on the feature maps of another network. All are computed in float32, return a scalar."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from oldphoto_jax.losses import pixel
from oldphoto_jax.photo.types import Features, Mask, Photo

# Layers of VGG-16 and weights of the terms (Liu et al., 2018)
PARTIAL_LAYERS = ("pool1", "pool2", "pool3")
INPAINTING_WEIGHTS = {
    "valid": 1.0,
    "hole": 6.0,
    "perceptual": 0.05,
    "style": 120.0,
    "variation": 0.1,
}
# Layers of VGG-19 and their weights (Wan et al., 2020, after pix2pixHD); photos go in as -1..1
OLD_PHOTO_LAYERS = {
    "relu1_1": 1 / 32,
    "relu2_1": 1 / 16,
    "relu3_1": 1 / 8,
    "relu4_1": 1 / 4,
    "relu5_1": 1.0,
}
# Low layers of VGG-16, compared by `pixel.mse`, for colours of old photos (Mail.ru's article of
# 2019, https://habr.com/ru/companies/vk/articles/459696/)
COLOR_LAYERS = ("relu1_2", "relu2_2")


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


def styles(
    features: Sequence[Features],
    targets: Sequence[Features],
    weights: Sequence[float] | None = None,
) -> jax.Array:
    """`style` summed over layers, each times its weight (1 if none are given)."""
    return _sum(style, features, targets, weights)


def perceptual(
    features: Sequence[Features],
    targets: Sequence[Features],
    weights: Sequence[float] | None = None,
    distance: Callable[[Features, Features], jax.Array] = pixel.l1,
) -> jax.Array:
    """Photos ought to look the same inside a trained network, such as `models.vgg.VGG`.

    The distances of the layers [N,h,w,C], summed, each times its weight (1 if none are given).
    After Johnson et al., 2016, https://arxiv.org/abs/1603.08155, with the L1 mean that
    https://arxiv.org/abs/1804.07723 (PARTIAL_LAYERS) and https://arxiv.org/abs/2004.09484
    (OLD_PHOTO_LAYERS) take; `pixel.mse` is the form of their source and of COLOR_LAYERS. Raises
    ValueError when the counts or shapes differ.
    """
    return _sum(distance, features, targets, weights)


def inpainting(
    extract: Callable[[Photo], Sequence[Features]] | None,
    photo: Photo,
    target: Photo,
    mask: Mask,
    *,
    vary_in_hole: bool = True,
) -> dict[str, jax.Array]:
    """The five losses of partial convolutions, before INPAINTING_WEIGHTS weigh them.

    `extract` maps photos [N,H,W,3] to layers, PARTIAL_LAYERS of a VGG-16 in the paper; without it
    "perceptual" and "style", which cost the most, are left out. They are compared for the photo
    and for the target with its damage (mask 1) painted over from the photo. `vary_in_hole` counts
    variation only there, as the paper does; its well-known implementations count the whole. Liu
    et al., 2018, https://arxiv.org/abs/1804.07723.
    """
    mixed = pixel.composite(photo, target, mask)
    terms = {
        "valid": pixel.l1_valid(photo, target, mask),
        "hole": pixel.l1_hole(photo, target, mask),
        "variation": pixel.total_variation(mixed, mask if vary_in_hole else None),
    }
    if extract is not None:
        ours, theirs, wanted = extract(photo), extract(mixed), extract(target)
        terms["perceptual"] = perceptual(ours, wanted) + perceptual(theirs, wanted)
        terms["style"] = styles(ours, wanted) + styles(theirs, wanted)
    return terms


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
    return functools.reduce(operator.add, terms) / len(fake)


def _sum(
    loss: Callable[[Features, Features], jax.Array],
    features: Sequence[Features],
    targets: Sequence[Features],
    weights: Sequence[float] | None,
) -> jax.Array:
    weights = [1.0] * len(features) if weights is None else weights
    if not features or not len(features) == len(targets) == len(weights):
        counts = f"{len(features)} maps, {len(targets)} targets and {len(weights)} weights"
        raise ValueError(f"each layer needs its target and its weight, got {counts}")
    pairs = zip(weights, features, targets, strict=True)
    terms = (weight * loss(ours, theirs) for weight, ours, theirs in pairs)
    return functools.reduce(operator.add, terms)
